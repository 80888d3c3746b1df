"""Follow a real stream: how late is the tracker, what does it skip, are the times true?

A server on this machine plays frames at 25 a second as MPEG-TS over HTTP (H.264, 320x240, no reordering).
Each frame carries its number as bars, so that the content says when it was sent. A detector that takes a
fixed time stands in for the real one. Four runs: faster than the stream, slower, slower with every frame,
and slower while the server hangs up in the middle and comes back. With ``--rtsp`` a file of the same frames
is played by `rtsp_server.py`, which that Python must be able to run; an outage is then a killed server.

    python benchmarks/pipeline/live.py --seconds 60
    python benchmarks/pipeline/live.py --seconds 60 --rtsp /usr/bin/python3
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle import Detections, TrackedFrame, track_video

FPS, BITS, WIDTH, HEIGHT = 25, 16, 320, 240
STEP = WIDTH // BITS


def paint(number: int) -> NDArray[np.uint8]:
    """A frame with its number as bars, white for 1."""
    bits = [(number >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 20, STEP)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)))


def read(image: NDArray[np.uint8]) -> int:
    """The number of a frame."""
    middle = image[HEIGHT // 2, STEP // 2 :: STEP, 1]
    return sum(1 << bit for bit, value in enumerate(middle) if value > 120)


class Server(ThreadingHTTPServer):
    """Plays from the moment it is made.

    Attributes:
        began: then, by the monotonic clock.
        outage: seconds after that at which it hangs up, and at which it answers again.
    """

    daemon_threads = True

    def __init__(self, seconds: float, outage: tuple[float, float] | None) -> None:
        super().__init__(("127.0.0.1", 0), Player)
        self.seconds, self.outage, self.began = seconds, outage, time.monotonic()

    def down(self) -> bool:
        """Whether it is hanging up on everybody."""
        passed = time.monotonic() - self.began
        return passed > self.seconds or (self.outage is not None and self.outage[0] < passed < self.outage[1])


class Player(BaseHTTPRequestHandler):
    """One connection."""

    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Play until the server hangs up."""
        if self.server.down():
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        try:
            with av.open(self.wfile, "w", format="mpegts", options={"flush_packets": "1"}) as container:
                stream = container.add_stream("libx264", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "25"}
                number = int((time.monotonic() - self.server.began) * FPS)
                while not self.server.down():
                    number += 1
                    time.sleep(max(0.0, self.server.began + number / FPS - time.monotonic()))
                    frame = av.VideoFrame.from_ndarray(paint(number), format="bgr24")
                    frame.pts = number
                    for packet in stream.encode(frame):
                        container.mux(packet)
                    self.wfile.flush()
        except (OSError, ValueError, av.error.FFmpegError):
            pass  # who watched has gone, or the connection is cut


def save_clip(path: Path, seconds: float) -> None:
    """Write the frames as H.264, as the server over HTTP sends them."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "25"}
        for number in range(1, round(seconds * FPS) + 1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(paint(number), format="bgr24")))
        container.mux(stream.encode(None))


@contextmanager
def playing_rtsp(python: str, seconds: float, outage: tuple[float, float] | None) -> Iterator[str]:
    """A server in a process, killed and started again for an outage; gives its address."""
    with socket.socket() as free, TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        clip = Path(folder) / "clip.mp4"
        save_clip(clip, seconds)
        free.close()
        running = _start(python, clip, port)
        over = threading.Event()

        def fail(begins: float, ends: float) -> None:
            nonlocal running
            if over.wait(begins):
                return
            running.kill()
            running.wait()
            if not over.wait(ends - begins):
                running = _start(python, clip, port)

        thread = threading.Thread(target=fail, args=outage or (1e6, 1e6), daemon=True)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{port}/live"
        finally:
            over.set()
            thread.join()
            running.kill()
            running.wait()


def _start(python: str, clip: Path, port: str) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("rtsp_server.py")
    process = subprocess.Popen([python, str(script), str(clip), port], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{python} cannot run {script.name}")
    return process


@contextmanager
def playing_http(seconds: float, outage: tuple[float, float] | None) -> Iterator[str]:
    """A server in a thread; gives its address."""
    server = Server(seconds, outage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live.ts"
    finally:
        server.shutdown()
        server.server_close()


def follow(
    name: str,
    detect_ms: float,
    seconds: float,
    *,
    every_frame: bool = False,
    outage: bool = False,
    python: str | None = None,
) -> str:
    """One run; returns a row of the table."""
    cut = (seconds / 3, seconds / 3 + 4) if outage else None
    seen: list[tuple[float, float, float]] = []  # place in the stream, time, clock

    def detect(_: int, image: NDArray[np.uint8] | None) -> Detections:
        time.sleep(detect_ms / 1000)
        return Detections.of([[100, 50, 140, 150]], [0.9])

    def watch(tracked: TrackedFrame) -> None:
        frame = tracked.frame
        if frame.image is not None and frame.timestamp is not None:
            seen.append((read(frame.image) / FPS, frame.timestamp, time.monotonic()))

    with playing_rtsp(python, seconds, cut) if python else playing_http(seconds, cut) as address:
        result = track_video(address, detector=detect, reid="none", on_frame=watch, every_frame=every_frame)
    places, times, clock = np.array(seen).T
    intervals = np.diff(times)
    cuts = np.flatnonzero((np.diff(places) < 0) | (intervals > 2)) + 1  # where a connection was lost
    errors, late = [], []
    for rows in np.split(np.arange(len(seen)), cuts):
        errors.append(np.abs((places - places[rows[0]]) - (times - times[rows[0]]))[rows].max())
        late.append((clock - places)[rows] - (clock - places)[rows].min())
    gaps = np.abs(np.diff(times) - np.diff(clock))[cuts - 1]
    lag = f"{result.lag or 0:.2f}, {result.max_lag or 0:.2f}"
    by_content = f"{np.concatenate(late).mean():.2f}, {late[-1][-1]:.2f}"
    return (
        f"| {name} | {result.frames} | {result.skipped_frames} | {times[-1] - times[0]:.1f} | {lag} | "
        f"{by_content} | {max(errors):.3f} | {max(gaps, default=0.0):.2f} | {intervals.min():.3f} | "
        f"{result.reconnects} | {len(result.ids)} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="that each stream plays")
    parser.add_argument("--fast", type=float, default=5.0, help="milliseconds of the faster detector")
    parser.add_argument("--slow", type=float, default=200.0, help="milliseconds of the slower one")
    parser.add_argument("--rtsp", metavar="PYTHON", help="play by rtsp_server.py, which this Python runs")
    options = parser.parse_args()
    print(
        "| tracker | frames | skipped | seconds followed | lag, mean and max (s) "
        "| lag by the frames' content, mean and at the end (s) | largest error of a time (s) "
        "| over the outage (s) | smallest interval (s) | reconnects | ids |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    runs: list[tuple[str, float, float, dict[str, bool]]] = [
        (f"{options.fast:g} ms per frame", options.fast, 1, {}),
        (f"{options.slow:g} ms per frame", options.slow, 1, {}),
        (f"{options.slow:g} ms, every frame", options.slow, 1 / 3, {"every_frame": True}),
        (f"{options.slow:g} ms, outage of 4 s", options.slow, 1, {"outage": True}),
    ]
    for name, milliseconds, part, how in runs:
        print(follow(name, milliseconds, part * options.seconds, python=options.rtsp, **how), flush=True)


if __name__ == "__main__":
    main()
