"""Detection files that no setting of the tracker tracks well are noticed, with the option that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.detection.file_checks import file_warnings
from deepsort_paddle.frames import Frame, FrameSource, Tally
from deepsort_paddle.media.source import VideoWriter, open_source
from deepsort_paddle.structures import Detections


def source_of(numbers: Sequence[int] | None, count: int = 30) -> FrameSource:
    frames = (Frame(number, None, None) for number in (numbers or range(1, count + 1)))
    total = count if numbers is None else len(numbers)
    return FrameSource(
        frames, Tally(), name="clip", frame_count=total, has_images=False, frame_numbers=numbers
    )


def boxes_on(frames: Sequence[int], *, copies: int = 1, score: float | None = None) -> dict[int, Detections]:
    """Two people, ``copies`` boxes each, on ``frames``; scores differ unless one is given."""
    rng = np.random.default_rng(0)
    box = np.array([[10.0, 10, 30, 60], [100, 10, 120, 60]])
    found = {}
    for number in frames:
        boxes = np.vstack([box + 0.3 * copy for copy in range(copies)])
        scores = rng.uniform(0.5, 1, len(boxes)) if score is None else np.full(len(boxes), score)
        found[number] = Detections.of(boxes, scores)
    return found


@pytest.mark.parametrize(
    ("frames", "numbers", "option"),
    [
        (range(1, 31, 5), None, "--stride 5 "),
        (range(5, 31, 5), None, "--stride 5:5 "),
        (range(1, 31, 2), None, "--stride 2 "),
        ([1, 6, 11, 21, 26], None, None),  # no regular step
        ([1, 6, 11, 16, 21, 26, 31, 41], None, "--stride 5 "),  # nobody was there once
        (range(372, 402, 3), range(372, 402), "--stride 3 "),
        (range(374, 402, 3), range(372, 402), "--stride 3:374 "),
        (range(5, 151, 10), tuple(range(5, 151, 5)), "--stride 2 "),
        (range(5, 151, 5), tuple(range(5, 151, 5)), None),  # the detector ran on all images there are
        (range(1, 31), None, None),
        ([1, 4, 7], None, None),
        ([7], None, None),
    ],
)
def test_a_detector_that_ran_on_every_nth_frame_is_noticed(
    frames: Sequence[int], numbers: Sequence[int] | None, option: str | None
) -> None:
    warnings = file_warnings(boxes_on(frames), source_of(numbers, max(30, *frames)))
    assert len(warnings) == (option is not None)
    assert all(option in warning for warning in warnings if option)


def test_boxes_without_suppression_are_noticed() -> None:
    (warning,) = file_warnings(boxes_on(range(1, 31), copies=2), source_of(None))
    assert warning.startswith("100 % of the detections lie on another one of their frame")
    assert "--nms 0.7" in warning


def test_equal_scores_are_noticed() -> None:
    (warning,) = file_warnings(boxes_on(range(1, 31), score=0.5), source_of(None))
    assert warning.startswith("all 60 detections have the score 0.5: neither --min-confidence nor")


@pytest.mark.parametrize(
    ("frames", "numbers", "text"),
    [
        (range(1, 36), None, "from frame 1 to 35, clip has frames 1 to 30: those of 5 frames are not used"),
        (range(40, 50), None, "clip has frames 1 to 30: none is used; give the file of this video"),
        (range(1, 13), range(372, 384), "clip has frames 372 to 383: none is used"),
        (range(370, 384), range(372, 384), "those of 2 frames are not used"),
    ],
)
def test_detections_of_frames_that_do_not_exist_are_noticed(
    frames: range, numbers: range | None, text: str
) -> None:
    (warning,) = file_warnings(boxes_on(frames), source_of(numbers))
    assert text in warning


def test_a_file_without_detections_raises_no_warning() -> None:
    assert file_warnings({}, source_of(None)) == []
    assert file_warnings({3: Detections.empty()}, source_of(None)) == []


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, list[str]]]:
    """Function (rows of a detection file, options) to the notes and the rows of the results."""
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as video:
        for number in range(30):
            video.write(np.full((48, 160, 3), 5 * number, np.uint8))

    def call(rows: list[str], *options: str) -> tuple[str, list[str]]:
        (tmp_path / "det.txt").write_text("\n".join(rows))
        arguments = [str(tmp_path / "clip.mp4"), "--detections", str(tmp_path / "det.txt"), "--reid", "none"]
        arguments += ["--preset", "deepsort"]
        assert track([*arguments, "--output", str(tmp_path / "o.txt"), "--overwrite", *options]) == 0
        return capsys.readouterr().err, (tmp_path / "o.txt").read_text().splitlines()

    return call


def rows_on(frames: Sequence[int], copies: int = 1) -> list[str]:
    return [
        f"{frame},-1,{left + frame + 0.3 * copy},9,19,30,{0.6 + frame / 100 + copy / 1000}"
        for frame in frames
        for left in (10, 80)
        for copy in range(copies)
    ]


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(("first", "option"), [(1, "5"), (5, "5:5")])
def test_the_option_that_a_note_names_tracks_every_nth_frame(
    run: Callable[..., tuple[str, list[str]]], first: int, option: str, offline: bool
) -> None:
    frames = range(first, 31, 5)
    notes, rows = run(rows_on(frames))
    assert "detections on 6 of 30 frames only, every 5 frames: " in notes
    assert f"--stride {option} tracks these frames only\n" in notes
    assert "no track was confirmed: 12 detections in 6 of 30 frames" in notes
    assert "3 frames in a row (--n-init)\n" in notes
    assert rows == []
    notes, rows = run(rows_on(frames), "--stride", option, *(["--offline"] if offline else []))
    assert notes == ""
    assert {row.split(",")[1] for row in rows} == {"1", "2"}
    confirmed = 0 if offline else 2  # offline, a track is reported from its first detection
    assert {int(row.split(",")[0]) for row in rows} == set(frames[confirmed:])


def test_the_option_that_a_note_names_drops_duplicates(run: Callable[..., tuple[str, list[str]]]) -> None:
    notes, rows = run(rows_on(range(1, 31), copies=2))
    assert "--nms 0.7" in notes
    assert len({row.split(",")[1] for row in rows}) == 4
    notes, rows = run(rows_on(range(1, 31), copies=2), "--nms", "0.7")
    assert notes == ""
    assert len({row.split(",")[1] for row in rows}) == 2


def test_every_nth_frame_keeps_numbers_times_and_rate(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as video:
        for number in range(10):
            video.write(np.full((48, 96, 3), 5 * number, np.uint8))
    with open_source(tmp_path / "clip.mp4") as whole:
        source = whole.every(4, 2)
        frames = list(source)
    assert [(frame.number, round(frame.timestamp or 0, 6)) for frame in frames] == [
        (2, 0.1),
        (6, 0.5),
        (10, 0.9),
    ]
    assert (source.fps, source.frame_count, source.first_frame, source.last_frame) == (2.5, 3, 2, 10)
    with open_source(tmp_path / "clip.mp4") as whole:
        with pytest.raises(ValueError, match="clip has frames 1 to 10, got first frame 11"):
            whole.every(2, 11)
        with pytest.raises(ValueError, match="every must be 1 or more, got 0"):
            whole.every(0)


@pytest.mark.parametrize("arguments", [["--stride", "0"], ["--stride", "5:0"], ["--nms", "1.5"]])
def test_wrong_options_end_in_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert track(["clip.mp4", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
