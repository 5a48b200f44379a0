import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import javax.crypto.Cipher;

/**
 * Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs Java 17 and no library.
 *
 * <pre>java Client.java --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem</pre>
 *
 * Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).
 */
public class Client {
    static final String SUCCESS = "6018";
    static final String BUSY = "6014";

    /**
     * The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10^-score strangers reach a
     * score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
     */
    static final double SURE = 10;

    record Options(String url, String customer, byte[] image, PublicKey key, String user, String password,
                   String threshold, String ip, double timeout, int retries, double backoff) {}

    record Candidate(String nik, double score) {}

    record Answer(String code, String message, List<Candidate> found) {}

    /** No answer, or one that is not from the endpoint. */
    static class NoAnswer extends Exception {
        final boolean again;

        NoAnswer(String words, boolean again) {
            super(words);
            this.again = again;
        }
    }

    final Options options;

    /**
     * HTTP_1_1 because the default, HTTP_2, sends an offer to upgrade (h2c) with each first request over plain HTTP, which
     * gateways dislike. This client does not retry a POST by itself, unless -Djdk.httpclient.enableAllMethodRetry is set.
     */
    final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    Client(Options options) {
        this.options = options;
    }

    static Options parse(String[] args) throws IOException, GeneralSecurityException {
        var given = new HashMap<>(Map.of(
            "--user", "demo-user",
            "--password", "demo-password",
            "--threshold", "7",
            "--ip", "127.0.0.1", // your own registered address, not the endpoint's; any other is rejected with 5003
            "--timeout", "30",   // seconds; the real matcher is slow: 30 to 60 are usual
            "--retries", "2",
            "--backoff", "1"));  // seconds
        var needed = List.of("--url", "--customer", "--image", "--public-key");
        for (int i = 0; i < args.length; i += 2) {
            if (!needed.contains(args[i]) && !given.containsKey(args[i])) {
                throw new IllegalArgumentException("there is no option " + args[i]);
            }
            if (i + 1 == args.length) {
                throw new IllegalArgumentException(args[i] + " needs a value");
            }
            given.put(args[i], args[i + 1]);
        }
        for (var name : needed) {
            if (!given.containsKey(name)) {
                throw new IllegalArgumentException(name + " is needed");
            }
        }
        return new Options(
            given.get("--url"), given.get("--customer"),
            Files.readAllBytes(Path.of(given.get("--image"))), readKey(Path.of(given.get("--public-key"))),
            given.get("--user"), given.get("--password"), given.get("--threshold"), given.get("--ip"),
            Double.parseDouble(given.get("--timeout")), Integer.parseInt(given.get("--retries")),
            Double.parseDouble(given.get("--backoff")));
    }

    /** Reads a PEM file that begins with BEGIN PUBLIC KEY. */
    static PublicKey readKey(Path pem) throws IOException, GeneralSecurityException {
        var base64 = Files.readString(pem).replaceAll("-----[^-]+-----", "");
        var der = Base64.getMimeDecoder().decode(base64); // the mime decoder, because PEM has line breaks
        return KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der));
    }

    static String encrypted(String plain, PublicKey key) throws GeneralSecurityException {
        // PKCS#1 v1.5, as PHP's openssl_public_encrypt does it; OAEPWith... is answered with 5006.
        var cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding");
        cipher.init(Cipher.ENCRYPT_MODE, key);
        // Not getMimeEncoder, which breaks lines, nor getUrlEncoder.
        return Base64.getEncoder().encodeToString(cipher.doFinal(plain.getBytes(StandardCharsets.UTF_8)));
    }

    String requestBody(String transaction) throws GeneralSecurityException {
        var fields = new LinkedHashMap<String, String>();
        fields.put("transactionId", transaction);
        fields.put("transactionSource", "java");
        fields.put("threshold", options.threshold); // a string, as in the document's sample; its table says number: both are accepted
        fields.put("image", Base64.getEncoder().encodeToString(options.image));
        fields.put("user_id", encrypted(options.user, options.key));
        fields.put("password", encrypted(options.password, options.key));
        fields.put("ip", options.ip);
        // Nothing here needs escaping. For other values use your project's JSON library.
        return fields.entrySet().stream()
            .map(field -> '"' + field.getKey() + "\":\"" + field.getValue() + '"')
            .collect(Collectors.joining(",", "{", "}"));
    }

    /** Sends one request. */
    Answer exchange(String body) throws NoAnswer, InterruptedException {
        var request = HttpRequest.newBuilder(
                URI.create(options.url + "/api/face-recognition/" + options.customer + "/CALL_FN"))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        // HttpRequest.timeout covers only the head of the answer, not a slow body. This wait covers both.
        var pending = http.sendAsync(request, HttpResponse.BodyHandlers.ofString());
        HttpResponse<String> response;
        try {
            response = pending.get((long) (1000 * options.timeout), TimeUnit.MILLISECONDS);
        } catch (TimeoutException error) {
            pending.cancel(true);
            throw new NoAnswer(error.getClass().getName() + ": no answer in " + options.timeout + " s", true);
        } catch (ExecutionException error) {
            throw new NoAnswer(words(error.getCause()), true);
        }
        // Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
        if (response.statusCode() != 200) {
            throw new NoAnswer("HTTP status " + response.statusCode(), response.statusCode() >= 500);
        }
        try {
            return read(response.body());
        } catch (RuntimeException error) { // not JSON, or not from the endpoint
            throw new NoAnswer("bad JSON: " + error.getMessage(), true);
        }
    }

    /** With the cause: a reset is "header parser received no bytes" and only its cause says "Connection reset". */
    static String words(Throwable error) {
        return error.getCause() == null ? error.toString() : error + " (" + words(error.getCause()) + ")";
    }

    /** Reads both answer shapes. */
    static Answer read(String body) {
        var answer = Json.object(Json.parse(body));
        if (answer.get("error") instanceof Map<?, ?> error) { // 5001 and 5005: nested, the code a number, and all else strings
            return new Answer(text(error.get("errorCode")), text(error.get("errorMessage")), List.of());
        }
        var code = text(answer.get("errorCode")); // all others: flat, the code a string
        return new Answer(code, text(answer.get("error")), code.equals(SUCCESS) ? candidates(answer) : List.of());
    }

    /** Returns a string or a number as text; some messages have surrounding spaces. */
    static String text(Object value) {
        if (value == null) {
            throw new IllegalArgumentException("not an answer of the endpoint");
        }
        return value.toString().strip();
    }

    /** Returns all candidates, best first. */
    static List<Candidate> candidates(Map<?, ?> answer) {
        // JSON inside a string. 5004 has no "response", so it is read only after 6018.
        var response = Json.object(Json.parse(text(answer.get("response"))));
        var scores = Json.object(Json.object(response.get("face")).get("FACE_T5"));
        var found = new ArrayList<Candidate>();
        scores.forEach((nik, score) -> found.add(new Candidate(nik.strip(), Double.parseDouble(text(score)))));
        found.sort(Comparator.comparingDouble(Candidate::score).reversed());
        return found;
    }

    /** Sends requests until the answer is final or the retries are used up. */
    Answer identify() throws NoAnswer, GeneralSecurityException, InterruptedException {
        // One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
        // you and the operator find out. Each try encrypts again, because the padding is random.
        var id = new byte[10];
        new SecureRandom().nextBytes(id);
        var transaction = HexFormat.of().formatHex(id);
        for (int attempt = 0; ; attempt++) {
            boolean last = attempt >= options.retries;
            String words;
            try {
                var answer = exchange(requestBody(transaction));
                // Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
                if (!answer.code.equals(BUSY) || last) {
                    return answer;
                }
                words = answer.code + " " + answer.message;
            } catch (NoAnswer error) {
                if (last || !error.again) {
                    throw error;
                }
                words = error.getMessage();
            }
            // Exponential backoff with jitter, so that many clients do not retry at the same time.
            double pause = options.backoff * Math.pow(2, attempt) * ThreadLocalRandom.current().nextDouble(0.5, 1.5);
            System.err.printf(Locale.ROOT, "try %d: %s; again in %.1f s%n", attempt + 1, words, pause);
            Thread.sleep((long) (1000 * pause));
        }
    }

    static int print(Answer answer) {
        if (!answer.code.equals(SUCCESS)) {
            System.out.printf("%s\t%s%nrefused%n", answer.code, answer.message);
            return 1;
        }
        for (var candidate : answer.found) { // Locale.ROOT, because an Indonesian locale prints a comma
            System.out.printf(Locale.ROOT, "%s\t%.2f%n", candidate.nik, candidate.score);
        }
        long sure = answer.found.stream().filter(candidate -> candidate.score >= SURE).count();
        // Two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides.
        System.out.println(answer.found.isEmpty() ? "none" : sure == 1 ? "found" : "unsure");
        return 0;
    }

    static int run(String[] args) throws Exception {
        Options options;
        try {
            options = parse(args);
        } catch (IOException | GeneralSecurityException | IllegalArgumentException error) {
            System.err.println(error);
            return 64;
        }
        try {
            return print(new Client(options).identify());
        } catch (NoAnswer error) {
            System.out.printf("%s%nfailed%n", error.getMessage());
            return 2;
        }
    }

    public static void main(String[] args) throws Exception {
        System.exit(run(args)); // exit, because the threads of a cancelled exchange would keep the program alive
    }

    /** Minimal JSON parser; use your project's library instead. Numbers are kept as written. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object parse(String text) {
            var json = new Json(text);
            var value = json.value();
            json.blank();
            if (json.at < text.length()) {
                throw json.wrong();
            }
            return value;
        }

        @SuppressWarnings("unchecked") // value() creates no other maps
        static Map<String, Object> object(Object value) {
            if (value instanceof Map) {
                return (Map<String, Object>) value;
            }
            throw new IllegalArgumentException("an object is missing");
        }

        private Object value() {
            blank();
            return switch (peek()) {
                case '{' -> members();
                case '[' -> elements();
                case '"' -> string();
                default -> word();
            };
        }

        private Map<String, Object> members() {
            var members = new LinkedHashMap<String, Object>();
            for (boolean more = open('}'); more; more = more('}')) {
                blank();
                var name = string();
                blank();
                expect(':');
                members.put(name, value());
            }
            return members;
        }

        private List<Object> elements() {
            var elements = new ArrayList<>();
            for (boolean more = open(']'); more; more = more(']')) {
                elements.add(value());
            }
            return elements;
        }

        private boolean open(char end) {
            at++;
            blank();
            return !take(end);
        }

        private boolean more(char end) {
            blank();
            if (take(end)) {
                return false;
            }
            expect(',');
            return true;
        }

        private String string() {
            expect('"');
            var string = new StringBuilder();
            for (char c = next(); c != '"'; c = next()) {
                string.append(c == '\\' ? escaped() : c);
            }
            return string.toString();
        }

        private char escaped() {
            char c = next();
            return switch (c) {
                case 'n' -> '\n';
                case 't' -> '\t';
                case 'r' -> '\r';
                case 'b' -> '\b';
                case 'f' -> '\f';
                case 'u' -> (char) Integer.parseInt("" + next() + next() + next() + next(), 16);
                case '"', '\\', '/' -> c;
                default -> throw wrong();
            };
        }

        /** null, or a boolean or number as text. */
        private String word() {
            int start = at;
            while (at < text.length() && "{}[],:\" \t\r\n".indexOf(text.charAt(at)) < 0) {
                at++;
            }
            var word = text.substring(start, at);
            if (!word.matches("null|true|false|-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?")) {
                throw wrong();
            }
            return word.equals("null") ? null : word;
        }

        private void blank() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
                at++;
            }
        }

        private char peek() {
            if (at >= text.length()) {
                throw wrong();
            }
            return text.charAt(at);
        }

        private char next() {
            char c = peek();
            at++;
            return c;
        }

        private boolean take(char wanted) {
            boolean there = peek() == wanted;
            at += there ? 1 : 0;
            return there;
        }

        private void expect(char wanted) {
            if (!take(wanted)) {
                throw wrong();
            }
        }

        private IllegalArgumentException wrong() {
            return new IllegalArgumentException(at < text.length() ? "unexpected character at " + at : "unexpected end");
        }
    }
}
