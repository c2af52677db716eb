# docker build -t proxypal . && docker compose -f contrib/docker/compose.yaml up
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/proxypal \
    && /opt/proxypal/bin/pip install --no-cache-dir --constraint constraints.txt '.[redis]'

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin proxypal \
    && install -d -o proxypal -g proxypal -m 700 /data /data/keys
COPY --from=build /opt/proxypal /opt/proxypal
COPY contrib/docker/config.yaml /etc/proxypal/config.yaml
ENV PATH=/opt/proxypal/bin:$PATH \
    HOME=/data \
    PROXYPAL_CONFIG=/etc/proxypal/config.yaml \
    PROXYPAL_DATA_DIR=/data \
    PROXYPAL_STATE_DIR=/data/keys
USER 10001:10001
VOLUME /data
EXPOSE 8317
# SIGTERM lets answers finish for 30 seconds: docker stop --time 45.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8317/health', timeout=4)"]
ENTRYPOINT ["proxypal"]
CMD ["serve"]
