# On a CPU:
#
#   docker build -t deepsort-paddle .
#   docker run --rm -v "$PWD:/videos" --user "$(id -u):$(id -g)" -v deepsort-cache:/cache \
#     deepsort-paddle video.mp4 --save-dir results
#
# On an NVIDIA GPU (untested), with a wheel from Paddle's own index and its CUDA; docs/install.md says where:
#
#   docker build -t deepsort-paddle:gpu \
#     --build-arg BASE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04 \
#     --build-arg EXTRA=gpu --build-arg PADDLE="paddlepaddle-gpu>=3.0" --build-arg PADDLE_INDEX=URL .
#   docker run --rm --gpus all ... deepsort-paddle:gpu video.mp4 --device gpu --save-dir results
ARG BASE=python:3.12-slim

# Libraries that wheels expect, a font with Chinese, Japanese and Korean, and Python where the base has none.
FROM ${BASE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 fonts-droid-fallback \
    && (command -v python3 || apt-get install -y --no-install-recommends python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
ARG EXTRA=cpu
ARG PADDLE=
ARG PADDLE_INDEX=
RUN python3 -m venv /opt/deepsort
ENV PATH=/opt/deepsort/bin:$PATH PIP_NO_CACHE_DIR=1
COPY . /src
# OpenCV without windows: no screen is there.
RUN ([ -z "${PADDLE}" ] || pip install "${PADDLE}" ${PADDLE_INDEX:+--extra-index-url "${PADDLE_INDEX}"}) \
    && pip install "/src[${EXTRA}]" \
    && pip uninstall -y opencv-python \
    && pip install --force-reinstall --no-deps "opencv-python-headless>=4.8,<5"

FROM base
COPY --from=build /opt/deepsort /opt/deepsort
# Any user may write into the cache, where downloaded detectors are kept.
RUN mkdir -m 1777 /cache && useradd --create-home tracker
ENV PATH=/opt/deepsort/bin:$PATH DEEPSORT_PADDLE_CACHE=/cache MPLCONFIGDIR=/tmp
VOLUME /cache
USER tracker
WORKDIR /videos
ENTRYPOINT ["deepsort-track"]
