package dukcapilfrsim;

import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/**
 * dukcapil-fr-sim in a container, for Testcontainers (org.testcontainers:testcontainers), in one file beside DukcapilFrSim.java.
 *
 * <pre>
 * {@literal @}Container
 * static final DukcapilFrSimContainer FRSIM = new DukcapilFrSimContainer("dukcapil-fr-sim");
 *
 * {@literal @}Test
 * void aTest() {
 *     DukcapilFrSim.Customer customer = FRSIM.simulator().customer();
 *     ...
 * }
 * </pre>
 */
public class DukcapilFrSimContainer extends GenericContainer<DukcapilFrSimContainer> {
    private static final int ENDPOINT = 8080;
    private static final int ADMIN = 9090;
    // Beyond loopback the admin API requires a token.
    private static final String TOKEN = "for-tests";

    /** {@code image} is one whose entry point is the binary; docs/how-to/container.md says how to build it. */
    @SuppressWarnings("this-escape") // JDK 21 and newer: the methods of GenericContainer only take notes
    public DukcapilFrSimContainer(String image) {
        super(DockerImageName.parse(image));
        withEnv("FRSIM_LISTEN", "0.0.0.0:" + ENDPOINT);
        withEnv("FRSIM_ADMIN_LISTEN", "0.0.0.0:" + ADMIN);
        withEnv("FRSIM_ADMIN_TOKEN", TOKEN);
        withExposedPorts(ENDPOINT, ADMIN);
        waitingFor(Wait.forHttp("/ready").forPort(ADMIN).forStatusCode(200));
    }

    /** Returns the client of the running container. */
    public DukcapilFrSim.Simulator simulator() {
        return new DukcapilFrSim.Simulator(address(ENDPOINT), address(ADMIN), TOKEN);
    }

    private String address(int port) {
        return "http://" + getHost() + ":" + getMappedPort(port);
    }
}
