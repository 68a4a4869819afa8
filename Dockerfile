# lipstream as an image. The puppet backend, for any CPU, which downloads nothing when it starts:
#
#     docker build -t lipstream .
#     docker run --network host -e LIPSTREAM_TOKEN=... lipstream
#
# With MuseTalk, for a GPU; torch brings CUDA along, and the weights are a folder of yours:
#
#     docker build -t lipstream:cuda --build-arg EXTRAS=server,tts,musetalk .
#     docker run --gpus all --network host -e LIPSTREAM_TOKEN=... -v ./models:/models:ro \
#         lipstream:cuda serve --backend musetalk --models /models
ARG BASE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=server,tts
RUN python3 -m venv /opt/lipstream
WORKDIR /src
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE NOTICE CHANGELOG.md ./
COPY src src
RUN /opt/lipstream/bin/python -m pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /opt/lipstream /opt/lipstream
COPY examples/portrait_closed.png examples/painting.jpg examples/idle.mp4 /usr/share/lipstream/
RUN install -d -o 10001 -g 10001 /data
ENV PATH=/opt/lipstream/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    LIPSTREAM_HOST=0.0.0.0 \
    LIPSTREAM_DATA=/data/avatars \
    LIPSTREAM_AVATARS=Eileen=/usr/share/lipstream/portrait_closed.png:Painting=/usr/share/lipstream/painting.jpg:Clip=/usr/share/lipstream/idle.mp4
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080/tcp
# The process lives as long as /healthz answers; whether it takes sessions is what /readyz tells.
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["lipstream"]
CMD ["serve"]
