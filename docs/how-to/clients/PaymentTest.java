import static dukcapilfrsim.DukcapilFrSim.exactly;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dukcapilfrsim.DukcapilFrSim;
import dukcapilfrsim.DukcapilFrSim.Customer;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyFactory;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Cipher;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Tests of a client. Each test has its own customer; the simulator starts once per test run. */
@ExtendWith(DukcapilFrSim.class)
class PaymentTest {
    static final String SITI = "3174055708909001"; // one of the fictional people in the simulator's gallery

    /** The client under test; import yours instead. Returns the code of the answer, after at most three tries. */
    static String search(Customer customer, byte[] photo) throws Exception {
        byte[] der = Base64.getMimeDecoder().decode(customer.publicKeyPem.replaceAll("-----[A-Z ]+-----", ""));
        Cipher rsa = Cipher.getInstance("RSA/ECB/PKCS1Padding");
        rsa.init(Cipher.ENCRYPT_MODE, KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der)));
        Base64.Encoder base64 = Base64.getEncoder();
        String code = "";
        for (int tries = 0; tries < 3 && !code.equals("6018"); tries++) {
            String body = String.format(
                    "{\"transactionId\":\"PAY-1\",\"transactionSource\":\"payment\",\"threshold\":\"7\",\"ip\":\"10.0.0.1\","
                            + "\"image\":\"%s\",\"user_id\":\"%s\",\"password\":\"%s\"}",
                    base64.encodeToString(photo),
                    base64.encodeToString(rsa.doFinal(customer.userId.getBytes("UTF-8"))),
                    base64.encodeToString(rsa.doFinal(customer.password.getBytes("UTF-8"))));
            HttpRequest request = HttpRequest.newBuilder(URI.create(customer.url))
                    .header("Content-Type", "application/json")
                    .header("Accept", "application/json")
                    .POST(BodyPublishers.ofString(body))
                    .build();
            String answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
            Matcher found = Pattern.compile("\"errorCode\": *\"?(\\d+)").matcher(answer);
            code = found.find() ? found.group(1) : answer;
            if (!code.equals("6014")) break; // 6014: busy
        }
        return code;
    }

    static byte[] photoOf(Customer customer, String nik) throws Exception {
        URI photo = URI.create(customer.simulator.admin + "/gallery/" + nik + "/thumbnail");
        HttpRequest request = HttpRequest.newBuilder(photo).header("Authorization", "Bearer " + customer.simulator.token).build();
        return HttpClient.newHttpClient().send(request, BodyHandlers.ofByteArray()).body();
    }

    @Test
    void sitiIsFound(Customer customer) throws Exception {
        assertEquals("6018", search(customer, photoOf(customer, SITI)));
        customer.verify(Map.of("code", "6018", "transaction_id", "PAY-*"), exactly(1));
    }

    @Test
    void busyIsRetried(Customer customer) throws Exception {
        customer.rule("busy", Map.of("times", 2, "reply", Map.of("code", "6014")));
        assertEquals("6018", search(customer, photoOf(customer, SITI)));
        customer.verify(Map.of("code", "6014"), exactly(2));
    }

    @Test
    void aUsedUpQuotaIsNotRetried(Customer customer) throws Exception {
        customer.quota(Map.of("per_day", 80, "used", 80));
        assertEquals("5002", search(customer, photoOf(customer, SITI)));
        customer.verify(Map.of(), exactly(1));
    }
}
