"""``--index`` and ``--identities`` of ``deepsort-track``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import PersonIndex, TrackIndex, track_video
from deepsort_paddle.cli import track
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.structures import Detections

FRAMES = 40
GAP = range(16, 24)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of somebody who is hidden for a while, and of somebody else who is not."""
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as writer:
        for number in range(1, FRAMES + 1):
            image = np.full((120, 200, 3), 128, np.uint8)
            image[20:100, 20:50] = (30, 60, 220) if number not in GAP else 128
            image[20:100, 130:160] = (200, 90, 20)
            writer.write(image)
    return tmp_path / "clip.mp4"


def detect(number: int, image: NDArray[np.uint8] | None) -> Detections:
    """Both people, by place."""
    boxes = [[20, 20, 50, 100], [130, 20, 160, 100]]
    return Detections.of(boxes[1:] if number in GAP else boxes)


class MeanColor:
    """An appearance model: the mean colour of a box."""

    max_cosine_distance = 0.2

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        means = [frame[30:90, int(x1) + 5 : int(x2) - 5].mean(axis=(0, 1)) for x1, _, x2, _ in boxes]
        rows = np.array(means, np.float32).reshape(-1, 3) - 80
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def encode_batch(
        self, frames: Iterable[NDArray[np.uint8]], boxes: Iterable[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        return [self(frame, box) for frame, box in zip(frames, boxes, strict=True)]


@pytest.mark.parametrize("offline", [False, True])
def test_a_person_who_was_hidden_is_one_person(clip: Path, tmp_path: Path, offline: bool) -> None:
    index, document = tmp_path / "clip.sqlite", tmp_path / "clip.json"
    options = {"max_age": 3, "max_cosine_distance": 0.2} if not offline else {"max_age": 3}
    result = track_video(
        clip,
        detector=detect,
        reid=MeanColor(),
        index=index,
        json=document,
        identities=True,
        offline=offline,
        preset="deepsort",
        **options,
    )
    read = TrackIndex.read(index)
    assert read.meta.finished
    assert read.meta.name == "clip"
    assert result.people == 2
    assert len(set(read.persons.tolist())) == 2
    summary = json.loads(document.read_text())["summary"]
    assert summary["people"] == 2
    assert len(summary["person_of_track"]) == len(result.ids) == (2 if offline else 3)
    assert len(read.thumbnails([(int(read.ids[0]), int(read.moment_frames[0]))])) == 1
    assert len(PersonIndex.open([tmp_path])) == len(result.ids)


def test_people_are_counted_without_an_index(clip: Path, tmp_path: Path) -> None:
    result = track_video(clip, detector=detect, reid=MeanColor(), identities=True, max_age=3)
    assert (len(result.ids), result.people) == (3, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4"]


def test_without_identities_nobody_is_joined(clip: Path, tmp_path: Path) -> None:
    result = track_video(clip, detector=detect, reid=MeanColor(), index=tmp_path / "a.sqlite", max_age=3)
    assert result.people is None
    index = TrackIndex.read(tmp_path / "a.sqlite")
    assert index.persons.tolist() == index.ids.tolist()


@pytest.mark.parametrize("option", [["--index", "a.sqlite"], ["--identities"]])
def test_an_index_needs_an_appearance_model(
    clip: Path, option: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clip.parent)
    assert track([str(clip), "--reid", "none", "--output", "a.txt", *option]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{option[0]} needs an appearance model" in line
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4"]


def test_the_index_never_replaces_the_video(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert track([str(clip), "--index", str(clip)]) == 2
    assert "would replace an input" in capsys.readouterr().err
