"""What goes wrong around a run: kills, full disks, cameras and streams that go away, a second run."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.frames import Tally
from deepsort_paddle.media.readers import read_camera, read_stream
from deepsort_paddle.media.source import VideoWriter, open_source
from deepsort_paddle.media.watchdog import WatchedCapture
from deepsort_paddle.motchallenge.text import read_tracks
from deepsort_paddle.part_files import check_writable, lock_output, temporary_path

posix = pytest.mark.skipif(os.name != "posix", reason="signals, limits and locks are POSIX")
# deepsort-track with a limit on the size of files, and a pause after each frame.
SCRIPT = """
import resource, signal, sys, time
from deepsort_paddle.pipeline import stages
from deepsort_paddle.tracking import tracker
from deepsort_paddle.cli import track
limit, wait = int(sys.argv.pop(1)), float(sys.argv.pop(1))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
update = tracker.DeepSort.update
tracker.DeepSort.update = lambda self, found, **known: time.sleep(wait) or update(self, found, **known)
sys.exit(track())
"""


@pytest.fixture
def scene(tmp_path: Path) -> SimpleNamespace:
    """A clip of 80 frames, its detections and the options of a run with every output."""
    lines = []
    rng = np.random.default_rng(0)
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for number in range(1, 81):
            image = rng.integers(0, 255, (48, 64, 3), np.uint8)  # noise fills files fast
            writer.write(image)
            lines.append(f"{number},-1,{1 + number / 5},5,12,30,1")
    (tmp_path / "det.txt").write_text("\n".join(lines))
    out = tmp_path / "out"
    out.mkdir()
    names = {"output": "o.txt", "csv": "o.csv", "json": "o.json", "save-video": "o.mp4", "report": "o.html"}
    options = [str(tmp_path / "clip.mp4"), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
    options += ["--preset", "deepsort"]
    options += [f"--{option}={out / name}" for option, name in names.items()]
    return SimpleNamespace(out=out, options=options, names=sorted(names.values()))


def start(options: list[str], *, limit: int = 0, wait: float = 0.0) -> subprocess.Popen[str]:
    """A run in a process of its own; ``limit``: bytes of the largest file; ``wait``: seconds a frame."""
    command = [sys.executable, "-c", SCRIPT, str(limit), str(wait), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def wait_for(path: Path, size: int) -> None:
    """Until a file has so many bytes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.01)
    raise TimeoutError(f"{path} never had {size} bytes")


@posix
def test_a_full_disk_is_one_line_and_keeps_what_was_there(scene: SimpleNamespace) -> None:
    (scene.out / "o.txt").write_text("1,1,1,1,1,1,1,-1,-1,-1\n")
    process = start([*scene.options, "--quiet", "--overwrite"], limit=30_000)
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    (line,) = message.splitlines()
    assert line.startswith("deepsort-track: error: ")
    assert "File too large" in line
    assert str(scene.out) in line
    assert (scene.out / "o.txt").read_text() == "1,1,1,1,1,1,1,-1,-1,-1\n"
    assert not (scene.out / "o.html").exists()
    assert len(read_tracks(scene.out / "o.txt.part")) > 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("option", ["--output", "--csv", "--json", "--report", "--explain-csv"])
def test_a_full_disk_is_named_whatever_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    for number in (1, 2, 3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), 90, np.uint8))
    (tmp_path / "det.txt").write_text("".join(f"{number},-1,1,1,4,4,1\n" for number in (1, 2, 3)))
    words = [str(tmp_path), "--detections", str(tmp_path / "det.txt"), "--reid", "none", "--quiet"]
    words += ["--save-video", str(tmp_path / "o.mp4"), option, "/dev/full"]
    assert track(words) == 2
    told = capsys.readouterr().err
    assert re.fullmatch(r"deepsort-track: error: /dev/full: (not written: )?No space left on device\n", told)


@posix
@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_leaves_readable_parts_and_can_be_run_again(scene: SimpleNamespace, seed: int) -> None:
    rng = random.Random(seed)
    process = start(scene.options, wait=0.01)
    wait_for(scene.out / "o.txt.part", rng.randrange(1, 2000))
    process.kill()
    process.communicate(timeout=60)
    assert not [name for name in scene.names if (scene.out / name).exists()]
    table = read_tracks(scene.out / "o.txt.part")
    assert table.frame.tolist() == list(range(3, 3 + len(table)))
    assert track([*scene.options, "--quiet"]) == 0
    assert sorted(path.name for path in scene.out.iterdir()) == scene.names
    assert read_tracks(scene.out / "o.txt").frame.tolist() == list(range(3, 81))


@posix
def test_a_second_ctrl_c_ends_without_a_traceback(scene: SimpleNamespace) -> None:
    process = start(scene.options, wait=0.01)
    wait_for(scene.out / "o.txt.part", 500)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in message
    left = [scene.out / "o.txt", scene.out / "o.txt.part"]
    assert len(read_tracks(next(path for path in left if path.exists()))) > 5


@posix
def test_a_second_run_on_the_same_output_is_refused(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock_output(scene.out / "o.json"):
        assert track(scene.options) == 2
        assert capsys.readouterr().err == (
            f"deepsort-track: error: cannot write {scene.out / 'o.json'}: another run is writing it\n"
        )
        with pytest.raises(OSError, match="another run is writing it"):
            check_writable(scene.out / "o.json")
    assert not list(scene.out.iterdir())
    assert track([*scene.options, "--quiet"]) == 0


@posix
def test_a_claim_goes_with_the_file_that_was_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with lock_output(path):
        temporary_path(path).write_text("first")
        temporary_path(path).replace(path)
        with lock_output(path):  # the first one is done with it
            temporary_path(path).write_text("second")
    assert path.read_text() == "first"
    assert temporary_path(path).read_text() == "second"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_refused_before_the_first_frame(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track([*scene.options[:3], "--reid=none", "--output", "/proc/o.txt"]) == 2
    assert "error: cannot write /proc/o.txt: " in capsys.readouterr().err


class Camera:
    """Gives ``count`` images, then fails."""

    def __init__(self, count: int) -> None:
        self.left, self.released = count, False

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        return (True, np.zeros((4, 4, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_a_camera_that_vanishes_is_found_again() -> None:
    answers = iter([OSError("camera 0 can't be opened"), Camera(3)])
    first, tally = Camera(2), Tally()

    def connect() -> Camera:
        answer = next(answers, OSError("camera 0 can't be opened"))
        if isinstance(answer, OSError):
            raise answer
        return answer

    frames = list(read_camera(connect, first, tally, retries=3, backoff=0.0))
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert first.released
    assert tally.reconnects == 1
    assert tally.note == ("the camera was lost and 3 attempts to reconnect failed: camera 0 can't be opened")


class FrozenCamera(Camera):
    """Gives ``count`` images, then does not answer until it is thawed."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.thawed, self.closed = threading.Event(), threading.Event()

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def get(self, _: int) -> float:
        return 25.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.left == 0:
            self.thawed.wait(60)
        return super().read()

    def release(self) -> None:
        self.closed.set()


def test_a_camera_that_stops_answering_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = [FrozenCamera(2), FrozenCamera(3)]
    waiting = iter(cameras)

    def capture(device: int) -> FrozenCamera:
        try:
            return next(waiting)
        except StopIteration:
            raise OSError("there is none") from None

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    with open_source(0, retries=1, backoff=0.0, patience=0.2) as source:
        assert source.fps == 25
        assert [frame.number for frame in source] == [1, 2, 3, 4, 5]
        assert source.reconnects == 1
        assert source.note.endswith("attempts to reconnect failed: there is none")
    for camera in cameras:  # what it was opened by is waited for no longer, and closed when it is free
        assert not camera.closed.is_set()
        camera.thawed.set()
        assert camera.closed.wait(60)


def test_a_camera_that_cannot_be_opened_in_time_is_an_error() -> None:
    opened = threading.Event()
    camera = FrozenCamera(1)

    def connect() -> FrozenCamera:
        opened.wait(60)
        return camera

    with pytest.raises(TimeoutError, match=r"camera 3 sent nothing for 0.05 s"):
        WatchedCapture(connect, "camera 3", 0.05)
    opened.set()
    assert camera.closed.wait(60)


def test_a_watched_camera_hands_on_errors_and_is_closed_at_once() -> None:
    camera = FrozenCamera(1)
    watched = WatchedCapture(lambda: camera, "camera 3", 60.0)
    with pytest.raises(ZeroDivisionError):
        watched._call(lambda _: 1 / 0)
    assert watched.read()[0]
    watched.release()
    assert camera.closed.is_set()


class SoundOnly:
    """A connection whose images end while its sound goes on."""

    duration = None  # a live stream states none

    def __init__(self, images: int) -> None:
        self.images, self.video, self.sound = images, object(), object()

    def __enter__(self) -> "SoundOnly":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def demux(self) -> Iterator[SimpleNamespace]:
        frame = SimpleNamespace(
            is_corrupt=False,
            time=None,
            side_data={},
            rotation=0,
            width=4,
            height=4,
            colorspace=1,  # BT.709
            to_ndarray=lambda **how: np.zeros((4, 4, 3), np.uint8),
        )
        for _ in range(self.images):
            yield SimpleNamespace(stream=self.sound, size=9)
            yield SimpleNamespace(stream=self.video, size=9, decode=lambda: [frame])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.001)
            yield SimpleNamespace(stream=self.sound, size=9)


def test_a_stream_of_nothing_but_sound_is_opened_again() -> None:
    connections = [SoundOnly(2), SoundOnly(3), SoundOnly(0)]
    pairs = iter([(one, one.video) for one in connections])
    tally = Tally()
    frames = read_stream(lambda: next(pairs), next(pairs), tally, retries=1, backoff=0.0, patience=0.05)
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
    assert tally.reconnects == 2
    assert tally.note.endswith("failed: it sent no frame for 0.05 s")


class Stalling(BaseHTTPRequestHandler):
    """Serves three images a connection, then says nothing more and does not hang up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        content = cv2.imencode(".jpg", np.full((32, 32, 3), 90, np.uint8))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
        for _ in range(3):
            self.wfile.write(head.encode() + content + b"\r\n")
        self.server.over.wait(60)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stalling() -> Iterator[str]:
    """Address of a stream that stalls."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stalling)
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/live"
    server.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_stream_that_stalls_is_opened_again(stalling: str) -> None:
    with open_source(stalling, retries=2, backoff=0.01, patience=0.5) as source:
        frames = [next(source) for _ in range(5)]
        assert [frame.number for frame in frames] == [1, 2, 3, 4, 5]
        assert source.reconnects >= 1
