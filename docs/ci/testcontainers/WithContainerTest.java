import static dukcapilfrsim.DukcapilFrSim.exactly;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dukcapilfrsim.DukcapilFrSim.Customer;
import dukcapilfrsim.DukcapilFrSimContainer;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.testcontainers.junit.jupiter.Container;
import org.testcontainers.junit.jupiter.Testcontainers;

/** Runs the simulator in a container for JUnit 5: org.testcontainers:junit-jupiter. */
@Testcontainers
class WithContainerTest {
    @Container
    static final DukcapilFrSimContainer FRSIM = new DukcapilFrSimContainer("dukcapil-fr-sim");

    @Test
    void theContainerAnswers() {
        Customer customer = FRSIM.simulator().customer();
        // Pass its url, userId, password and publicKeyPem to the client under test.
        assertEquals(true, customer.clock(Map.of("now", "2026-11-21T10:00:00+07:00")).get("frozen"));
        customer.verify(Map.of(), exactly(0));
        customer.delete();
    }
}
