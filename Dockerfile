# Lifeboat as a container beside the stack: docker build -t lifeboat .
# The Docker socket is mounted, and agent.conf is in the working directory or in /etc/lifeboat
# (docs/docker.md). pg_dump and its like run in the stack's own containers, so none of them is here.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY packaging packaging
RUN sh packaging/install-packages.sh build
COPY . .
RUN cmake --preset release -DBUILD_TESTING=OFF \
	&& cmake --build build/release \
	&& DESTDIR=/out cmake --install build/release --prefix /usr

FROM debian:bookworm-slim
RUN apt-get update \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		ca-certificates libarchive13 libcurl4 libexpat1 libhiredis0.14 libinih1 libjansson4 libmicrohttpd12 libpq5 libssl3 \
		libssh2-1 libxxhash0 libzstd1 tzdata \
	&& rm -rf /var/lib/apt/lists/*
# A volume that is mounted at /backups takes this owner when it is new.
RUN useradd --system --no-create-home --shell /usr/sbin/nologin lifeboat \
	&& install -d -o lifeboat -g lifeboat -m 0700 /backups
COPY --from=build /out/usr /usr
COPY packaging/image/entrypoint.sh /usr/lib/lifeboat/entrypoint.sh
ENTRYPOINT ["sh", "/usr/lib/lifeboat/entrypoint.sh"]
CMD ["status"]
HEALTHCHECK --interval=5m --timeout=30s --retries=3 CMD ["lifeboat", "--quiet", "status"]
