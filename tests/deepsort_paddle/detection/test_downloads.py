"""Downloads from a server that the test starts."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from deepsort_paddle.detection import downloads
from deepsort_paddle.detection.downloads import Asset, DownloadError, cache_folder, fetch
from deepsort_paddle.detection.named_models import NAMED_MODELS, named_model

CONTENT = np.random.default_rng(0).bytes(300_001)
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves CONTENT at any address; what it does wrong is set by a test."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.status = 0  # 0: as the request asks
        self.ranges = True
        self.send_at_most = len(CONTENT)  # bytes of one answer; then the connection ends
        self.stalls = False  # instead of ending it
        self.released = threading.Event()
        self.asked: list[tuple[str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if server.status:
            self.send_error(server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if wanted and server.ranges:
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start : start + server.send_at_most])
        if server.stalls:
            self.wfile.flush()
            server.released.wait(60)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def asset(server: Server) -> Asset:
    address = f"http://127.0.0.1:{server.server_address[1]}/models/net.onnx"
    return Asset("net", address, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "net.onnx"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEEPSORT_PADDLE_MIRROR", "DEEPSORT_PADDLE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def failure(asset: Asset, path: Path, **options: Any) -> str:
    """The one line that says why; it has the address and the place."""
    with pytest.raises(DownloadError) as caught:
        fetch(asset, path, **options)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("cannot get net: ")
    assert line.endswith(f"; download {asset.url} and save it as {path}")
    assert not path.exists()
    return line


def test_a_file_is_downloaded_once(server: Server, asset: Asset, path: Path) -> None:
    assert fetch(asset, path) == path
    assert path.read_bytes() == CONTENT
    fetch(asset, path)
    fetch(asset, path, download=False)
    assert server.asked == [("/models/net.onnx", None)]
    assert not path.with_name("net.onnx.part").exists()


@pytest.mark.parametrize("chunk", [2**16, 2**20])  # copied, hashed
@pytest.mark.parametrize("difference", [-1, 0, 1])
def test_a_file_of_about_a_chunk_is_complete(
    server: Server, asset: Asset, path: Path, chunk: int, difference: int
) -> None:
    server.content = np.random.default_rng(1).bytes(chunk + difference)
    server.send_at_most = len(server.content)
    digest = hashlib.sha256(server.content).hexdigest()
    fetch(replace(asset, size=len(server.content), sha256=digest), path)
    assert path.read_bytes() == server.content


def test_a_broken_download_is_resumed_where_it_broke(server: Server, asset: Asset, path: Path) -> None:
    server.send_at_most = 120_000
    fetch(asset, path)
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=120000-", "bytes=240000-"]


def test_what_an_earlier_run_left_is_resumed(server: Server, asset: Asset, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("net.onnx.part").write_bytes(CONTENT[:HALF])
    fetch(asset, path)
    assert path.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [f"bytes={HALF}-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_the_rest_of_another_file_is_started_over(
    ranges: bool, server: Server, asset: Asset, path: Path
) -> None:
    server.ranges = ranges
    path.parent.mkdir()
    path.with_name("net.onnx.part").write_bytes(b"x" * HALF)
    fetch(asset, path)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_started_over(server: Server, asset: Asset, path: Path) -> None:
    path.parent.mkdir()
    path.with_name("net.onnx.part").write_bytes(CONTENT + b"x")
    fetch(asset, path)
    assert server.asked == [("/models/net.onnx", None)]


def test_a_wrong_hash_is_refused(server: Server, asset: Asset, path: Path) -> None:
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    got = hashlib.sha256(server.content).hexdigest()
    assert f"the file has sha256 {got}, expected {asset.sha256}" in failure(asset, path)
    assert not path.with_name("net.onnx.part").exists()


def test_another_size_is_refused_before_the_download(server: Server, asset: Asset, path: Path) -> None:
    server.content = CONTENT + b"x"
    assert f"the server offers {len(CONTENT) + 1} bytes, expected {len(CONTENT)}" in failure(asset, path)


def test_a_file_that_is_not_there_is_named(server: Server, asset: Asset, path: Path) -> None:
    server.status = 404
    assert "the server answers 404 Not Found" in failure(asset, path)


def test_a_stalled_server_is_given_up_and_resumed_later(server: Server, asset: Asset, path: Path) -> None:
    server.send_at_most, server.stalls = HALF, True
    assert "the server sent nothing for 0.2 s (the next run resumes)" in failure(
        asset, path, stall_seconds=0.2
    )
    server.send_at_most, server.stalls = len(CONTENT), False
    server.released.set()
    fetch(asset, path)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1][1] is not None


def test_without_network_the_address_and_the_place_are_named(asset: Asset, path: Path) -> None:
    nobody = Server()  # a port on which nobody listens any more
    port = nobody.server_address[1]
    nobody.server_close()
    assert "no connection (" in failure(replace(asset, url=f"http://127.0.0.1:{port}/net.onnx"), path)


def test_a_mirror_that_is_no_address_is_named(asset: Asset, path: Path) -> None:
    assert "not an address" in failure(replace(asset, url="mirror/net.onnx"), path)


def test_a_full_disk_is_named(asset: Asset, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(response: Any, file: BinaryIO, *rest: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads, "_copy", no_space)
    assert f"{path.parent} is full" in failure(asset, path)


def test_a_cache_that_is_no_folder_is_named(asset: Asset, path: Path) -> None:
    path.parent.write_bytes(b"")
    with pytest.raises(DownloadError, match=f"cannot get net: {path.parent}: File exists; download "):
        fetch(asset, path)


def test_downloads_can_be_turned_off(server: Server, asset: Asset, path: Path) -> None:
    assert f"{path} is not there, and downloads are off" in failure(asset, path, download=False)
    path.parent.mkdir()
    path.write_bytes(b"x")
    with pytest.raises(DownloadError, match="is damaged, and downloads are off"):
        fetch(asset, path, download=False)
    assert server.asked == []
    fetch(asset, path)
    assert path.read_bytes() == CONTENT


def test_two_processes_download_once(server: Server, asset: Asset, path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from deepsort_paddle.detection.downloads import Asset, fetch\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "fetch(Asset(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]), Path(sys.argv[5]))"
    )
    words = [asset.name, asset.url, str(asset.size), asset.sha256, str(path)]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for run in runs:  # both are about to begin
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.communicate("go\n", timeout=60)
        assert run.returncode == 0
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_proxies_of_the_environment_are_used(
    server: Server, asset: Asset, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_address[1]}")
    fetch(replace(asset, url="http://models.invalid/net.onnx"), path)
    assert server.asked == [("http://models.invalid/net.onnx", None)]


def test_a_mirror_stands_in_for_the_official_address(
    server: Server, asset: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "own"))
    monkeypatch.setitem(NAMED_MODELS, "yolox-nano", replace(asset, name="yolox-nano"))
    mirror = f"http://127.0.0.1:{server.server_address[1]}/mirror/"
    monkeypatch.setenv("DEEPSORT_PADDLE_MIRROR", mirror)
    assert named_model("yolox-nano") == tmp_path / "own" / "detectors" / "net.onnx"
    assert server.asked == [("/mirror/net.onnx", None)]
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "other"))
    named_model("yolox-nano", mirror=mirror.rstrip("/") + "/second")
    assert server.asked[1] == ("/mirror/second/net.onnx", None)


def test_the_cache_is_where_the_user_keeps_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "deepsort-paddle"
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_named_detectors_are_pinned() -> None:
    for name, asset in NAMED_MODELS.items():
        assert asset.name == name
        assert asset.url.startswith(
            "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
        )
        assert len(asset.sha256) == 64
        assert asset.size > 3_000_000
