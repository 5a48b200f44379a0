# One static binary in an empty image, and directories for its keys and its store. docs/how-to/container.md explains how to use it.
#
# There is no other file, so the binary itself prints the third-party notices and runs the health check. There is no VOLUME: it would
# leave an unnamed volume behind for every container.

FROM rust:1.91-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo static && mkdir -p /image/keys /image/data && cp target/*/release/dukcapil-fr-sim /image/

FROM scratch
COPY --from=build /image/dukcapil-fr-sim /dukcapil-fr-sim
# The server generates its key here on the first start; a volume keeps it, and inherits the owner.
COPY --from=build --chown=65532:65532 /image/keys /keys
# For --store file:/data/frsim.db, with a volume.
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
WORKDIR /
# The admin API stays on the container's loopback: beyond loopback it requires a token, which an image cannot ship.
ENV FRSIM_LISTEN=0.0.0.0:8080
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/dukcapil-fr-sim", "healthcheck"]
ENTRYPOINT ["/dukcapil-fr-sim"]
LABEL org.opencontainers.image.title="dukcapil-fr-sim" \
      org.opencontainers.image.description="Simulator of the Dukcapil face recognition 1:N endpoint" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
