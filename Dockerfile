# Untested: report what needs a change.
#
#   docker build -t deepsort-paddle .
#   docker run --rm -v "$PWD:/videos" deepsort-paddle video.mp4 --save-dir results
#
# With an NVIDIA GPU, the wheel of Paddle's own index and its CUDA (see the README):
#
#   docker build -t deepsort-paddle:gpu \
#     --build-arg BASE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04 \
#     --build-arg PADDLE="paddlepaddle-gpu>=3.0" --build-arg PADDLE_INDEX=URL .
#   docker run --rm --gpus all -v "$PWD:/videos" deepsort-paddle:gpu video.mp4 --device gpu --save-dir results
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG PADDLE="paddlepaddle>=3.0"
ARG PADDLE_INDEX=

RUN apt-get update \
    && apt-get install -y --no-install-recommends libglib2.0-0 libgomp1 python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/deepsort
ENV PATH=/opt/deepsort/bin:$PATH

COPY . /src
# OpenCV without windows: no screen is there, and its system libraries are not wanted.
RUN pip install --no-cache-dir "${PADDLE}" ${PADDLE_INDEX:+--extra-index-url "${PADDLE_INDEX}"} \
    && pip install --no-cache-dir /src \
    && pip uninstall -y opencv-python \
    && pip install --no-cache-dir --force-reinstall --no-deps "opencv-python-headless>=4.8,<5" \
    && rm -rf /src

RUN useradd --create-home tracker
USER tracker
WORKDIR /videos
ENTRYPOINT ["deepsort-track"]
