package org.testcontainers.containers.wait.strategy;

public class Wait {
    public static HttpWaitStrategy forHttp(String path) {
        throw new UnsupportedOperationException();
    }
}
