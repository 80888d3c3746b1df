import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.media.source import VideoWriter, open_source, without_password

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
VTEST = DATA / "mot" / "PETS09-S2L1" / "vtest.avi"


def make_image(number: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """A frame that shows its number as a bar, asymmetric in every direction."""
    image = np.full((height, width, 3), (40, 90, 160), np.uint8)
    image[4:12, 2 : 2 + number] = 255
    image[-20:, :10] = (200, 30, 30)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The number that `make_image` drew."""
    return int((image[8, 2:] > 200).all(axis=1).sum())


def make_video(path: Path, count: int = 30, fps: float = 10, size: tuple[int, int] = (64, 96)) -> Path:
    with VideoWriter(path, fps=fps, crf=4) as writer:
        for number in range(1, count + 1):
            writer.write(make_image(number, *size))
    return path


def make_images(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        cv2.imwrite(str(folder / name), make_image(number))
    return folder


def test_a_written_video_reads_back_frame_by_frame(tmp_path: Path) -> None:
    with open_source(make_video(tmp_path / "clip.mp4")) as source:
        assert (source.name, source.fps, source.frame_count) == ("clip", 10.0, 30)
        assert (source.height, source.width) == (64, 96)
        assert source.has_images
        assert not source.live
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(1, 31))
    assert [number_of(frame.image) for frame in frames] == list(range(1, 31))
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(30) / 10, atol=1e-6)
    assert (source.broken, source.note) == (0, "")


def test_pixels_are_those_of_opencv(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 12)
    capture = cv2.VideoCapture(str(path))
    for frame in open_source(path):
        np.testing.assert_array_equal(frame.image, capture.read()[1])
    assert not capture.read()[0]


@pytest.mark.skipif(not VTEST.is_file(), reason="research data is not here")
def test_the_real_video_has_795_frames_equal_to_those_of_opencv() -> None:
    capture = cv2.VideoCapture(str(VTEST))
    source = open_source(VTEST)
    assert (source.fps, source.height, source.width, source.frame_count) == (10.0, 576, 768, 795)
    count = 0
    for count, frame in enumerate(source, 1):
        assert frame.number == count
        assert frame.timestamp == pytest.approx((count - 1) / 10)
        # Equal with PyAV 18; older FFmpegs round this old codec differently.
        assert cv2.absdiff(frame.image, capture.read()[1]).max() <= 2
    assert (count, source.broken, source.note) == (795, 0, "")


def test_the_mp4_is_what_browsers_play(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 45)
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")  # faststart
    assert b"moof" not in content
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == 45
        assert float(container.duration) / 1e6 == pytest.approx(4.5)
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("size", [(63, 95), (64, 95), (63, 96), (1, 1), (2, 3)])
def test_odd_sizes_gain_a_row_or_column(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "odd.mp4"
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    with VideoWriter(path, fps=25, crf=0) as writer:
        writer.write(image)
    source = open_source(path)
    assert (source.height, source.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_fractional_frame_rates_stay_exact(tmp_path: Path) -> None:
    path = make_video(tmp_path / "ntsc.mp4", 60, fps=30000 / 1001)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    stamps = [frame.timestamp for frame in open_source(path)]
    np.testing.assert_allclose(stamps, np.arange(60) * 1001 / 30000, atol=1e-9)


def test_variable_frame_rate_keeps_its_timestamps(tmp_path: Path) -> None:
    stamps = [0.0, 0.04, 0.1, 0.13, 0.5, 0.51, 1.7, 1.8, 1.81, 2.0]
    with VideoWriter(tmp_path / "vfr.mp4", fps=30, crf=4) as writer:
        for number, stamp in enumerate(stamps, 1):
            writer.write(make_image(number), stamp)
    frames = list(open_source(tmp_path / "vfr.mp4"))
    np.testing.assert_allclose([frame.timestamp for frame in frames], stamps, atol=1e-4)
    assert [number_of(frame.image) for frame in frames] == list(range(1, 11))


def test_timestamps_that_do_not_rise_lose_no_frame(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "odd.mp4", fps=30) as writer:
        for number, stamp in enumerate([0.0, 0.5, 0.5, 0.2, 0.6, None], 1):
            writer.write(make_image(number), stamp)
    stamps = [frame.timestamp for frame in open_source(tmp_path / "odd.mp4")]
    assert len(stamps) == 6
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_a_frame_of_another_size_is_fitted(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "mixed.mp4", fps=10, crf=4) as writer:
        writer.write(make_image(1))
        writer.write(np.full((200, 100, 3), 255, np.uint8))
    last = list(open_source(tmp_path / "mixed.mp4"))[-1].image
    assert last.shape == (64, 96, 3)
    assert (last[:, :28] < 20).all()
    assert (last[5:-5, 40:56] > 230).all()


def test_a_killed_run_leaves_a_part_that_plays(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "clip.mp4", fps=10)
    for number in range(1, 91):
        writer.write(make_image(number))
    part = tmp_path / "killed.mp4"
    part.write_bytes((tmp_path / "clip.mp4.part").read_bytes())
    assert sum(1 for _ in open_source(part)) >= 20
    assert not (tmp_path / "clip.mp4").exists()
    writer.close()
    assert (tmp_path / "clip.mp4").exists()


def test_no_frames_write_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "none.mp4", fps=10):
        pass
    assert not list(tmp_path.iterdir())


def test_writer_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a video is written as \.mp4"):
        VideoWriter(tmp_path / "clip.avi", fps=10)
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="fps must be positive"):
            VideoWriter(tmp_path / "clip.mp4", fps=fps)


def test_damage_in_the_middle_is_counted_and_shifts_no_number(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.mp4", 90)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for position, size in packets[20:40:3]:
        content[position : position + size] = bytes(size)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    source = open_source(damaged)
    frames = list(source)
    assert [frame.number for frame in frames] == list(range(1, 91))
    np.testing.assert_allclose([frame.timestamp for frame in frames], np.arange(90) / 10, atol=1e-6)
    assert source.broken >= 7
    assert number_of(frames[-1].image) == 90
    assert any(frame.image is None for frame in frames[20:40])
    assert all(frame.image is not None for frame in frames[:16])  # packets are not in order of presentation


def test_a_truncated_video_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    content = make_video(tmp_path / "clip.mp4", 60).read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) * 2 // 3])
    source = open_source(tmp_path / "half.mp4")
    count = sum(frame.image is not None for frame in source)
    assert 0 < count < 60
    assert "the file promises 60 frames" in source.note or "reading stopped" in source.note


def test_phone_videos_are_turned_upright(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", 5)
    content = bytearray((tmp_path / "clip.mp4").read_bytes())
    # The track header's matrix: (a b; c d) of a turn by 90 degrees instead of the identity.
    one, zero = (1 << 16).to_bytes(4, "big"), bytes(4)
    minus = (0xFFFF0000).to_bytes(4, "big")
    identity = one + zero * 3 + one + zero * 3 + (1 << 30).to_bytes(4, "big")
    start = content.index(identity, content.index(b"tkhd"))
    content[start : start + 20] = zero + one + zero + minus + zero
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(content)
    frame = next(open_source(turned))
    assert frame.image.shape == (96, 64, 3)
    np.testing.assert_array_equal(frame.image, cv2.VideoCapture(str(turned)).read()[1])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mkv", "clip.txt", "clip"])
def test_what_is_no_video_is_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"Just some lines of text.\n" * 200)
    with pytest.raises(ValueError, match="is not a video") as caught:
        open_source(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_empty_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ValueError, match=r"empty\.mp4 is empty"):
        open_source(tmp_path / "empty.mp4")
    with pytest.raises(FileNotFoundError, match=r"no such file or folder: absent\.mp4"):
        open_source("absent.mp4")
    with pytest.raises(ValueError, match=r"contains no images \(.*\); it contains a video: name the file"):
        open_source(tmp_path)


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    make_images(tmp_path, ["img1.png", "img2.png", "IMG9.PNG", "img10.png", "img100.png"])
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._img1.png").touch()
    source = open_source(tmp_path, fps=4)
    frames = list(source)
    assert [number_of(frame.image) for frame in frames] == [1, 2, 3, 4, 5]
    assert [frame.timestamp for frame in frames] == [0, 0.25, 0.5, 0.75, 1]
    assert (source.name, source.frame_count, source.fps) == (tmp_path.name, 5, 4)
    assert open_source(tmp_path).fps is None


def test_a_broken_image_keeps_its_place(tmp_path: Path) -> None:
    make_images(tmp_path, ["1.png", "2.png", "3.png"])
    (tmp_path / "2.png").write_bytes(b"not an image")
    source = open_source(tmp_path)
    assert [frame.image is None for frame in source] == [False, True, False]
    assert source.broken == 1
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="no frame can be read"):
        open_source(tmp_path)


def test_a_missing_image_of_a_sequence_keeps_its_place(tmp_path: Path) -> None:
    make_images(tmp_path / "img1", ["000001.png", "000002.png", "000004.png"])
    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nname=street\nframeRate=5\nseqLength=9\n")
    source = open_source(tmp_path)
    frames = list(source)
    assert [frame.number for frame in frames] == [1, 2, 3, 4]
    assert frames[2].image is None
    assert number_of(frames[3].image) == 3
    assert (source.name, source.fps, source.frame_count, source.broken) == ("street", 5, 4, 1)
    assert source.note == "seqinfo.ini promises 9 frames, the images end at 4"


def test_a_sequence_without_images_counts_its_frames(tmp_path: Path) -> None:
    ini = tmp_path / "seqinfo.ini"
    ini.write_text("[Sequence]\nname=street\nframeRate=5\nseqLength=3\nimWidth=64\nimHeight=48\n")
    source = open_source(tmp_path)
    assert not source.has_images
    assert (source.height, source.width, source.frame_count) == (48, 64, 3)
    assert [(frame.number, frame.image, frame.timestamp) for frame in source] == [
        (1, None, 0),
        (2, None, 0.2),
        (3, None, 0.4),
    ]
    assert source.broken == 0
    ini.write_text("[Sequence]\n")
    with pytest.raises(ValueError, match=r"no images, and no seqinfo\.ini with the number of frames"):
        open_source(tmp_path)
    (tmp_path / "det").mkdir()
    (tmp_path / "det" / "det.txt").write_text("6,-1,1,1,2,2,1\n")
    assert open_source(tmp_path).frame_count == 6


def test_an_absent_camera_is_an_error() -> None:
    with pytest.raises(OSError, match="camera 9876 can't be opened"):
        open_source(9876)


class MotionJpeg(BaseHTTPRequestHandler):
    """Serves five images a connection as a camera does, then hangs up."""

    served = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.end_headers()
        for _ in range(5):
            type(self).served += 1
            content = cv2.imencode(".jpg", make_image(type(self).served))[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
            self.wfile.write(head.encode() + content + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[tuple[str, ThreadingHTTPServer]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    MotionJpeg.served = 0
    yield f"http://user:secret@127.0.0.1:{server.server_port}/live", server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_lost_stream_is_found_again(stream: tuple[str, ThreadingHTTPServer]) -> None:
    address, server = stream
    with open_source(address, retries=2, backoff=0.01) as source:
        assert source.live
        assert "secret" not in source.name
        frames = [next(source) for _ in range(12)]
        assert [frame.number for frame in frames] == list(range(1, 13))
        assert source.reconnects >= 1
        stamps = [frame.timestamp for frame in frames]
        assert stamps == sorted(stamps)
        server.shutdown()
        server.server_close()
        for _ in source:
            pass
        assert "2 attempts to reconnect failed" in source.note


def test_a_stream_that_is_not_there_is_an_error_without_the_password() -> None:
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9/live can't be opened") as caught:
        open_source("http://user:secret@127.0.0.1:9/live")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_stream_that_does_not_answer_is_said_to(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the call and says nothing
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/live"
        with pytest.raises(OSError, match="can't be opened: no answer in 0.3 seconds"):
            open_source(address, patience=0.3)


def test_passwords_are_cut_out_of_addresses() -> None:
    assert without_password("rtsp://me:pass@cam/1@2") == "rtsp://cam/1@2"
    assert without_password("video@home.mp4") == "video@home.mp4"
