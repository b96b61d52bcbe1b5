# Debian with a PHP for Igor, built from Debian's source package: thread-safe, with the embed library. The other path
# beside the official images (php:8.4-zts-bookworm), from which docker/Dockerfile builds without it.
#
#   docker build -f docker/php.Dockerfile -t igor-php .
#   docker build -f docker/Dockerfile --build-arg PHP_IMAGE=igor-php -t igor .
#
# About five minutes on two CPUs. What PHP is built with is in docker/provision.sh.
ARG DEBIAN_IMAGE=debian:bookworm-slim
FROM ${DEBIAN_IMAGE}
ENV IGOR_CACHE=/opt/igor
COPY docker/ca-certificates /usr/local/share/ca-certificates
COPY docker/provision.sh /usr/src/igor/docker/provision.sh
# With what Debian's phpize looks for, so that extensions can be built.
RUN config=$(/usr/src/igor/docker/provision.sh php release) && bin=$(dirname "$config") \
 && ln -s "$bin"/php* /usr/local/bin/ \
 && apt-get update && apt-get install -y --no-install-recommends libtool shtool \
 && mkdir -p "$bin/../share" && ln -s /usr/share/aclocal "$bin/../share/aclocal" \
 && rm -rf /opt/igor/apt /root/.cache/ccache /var/lib/apt/lists/*
