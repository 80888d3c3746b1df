"""``--index`` and ``--identities`` of ``deepsort-track``."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import PersonIndex, TrackIndex, track_video
from deepsort_paddle.cli import track
from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.people.index_file import connect
from deepsort_paddle.structures import Detections
from deepsort_paddle.tracked_frame import TrackedFrame

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


def run_twice(clip: Path, folder: Path, **options: object) -> tuple[Path, Path]:
    """Folders of the same run without and with identities."""
    for name in ("plain", "people"):
        (folder / name).mkdir()
        track_video(
            clip,
            detector=detect,
            reid=MeanColor(),
            identities=name == "people",
            max_age=3,
            **{option: folder / name / f"a.{option}" for option in ("csv", "json", "output")},
            lines=["door:0,0.5,1,0.5"],
            **options,  # type: ignore[arg-type]
        )
    return folder / "plain", folder / "people"


@pytest.mark.parametrize("offline", [False, True])
def test_identities_add_the_person_and_change_nothing_else(clip: Path, tmp_path: Path, offline: bool) -> None:
    plain, people = run_twice(clip, tmp_path, offline=offline)
    assert (plain / "a.output").read_bytes() == (people / "a.output").read_bytes()
    rows = list(csv.DictReader((people / "a.csv").read_text().splitlines()))
    persons = {row["id"]: row.pop("person") for row in rows}
    assert rows == list(csv.DictReader((plain / "a.csv").read_text().splitlines()))
    assert len(set(persons.values())) == 2
    before, after = (json.loads((path / "a.json").read_text()) for path in (plain, people))
    found = {
        str(track["id"]): str(track.pop("person")) for frame in after["frames"] for track in frame["tracks"]
    }
    assert found == persons == {key: str(one) for key, one in after["summary"]["person_of_track"].items()}
    assert before["frames"] == after["frames"]
    assert before["meta"] == after["meta"]
    (line,) = after["summary"]["counts"]["lines"]
    del line["people"]
    assert [line] == before["summary"]["counts"]["lines"]


def test_text_has_the_ids_of_persons_on_request(clip: Path, tmp_path: Path) -> None:
    track_video(
        clip,
        detector=detect,
        reid=MeanColor(),
        identities=True,
        max_age=3,
        output=tmp_path / "a.txt",
        output_ids="person",
        save_crops=tmp_path / "crops",
        save_video=tmp_path / "a.mp4",
    )
    ids = {line.split(",")[1] for line in (tmp_path / "a.txt").read_text().splitlines()}
    assert ids == {"1", "2"}
    assert sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "crops").glob("*/*")) == [
        "crops/1/1",
        "crops/1/3",
        "crops/2/2",
    ]
    with open_source(str(tmp_path / "a.mp4")) as video:
        assert sum(1 for _ in video) == FRAMES


def test_ids_of_persons_need_identities(
    clip: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert track([str(clip), "--output", str(tmp_path / "a.txt"), "--output-ids", "person"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--output-ids person needs --identities" in line


def test_a_run_that_is_stopped_keeps_its_people(clip: Path, tmp_path: Path) -> None:
    class Interrupt:
        def __call__(self, tracked: TrackedFrame) -> None:
            if tracked.frame.number == 30:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track_video(
            clip,
            detector=detect,
            reid=MeanColor(),
            identities=True,
            max_age=3,
            csv=tmp_path / "a.csv",
            index=tmp_path / "a.sqlite",
            on_frame=Interrupt(),
        )
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert rows[-1]["frame"] == "30"
    assert {row["person"] for row in rows} == {"1", "2"}
    with pytest.raises(ValueError, match="stopped before the end"):
        TrackIndex.read(tmp_path / "a.sqlite")


def test_answers_are_passed_on_to_the_next_video_of_the_camera(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    common: dict[str, Any] = {"detector": detect, "reid": MeanColor(), "preset": "deepsort", "max_age": 3}
    track_video(clip, **common, identities=True, index="monday.sqlite")
    with closing(connect(Path("monday.sqlite"), write=True)) as database, database:
        database.execute("UPDATE meta SET value = '-4.0' WHERE key = 'link_shift'")
    for name, same_camera in (("plain", None), ("taught", "monday.sqlite")):
        track_video(clip, **common, identities=True, index=f"{name}.sqlite", same_camera=same_camera)
    plain, taught = (TrackIndex.read(f"{name}.sqlite") for name in ("plain", "taught"))
    assert (taught.meta.camera_shift, taught.meta.link_shift) == (-4.0, -4.0)
    assert len(set(taught.persons.tolist())) > len(set(plain.persons.tolist()))


def test_the_index_of_the_camera_must_be_of_the_same_model(clip: Path, tmp_path: Path) -> None:
    common: dict[str, Any] = {"detector": detect, "preset": "deepsort"}
    track_video(clip, **common, reid=MeanColor(), index=tmp_path / "monday.sqlite")

    class Other(MeanColor):
        """Another model."""

    with pytest.raises(ValueError, match="made with the model MeanColor .* this run uses Other"):
        track_video(
            clip, **common, reid=Other(), identities=True, same_camera=str(tmp_path / "monday.sqlite")
        )
    seen: list[int] = []
    with pytest.raises(FileNotFoundError, match=r"missing\.sqlite"):
        track_video(
            clip,
            detector=lambda number, _: (seen.append(number), Detections.empty())[1],
            reid=MeanColor(),
            identities=True,
            offline=True,
            same_camera=str(tmp_path / "missing.sqlite"),
        )
    assert seen == []
    with pytest.raises(ValueError, match="--same-camera needs --identities"):
        track_video(clip, **common, same_camera=str(tmp_path / "monday.sqlite"))


def test_hours_to_keep_are_for_cameras(clip: Path, tmp_path: Path) -> None:
    common: dict[str, Any] = {"detector": detect, "reid": MeanColor(), "keep_hours": 2}
    with pytest.raises(ValueError, match="--keep-hours is for cameras and streams, .* has an end"):
        track_video(clip, **common, identities=True)
    with pytest.raises(ValueError, match="--keep-hours is for --index and --identities"):
        track_video(clip, **common)
