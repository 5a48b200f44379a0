import com.sun.source.util.JavacTask;
import java.util.List;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.ToolProvider;

/** Checks that Java files can be parsed, without the libraries that they need. */
class ParseJava {
    public static void main(String[] files) throws Exception {
        var compiler = ToolProvider.getSystemJavaCompiler();
        var found = new DiagnosticCollector<JavaFileObject>();
        try (var manager = compiler.getStandardFileManager(found, null, null)) {
            var task = compiler.getTask(null, manager, found, List.of("-proc:none"), null, manager.getJavaFileObjects(files));
            ((JavacTask) task).parse();
        }
        found.getDiagnostics().forEach(System.err::println);
        if (!found.getDiagnostics().isEmpty()) System.exit(1);
    }
}
