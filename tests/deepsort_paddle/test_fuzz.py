"""Any input ends in a result or in one line of error that names what was wrong."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.appearance.preprocess import crop_boxes
from deepsort_paddle.appearance.spec import EncoderSpec
from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter, open_source
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import TrackRecords, read_detections, read_ground_truth, read_tracks
from deepsort_paddle.pipeline.stages import prepare_detections

NUMBERS = st.one_of(
    st.integers(-3, 400).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.sampled_from(["", "x", "1_0", "1e999", "0x1f", "٣", "-0.0", "1e18", "9" * 400, "\x00", '"1"']),
)
LINES = st.lists(NUMBERS, min_size=0, max_size=14).map(",".join)
SANE = st.builds("{},{},{},{},{},{},{}".format, *[st.integers(1, 50)] * 6, st.floats(0, 1))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
SPEC = {
    "format": 1,
    "name": "x",
    "input": {"height": 128, "width": 64, "layout": "NCHW", "dtype": "float32", "channels": "RGB"},
    "resize": {"mode": "stretch", "interpolation": "linear"},
    "normalize": {"scale": 0.004, "mean": [0, 0, 0], "std": [1, 1, 1]},
    "output": {"embedding_size": 128, "normalized": True},
    "files": {"model": "inference.json", "params": "inference.pdiparams"},
    "runtime": {"paddle": "3.3.1"},
    "max_cosine_distance": 0.25,
    "bfloat16": {"allowed": False},
}
FIELDS = sorted(
    [(key,) for key in SPEC] + [(k, inner) for k, v in SPEC.items() if isinstance(v, dict) for inner in v]
)


def opened(path: Path, read: Callable[[Path], Any]) -> Any:
    """What ``read`` makes of a file; None when it refuses it in one line that names it."""
    try:
        return read(path)
    except ValueError as error:
        message = str(error)
    assert path.stem in message
    assert len(message.splitlines()) == 1
    return None


@given(lines=st.lists(st.one_of(SANE, LINES), max_size=12))
def test_a_detection_file_is_read_or_refused_with_its_line(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "det.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    for detections in (opened(path, read_detections) or {}).values():
        assert np.isfinite(detections.boxes).all()
        assert ((detections.confidence >= 0) & (detections.confidence <= 1)).all()


@given(lines=st.lists(st.one_of(SANE, LINES), max_size=12))
@pytest.mark.parametrize("read", [read_ground_truth, read_tracks])
def test_a_track_file_is_read_or_refused_with_its_line(
    tmp_path: Path, read: Callable[[Path], TrackRecords], lines: list[str]
) -> None:
    path = tmp_path / "gt.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    table = opened(path, read)
    if table is not None:
        assert (table.frame >= 1).all()
        assert len(set(zip(table.frame.tolist(), table.ids.tolist(), strict=True))) == len(table)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("inf,-1,1,1,3,4,1", "NaN or infinity"),
        ("10000001,-1,1,1,3,4,1", "frame numbers must be whole numbers from 1 to 10000000"),
        ("1,-1,1e308,1,1e308,4,1", "a value beyond 1e[+]09"),
        ("1,1e19,1,1,3,4,1", "a value beyond 1e[+]09"),
    ],
)
def test_values_that_no_tracker_can_use_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "det.txt"
    path.write_text("1,-1,1,1,3,4,1\n" + line)
    for read in (read_detections, read_tracks):
        with pytest.raises(ValueError, match=f"line 2: {message}"):
            read(path)


@given(
    values=st.dictionaries(st.sampled_from(["frameRate", "seqLength", "imWidth", "name", "imDir"]), NUMBERS)
)
def test_a_seqinfo_is_read_or_refused(tmp_path: Path, values: dict[str, str]) -> None:
    path = tmp_path / "seqinfo.ini"
    path.write_text("[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in values.items()))
    info = opened(path, lambda ini: SequenceInfo.read(ini.parent))
    assert info is None or info.length is None or 0 <= info.length <= 10_000_000


@given(field=st.sampled_from(FIELDS), value=JSON)
def test_an_encoder_spec_is_read_or_refused_with_its_field(
    tmp_path: Path, field: tuple[str, ...], value: object
) -> None:
    document = json.loads(json.dumps(SPEC))
    inner = document
    for key in field[:-1]:
        inner = inner[key]
    inner[field[-1]] = value
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(document))
    spec = opened(path, EncoderSpec.read)
    assert spec is None or (spec.height >= 1 and 0 < spec.max_cosine_distance <= 2)


def test_json_nested_beyond_what_python_reads_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="encoder.json: not JSON"):
        EncoderSpec.read(path)


ANY_BOXES = arrays.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)))
CLOSE_BOXES = arrays.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(0, 60))


@given(boxes=ANY_BOXES)
def test_boxes_are_finite_or_refused(boxes: np.ndarray) -> None:
    if np.isfinite(boxes).all():
        assert len(Detections.of(boxes)) == len(boxes)
    else:
        with pytest.raises(ValueError, match="boxes must be finite"):
            Detections.of(boxes)


@given(
    frames=st.lists(
        st.one_of(ANY_BOXES, CLOSE_BOXES).filter(lambda boxes: np.isfinite(boxes).all()), max_size=8
    ),
    looks=st.integers(0, 2**32 - 1),
    plan=st.sampled_from(
        [{}, {"coast": 3}, {"n_init": 1, "iou_max_age": 9, "observation_centred": True}, {"max_age": 1}]
    ),
)
def test_any_finite_boxes_keep_the_tracker_sound(
    frames: list[np.ndarray], looks: int, plan: dict[str, Any]
) -> None:
    rng = np.random.default_rng(looks)
    tracker, born = DeepSort(**plan), set()
    for boxes in frames:
        detections = Detections.of(boxes, embeddings=rng.normal(size=(len(boxes), 4)).round(1))
        tracks = tracker.update(prepare_detections(detections))
        ids = tracks.ids.tolist()
        assert ids == sorted(set(ids))
        assert np.isfinite(tracks.boxes).all()
        assert tracks.detection_index.max(initial=-1) < len(boxes)
        taken = tracks.detection_index[tracks.detection_index >= 0]
        assert len(set(taken.tolist())) == len(taken)
        born.update(ids)
    assert max(born, default=0) <= sum(map(len, frames))


def test_boxes_of_overflowing_size_are_left_out() -> None:
    tracker = DeepSort(n_init=1)
    boxes = [[-1.7e308, 0, 1e308, 9], [0, 0, 10, 20], [0, 0, 5e9, 20]]
    tracker.update(Detections.of(boxes))
    assert tracker.update(Detections.of(boxes)).detection_index.tolist() == [1]


def test_embeddings_of_any_size_become_unit_rows() -> None:
    rows = Detections.of(np.zeros((3, 4)), embeddings=[[3e38, 3e38], [1e-3, 0], [0, 0]]).embeddings
    np.testing.assert_allclose(rows, [[2**-0.5, 2**-0.5], [1, 0], [0, 0]], rtol=1e-6)
    with pytest.raises(ValueError, match="embeddings must be finite"):
        Detections.of(np.zeros((1, 4)), embeddings=[[1e300, 0]])


@given(
    state=st.dictionaries(
        st.sampled_from(
            ["ids", "class_id", "hits", "confirmed", "states", "observed", "slots", "samples", "added"]
        ),
        arrays.arrays(
            st.sampled_from([np.float64, np.int64, np.bool_]), arrays.array_shapes(max_dims=3, max_side=4)
        ),
        min_size=1,
        max_size=2,
    )
)
def test_a_saved_tracker_with_other_columns_is_refused_or_goes_on(
    tmp_path: Path, state: dict[str, np.ndarray]
) -> None:
    path = tmp_path / "state.npz"
    tracker = DeepSort(n_init=1)
    seen = Detections.of([[0, 0, 10, 20], [40, 0, 50, 20]], embeddings=np.eye(2, 3))
    tracker.update(seen)
    tracker.save(path)
    with np.load(path) as archive:
        columns = dict(archive) | state
    with path.open("wb") as file:
        np.savez(file, **columns)
    loaded = opened(path, DeepSort.load)
    if loaded is not None:
        try:
            count = len(loaded.update(seen))
        except ValueError as error:
            # A file may hold galleries of another network, consistent in themselves.
            if "as in earlier frames" not in str(error):
                raise
            count = 0
        assert count <= 2


@given(
    frame=arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32, np.bool_]),
        arrays.array_shapes(max_dims=4, max_side=5),
    ),
    boxes=ANY_BOXES,
)
def test_crops_are_made_of_colour_images_only(frame: np.ndarray, boxes: np.ndarray) -> None:
    fits = frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and np.isfinite(boxes).all()
    if fits:
        assert crop_boxes(frame, boxes, 8, 4).shape == (len(boxes), 8, 4, 3)
    else:
        with pytest.raises(ValueError, match="(frame|boxes) must be"):
            crop_boxes(frame, boxes, 8, 4)


def grid_of_boxes(count: int) -> np.ndarray:
    """``(count, 4)`` boxes beside each other."""
    rows, columns = np.divmod(np.arange(count), 100)
    corners = np.column_stack([columns * 30.0, rows * 70.0])
    return np.hstack([corners, corners + np.array([20, 60])])


def test_ten_thousand_detections_in_a_frame_leave_the_others_alone() -> None:
    tracker = DeepSort(n_init=2)
    few, many = grid_of_boxes(20), grid_of_boxes(10_000)
    for boxes in (few, few, many, few):
        tracks = tracker.update(Detections.of(boxes))
    assert tracks.ids.tolist() == list(range(1, 21))
    assert tracks.frames_since_update.tolist() == [0] * 20


def test_a_thousand_people_keep_their_ids() -> None:
    tracker = DeepSort(n_init=2)
    for step in range(3):
        tracks = tracker.update(Detections.of(grid_of_boxes(1000) + step))
    assert tracks.ids.tolist() == list(range(1, 1001))
    assert (tracks.detection_index == np.arange(1000)).all()


def test_frames_of_any_kind_and_size_reach_every_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    ramp = np.linspace(0, 255, 64 * 48 * 4).reshape(48, 64, 4).astype(np.uint8)
    images = {
        "1.png": ramp[..., :3],
        "2.png": ramp[..., 0],
        "3.png": ramp,
        "4.png": ramp[..., :3].astype(np.uint16) * 257,
        "5.jpg": ramp[:17, :33, :3],
        "6.png": np.repeat(np.repeat(ramp[..., :3], 3, 0), 2, 1),
        "7.png": ramp[:1, :1, :3],
    }
    for name, image in images.items():
        (folder / name).write_bytes(cv2.imencode(name[1:], image)[1].tobytes())
    (folder / "8.png").write_bytes(b"")
    (folder / "9.png").write_bytes((folder / "1.png").read_bytes()[:60])
    det = tmp_path / "det.txt"
    det.write_text("".join(f"{n},-1,5,5,20,30,1\n{n},-1,-900,1e8,20,30,1\n" for n in range(1, 10)))
    out = tmp_path / "out"
    out.mkdir()
    arguments = [
        str(folder),
        "--detections",
        str(det),
        "--fps",
        "5",
        "--quiet",
        "--output",
        str(out / "t.txt"),
    ]
    arguments += ["--json", str(out / "t.json"), "--csv", str(out / "t.csv"), "--report", str(out / "t.html")]
    assert track([*arguments, "--save-crops", str(out / "crops"), "--zone", "z:0,0,9,0,9,9"]) == 0
    assert capsys.readouterr().err == ""
    assert {path.name for path in out.iterdir()} == {"t.txt", "t.json", "t.csv", "t.html", "t.mp4", "crops"}
    assert json.loads((out / "t.json").read_text())["summary"]["broken_frames"] == 2
    with open_source(out / "t.mp4") as video:
        assert [frame.number for frame in video] == list(range(1, 10))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 20 frames with a moving bar."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    with VideoWriter(path, fps=10) as writer:
        for number in range(20):
            image = np.full((48, 64, 3), 90, np.uint8)
            image[:, 3 * number : 3 * number + 4] = 255
            writer.write(image)
    return path


@given(share=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("layout", ["index in front", "fragments"])
def test_a_video_cut_anywhere_gives_what_it_has(
    video: Path, tmp_path: Path, layout: str, share: float
) -> None:
    content = video.read_bytes()
    if layout == "fragments":  # as deepsort-track leaves it when it is killed
        stored = io.BytesIO()
        flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        with av.open(str(video)) as source, av.open(stored, "w", format="mp4", options=flags) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        content = stored.getvalue()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(share * len(content))])
    numbers = opened(path, numbers_of)
    if numbers is not None:
        assert 1 <= len(numbers) <= 20
        assert numbers == list(range(1, len(numbers) + 1))


def numbers_of(path: Path) -> list[int]:
    """The frame numbers of a video."""
    with open_source(path) as source:
        return [frame.number for frame in source]


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, its checksum left 0: OpenCV does not look at it."""
    return len(content).to_bytes(4, "big") + kind + content + bytes(4)


def test_a_image_that_promises_more_than_it_holds_is_broken_not_filled(tmp_path: Path) -> None:
    """OpenCV filled 3.6 GB for 133 damaged bytes, and raised its own error above 2**30 pixels."""
    sides = [(96, 9_000_000), (40_000, 40_000)]
    length = (2_700_000_000).to_bytes(4, "big")
    (tmp_path / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + length + b"IDAT")
    for number, (width, height) in enumerate(sides, start=2):
        head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"x\x9c") + chunk(b"IEND", b"")
        (tmp_path / f"{number}.png").write_bytes(content)
    (tmp_path / "1.png").write_bytes(cv2.imencode(".png", np.zeros((2000, 2000), np.uint8))[1].tobytes())
    with open_source(tmp_path) as source:
        assert [frame.image is None for frame in source] == [False, True, True, True]


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_a_header_of_gigabytes_is_a_broken_image(tmp_path: Path, suffix: str) -> None:
    """A hundred such JPEGs and BMPs of 30,000 x 30,000 pixels took 23 s and 6 GB."""
    fine = bytearray(cv2.imencode(suffix, np.full((40, 50, 3), 90, np.uint8))[1].tobytes())
    (tmp_path / f"1{suffix}").write_bytes(fine)
    at = fine.index(b"\xff\xc0") + 5 if suffix == ".jpg" else 18
    size = 2 if suffix == ".jpg" else 4
    fine[at : at + 2 * size] = 2 * (30_000).to_bytes(size, "big" if suffix == ".jpg" else "little")
    (tmp_path / f"2{suffix}").write_bytes(fine)
    with open_source(tmp_path) as source:
        assert [frame.image is None for frame in source] == [False, True]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_no_image_whatever_its_name(tmp_path: Path) -> None:
    """Reading a pipe waited for ever, reading /dev/zero had no end."""
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((8, 8, 3), np.uint8))
    os.mkfifo(tmp_path / "1.png")
    (tmp_path / "3.png").symlink_to("/dev/zero")
    (tmp_path / "4.png").mkdir()
    for number, target in ((5, "5.png"), (6, "nowhere")):
        (tmp_path / f"{number}.png").symlink_to(target)
    with open_source(tmp_path) as source:
        assert [frame.image is None for frame in source] == [False, True, True]


def test_a_sequence_whose_file_names_count_too_far_is_refused(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    for number in ("000001", "9" * 18):
        cv2.imwrite(str(tmp_path / "img1" / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match=r"9{18}.png: frame numbers go up to 10000000, got 9{18}$"):
        open_source(tmp_path)


def test_links_in_a_circle_end_in_one_line_or_are_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("circle", "o.csv"):
        (tmp_path / name).symlink_to(name)
    assert track([str(tmp_path / "circle"), "--quiet"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "det.txt").write_text("1,-1,1,1,4,4,1\n")
    words = [str(tmp_path), "--detections", str(tmp_path / "det.txt"), "--reid", "none", "--quiet"]
    assert track([*words, "--csv", str(tmp_path / "o.csv")]) == 0
    assert (tmp_path / "o.csv").read_text().startswith("frame,")


def test_a_image_that_is_gone_since_it_was_listed_is_broken(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(
            cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
        )
    with open_source(tmp_path) as source:
        (tmp_path / "2.png").unlink()
        assert [frame.image is None for frame in source] == [False, True]
        assert source.broken == 1
