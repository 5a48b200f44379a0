import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.junit.jupiter.Container;
import org.testcontainers.junit.jupiter.Testcontainers;
import org.testcontainers.utility.DockerImageName;

/** Runs the simulator in a container for JUnit 5: org.testcontainers:junit-jupiter. */
@Testcontainers
class WithContainerTest {
    static final String TOKEN = "for-tests";

    @Container
    static final GenericContainer<?> FRSIM = new GenericContainer<>(DockerImageName.parse("dukcapil-fr-sim"))
            .withEnv("FRSIM_LISTEN", "0.0.0.0:8080")
            .withEnv("FRSIM_ADMIN_LISTEN", "0.0.0.0:9090")
            .withEnv("FRSIM_ADMIN_TOKEN", TOKEN)
            .withEnv("FRSIM_KEYS", "/tmp/keys")
            .withExposedPorts(8080, 9090)
            .waitingFor(Wait.forHttp("/ready").forPort(9090).forStatusCode(200));

    static URI at(int port, String path) {
        return URI.create("http://" + FRSIM.getHost() + ":" + FRSIM.getMappedPort(port) + path);
    }

    @Test
    void aTestHasItsOwnCustomer() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(at(9090, "/customers"))
                .header("Authorization", "Bearer " + TOKEN)
                .POST(HttpRequest.BodyPublishers.ofString("{\"ttl\":\"10m\"}"))
                .build();
        // Pass its customer_id, account, path and public_key_pem to the client under test.
        assertEquals(201, HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).statusCode());
    }
}
