package dukcapilfrsim;

import static dukcapilfrsim.DukcapilFrSim.atLeast;
import static dukcapilfrsim.DukcapilFrSim.atMost;
import static dukcapilfrsim.DukcapilFrSim.exactly;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dukcapilfrsim.DukcapilFrSim.ApiError;
import dukcapilfrsim.DukcapilFrSim.Customer;
import dukcapilfrsim.DukcapilFrSim.Json;
import dukcapilfrsim.DukcapilFrSim.Simulator;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.crypto.Cipher;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Tests of the extension; .ci/helpers runs them. */
@ExtendWith(DukcapilFrSim.class)
class DukcapilFrSimTest {
    /** One pixel instead of a photo: these tests are about the other checks. */
    static final String PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private Customer before;

    @BeforeEach
    void keep(Customer customer) {
        before = customer;
    }

    /** Returns a valid request of the customer, with changed fields. */
    static String body(Customer customer, Map<String, ?> changed) {
        Map<String, Object> fields = new LinkedHashMap<>(Map.of("transactionId", "T-1", "transactionSource", "junit", "threshold", "7"));
        fields.putAll(Map.of("image", PIXEL, "ip", "10.0.0.1"));
        try {
            String base64 = customer.publicKeyPem.replaceAll("-----[A-Z ]*-----|\\s", "");
            PublicKey key = KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(Base64.getDecoder().decode(base64)));
            Cipher cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding");
            cipher.init(Cipher.ENCRYPT_MODE, key);
            for (String[] one : new String[][] {{"user_id", customer.userId}, {"password", customer.password}}) {
                fields.put(one[0], Base64.getEncoder().encodeToString(cipher.doFinal(one[1].getBytes(StandardCharsets.UTF_8))));
            }
        } catch (java.security.GeneralSecurityException error) {
            throw new AssertionError(error);
        }
        fields.putAll(changed);
        return Json.write(fields);
    }

    static String post(Customer customer) {
        return post(customer, Map.of());
    }

    /** Posts a request as a client does and returns the code of the response. */
    @SuppressWarnings("unchecked")
    static String post(Customer customer, Map<String, ?> changed) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(customer.url)).header("Accept", "application/json");
        request.header("Content-Type", "application/json").POST(BodyPublishers.ofString(body(customer, changed)));
        try {
            String text = HTTP.send(request.build(), BodyHandlers.ofString()).body();
            Map<String, Object> answer = (Map<String, Object>) new Json(text).read();
            Object error = answer.get("error");
            return String.valueOf(error instanceof Map ? ((Map<String, Object>) error).get("errorCode") : answer.get("errorCode"));
        } catch (java.io.IOException | InterruptedException error) {
            throw new AssertionError(error);
        }
    }

    static List<String> post(Customer customer, int times) {
        return IntStream.range(0, times).mapToObj(number -> post(customer)).collect(Collectors.toList());
    }

    @Test
    void aValidRequestIsAnsweredAndVerified(Customer customer) {
        assertEquals("6018", post(customer));
        assertEquals(1, customer.verify(Map.of("code", "6018", "transaction_id", "T-*"), exactly(1)));
        assertEquals(1, customer.verify(Map.of()));
        Map<?, ?> request = (Map<?, ?>) customer.requests(Map.of("code", "6018")).get(0).get("request");
        assertEquals("T-1", request.get("transaction_id"));
        assertEquals(List.of(), customer.requests(Map.of("code", "5001")));
    }

    @Test
    void aTestAndItsPreparationHaveOneCustomer(Simulator simulator, Customer customer) {
        assertSame(before, customer);
        assertSame(simulator, customer.simulator);
    }

    @Test
    void parallelTestsAreIsolated(Simulator simulator, Customer customer) {
        List<CompletableFuture<Void>> all = IntStream.range(0, 4).mapToObj(number -> CompletableFuture.runAsync(() -> {
            Customer own = simulator.customer(Map.of("quota", Map.of("per_day", number)));
            assertNotEquals(customer.id, own.id);
            List<String> codes = post(own, number + 2);
            assertEquals(2, codes.stream().filter("5002"::equals).count());
            own.verify(Map.of("code", "6018"), exactly(number));
            own.delete();
            own.delete();
            assertEquals(404, assertThrows(ApiError.class, own::quota).status);
        })).collect(Collectors.toList());
        all.forEach(CompletableFuture::join);
        assertEquals(List.of(), customer.requests());
    }

    @Test
    void aRuleScriptsTheNextAnswers(Customer customer) {
        customer.rule("busy twice", Map.of("when", Map.of("outcome", "6018"), "times", 2, "reply", Map.of("code", "6014")));
        assertEquals(List.of("6014", "6014", "6018"), post(customer, 3));
        List<Object> rules = customer.requests().stream().map(entry -> entry.get("rule")).collect(Collectors.toList());
        assertEquals(Arrays.asList(null, "busy twice", "busy twice"), rules);
    }

    @Test
    void quotaIsResetWhenTheClockPassesMidnight(Customer customer) {
        customer.clock(Map.of("now", "2026-11-21T23:59:00+07:00"));
        assertEquals(1L, customer.quota(Map.of("per_day", 1)).get("left"));
        assertEquals(List.of("6018", "5002"), post(customer, 2));
        assertTrue(customer.clock(Map.of("advance", "2m")).get("now").toString().startsWith("2026-11-22T00:01:00"));
        assertEquals("6018", post(customer));
        assertEquals(1L, customer.quota().get("used"));
        assertEquals(true, customer.clock().get("frozen"));
    }

    @Test
    void aScenarioHasAState(Customer customer) {
        customer.rule("down", Map.of("when", Map.of("state", "down"), "reply", Map.of("code", "6014")));
        assertEquals("", customer.state());
        assertEquals("down", customer.state("down"));
        assertEquals("6014", post(customer));
        assertEquals("down", customer.state());
    }

    @Test
    void anEnrolledPersonIsFoundByThisCustomerOnly(Simulator simulator, Customer customer) throws Exception {
        byte[] photo = Files.readAllBytes(Path.of(System.getenv("FRSIM_PHOTO")));
        Map<String, Object> person = customer.enrol(Map.of("nik", "3273010101909777", "name", "Baru"), photo);
        assertEquals(List.of("3273010101909777", "Baru", customer.id), List.of(person.get("nik"), person.get("name"), person.get("customer_id")));
        Customer other = simulator.customer();
        int number = 1;
        for (Customer one : List.of(other, customer)) {
            assertEquals("6018", post(one, Map.of("image", Base64.getEncoder().encodeToString(photo))));
            Map<?, ?> answer = (Map<?, ?>) one.requests().get(0).get("answer");
            assertEquals(number++, ((List<?>) answer.get("candidates")).size());
        }
        other.delete();
    }

    @Test
    void resetTakesACustomerBackToItsStart(Customer customer) {
        customer.rule("busy", Map.of("reply", Map.of("code", "6014")));
        customer.state("down");
        assertEquals("6014", post(customer));
        customer.reset("journal");
        assertEquals(List.of(), customer.requests());
        customer.reset("all");
        assertEquals(List.of("", "6018"), List.of(customer.state(), post(customer)));
    }

    @Test
    void explainSaysWhyAndConsumesNothing(Customer customer) {
        Object body = new Json(body(customer, Map.of("threshold", "21"))).read();
        Map<String, Object> explained = customer.explain(body);
        assertEquals("5005", explained.get("code"));
        assertTrue(explained.get("findings").toString().contains("21"), explained::toString);
        assertEquals(List.of(), customer.requests());
    }

    @Test
    void aFailedVerifyReportsNearMissesAndReasons(Customer customer) {
        post(customer, Map.of("transactionId", "T-2", "password", "AAAA"));
        Map<String, String> match = Map.of("transaction_id", "T-1", "code", "6018");
        String[] lines = assertThrows(AssertionError.class, () -> customer.verify(match, exactly(1))).getMessage().split("\n");
        Object id = customer.requests().get(0).get("id");
        String first = "0 requests found, expected exactly 1: {\"code\":\"6018\",\"transaction_id\":\"T-1\",\"customer_id\":\"" + customer.id + "\"}";
        assertEquals(first, lines[0]);
        assertTrue(lines[1].startsWith("  nearest  #" + id + "  5006: password has the wrong length for the key: 3 bytes"), lines[1]);
        assertEquals("           code: want \"6018\", got \"5006\"", lines[2]);
        assertEquals("           transaction_id: want \"T-1\", got \"T-2\"", lines[3]);
        assertTrue(lines[4].startsWith("  hint: "), lines[4]);
    }

    @Test
    void aFailedVerifyListsTheMatchesWhenThereAreTooManyAndNothingOfOtherTests(Simulator simulator, Customer customer) {
        Customer other = simulator.customer();
        post(other);
        String none = assertThrows(AssertionError.class, () -> customer.verify(Map.of(), atLeast(1))).getMessage();
        assertTrue(none.contains("the journal has no requests of " + customer.id), none);
        String many = assertThrows(AssertionError.class, () -> other.verify(Map.of(), atMost(0))).getMessage();
        assertTrue(many.startsWith("1 request found, expected at most 0") && many.matches("(?s).*\n  matched  #\\d+  6018: .*"), many);
        other.delete();
    }

    @Test
    void waitWaitsForRequestsOfAnotherThread(Customer customer) {
        var waiting = CompletableFuture.supplyAsync(() -> customer.wait(Map.of("state", "done"), 2, "10s"));
        post(customer, 2);
        List<Object> ordinals = waiting.join().stream().map(entry -> entry.get("ordinal")).collect(Collectors.toList());
        assertEquals(List.of(2L, 1L), ordinals);
        String late = assertThrows(AssertionError.class, () -> customer.wait(Map.of(), 3, "1ms")).getMessage();
        assertTrue(late.startsWith("2 requests of 3 came within 1ms"), late);
    }

    @Test
    void anErrorOfTheApiIsAnExceptionWithAHint(Customer customer) {
        ApiError error = assertThrows(ApiError.class, () -> customer.rule("x", Map.of("tims", 2)));
        assertEquals(List.of(400, "invalid", "/tims", "did you mean `times`?"), List.of(error.status, error.code, error.path, error.hint));
        assertTrue(error.getMessage().startsWith("400 invalid: unknown key `tims`"), error.getMessage());
    }

    private static List<String> left() throws Exception {
        try (Stream<Path> all = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return all.map(Path::toString).filter(name -> name.contains("frsim-")).sorted().collect(Collectors.toList());
        }
    }

    @Test
    void aStoppedSimulatorLeavesNothingBehind() throws Exception {
        List<String> before = left();
        Simulator own = DukcapilFrSim.start("--seed", "7");
        assertEquals(before.size() + 1, left().size());
        assertEquals(7L, own.ask("GET", "/config", null).get("seed"));
        assertEquals(false, own.clock().get("frozen"));
        assertEquals("2026-11-21T10:00:00+07:00", own.clock(Map.of("now", "2026-11-21T10:00:00+07:00")).get("now"));
        own.reset("clock");
        assertEquals(false, own.clock().get("frozen"));
        own.stop();
        own.stop();
        assertThrows(UncheckedIOException.class, own::clock);
        assertEquals(before, left());
    }

    @Test
    void aFailedStartReportsTheReason() throws Exception {
        List<String> before = left();
        String reason = assertThrows(IllegalStateException.class, () -> DukcapilFrSim.start("--layout", "pretty")).getMessage();
        assertTrue(reason.startsWith("dukcapil-fr-sim did not start (exit status 2): ") && reason.contains("--layout"), reason);
        assertEquals(before, left());
    }

    @Test
    void theTokenOfTheEnvironmentIsUsed(Simulator simulator) {
        assertEquals("secret", System.getenv("FRSIM_ADMIN_TOKEN"), ".ci/helpers sets it");
        assertTrue(simulator.ask("GET", "/customers", null).containsKey("customers"));
        Simulator stranger = new Simulator(simulator.endpoint, simulator.admin, "");
        assertEquals(401, assertThrows(ApiError.class, () -> stranger.ask("GET", "/customers", null)).status);
    }

    @Test
    void jsonIsReadAndWritten() {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("text", "a \"b\" \\ \n \u00e9 \ud83d\ude00");
        value.put("list", Arrays.asList(1L, -2.5, true, false, null, List.of(), Map.of()));
        String text = Json.write(value);
        assertEquals("{\"text\":\"a \\\"b\\\" \\\\ \\u000a \u00e9 \ud83d\ude00\",\"list\":[1,-2.5,true,false,null,[],{}]}", text);
        assertEquals(value, new Json(text).read());
        assertEquals(List.of("\n/\u00e9", 1e3, 7L), new Json(" [ \"\\n\\/\\u00e9\" , 1e3 , 7 ] ").read());
        assertNull(new Json("null").read());
        assertThrows(IllegalArgumentException.class, () -> new Json("  ").read());
    }

    /** Two classes with the same flags have one simulator, others have their own. */
    @ExtendWith(DukcapilFrSim.class)
    static class SameTest {
        @Test
        void theSimulatorIsShared(Simulator simulator) {
            seen.add(simulator);
            assertSame(seen.get(0), simulator);
        }
    }

    static final List<Simulator> seen = new ArrayList<>();

    static class OtherFlagsTest {
        @RegisterExtension
        static final DukcapilFrSim FRSIM = new DukcapilFrSim("--clock", "2026-11-21T10:00:00+07:00");

        @Test
        void flagsArePassed(Simulator simulator, Customer customer) {
            assertEquals("2026-11-21T10:00:00+07:00", customer.clock().get("now"));
            seen.forEach(other -> assertNotSame(other, simulator));
        }
    }

    /** The customer of the constructor is that of all tests of the class. */
    @ExtendWith(DukcapilFrSim.class)
    static class OfTheClassTest {
        private final Customer ofTheClass;

        OfTheClassTest(Customer customer) {
            ofTheClass = customer;
        }

        @Test
        void itIsTheTestsToo(Customer customer) {
            assertSame(ofTheClass, customer);
            assertEquals("6018", post(customer));
        }
    }

    @Test
    void theSimulatorIsShared(Simulator simulator) {
        seen.add(simulator);
        assertSame(seen.get(0), simulator);
    }
}
