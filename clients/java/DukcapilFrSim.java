package dukcapilfrsim;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * dukcapil-fr-sim for JUnit 5, in one file to copy to src/test/java/dukcapilfrsim. JDK 11 or newer and JUnit only.
 *
 * <pre>
 * {@literal @}ExtendWith(DukcapilFrSim.class)
 * class PaymentTest {
 *     {@literal @}Test
 *     void busyIsRetried(DukcapilFrSim.Customer customer) {
 *         customer.rule("busy", Map.of("times", 2, "reply", Map.of("code", "6014")));
 *         ...
 *         customer.verify(Map.of("code", "6014"), DukcapilFrSim.exactly(2));
 *     }
 * }
 * </pre>
 *
 * Each test gets its own customer on one simulator per test run: its own account, rules, quota, clock, state, people and view of the
 * journal, so tests can run in parallel. A customer that {@literal @}BeforeAll or the constructor takes is that of all tests of the class. A
 * parameter may also be a {@link Simulator}. To pass flags to the simulator, register it instead, in a static field:
 * {@code @RegisterExtension static final DukcapilFrSim FRSIM = new DukcapilFrSim("--seed", "7");}
 *
 * <p>The binary is FRSIM_BINARY, or {@code dukcapil-fr-sim} on the PATH, or the newest build in a {@code target} directory of the working
 * directory, of one above it, or of a {@code dukcapil-fr-sim} beside it.
 *
 * <p>A started simulator is ready when it prints a line; then the port file has its addresses. Reading the line needs no polling and ends
 * when the process ends. It is stopped by {@code POST /shutdown}, which works on every operating system, unlike signals.
 *
 * <p>JSON objects are maps, arrays are lists, whole numbers are {@code Long}, others {@code Double}.
 */
public final class DukcapilFrSim implements BeforeAllCallback, ParameterResolver {
    private static final int START_TIMEOUT = 60; // seconds; a process that is not ready by then is killed
    private static final int RESPONSE_TIMEOUT = 30; // seconds for a response of the admin API
    private static final int WAIT_TIMEOUT = 660; // seconds; the admin API itself limits a wait to ten minutes
    private static final ExtensionContext.Namespace STORE = ExtensionContext.Namespace.create(DukcapilFrSim.class);

    private final List<String> flags;

    /** As {@code @ExtendWith(DukcapilFrSim.class)} does. */
    public DukcapilFrSim() {
        this(new String[0]);
    }

    /** With additional flags of {@code serve}. Extensions with the same flags share a simulator. */
    public DukcapilFrSim(String... flags) {
        this.flags = List.of(flags);
    }

    // --- the extension

    /** Starts the simulator, unless it runs, so that a failed start is reported once a class and not as a failure of each test. */
    @Override
    public void beforeAll(ExtensionContext context) {
        simulator(context);
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        Class<?> type = parameter.getParameter().getType();
        return type == Simulator.class || type == Customer.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Simulator simulator = simulator(context);
        if (parameter.getParameter().getType() == Simulator.class) return simulator;
        // In the context's store, which JUnit closes after the test: parameters of @BeforeEach and of the test are one customer.
        return context.getStore(STORE)
                .getOrComputeIfAbsent(Customer.class, key -> new Closing<>(simulator.customer(), Customer::delete), Closing.class)
                .value;
    }

    private Simulator simulator(ExtensionContext context) {
        // In the root's store, which JUnit closes after the whole run.
        return (Simulator) context.getRoot().getStore(STORE)
                .getOrComputeIfAbsent(flags, key -> new Closing<>(start(flags.toArray(new String[0])), Simulator::stop), Closing.class)
                .value;
    }

    /** What JUnit ends together with the store that it is in. */
    private static final class Closing<T> implements ExtensionContext.Store.CloseableResource {
        final T value;
        private final java.util.function.Consumer<T> end;

        Closing(T value, java.util.function.Consumer<T> end) {
            this.value = value;
            this.end = end;
        }

        @Override
        public void close() {
            end.accept(value);
        }
    }

    // --- numbers for verify

    public static Map<String, Object> exactly(int count) {
        return Map.of("exactly", count);
    }

    public static Map<String, Object> atLeast(int count) {
        return Map.of("at_least", count);
    }

    public static Map<String, Object> atMost(int count) {
        return Map.of("at_most", count);
    }

    // --- the simulator

    /** An error response of the admin API. {@code path} points to the invalid part of the body, {@code hint} says what to do; or null. */
    public static final class ApiError extends RuntimeException {
        private static final long serialVersionUID = 1;
        public final int status;
        public final String code;
        public final String detail;
        public final String path;
        public final String hint;
        public final transient Map<String, Object> answer;

        ApiError(int status, Map<String, Object> answer) {
            super(words(status, object(answer.get("error"))));
            Map<String, Object> error = object(answer.get("error"));
            this.status = status;
            this.answer = answer;
            code = (String) error.get("code");
            detail = (String) error.get("message");
            path = (String) error.get("path");
            hint = (String) error.get("hint");
        }

        private static String words(int status, Map<String, Object> error) {
            Object path = error.get("path");
            Object hint = error.get("hint");
            String at = path == null || path.equals("") ? "" : " (at " + path + ")";
            return status + " " + error.get("code") + ": " + error.get("message") + at + (hint == null ? "" : "; " + hint);
        }
    }

    /** A client of a running simulator, started here or elsewhere. */
    public static final class Simulator {
        /** URL of the endpoint, without a path. */
        public final String endpoint;
        /** URL of the admin API. */
        public final String admin;
        /** Value of --admin-token, or null. */
        public final String token;

        private Process process;
        private Path directory;

        /** {@code token} is the value of --admin-token, or null. */
        public Simulator(String endpoint, String admin, String token) {
            this.endpoint = endpoint;
            this.admin = admin;
            this.token = token == null || token.isEmpty() ? null : token;
        }

        /**
         * Calls the admin API and returns its JSON response. {@code body} may be null. Throws {@link ApiError}. PATCH is the one method that
         * the JDK's client refuses.
         */
        public Map<String, Object> ask(String method, String path, Object body) {
            return ask(method, path, body, RESPONSE_TIMEOUT);
        }

        private Map<String, Object> ask(String method, String path, Object body, int timeout) {
            try {
                HttpURLConnection call = (HttpURLConnection) new URL(admin + path).openConnection(Proxy.NO_PROXY);
                call.setRequestMethod(method);
                call.setConnectTimeout(RESPONSE_TIMEOUT * 1000);
                call.setReadTimeout(timeout * 1000);
                // A connection of its own for each call: one that is kept may be closed at the moment it is used again.
                call.setRequestProperty("Connection", "close");
                if (token != null) call.setRequestProperty("Authorization", "Bearer " + token);
                if (body != null) {
                    call.setRequestProperty("Content-Type", "application/json");
                    call.setDoOutput(true);
                    try (var out = call.getOutputStream()) {
                        out.write(Json.write(body).getBytes(StandardCharsets.UTF_8));
                    }
                }
                int status = call.getResponseCode();
                try (var in = status < 400 ? call.getInputStream() : call.getErrorStream()) {
                    ByteArrayOutputStream read = new ByteArrayOutputStream();
                    in.transferTo(read);
                    Map<String, Object> answer = object(new Json(read.toString(StandardCharsets.UTF_8)).read());
                    if (status >= 300) throw new ApiError(status, answer);
                    return answer;
                }
            } catch (IOException error) {
                throw new UncheckedIOException(method + " " + admin + path + ": " + error.getMessage(), error);
            }
        }

        /** Resets journal, rules, quota, state, clock, gallery, customers or all, of every customer. */
        public void reset(String scope) {
            ask("POST", "/reset?scope=" + encoded(scope), null);
        }

        /** Returns the simulator's clock. */
        public Map<String, Object> clock() {
            return ask("GET", "/clock", null);
        }

        /** Changes the simulator's clock, as {@link Customer#clock(Map)}; customers' own clocks stay. */
        public Map<String, Object> clock(Map<String, ?> change) {
            return ask("PUT", "/clock", change);
        }

        /** Creates a customer with a generated id and account and no quota. */
        public Customer customer() {
            return customer(Map.of());
        }

        /** The same, from the keys of a customer's fixture file, and a {@code ttl} (10m). {@link Customer#delete} removes it. */
        public Customer customer(Map<String, ?> spec) {
            Map<String, Object> body = new LinkedHashMap<>(spec);
            body.putIfAbsent("ttl", "10m");
            return new Customer(this, ask("POST", "/customers", body));
        }

        /** Stops it, if it was started here. */
        public void stop() {
            if (process == null) return;
            try {
                if (process.isAlive()) ask("POST", "/shutdown", null);
                if (!process.waitFor(START_TIMEOUT, TimeUnit.SECONDS)) throw new IllegalStateException("dukcapil-fr-sim does not stop");
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            } finally {
                end();
            }
        }

        private void end() {
            process.destroyForcibly().onExit().join();
            try (Stream<Path> left = Files.walk(directory)) {
                left.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
            } catch (IOException | UncheckedIOException error) {
                // It was deleted before.
            }
        }
    }

    /** A customer of the simulator: the URL, account and key for the client under test, and the controls for the test. */
    public static final class Customer {
        public final Simulator simulator;
        public final String id;
        /** The endpoint's URL for this customer. */
        public final String url;
        /** Its account: {@code user_id} and {@code password}. */
        public final String userId;
        public final String password;
        /** Key that encrypts the account, SPKI in PEM. */
        public final String publicKeyPem;

        private final String path;

        Customer(Simulator simulator, Map<String, Object> view) {
            Map<String, Object> account = object(view.get("account"));
            this.simulator = simulator;
            id = (String) view.get("customer_id");
            url = simulator.endpoint + view.get("path");
            userId = (String) account.get("user_id");
            password = (String) account.get("password");
            publicKeyPem = (String) view.get("public_key_pem");
            path = "/customers/" + encoded(id);
        }

        /** Deletes it with its rules. Does nothing when it no longer exists. */
        public void delete() {
            try {
                simulator.ask("DELETE", path, null);
            } catch (ApiError error) {
                if (error.status != 404) throw error;
            }
        }

        /** Creates or replaces a rule, ahead of the fixture rules: {@code Map.of("times", 2, "reply", Map.of("code", "6014"))}. */
        public Map<String, Object> rule(String name, Map<String, ?> spec) {
            return simulator.ask("PUT", path + "/rules/" + encoded(name), spec);
        }

        /** Returns today's quota. */
        public Map<String, Object> quota() {
            return simulator.ask("GET", path + "/quota", null);
        }

        /** Sets {@code per_day}, {@code used} or both. */
        public Map<String, Object> quota(Map<String, ?> change) {
            return simulator.ask("PUT", path + "/quota", change);
        }

        /** Returns its clock. */
        public Map<String, Object> clock() {
            return simulator.ask("GET", path + "/clock", null);
        }

        /** Applies {@code advance="25h"}, {@code now="2026-11-21T23:59:00+07:00"}, {@code freeze=true} or {@code reset=true}. */
        public Map<String, Object> clock(Map<String, ?> change) {
            return simulator.ask("PUT", path + "/clock", change);
        }

        /** Returns the state of its scenario, which rules test with {@code when.state}. */
        public String state() {
            return (String) simulator.ask("GET", path + "/state", null).get("state");
        }

        /** Sets the state of its scenario. */
        public String state(String state) {
            return (String) simulator.ask("PUT", path + "/state", Map.of("state", state)).get("state");
        }

        /** Enrols a person whom only this customer finds: {@code nik}, {@code name}, {@code similar}, and JPG or PNG files. */
        public Map<String, Object> enrol(Map<String, ?> person, byte[]... pictures) {
            Map<String, Object> body = new LinkedHashMap<>(person);
            body.put("customer_id", id);
            body.put("pictures", Arrays.stream(pictures).map(Base64.getEncoder()::encodeToString).collect(Collectors.toList()));
            return simulator.ask("POST", "/gallery", body);
        }

        /** Resets its journal, rules, quota, state, clock, gallery, or all of them. */
        public void reset(String scope) {
            simulator.ask("POST", "/reset?scope=" + encoded(scope) + "&customer_id=" + encoded(id), null);
        }

        /** Returns its journal entries, newest first. */
        public List<Map<String, Object>> requests() {
            return requests(Map.of());
        }

        /** Returns its journal entries, newest first; {@code code}, {@code since}, {@code state} and {@code limit} filter them. */
        public List<Map<String, Object>> requests(Map<String, ?> query) {
            Map<String, Object> parameters = new TreeMap<>(query);
            parameters.putIfAbsent("limit", 10_000);
            parameters.put("customer_id", id);
            String text = parameters.entrySet().stream()
                    .map(one -> one.getKey() + "=" + encoded(one.getValue().toString()))
                    .collect(Collectors.joining("&"));
            return objects(simulator.ask("GET", "/requests?" + text, null).get("requests"));
        }

        /** Asserts that at least one of its requests matches. */
        public long verify(Map<String, ?> match) {
            return verify(match, atLeast(1));
        }

        /**
         * Asserts the number of its matching requests: {@link #exactly}, {@link #atLeast} or {@link #atMost}. Returns the number. The
         * failure reports the near misses.
         */
        public long verify(Map<String, ?> match, Map<String, ?> count) {
            return (Long) check("/requests/verify", match, Map.of("count", count), RESPONSE_TIMEOUT).get("count");
        }

        /**
         * Waits for {@code count} of its matching requests, earlier ones included, and returns them, newest first. AssertionError when
         * {@code timeout} ("10s") is over.
         */
        public List<Map<String, Object>> wait(Map<String, ?> match, int count, String timeout) {
            return objects(check("/requests/wait", match, Map.of("count", count, "timeout", timeout), WAIT_TIMEOUT).get("requests"));
        }

        /** Returns the response that a body would get, and why; consumes nothing. */
        public Map<String, Object> explain(Object body) {
            return simulator.ask("POST", "/explain", Map.of("customer_id", id, "body", body));
        }

        private Map<String, Object> check(String route, Map<String, ?> conditions, Map<String, ?> more, int timeout) {
            Map<String, Object> match = new LinkedHashMap<>(new TreeMap<>(conditions));
            match.put("customer_id", id);
            Map<String, Object> body = new LinkedHashMap<>(more);
            body.put("match", match);
            try {
                return simulator.ask("POST", route, body, timeout);
            } catch (ApiError error) {
                if (!error.answer.containsKey("nearest")) throw error;
                throw new AssertionError(failure(match, error));
            }
        }

        private String failure(Map<String, Object> match, ApiError error) {
            List<String> lines = new ArrayList<>();
            lines.add(error.detail + ": " + Json.write(match));
            for (Object number : (List<?>) error.answer.get("matched")) lines.add("  matched  #" + number + "  " + answer(number));
            for (Map<String, Object> miss : objects(error.answer.get("nearest"))) {
                Map<String, Object> differs = object(miss.get("differs"));
                if (differs.containsKey("customer_id")) continue; // requests of other tests do not help
                lines.add("  nearest  #" + miss.get("id") + "  " + answer(miss.get("id")));
                differs.forEach((field, both) -> lines.add("           " + field + ": want "
                        + Json.write(object(both).get("want")) + ", got " + Json.write(object(both).get("got"))));
            }
            if (lines.size() == 1) lines.add("  the journal has no requests of " + id);
            lines.add("  hint: " + error.hint);
            return String.join("\n", lines);
        }

        private String answer(Object number) {
            try {
                Map<String, Object> answer = object(simulator.ask("GET", "/requests/" + number, null).get("answer"));
                Object what = answer.get("code") != null ? answer.get("code") : answer.get("status");
                Object reason = answer.get("reason");
                return (what == null ? "no answer" : what) + ": " + (reason == null ? "no reason given" : reason);
            } catch (ApiError error) {
                if (error.status != 404) throw error;
                return "no longer in the journal"; // which is a ring buffer
            }
        }
    }

    // --- the process

    /** Starts a simulator on free ports with its own keys; {@link Simulator#stop} ends it. For tests without the extension. */
    public static Simulator start(String... flags) {
        Simulator simulator = null;
        try {
            Path directory = Files.createTempDirectory("frsim-");
            List<String> command = new ArrayList<>(List.of(findBinary(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"));
            Collections.addAll(command, "--keys", directory + "/keys", "--port-file", directory + "/ports");
            // Otherwise it would load a `fixtures` directory of the project under test.
            if (System.getenv("FRSIM_FIXTURES") == null && !Arrays.asList(flags).contains("--fixtures")) {
                Collections.addAll(command, "--fixtures", Files.createDirectory(directory.resolve("fixtures")).toString());
            }
            Collections.addAll(command, flags);
            File log = directory.resolve("log").toFile();
            simulator = launch(new ProcessBuilder(command).redirectError(log), directory);
            return simulator;
        } catch (IOException error) {
            throw new UncheckedIOException(error.getMessage(), error);
        }
    }

    private static Simulator launch(ProcessBuilder builder, Path directory) throws IOException {
        Process process;
        try {
            process = builder.start();
        } catch (IOException error) {
            for (String name : List.of("fixtures", "log", "")) Files.deleteIfExists(directory.resolve(name));
            throw error;
        }
        process.getOutputStream().close();
        Thread watchdog = new Thread(() -> {
            try {
                TimeUnit.SECONDS.sleep(START_TIMEOUT);
                process.destroyForcibly();
            } catch (InterruptedException ready) {
                // Ready, or ended.
            }
        });
        watchdog.setDaemon(true);
        watchdog.start();
        // One line, once the port file is written; the end of the stream when the process exits first.
        int first = process.getInputStream().read();
        watchdog.interrupt();
        if (first >= 0) {
            Map<String, Object> ports = object(new Json(Files.readString(directory.resolve("ports"))).read());
            Simulator simulator =
                    new Simulator((String) ports.get("endpoint"), (String) ports.get("admin"), System.getenv("FRSIM_ADMIN_TOKEN"));
            simulator.process = process;
            simulator.directory = directory;
            // Also when the run ends without closing its stores.
            Runtime.getRuntime().addShutdownHook(new Thread(simulator::end));
            return simulator;
        }
        Simulator failed = new Simulator(null, null, null);
        failed.process = process;
        failed.directory = directory;
        try {
            int status = process.waitFor();
            String output = Files.readString(directory.resolve("log")).trim();
            throw new IllegalStateException("dukcapil-fr-sim did not start (exit status " + status + "): " + output);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", error);
        } finally {
            failed.end();
        }
    }

    static String findBinary() {
        String named = System.getenv("FRSIM_BINARY");
        if (named != null && !named.isEmpty()) return named;
        String name = "dukcapil-fr-sim" + (System.getProperty("os.name").startsWith("Windows") ? ".exe" : "");
        List<File> candidates = new ArrayList<>();
        for (String directory : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) candidates.add(new File(directory, name));
        for (File found : candidates) if (found.canExecute() && found.isFile()) return found.getPath();
        File here = new File("").getAbsoluteFile();
        for (File above = here; above != null; above = above.getParentFile()) {
            List<File> built = new ArrayList<>();
            for (String project : List.of("", "dukcapil-fr-sim/")) {
                for (String profile : List.of("release", "debug")) built.add(new File(above, project + "target/" + profile + "/" + name));
            }
            var newest = built.stream().filter(File::isFile).max(Comparator.comparingLong(File::lastModified));
            if (newest.isPresent()) return newest.get().getPath();
        }
        throw new IllegalStateException("no " + name + ": set FRSIM_BINARY, put it on the PATH, or `cargo build` above " + here);
    }

    // --- JSON

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object value) {
        return value == null ? Map.of() : (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> objects(Object value) {
        return (List<Map<String, Object>>) value;
    }

    /** Reads and writes JSON; reads what the admin API writes, which is always valid. */
    static final class Json {
        private final String text;
        private int at;

        Json(String text) {
            this.text = text;
        }

        static String write(Object value) {
            if (value instanceof Map) {
                return ((Map<?, ?>) value).entrySet().stream()
                        .map(one -> write(one.getKey().toString()) + ":" + write(one.getValue()))
                        .collect(Collectors.joining(",", "{", "}"));
            }
            if (value instanceof Iterable) {
                List<String> items = new ArrayList<>();
                ((Iterable<?>) value).forEach(item -> items.add(write(item)));
                return "[" + String.join(",", items) + "]";
            }
            if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
            StringBuilder out = new StringBuilder("\"");
            for (char c : value.toString().toCharArray()) {
                if (c == '"' || c == '\\') out.append('\\').append(c);
                else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
                else out.append(c);
            }
            return out.append('"').toString();
        }

        Object read() {
            switch (peek()) {
                case '{':
                    Map<String, Object> object = new LinkedHashMap<>();
                    while (more('}')) {
                        String key = string();
                        peek();
                        at++; // the colon
                        object.put(key, read());
                    }
                    return object;
                case '[':
                    List<Object> array = new ArrayList<>();
                    while (more(']')) array.add(read());
                    return array;
                case '"':
                    return string();
                default:
                    int start = at;
                    while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) at++;
                    return word(text.substring(start, at));
            }
        }

        private static Object word(String word) {
            if (word.equals("null")) return null;
            if (word.equals("true") || word.equals("false")) return word.equals("true");
            if (word.matches("-?\\d{1,18}")) return Long.valueOf(word);
            return Double.valueOf(word);
        }

        /** Skips white space. Returns the next character. */
        private char peek() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
            if (at == text.length()) throw new IllegalArgumentException("not JSON: " + text);
            return text.charAt(at);
        }

        /** Skips the bracket or comma before an item. Returns whether there is one. */
        private boolean more(char end) {
            boolean first = peek() != ',' && peek() != end;
            at++;
            if (!first && text.charAt(at - 1) == end) return false;
            if (peek() != end) return true;
            at++;
            return false;
        }

        private String string() {
            peek();
            StringBuilder out = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                char c = text.charAt(at);
                if (c == '\\') {
                    c = text.charAt(++at);
                    int escape = "bfnrt".indexOf(c);
                    if (escape >= 0) c = "\b\f\n\r\t".charAt(escape);
                    if (c == 'u') {
                        c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                        at += 4;
                    }
                }
                out.append(c);
            }
            at++;
            return out.toString();
        }
    }
}
