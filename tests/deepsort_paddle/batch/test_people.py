"""People across the videos of a run."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepsort_paddle import PersonIndex, TrackIndex, track_video, track_videos
from deepsort_paddle.batch.video_result import VideoResult
from deepsort_paddle.cli import track
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.people.videos import join_videos
from deepsort_paddle.structures import Detections

FRAMES, PLACES = 12, (10, 80, 150)
# The people of each video, from left to right; each has a colour of a palette.
FILMS = {"door": (0, 1, 2), "yard": (3, 0, 4)}
DIMENSIONS = 16


class Palette:
    """An appearance model that knows the palette: one axis for each colour, with a little noise."""

    max_cosine_distance = 0.3

    def __call__(self, frame: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.float32]:
        rows = np.zeros((len(boxes), DIMENSIONS), np.float32)
        for row, (x1, y1, x2, y2) in zip(rows, boxes.astype(int).tolist(), strict=True):
            pixels = frame[y1:y2, x1:x2]
            row[round(float(pixels[..., 2].mean()) / 40)] = 1.0
            row += 0.05 * np.random.default_rng(int(pixels.sum())).normal(size=DIMENSIONS).astype(np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def encode_batch(
        self, frames: Iterable[NDArray[np.uint8]], boxes: Iterable[NDArray[np.float64]]
    ) -> list[NDArray[np.float32]]:
        return [self(frame, box) for frame, box in zip(frames, boxes, strict=True)]


def detect(number: int, image: NDArray[np.uint8] | None) -> Detections:
    """Somebody at each place."""
    return Detections.of([[x, 20, x + 30, 100] for x in PLACES])


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The videos, and ``det`` with their detections and embeddings."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "det").mkdir()
    for name, people in FILMS.items():
        with VideoWriter(folder / f"{name}.mp4", fps=10) as writer:
            for _ in range(FRAMES):
                image = np.full((120, 200, 3), 128, np.uint8)
                for x, person in zip(PLACES, people, strict=True):
                    image[20:100, x : x + 30] = (0, 0, 40 * person)
                writer.write(image)
        track_video(
            folder / f"{name}.mp4",
            detector=detect,
            reid=Palette(),
            preset="deepsort",
            save_detections=folder / "det" / f"{name}.npz",
        )
    return folder


@pytest.fixture
def desk(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inline: None) -> Path:
    """A working directory with the videos, where runs over many videos use no processes."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*videos: str) -> list[VideoResult]:
    """Track the videos and join their people."""
    return track_videos(
        [f"{name}.mp4" for name in videos],
        detections="det",
        preset="deepsort",
        identities=True,
        save_dir="out",
        csv="out/{name}.csv",
        json="out/{name}.json",
        workers=1,
    )


def test_a_person_of_two_videos_has_one_number_in_every_output(desk: Path) -> None:
    door, yard = run("door", "yard")
    assert door.persons == {1: 1, 2: 2, 3: 3}
    assert yard.persons == {1: 4, 2: 1, 3: 5}
    for result, persons in ((door, door.persons), (yard, yard.persons)):
        rows = csv.DictReader(Path("out", f"{result.name}.csv").read_text().splitlines())
        assert {int(row["id"]): int(row["person"]) for row in rows} == persons
        summary = json.loads(Path("out", f"{result.name}.json").read_text())["summary"]
        assert {int(one): person for one, person in summary["person_of_track"].items()} == persons
        index = TrackIndex.read(Path("out", f"{result.name}.sqlite"))
        assert dict(zip(index.ids.tolist(), index.persons.tolist(), strict=True)) == persons
    document = json.loads(Path("out/people.json").read_text())
    assert document["people"] == 5
    assert document["persons"][0] == {
        "person": 1,
        "tracks": [{"video": "door", "track": 1}, {"video": "yard", "track": 2}],
    }


def test_a_search_sees_the_same_numbers(desk: Path) -> None:
    run("door", "yard")
    people = PersonIndex.open(["out"])
    (hit,) = people.search(people.embeddings_of("out/door.sqlite", 1), tracks=[("out/door.sqlite", 1)]).hits
    assert (hit.video, hit.track, hit.person) == ("yard", 2, 1)


def test_the_same_command_does_nothing_twice_and_a_further_video_joins_the_others(desk: Path) -> None:
    run("door", "yard")
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.csv")}
    assert [result.status for result in run("door", "yard")] == ["done before", "done before"]
    assert {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.csv")} == before
    shutil.copy("door.mp4", "alley.mp4")
    shutil.copy("det/door.npz", "det/alley.npz")
    alley, door, yard = run("alley", "door", "yard")
    assert [alley.status, door.status, yard.status] == ["done", "done before", "done before"]
    assert (alley.persons, door.persons, yard.persons) == (
        {1: 1, 2: 2, 3: 3},
        {1: 1, 2: 2, 3: 3},
        {1: 4, 2: 1, 3: 5},
    )


def test_corrections_of_a_video_are_not_discarded_by_the_next_run(desk: Path) -> None:
    run("door", "yard")
    said = {"kind": "deepsort-paddle corrections", "format": 1, "names": {"1": "Anna"}}
    Path("c.json").write_text(json.dumps(said))
    assert track(["door.mp4", "--apply", "c.json", "--index", "out/door.sqlite", "--quiet"]) == 0
    with pytest.raises(
        ValueError, match="door: .*sqlite has corrections, which tracking again would discard"
    ):
        run("door", "yard")
    assert TrackIndex.read("out/door.sqlite").meta.corrections is not None


def correct(video: str, names: dict[str, str]) -> None:
    """Apply names of tracks to one of the videos."""
    said = {"kind": "deepsort-paddle corrections", "format": 1, "names": names}
    Path("c.json").write_text(json.dumps(said))
    words = ["--apply", "c.json", "--index", f"out/{video}.sqlite", "--quiet"]
    assert track([f"{video}.mp4", *words]) == 0


def persons_of(video: str) -> tuple[dict[int, int], dict[int, str]]:
    """Person of each track, and names, as index, CSV and JSON of a video say."""
    index = TrackIndex.read(Path("out", f"{video}.sqlite"))
    persons = dict(zip(index.ids.tolist(), index.persons.tolist(), strict=True))
    rows = csv.DictReader(Path("out", f"{video}.csv").read_text().splitlines())
    assert {int(row["id"]): int(row["person"]) for row in rows} == persons
    summary = json.loads(Path("out", f"{video}.json").read_text())["summary"]
    assert {int(track): person for track, person in summary["person_of_track"].items()} == persons
    names = {int(person): name for person, name in summary.get("names", {}).items()}
    assert names == dict(index.names)
    return persons, names


def test_corrections_of_a_video_reach_the_others(desk: Path) -> None:
    run("door", "yard")
    correct("door", {"1": "Anna"})
    assert persons_of("door") == ({1: 1, 2: 2, 3: 3}, {1: "Anna"})
    assert persons_of("yard") == ({1: 4, 2: 1, 3: 5}, {1: "Anna"})
    correct("yard", {"2": "Bob", "3": "Cleo"})  # who is not Anna
    assert persons_of("door") == ({1: 1, 2: 2, 3: 3}, {1: "Anna"})
    assert persons_of("yard") == ({1: 4, 2: 5, 3: 6}, {5: "Bob", 6: "Cleo"})
    document = json.loads(Path("out/people.json").read_text())
    assert {one["person"]: one.get("name") for one in document["persons"]} == {
        **dict.fromkeys(range(1, 7)),
        **{1: "Anna", 5: "Bob", 6: "Cleo"},
    }
    correct("door", {"1": "Anna", "3": "Cleo"})  # tracks of one name are one person, in two videos too
    assert persons_of("door")[0][3] == persons_of("yard")[0][3]
    correct("yard", {})
    assert persons_of("yard") == ({1: 4, 2: 1, 3: 5}, {1: "Anna"})


def test_a_video_whose_results_were_moved_is_numbered_alone(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("door", "yard")
    Path("out/people.json").rename("people.json")
    said = {"kind": "deepsort-paddle corrections", "format": 1, "names": {"2": "Anna"}}
    Path("c.json").write_text(json.dumps(said))
    assert track(["yard.mp4", "--apply", "c.json", "--index", "out/yard.sqlite"]) == 0
    assert "does not list out/yard.sqlite: persons are numbered within this video" in capsys.readouterr().err
    assert persons_of("yard") == ({1: 1, 2: 2, 3: 3}, {2: "Anna"})


def test_another_video_that_cannot_be_written_again_is_named(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("door", "yard")
    said = {"kind": "deepsort-paddle corrections", "format": 1, "names": {"1": "Anna"}}
    Path("c.json").write_text(json.dumps(said))
    Path("yard.mp4").rename("moved.mp4")
    assert track(["door.mp4", "--apply", "c.json", "--index", "out/door.sqlite"]) == 0
    assert "yard: its outputs still have the former persons: " in capsys.readouterr().err
    assert persons_of("door")[1] == {1: "Anna"}
    Path("moved.mp4").rename("yard.mp4")
    assert track(["door.mp4", "--apply", "c.json", "--index", "out/door.sqlite"]) == 0
    assert persons_of("yard")[1] == {1: "Anna"}


def test_the_command_sums_up_all_videos_in_a_line(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--detections", "det", "--preset", "deepsort", "--identities", "--save-dir", "out"]
    assert track(["door.mp4", "yard.mp4", *words, "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "6 tracks, 5 people" in printed
    assert "in 2 videos; who is who: out/people.json" in printed
    assert printed.splitlines()[0].split() == ["video", "frames", "ids", "people", "seconds", "status"]


def test_a_video_whose_outputs_cannot_be_written_again_has_failed(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr("deepsort_paddle.batch.worker.rewrite_outputs", fail)
        door, yard = run("door", "yard")
    assert door.status == "done"  # its numbers are the same with all videos
    assert (yard.status, yard.error) == ("failed", "no space left")
    assert [result.status for result in run("door", "yard")] == ["done before", "done before"]
    summary = json.loads(Path("out/yard.json").read_text())["summary"]
    assert set(summary["person_of_track"].values()) == {1, 4, 5}


def test_indexes_of_two_models_are_not_joined(desk: Path) -> None:
    track_video("door.mp4", detector=detect, reid=Palette(), index="a.sqlite", preset="deepsort")
    run("yard")
    with pytest.raises(ValueError, match="can't be compared"):
        join_videos({"a": Path("a.sqlite"), "yard": Path("out/yard.sqlite")})
