# picaption in a container, for amd64 and arm64:
#   docker build -t picaption .
#   docker run --rm --device /dev/video0 --group-add video -e PICAPTION_TOKEN=... -p 8080:8080 picaption
# Only USB cameras and streams: a CSI camera needs the system's libcamera.
FROM python:3.13-slim

COPY setup.cfg pyproject.toml README.md LICENSE /source/
COPY device /source/device
COPY models /source/models
COPY convert /source/convert
RUN pip install --no-cache-dir '/source[web,mqtt,metrics]' && rm -r /source

RUN useradd --system --create-home --home-dir /var/lib/picaption picaption
USER picaption
WORKDIR /var/lib/picaption
VOLUME /var/lib/picaption
EXPOSE 8080

# Settings come from /etc/picaption.toml, if one is mounted there, and from the command line. Ctrl-C's
# signal ends the loop and finishes its files.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=5)"]
ENTRYPOINT ["picaption"]
CMD ["live", "--quiet", "--web", "--host", "0.0.0.0"]
