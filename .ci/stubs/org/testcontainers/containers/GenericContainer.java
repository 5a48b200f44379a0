package org.testcontainers.containers;

import org.testcontainers.containers.wait.strategy.WaitStrategy;
import org.testcontainers.utility.DockerImageName;

public class GenericContainer<SELF extends GenericContainer<SELF>> {
    public GenericContainer(DockerImageName image) {}

    public SELF withEnv(String key, String value) {
        throw new UnsupportedOperationException();
    }

    public SELF withExposedPorts(Integer... ports) {
        throw new UnsupportedOperationException();
    }

    public SELF waitingFor(WaitStrategy strategy) {
        throw new UnsupportedOperationException();
    }

    public String getHost() {
        throw new UnsupportedOperationException();
    }

    public Integer getMappedPort(int port) {
        throw new UnsupportedOperationException();
    }
}
