"""A stream that is lost again and again leaves nothing behind."""

from __future__ import annotations

import gc
import io
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from deepsort_paddle.media.source import open_source

FRAMES = 5


@pytest.fixture
def address() -> Iterator[str]:
    """A stream that ends after five frames, each time it is opened."""
    content = io.BytesIO()
    with av.open(content, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FRAMES):
            image = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content.getvalue())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live.ts"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts what /proc lists")
@pytest.mark.parametrize("every_frame", [True, False])
def test_files_threads_and_frames_do_not_pile_up(address: str, every_frame: bool) -> None:
    held: dict[int, tuple[int, int]] = {}
    gc.collect()
    gc.disable()  # nothing waits for the collector
    try:
        with open_source(address, backoff=0.0, retries=2, every_frame=every_frame) as source:
            for _ in source:
                threads, files = (len(list(Path(f"/proc/self/{name}").iterdir())) for name in ("task", "fd"))
                held.setdefault(source.reconnects, (threads, files))
                if source.reconnects >= 8:
                    break
    finally:
        gc.enable()
    early, late = held[min(held)], held[max(held)]
    assert late[0] <= early[0] + 8, "threads"  # one decoder more, and a thread of the server
    assert late[1] <= early[1] + 3, "files"
