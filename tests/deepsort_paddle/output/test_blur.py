"""Blurred people: what is hidden, for how long, and that no output gets anything else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle.command.parser import parse
from deepsort_paddle.command.track import track_video
from deepsort_paddle.frames import Frame
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.output.blur import PersonBlur
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.structures import Detections, Tracks
from deepsort_paddle.tracked_frame import StageSeconds, TrackedFrame

# A checkerboard of single pixels: wherever it is blurred it is grey.
BOARD = np.repeat(255 * (np.indices((200, 300)).sum(axis=0) % 2)[..., None], 3, axis=2).astype(np.uint8)
SECONDS = StageSeconds(0, 0, 0, 0)


def frame(boxes: Any, classes: list[int] | None = None, tracks: Tracks | None = None) -> TrackedFrame:
    found = Detections.of(np.array(boxes, float).reshape(-1, 4))
    if classes is not None:
        found = Detections(found.boxes, found.confidence, np.array(classes))
    return TrackedFrame(Frame(1, BOARD, 0.0), found, Tracks.empty() if tracks is None else tracks, SECONDS)


def hidden(tracked: TrackedFrame) -> NDArray[np.bool_]:
    """Which pixels are no longer of the board, ``(H, W)``."""
    assert tracked.frame.image is not None
    return (np.abs(tracked.frame.image.astype(int) - BOARD) > 60).all(axis=2)


def test_a_person_is_hidden_from_head_to_foot_and_nothing_else() -> None:
    gone = hidden(PersonBlur("person")(frame([[100, 40, 140, 160]])))
    assert gone[40:160, 100:140].all()
    assert not gone[:, :95].any()
    assert not gone[:, 145:].any()
    assert (BOARD[::2, ::2] == 0).all()  # the frame itself is untouched


def test_only_the_head_is_hidden_by_default() -> None:
    gone = hidden(PersonBlur()(frame([[100, 40, 140, 160]])))
    assert gone[40:70, 100:140].all()
    assert not gone[75:].any()


def test_more_is_taken_for_the_head_of_somebody_who_is_cut_off_below() -> None:
    gone = hidden(PersonBlur()(frame([[100, 140, 180, 200]])))
    assert gone[140:180, 100:180].all()


def test_a_missed_person_stays_hidden_for_some_frames() -> None:
    blur = PersonBlur("person")
    blur(frame([[100, 40, 140, 160]]))
    seen = [hidden(blur(frame([])))[100, 120] for _ in range(20)]
    assert seen == [True] * 12 + [False] * 8
    blur(frame([[100, 40, 140, 160]]))
    gone = hidden(blur(frame([[110, 40, 150, 160]])))  # moved on
    assert not gone[:, :105].any()


def test_tracks_without_a_detection_are_hidden_too() -> None:
    ids = np.array([1])
    lost = Tracks(ids, np.array([[10.0, 20, 40, 90]]), np.ones(1, np.float32), ids * 0, ids * 0 - 1, ids)
    assert hidden(PersonBlur("person")(frame([], tracks=lost)))[20:90, 10:40].all()


def test_other_classes_stay_as_they_are() -> None:
    blur = PersonBlur("person", classes=[0])
    gone = hidden(blur(frame([[10, 20, 40, 90], [100, 20, 140, 90]], classes=[0, 2])))
    assert gone[20:90, 10:40].all()
    assert not gone[:, 60:].any()


@pytest.mark.parametrize("box", [[5, 5, 6, 6], [-50, -50, -10, -10], [290, 190, 400, 400], [0, 0, 300, 200]])
@pytest.mark.parametrize("part", ["head", "person"])
def test_any_box_will_do(box: list[float], part: str) -> None:
    image = PersonBlur(part)(frame([box])).frame.image
    assert image is not None
    assert image.shape == BOARD.shape


def test_a_frame_without_an_image_passes() -> None:
    blank = TrackedFrame(Frame(1, None, 0.0), Detections.empty(), Tracks.empty(), SECONDS)
    assert PersonBlur()(blank) is blank
    with pytest.raises(ValueError, match="part must be head or person, got 'foot'"):
        PersonBlur("foot")


def test_no_output_of_a_run_shows_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.full((120, 160, 3), 128, np.uint8)
    image[20:100, 60:100] = np.where(np.indices((80, 40)).sum(axis=0)[..., None] % 16 < 8, 0, 255)
    with VideoWriter("clip.mp4", fps=10) as video:
        for _ in range(12):
            video.write(image)
    Path("det.txt").write_text("".join(f"{n},-1,61,21,40,80,0.9\n" for n in range(1, 13)))
    seen: list[NDArray[np.uint8]] = []

    def encode(image: Any, boxes: Any) -> Any:
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(boxes), 1))

    encode.encode_batch = lambda images, boxes: [  # type: ignore[attr-defined]
        encode(image, rows) for image, rows in zip(images, boxes, strict=True)
    ]
    for name, options in (("a", {}), ("b", {"offline": True}), ("c", {"identities": True})):
        track_video(
            "clip.mp4",
            detections="det.txt",
            reid=encode,  # type: ignore[arg-type]
            blur="person",
            save_video=f"{name}.mp4",
            save_crops=name,
            index=f"{name}.sqlite",
            on_frame=lambda tracked: seen.append(tracked.frame.image),
            **options,
        )
        crops = [cv2.imread(str(path)) for path in Path(name).rglob("*.jpg")]
        with closing(sqlite3.connect(f"{name}.sqlite")) as database:
            jpegs = [row[0] for row in database.execute("SELECT jpeg FROM thumbnails")]
        crops += [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs]
        assert len(crops) > len(jpegs) > 0
        video = cv2.VideoCapture(f"{name}.mp4")
        shown = [video.read()[1][30:90, 66:94] for _ in range(12)]  # the first ones are of no track yet
        video.release()
        for crop in (*crops, *shown, *(image[22:98, 62:98] for image in seen)):
            assert crop[5:-5, 5:-5].std() < 40  # of the stripes: 127


def test_the_option_stands_alone_or_names_the_part() -> None:
    for words, part in ((["--blur", "a.mp4"], "head"), (["--blur", "person", "a.mp4"], "person")):
        plan = parse(words)
        assert isinstance(plan, RunPlan)
        assert (plan.source, plan.blur) == ("a.mp4", part)
    assert parse(["a.mp4", "--blur=head"]).blur == "head"  # type: ignore[union-attr]
    assert parse(["a.mp4"]).blur is None  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="--blur"):
        parse(["a.mp4", "--blur=foot"])
