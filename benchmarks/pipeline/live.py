"""Follow a real stream: how late is the tracker, what does it skip, are the times true?

A server on this machine plays frames at 25 a second as MPEG-TS over HTTP (H.264, 320x240, no reordering).
Each frame carries its number as bars, so that the content says when it was sent. A detector that takes a
fixed time stands in for the real one. Four runs: faster than the stream, slower, slower with every frame,
and slower while the server hangs up in the middle and comes back.

    python benchmarks/pipeline/live.py --seconds 60
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


@contextmanager
def playing(seconds: float, outage: tuple[float, float] | None) -> Iterator[Server]:
    """A server in a thread."""
    server = Server(seconds, outage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def follow(
    name: str, detect_ms: float, seconds: float, *, every_frame: bool = False, outage: bool = False
) -> str:
    """One run; returns a row of the table."""
    cut = (seconds / 3, seconds / 3 + 4) if outage else None
    errors: list[float] = []
    intervals: list[float] = []
    late: list[float] = []

    def detect(_: int, image: NDArray[np.uint8] | None) -> Detections:
        time.sleep(detect_ms / 1000)
        return Detections.of([[100, 50, 140, 150]], [0.9])

    with playing(seconds, cut) as server:
        origin: list[tuple[float, float]] = []
        times: list[float] = []

        def watch(tracked: TrackedFrame) -> None:
            frame = tracked.frame
            if frame.image is None or frame.timestamp is None:
                return
            sent = read(frame.image) / FPS
            origin.append((sent, frame.timestamp))
            errors.append(abs((sent - origin[0][0]) - (frame.timestamp - origin[0][1])))
            late.append(time.monotonic() - server.began - sent)
            if times:
                intervals.append(frame.timestamp - times[-1])
            times.append(frame.timestamp)

        address = f"http://127.0.0.1:{server.server_port}/live.ts"
        result = track_video(address, detector=detect, reid="none", on_frame=watch, every_frame=every_frame)
    span = times[-1] - times[0]
    return (
        f"| {name} | {result.frames} | {result.skipped_frames} | {span:.1f} | {result.lag or 0:.2f}, "
        f"{result.max_lag or 0:.2f} | {late[-1]:.2f} | {max(errors):.3f} | {min(intervals):.3f} | "
        f"{result.reconnects} | {len(result.ids)} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="that each stream plays")
    parser.add_argument("--fast", type=float, default=5.0, help="milliseconds of the faster detector")
    parser.add_argument("--slow", type=float, default=200.0, help="milliseconds of the slower one")
    options = parser.parse_args()
    print(
        "| tracker | frames | skipped | seconds followed | late, mean and max (s) | truly late at the end "
        "| largest error of a time (s) | smallest interval (s) | reconnects | ids |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    seconds = options.seconds
    print(follow(f"{options.fast:g} ms a frame", options.fast, seconds), flush=True)
    print(follow(f"{options.slow:g} ms a frame", options.slow, seconds), flush=True)
    print(
        follow(f"{options.slow:g} ms, every frame", options.slow, seconds / 3, every_frame=True), flush=True
    )
    print(follow(f"{options.slow:g} ms, 4 s outage", options.slow, seconds, outage=True), flush=True)


if __name__ == "__main__":
    main()
