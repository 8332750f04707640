# The broker's image: one binary on a distroless base, as user 65532. Build it with `image/build.sh`, which refuses a base that is not pinned by its
# digest: tags move, and what was reviewed should be what runs. `image/rootfs.sh` makes the same root file system without Docker.
#
#   BUILDER  Debian 12 with Rust (1.94 or newer) and a C compiler, such as docker.io/library/rust:1.95-bookworm@sha256:…
#   RUNTIME  Debian 12's glibc and certificates, such as gcr.io/distroless/cc-debian12:nonroot@sha256:…
ARG BUILDER
ARG RUNTIME

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package broker --features otlp,redis

FROM ${RUNTIME}
COPY --from=build /src/target/release/broker /usr/bin/broker
# By number: Kubernetes cannot tell of a name that it is not root.
USER 65532:65532
ENV BROKER_CONFIG=/etc/broker/config/broker.yaml
EXPOSE 7443 8443 9443
ENTRYPOINT ["/usr/bin/broker"]
CMD ["serve"]
