"""Names, placeholders and what is refused before many videos are tracked."""

import json
import os
from pathlib import Path

import pytest

from deepsort_paddle.batch.jobs import Job
from deepsort_paddle.batch.video_list import make_jobs, read_sources, unique_names
from deepsort_paddle.cli import track
from deepsort_paddle.command.parser import parse
from deepsort_paddle.counting.places import Line
from deepsort_paddle.plan.batch_plan import BatchPlan


def jobs_of(words: list[str]) -> list[Job]:
    """The jobs of a command line over many videos."""
    batch = parse(words)
    assert isinstance(batch, BatchPlan)
    return make_jobs(batch, read_sources(batch), {})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with files named like videos, and detections of two of them."""
    for name in ("a.mp4", "b.mp4", "cam1/a.mp4", "cam2/a.mp4", "det/a.txt", "det/b.txt", "other/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a.mp4"], ["a"]),
        (["a.mp4", "b.mp4"], ["a", "b"]),
        (["x/a.mp4", "y/a.mp4", "b.mp4"], ["x_a", "y_a", "b"]),
        (["x/1/a.mp4", "y/1/a.mp4", "y/2/a.mp4"], ["x_1_a", "y_1_a", "2_a"]),
        (["x/a.mp4", "x/a.avi"], ["a_mp4", "a_avi"]),
        (["x/a.mp4", "x/A.avi", "y/a.mp4"], ["a_mp4", "A_avi", "a"]),
        (["x/A.mp4", "y/a.mp4"], ["x_A", "y_a"]),
        (["p/a_b/c.mp4", "q/a/b_c.mp4", "r/a/c.mp4"], ["b_c", "b_c", "a_c"]),
        (["http://films.org/a.mp4", "a.mp4"], ["films.org_a.mp4", "a"]),
        (["http://u:secret@films.org/a"], ["films.org_a"]),
    ],
)
def test_every_video_has_a_name_of_its_own(sources: list[str], names: list[str], desk: Path) -> None:
    found = unique_names(sources)
    assert len({name.lower() for name in found}) == len(sources)
    if len({name.lower() for name in names}) == len(names):
        assert found == names


def test_names_that_differ_in_no_folder_are_numbered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    found = unique_names(["/a_b/c.mp4", "/a/b_c.mp4", "/x/c.mp4", "/y/b_c.mp4", "/root/a/b_c.mp4"])
    assert len(set(found)) == 5


def test_a_name_from_an_earlier_run_stays(desk: Path) -> None:
    sources = ["cam1/a.mp4", "cam2/a.mp4", "b.mp4"]
    assert unique_names(sources, {"cam1/a.mp4": "a"}) == ["a", "cam2_a", "b"]
    assert unique_names(["cam2/a.mp4"], {"elsewhere/a.mp4": "a"}) == ["cam2_a"]


def test_placeholders_are_filled_in_for_each_video(desk: Path) -> None:
    words = ["cam1/a.mp4", "cam2/a.mp4", "--detections", "{folder}/../det/b.txt", "--json", "o/{name}.json"]
    words[3] = "{source}.txt"
    for name in ("cam1", "cam2"):
        (desk / name / "a.mp4.txt").touch()
    first, second = jobs_of([*words, "--csv", "{folder}/{stem}.csv", "--threads", "3"])
    assert (first.name, second.name) == ("cam1_a", "cam2_a")
    assert first.plan.detections == "cam1/a.mp4.txt"
    assert second.plan.json == "o/cam2_a.json"
    assert second.plan.csv == "cam2/a.csv"
    assert first.plan.save_dir is None
    assert (first.plan.threads, first.plan.read_ahead) == (3, 0)
    assert first.folder == str(desk)


def test_a_folder_of_detections_has_one_file_for_each_name(desk: Path) -> None:
    jobs = jobs_of(["a.mp4", "b.mp4", "--detections", "det"])
    assert [Path(str(job.plan.detections)).as_posix() for job in jobs] == ["det/a.txt", "det/b.txt"]
    assert [job.plan.save_dir for job in jobs] == ["output", "output"]
    assert [job.plan.threads for job in jobs] == [1, 1]


@pytest.mark.parametrize(
    ("words", "many"),
    [
        (["a"], False),
        (["a", "--save-dir", "d"], False),
        (["a", "b"], True),
        (["a", "--quiet", "b"], True),
        (["a", "--workers", "1"], True),
        (["a", "--engine", "ray"], True),
        (["--sources", "l"], True),
        (["a", "--json", "{name}.json"], True),
    ],
)
def test_one_source_without_the_options_of_many_is_a_run_of_its_own(words: list[str], many: bool) -> None:
    assert isinstance(parse(words), BatchPlan) is many


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mp4", "absent.mp4"], "no such file or folder: absent.mp4"),
        (["a.mp4", "./a.mp4"], "a.mp4 is given twice"),
        (["a.mp4", "7"], "camera 7 is live: track it in a run of its own"),
        (["a.mp4", "rtsp://u:p@cam/1"], "cam_1 is live: track it in a run of its own"),
        (["--sources", "absent.txt"], "absent.txt: No such file or directory"),
        (["--sources", "a.mp4"], "--sources a.mp4 is empty: expected at least one video"),
        (["a.mp4", "b.mp4", "--show"], "--show works with one video only"),
        (["a.mp4", "b.mp4", "--explain", "3"], "--explain works with one video only; use --explain-csv with"),
        (["a.mp4", "b.mp4", "--json", "x.json"], "is one file for a.mp4 and b.mp4: put {name} into it"),
        (["a.mp4", "b.mp4", "--detections", "det/a.txt"], "det/a.txt is one file for 2 videos"),
        (["a.mp4", "b.mp4", "--detections", "other"], "other/b.txt, the detections of b.mp4"),
        (["cam1/a.mp4", "cam2/a.mp4", "--detections", "det/{stem}.txt"], "would both use the detections"),
        (["a.mp4", "b.mp4", "--save-dir", "."], "--save-dir . would replace an input"),
        (["a.mp4", "b.mp4", "--save-video", "{folder}/{name}.mp4"], "a.mp4 would replace an input"),
        (["a.mp4", "b.mp4", "--detections=det", "--output=det/{name}.txt"], "would replace an input"),
        (["a.mp4", "b.mp4", "--reid", "absent"], "--reid absent: no such file or folder"),
        (["a.mp4", "b.mp4", "--detector", "absent.onnx"], "--detector absent.onnx: no such file or folder"),
        (["a.mp4", "b.mp4", "--set", "nonsense=1"], "--set: unknown option 'nonsense'"),
        (["a.mp4", "b.mp4", "--line", "door"], "door"),
        (["a.mp4", "--workers", "0"], "--workers: expected a whole number from 1, got '0'"),
        (["a.mp4", "--retries", "-1"], "--retries: expected a whole number from 0"),
        (["a.mp4", "--engine", "spark"], "--engine: expected processes or ray, got 'spark'"),
        (["a.mp4", "b.mp4", "--save-crops", "full"], "is one file for a.mp4 and b.mp4"),
        (["a.mp4", "b.mp4", "--save-crops", "{folder}/full{name}"], "fulla has content"),
        (["a.mp4", "b.mp4", "--save-dir", "a.mp4"], "a.mp4"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_tracked(
    words: list[str], message: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "fulla").mkdir()
    (desk / "fulla" / "mine.jpg").touch()
    assert track(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("deepsort-track: error: ")
    assert message in line
    assert os.listdir(desk / "fulla") == ["mine.jpg"]
    assert not list(desk.rglob("*.mp4.part"))


def test_a_worker_gets_the_plan_through_json(desk: Path) -> None:
    flags = ["--line", "door:1,2,3,4", "--set", "direction_weight=0.2", "--min-confidence", "person=0.4"]
    (job, _) = jobs_of(["a.mp4", "b.mp4", *flags, "--n-init", "2"])
    assert (job.plan.source, job.plan.name, job.plan.n_init) == ("a.mp4", "a", 2)
    assert job.plan.lines == (Line("door", (1, 2), (3, 4)),)
    assert job.plan.min_confidence == (("person", 0.4),)
    assert Job.from_dict(json.loads(json.dumps(job.as_dict()))) == job
