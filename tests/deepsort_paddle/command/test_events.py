"""``--events``, ``--counts``, ``--count-every``, ``--start-time`` and ``--loiter``: what a user finds."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.track import track_video
from deepsort_paddle.detection.saved_detections import SUFFIX
from deepsort_paddle.media.video_writer import VideoWriter

COMMON = ["--detections", "det.txt", "--reid", "none"]
# Walks to the right over the middle, in frame 7, and stays in the right half.
PLACES = ["--line", "gate:0.5,1,0.5,0:in/out", "--zone", "right:0.5,0,1,0,1,1,0.5,1"]


@pytest.fixture(autouse=True)
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip of 3 s in which one walks from left to right, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = []
    with VideoWriter("clip.mp4", fps=10) as video:
        for number in range(1, 31):
            video.write(np.full((100, 200, 3), 8 * number, np.uint8))
            left = min(20 + 10 * number, 160)
            rows.append(f"{number},-1,{left},21,20,60,0.9\n")
    Path("det.txt").write_text("".join(rows))


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_events_have_times_places_and_tracks() -> None:
    words = ["clip.mp4", *COMMON, *PLACES, "--quiet", "--loiter", "1s", "--start-time", "2026-05-01T08:00"]
    assert track([*words, "--events", "new/e.csv"]) == 0
    rows = table("new/e.csv")
    assert [(row["kind"], row["name"], row["direction"]) for row in rows] == [
        ("line", "gate", "in"),
        ("zone", "right", "entry"),
        ("zone", "right", "loiter"),
    ]
    assert [(row["time"], row["seconds"], row["frame"]) for row in rows[1:]] == [
        ("2026-05-01T08:00:00.700", "0.7", "8"),
        ("2026-05-01T08:00:01.700", "1.7", "18"),
    ]
    assert {row["track"] for row in rows} == {"1"}
    assert [row["inside"] for row in rows] == ["", "1", "1"]
    assert (rows[2]["stay"], rows[2]["person"]) == ("1.0", "")


def test_the_table_of_tracks_has_the_time_of_day_with_a_start_time() -> None:
    words = ["clip.mp4", *COMMON, "--quiet", "--csv"]
    assert track([*words, "plain.csv"]) == 0
    assert "time" not in table("plain.csv")[0]
    assert track([*words, "timed.csv", "--start-time", "2026-05-01T08:00"]) == 0
    rows = [row for row in table("timed.csv") if row["frame"] == "11"]
    assert [row["time"] for row in rows] == ["2026-05-01T08:00:01.000"]


def test_events_are_json_lines_by_the_ending() -> None:
    assert track(["clip.mp4", *COMMON, *PLACES, "--quiet", "--events", "e.jsonl"]) == 0
    rows = [json.loads(line) for line in Path("e.jsonl").read_text().splitlines()]
    assert [(row["name"], row["direction"], row["time"], row["person"]) for row in rows] == [
        ("gate", "in", None, None),
        ("right", "entry", None, None),
    ]


def test_counts_of_intervals_are_in_the_summary_the_table_and_the_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["clip.mp4", *COMMON, *PLACES, "--count-every", "1s", "--start-time", "2026-05-01T07:59:59.5"]
    assert track([*words, "--counts", "c.csv", "--json", "o.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "gate: 1 in, 0 out" in lines
    assert [line for line in lines if line.startswith("08:00:00 to")] == [
        "08:00:00 to 08:00:01: gate 1 in, 0 out; right 1 in, 0 out, at most 1"
    ]
    rows = table("c.csv")
    assert len({row["start"] for row in rows}) == 4  # the first half second has an interval of its own
    (crossed,) = (row for row in rows if row["measure"] == "in" and row["value"] == "1")
    assert (crossed["start_time"], crossed["end_time"]) == (
        "2026-05-01T08:00:00.000",
        "2026-05-01T08:00:01.000",
    )
    assert (crossed["start"], crossed["end"], crossed["name"]) == ("0.5", "1.5", "gate")
    document = json.loads(Path("o.json").read_text())
    assert document["meta"]["start_time"] == "2026-05-01T07:59:59.5"
    intervals = document["summary"]["counts"]["intervals"]
    assert [one["places"][0]["counts"]["in"] for one in intervals] == [0, 1, 0, 0]


def test_without_intervals_the_table_has_the_whole_run() -> None:
    assert track(["clip.mp4", *COMMON, *PLACES, "--quiet", "--counts", "c.csv"]) == 0
    assert [(row["measure"], row["value"]) for row in table("c.csv")] == [
        ("in", "1"),
        ("out", "0"),
        ("entry", "1"),
        ("exit", "0"),
        ("mean inside", "0.759"),
        ("peak inside", "1"),
    ]


def test_persons_are_filled_in_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for number in range(1, 41):
        where = number if number <= 15 else number - 25
        if where >= 1:  # comes twice, each time as another track
            rows.append(f"{number},-1,{20 + 10 * where},21,20,60,0.9,-1,-1,-1,1,0\n")
    Path("twice.txt").write_text("".join(rows))
    from deepsort_paddle.detection.detector import detection_file

    found = detection_file("twice.txt")

    def detect(number: int, image: Any) -> Any:
        return found(number, image)

    def encode(image: Any, boxes: Any) -> Any:
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(boxes), 1))

    encode.encode_batch = lambda images, boxes: [  # type: ignore[attr-defined]
        encode(image, rows) for image, rows in zip(images, boxes, strict=True)
    ]
    with VideoWriter("long.mp4", fps=10) as video:
        for number in range(40):
            video.write(np.full((100, 300, 3), 5 * number, np.uint8))
    for events in ("e.csv", "e.jsonl"):
        result = track_video(
            "long.mp4",
            detector=detect,
            reid=encode,  # type: ignore[arg-type]
            lines=["gate:100,100,100,0:in/out"],
            events=events,
            identities=True,
            max_age=3,
            preset="deepsort",
        )
        assert result.persons is not None
    people = {int(row["track"]): int(row["person"]) for row in table("e.csv")}
    assert people == {track_id: result.persons[track_id] for track_id in people}
    records = [json.loads(line) for line in Path("e.jsonl").read_text().splitlines()]
    assert [record["person"] for record in records] == [people[record["track"]] for record in records]
    assert result.counts is not None
    assert result.counts.lines[0].people == {"in": len(set(people.values())), "out": 0}


def test_many_videos_have_events_of_their_own_and_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.mp4").write_bytes(Path("clip.mp4").read_bytes())
    Path("det").mkdir()
    for name in ("clip", "other"):
        Path(f"det/{name}.txt").write_text(Path("det.txt").read_text())
    words = ["clip.mp4", "other.mp4", "--detections", "det", "--reid", "none"]
    words += [*PLACES, "--events", "{name}.csv", "--count-every", "1s", "--save-dir", "out", "--workers", "1"]
    assert track(words) == 0
    assert table("clip.csv") == table("other.csv")
    assert len(table("clip.csv")) == 2
    assert "0:01 to 0:02" in capsys.readouterr().out
    Path("other.csv").unlink()
    assert track(words) == 0
    out = capsys.readouterr().out
    assert out.count("done before") == 2  # in the table, and in the line of all videos
    assert len(table("other.csv")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--events", "e.txt", *PLACES], "argument --events: expected a name that ends in .csv or .jsonl"),
        (["--events", "e.csv"], "--events has nothing to count at: name a --line or a --zone"),
        (["--count-every", "15min"], "--count-every has nothing to count at"),
        (["--counts", "c.csv"], "--counts has nothing to count at"),
        (["--loiter", "30s", *PLACES[:2]], "--loiter is for zones: name a --zone"),
        (["--count-every", "soon", *PLACES], "expected a time as 15min, 1h or 90s, got 'soon'"),
        (["--count-every", "0", *PLACES], "expected a time as 15min, 1h or 90s, got '0'"),
        (["--start-time", "8:00"], "expected date and time as 2026-05-01T08:00, got '8:00'"),
    ],
)
def test_wrong_words_end_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert track(["clip.mp4", *COMMON, *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not list(Path().glob("[ec].*"))


def test_the_name_of_saved_detections_is_no_event_file() -> None:
    with pytest.raises(ValueError, match="events: expected a name that ends in"):
        track_video("clip.mp4", detections="det.txt", reid="none", events=f"e{SUFFIX}")
