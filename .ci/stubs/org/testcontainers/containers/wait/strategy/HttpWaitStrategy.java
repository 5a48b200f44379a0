package org.testcontainers.containers.wait.strategy;

public class HttpWaitStrategy implements WaitStrategy {
    public HttpWaitStrategy forPort(int port) {
        throw new UnsupportedOperationException();
    }

    public HttpWaitStrategy forStatusCode(int status) {
        throw new UnsupportedOperationException();
    }
}
