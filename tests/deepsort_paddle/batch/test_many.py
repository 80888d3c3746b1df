"""Many videos in one run: the same results as one by one, whatever dies on the way."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deepsort_paddle.batch import executors
from deepsort_paddle.batch.many import STATUS_FILE, track_many, track_videos
from deepsort_paddle.batch.status_file import StatusFile
from deepsort_paddle.cli import track
from deepsort_paddle.command.track import track_video
from deepsort_paddle.counting.places import Line
from deepsort_paddle.media.source import VideoWriter
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.run_plan import RunPlan

posix = pytest.mark.skipif(os.name != "posix", reason="signals and locks are POSIX")
COMMAND = "import sys; from deepsort_paddle.cli import track; sys.exit(track())"
# A worker that does something else before it tracks a video.
WORKER = """
import os, pathlib, sys, time
sys.path[:] = {path!r}
from deepsort_paddle.batch import worker
run_job = worker.run_job
def unusual(job):
    BEFORE
    return run_job(job)
worker.run_job = unusual
worker.main()
"""
KILLED = """
    marks = len(list(pathlib.Path().glob(f"killed_{{job.name}}_*")))
    if job.name == "b" and not marks:
        pathlib.Path(f"killed_b_{{marks}}").touch()
        os.kill(os.getpid(), 9)
"""
SLOW = """
    pathlib.Path(f"pid_{{os.getpid()}}").touch()
    from deepsort_paddle.tracking import tracker
    update = tracker.DeepSort.update
    tracker.DeepSort.update = lambda self, found, **known: time.sleep(0.05) or update(self, found, **known)
"""


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short videos, a, b and c, and a folder with their detections."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "det").mkdir()
    for start, name in enumerate("abc"):
        lines = []
        with VideoWriter(folder / f"{name}.mp4", fps=10) as writer:
            for number in range(1, 16):
                image = np.full((64, 96, 3), 120, np.uint8)
                x = 3 * number + 5 * start
                image[10:50, x : x + 16] = (200, 60 + 40 * start, 20)
                lines.append(f"{number},-1,{x + 1},11,16,40,0.9,-1,-1,-1")
                writer.write(image)
        (folder / "det" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def desk(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A working directory with these videos, and the words of a run over them."""
    shutil.copytree(films, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    videos = ["a.mp4", "b.mp4", "c.mp4"]
    words = [*videos, "--detections", "det", "--reid", "none", "--output", "out/{name}.txt", "--save-crops"]
    words += ["crops/{name}", "--workers", "2", "--save-dir", "out"]
    return SimpleNamespace(folder=tmp_path, videos=videos, words=words)


def strange(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    """Let workers do this before they track a video."""
    monkeypatch.setattr(executors, "_WORKER", WORKER.replace("BEFORE", before.strip()))


def states(folder: Path) -> list[tuple[str, str, int]]:
    """Video, status and attempt of every line of the status file but those of starts."""
    records = [json.loads(line) for line in (folder / STATUS_FILE).read_text().splitlines()]
    known = [(record["video"], record["status"], record["attempt"]) for record in records]
    return sorted(state for state in known if state[1] != "started")


def error_of(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """The one line of a run that must end with 2."""
    assert track(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err.strip().removeprefix("deepsort-track: error: ")


def wait_until(condition: object) -> None:
    """Until a callable answers true."""
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_two_workers_write_what_one_by_one_does_and_nothing_is_done_twice(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"output": "{0}/{1}.txt", "csv": "{0}/{1}.csv", "json": "{0}/{1}.json"}
    outputs |= {"explain-csv": "{0}/{1}.x.csv", "save-crops": "{0}/{1}"}
    several = [f"--{option}={path.format('many', '{name}')}" for option, path in outputs.items()]
    common = ["--zone", "left:0,0,48,0,48,64,0,64"]
    words = [*desk.videos, "--detections", "det", *common, *several, "--workers=2", "--save-dir=many"]
    assert track(words) == 0
    out = capsys.readouterr().out
    assert "3 videos: 3 done; 45 frames in " in out
    assert [line.split()[:3] for line in out.splitlines() if line[:1] in "abc"] == [
        [name, "15", "1"] for name in "abc"
    ]
    assert "  left: 0 in, 1 out, 0 inside, at most 1" in out

    (desk.folder / "one").mkdir()
    for name in "abc":
        alone = [f"--{option}={path.format('one', name)}" for option, path in outputs.items()]
        alone += ["--detections", f"det/{name}.txt", f"--save-video=one/{name}.mp4", "--threads=1"]
        assert track([f"{name}.mp4", *common, *alone, "--quiet"]) == 0

    def files_in(folder: str) -> dict[str, bytes]:
        files = sorted(path for path in (desk.folder / folder).rglob("*") if path.is_file())
        return {path.relative_to(desk.folder / folder).as_posix(): path.read_bytes() for path in files}

    together, one = files_in("many"), files_in("one")
    assert set(together) - set(one) == {STATUS_FILE}
    assert len(one) > 3 * 15
    plain = [name for name in one if not name.endswith((".mp4", ".json"))]  # videos carry no promise
    assert [name for name in plain if together[name] != one[name]] == []
    for name in "abc":
        documents = [json.loads(content[f"{name}.json"]) for content in (together, one)]
        for document in documents:  # named where another test has loaded it into this process
            document["meta"]["versions"].pop("paddle", None)
        assert documents[0] == documents[1]

    capsys.readouterr()
    written = {path: path.stat().st_mtime_ns for path in (desk.folder / "many").glob("*.*")}
    again = [word.replace("--workers=2", "--threads=2") for word in words]  # decides no result
    assert track(again) == 0
    assert "3 videos: 3 done before\n" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (desk.folder / "many").glob("*.*")} == written


@pytest.mark.usefixtures("inline")
def test_what_has_changed_is_tracked_again_and_only_that(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*more: str) -> str:
        assert track([*desk.words, "--quiet", *more]) == 0
        return "".join(name for name, _, _ in states(desk.folder / "out"))

    assert run() == "abc"
    assert run() == "abc"
    det = desk.folder / "det" / "b.txt"
    det.write_text(det.read_text().replace(",0.9,", ",0.8,"))
    assert run() == "abbc"
    (desk.folder / "out" / "c.txt").unlink()
    assert run() == "abbcc"
    (desk.folder / "out" / "a.txt").write_text("cut")
    assert run() == "aabbcc"
    os.utime(desk.folder / "a.mp4", ns=(1, 1))
    assert run() == "aaabbcc"
    assert run("--n-init", "4") == "aaaabbbccc"
    assert run("--n-init", "4") == "aaaabbbccc"
    (desk.folder / "out" / "c.txt").unlink()
    assert track([*desk.words, "--n-init", "4"]) == 0
    assert "tracking again, since options, inputs or results changed: c\n" in capsys.readouterr().err
    assert not list(desk.folder.rglob("*.part"))


@pytest.mark.usefixtures("inline")
def test_a_file_that_is_no_result_of_these_runs_stays(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk.folder / "out").mkdir()
    path = desk.folder / "out" / "b.txt"
    path.write_text("mine")
    expected = "b.mp4: result out/b.txt exists: choose another name, or add --overwrite to replace it"
    assert error_of(capsys, desk.words) == expected
    assert path.read_text() == "mine"
    assert track([*desk.words, "--quiet", "--overwrite"]) == 0
    assert path.read_text() != "mine"
    assert track([*desk.words, "--quiet", "--csv", "out/{name}.csv"]) == 0  # its own results again


@pytest.mark.usefixtures("inline")
def test_a_result_of_an_attempt_that_was_cut_off_is_replaced(desk: SimpleNamespace) -> None:
    (desk.folder / "out").mkdir()
    (desk.folder / "out" / "a.txt").write_text("complete, but the video is not")
    with StatusFile(desk.folder / "out" / STATUS_FILE) as status:
        record = {"video": "a", "source": "../a.mp4", "status": "started", "attempt": 1}
        status.add({**record, "outputs": ["a.txt", "a.mp4"]})
    assert track([*desk.words, "--quiet"]) == 0
    assert (desk.folder / "out" / "a.txt").read_text().startswith("2,1,")


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ({}, "output"),
        ({"save_dir": "d", "csv": "x/{name}.csv"}, "d"),
        ({"csv": "x/y/{name}.csv"}, "x/y"),
        ({"csv": "x/{name}/{name}.csv"}, "x"),
        ({"csv": "{folder}/{stem}.csv"}, "."),
        ({"csv": "/x/{name}.csv"}, "/x"),
    ],
)
def test_the_status_file_is_in_a_folder_that_the_user_named(names: dict[str, str], folder: str) -> None:
    assert BatchPlan(run=RunPlan(source="{source}", **names)).folder == Path(folder)


def test_a_killed_worker_is_reported_and_its_video_tried_again(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    strange(monkeypatch, KILLED)
    assert track(desk.words) == 0
    captured = capsys.readouterr()
    dead = "its worker was killed by SIGKILL" if os.name == "posix" else "its worker ended with exit code 9"
    assert f"deepsort-track: b failed, trying again: {dead}" in captured.err
    assert "done, attempt 2" in captured.out
    assert "3 videos: 3 done; 45 frames" in captured.out
    found = states(desk.folder / "out")
    assert found == [("a", "done", 1), ("b", "done", 2), ("b", "failed", 1), ("c", "done", 1)]


@pytest.mark.usefixtures("inline")
def test_a_video_that_always_fails_does_not_stop_the_others(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (desk.folder / "b.mp4").read_bytes()
    (desk.folder / "b.mp4").write_text("no video")
    assert track([*desk.words, "--retries", "2"]) == 1
    captured = capsys.readouterr()
    assert "3 videos: 2 done, 1 failed; 30 frames" in captured.out
    assert "b           -    -        -  failed, attempt 3: b.mp4 is not a video" in captured.out
    assert captured.err.count("b failed, trying again: b.mp4 is not a video") == 2
    assert not (desk.folder / "out" / "b.txt").exists()
    (desk.folder / "b.mp4").write_bytes(content)
    assert track(desk.words) == 0
    assert "3 videos: 1 done, 2 done before; 15 frames" in capsys.readouterr().out


def test_an_error_of_the_code_is_kept_with_its_trace(
    desk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange(monkeypatch, "worker.run_plan = lambda *_, **__: {{}}['no such key']")
    (result,) = track_many(["a.mp4"], ["--detections", "det/a.txt"], save_dir="out", retries=0)
    assert (result.status, result.attempts, result.error) == ("failed", 1, "KeyError: 'no such key'")
    record = json.loads((desk.folder / "out" / STATUS_FILE).read_text().splitlines()[-1])
    assert "Traceback" in record["trace"]


@posix
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_worker_and_goes_on_later(
    desk: SimpleNamespace, number: signal.Signals, inline: None
) -> None:
    worker = WORKER.replace("BEFORE", SLOW.strip())
    script = f"from deepsort_paddle.batch import executors; executors._WORKER = {worker!r}"
    script += "\nimport signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + COMMAND
    started = subprocess.Popen(
        [sys.executable, "-c", script, *desk.words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: len(list(desk.folder.glob("out/*.txt.part"))) == 2)
        pids = [int(path.name.partition("_")[2]) for path in desk.folder.glob("pid_*")]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        started.send_signal(number)
        message = started.communicate(timeout=60)[1]
    finally:
        started.kill()
    if number == signal.SIGKILL:
        assert started.returncode == -number
    else:
        assert started.returncode == 128 + number
        line = f"deepsort-track: stopped by {number.name}; 0 of 3 videos are done, the same command continues"
        assert line in message
        assert "Traceback" not in message
    wait_until(lambda: not any(alive(pid) for pid in pids))
    assert not list(desk.folder.glob("out/*.txt"))
    assert track([*desk.words, "--quiet"]) == 0
    assert [name for name, _, _ in states(desk.folder / "out")] == ["a", "b", "c"]
    assert not list(desk.folder.rglob("*.part"))


@posix
def test_a_second_run_into_the_same_folder_is_refused(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk.folder / "out").mkdir()
    with StatusFile(desk.folder / "out" / STATUS_FILE):
        assert error_of(capsys, desk.words) == f"cannot write out/{STATUS_FILE}: another run is writing it"


def test_damaged_lines_of_the_status_file_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'[]\n\xff\n{"source": 1}\n{"source": "a", "video": "x"}\n' + b"[" * 9000 + b'\n{"sourc')
    with StatusFile(path) as status:
        assert status.latest == {"a": {"source": "a", "video": "x"}}
        status.add({"source": "b", "video": "y"})
    with StatusFile(path) as status:
        assert list(status.latest) == ["a", "b"]


@pytest.mark.usefixtures("inline")
def test_sources_come_from_a_list_or_from_stdin(
    desk: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.folder / "list.txt").write_text("# cameras\na.mp4\n\n  b.mp4 \n")
    options = [
        "--detections",
        "{folder}/det/{stem}.txt",
        "--reid=none",
        "--output=o/{name}.txt",
        "--workers=1",
    ]
    assert track(["--sources", "list.txt", *options]) == 0
    assert "2 videos: 2 done" in capsys.readouterr().out
    assert not (desk.folder / "output").exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("b.mp4\nc.mp4\n"))
    assert track(["a.mp4", "--sources", "-", *options]) == 0
    assert "3 videos: 1 done, 2 done before" in capsys.readouterr().out
    assert sorted(path.name for path in (desk.folder / "o").iterdir()) == [
        "a.txt",
        "b.txt",
        "c.txt",
        STATUS_FILE,
    ]


@pytest.mark.usefixtures("inline")
def test_python_gets_a_result_for_each_video(desk: SimpleNamespace) -> None:
    (desk.folder / "x").mkdir()
    shutil.copy("a.mp4", "x/a.mp4")
    shutil.copytree("det", "x/det")
    results = track_many(
        ["a.mp4", Path("x/a.mp4")], ["--detections", "{folder}/det/{stem}.txt", "--reid", "none"], workers=1
    )
    assert [result.status for result in results] == ["done", "done"]
    assert [(result.frames, result.ids, result.attempts) for result in results] == [(15, 1, 1)] * 2
    assert results[1].name == "x_a"
    assert results[1].files == ("output/x_a.txt", "output/x_a.mp4")
    assert all(Path(file).exists() for file in results[1].files)
    with pytest.raises(ValueError, match="--workers: expected a whole number from 1"):
        track_many(["a.mp4"], workers=0)


@pytest.mark.usefixtures("inline")
def test_track_videos_writes_for_each_what_track_video_writes(desk: SimpleNamespace) -> None:
    line = Line("gate", (48, 0), (48, 64))
    results = track_videos(
        ["a.mp4", Path("b.mp4")],
        detections="det",
        reid="none",
        lines=[line],
        save_dir="out",
        csv="out/{name}.csv",
        max_age=9,
        workers=1,
    )
    assert [(result.name, result.status, result.frames) for result in results] == [
        ("a", "done", 15),
        ("b", "done", 15),
    ]
    for name in "ab":
        alone = track_video(
            f"{name}.mp4",
            detections=f"det/{name}.txt",
            reid="none",
            lines=[line],
            csv=f"1{name}.csv",
            max_age=9,
        )
        assert Path(f"1{name}.csv").read_bytes() == Path("out", f"{name}.csv").read_bytes()
        assert results["ab".index(name)].ids == len(alone.ids)
    again = track_videos(
        ["a.mp4", "b.mp4"], detections="det", reid="none", lines=[line], csv="out/{name}.csv", save_dir="out"
    )
    assert [result.status for result in again] == ["done", "done"]  # max_age is another
