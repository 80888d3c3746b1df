import csv
import json
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from deepsort_paddle.appearance import encoder
from deepsort_paddle.appearance.default_model import default_model
from deepsort_paddle.cli import track
from deepsort_paddle.media.source import VideoWriter, open_source
from deepsort_paddle.motchallenge.text import read_tracks
from deepsort_paddle.pipeline import stages
from deepsort_paddle.tracking import tracker

FRAMES = 30


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of two people who walk past each other, and its detections."""
    folder = tmp_path_factory.mktemp("clip")
    lines = []
    with VideoWriter(folder / "clip.mp4", fps=10) as writer:
        for number in range(1, FRAMES + 1):
            image = np.full((120, 200, 3), 128, np.uint8)
            for x, y, color, score in (
                (4 * number, 30, (200, 60, 20), 0.9),
                (180 - 4 * number, 60, (20, 60, 200), 0.8),
            ):
                image[y : y + 40, x : x + 16] = color
                lines.append(f"{number},-1,{x + 1},{y + 1},16,40,{score},-1,-1,-1")
            writer.write(image)
    (folder / "det.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def scene(clip: Path, tmp_path: Path) -> SimpleNamespace:
    """A copy of `clip` in a folder of its own."""
    for path in clip.iterdir():
        shutil.copy(path, tmp_path)
    return SimpleNamespace(folder=tmp_path, video=str(tmp_path / "clip.mp4"), det=str(tmp_path / "det.txt"))


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a run that must end with 2."""
    try:
        code = track(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()  # no note goes before it
    assert line.startswith("deepsort-track: error: ")
    return line.removeprefix("deepsort-track: error: ")


def test_all_outputs_of_one_run_agree(scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    out = scene.folder
    files = {"output": "out.txt", "csv": "out.csv", "json": "out.json", "save-video": "out.mp4"}
    options = [f"--{option}={out}/{name}" for option, name in {**files, "save-crops": "crops"}.items()]
    code = track([scene.video, "--detections", scene.det, "--reid", "none", "--preset", "deepsort", *options])
    captured = capsys.readouterr()
    assert code == 0
    assert captured.out.startswith("30 frames, 2 tracks, 0 broken frames; ")
    assert captured.err == ""
    table = read_tracks(out / "out.txt")
    assert len(table) == 2 * (FRAMES - 2)  # confirmed in the third frame
    assert set(table.ids.tolist()) == {1, 2}

    document = json.loads((out / "out.json").read_text())
    assert document["format"] == 1
    assert document["meta"]["fps"] == 10
    assert (document["meta"]["height"], document["meta"]["width"]) == (120, 200)
    assert document["meta"]["settings"]["max_cosine_distance"] == 0.2
    assert document["summary"] == {"frames": FRAMES, "tracks": 2, "broken_frames": 0}
    assert [frame["frame"] for frame in document["frames"]] == list(range(1, FRAMES + 1))
    assert document["frames"][0]["tracks"] == []
    last = document["frames"][-1]
    assert last["timestamp"] == pytest.approx(2.9)
    assert [entry["id"] for entry in last["tracks"]] == [1, 2]
    own = last["tracks"][0]["detection"]
    assert own == {"box": [120, 30, 136, 70], "confidence": 0.9}

    with (out / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table)
    assert rows[-2]["id"] == "1"
    assert float(rows[-2]["detection_x1"]) == 120
    boxes = [[float(row[name]) for name in ("x1", "y1", "x2", "y2")] for row in rows]
    np.testing.assert_allclose(boxes, table.boxes, atol=2e-3)

    source = open_source(out / "out.mp4")
    assert (source.frame_count, source.fps) == (FRAMES, 10)
    crops = sorted(path.relative_to(out / "crops").as_posix() for path in (out / "crops").glob("*/*"))
    assert len(crops) == len(table)
    assert crops[0] == "1/000003.jpg"
    crop = cv2.imread(str(out / "crops" / "1" / "000030.jpg"))
    assert crop.shape == (40, 16, 3)
    np.testing.assert_allclose(crop.mean(axis=(0, 1)), [200, 60, 20], atol=12)
    assert not list(out.glob("*.part*"))


def test_reading_ahead_writes_the_same_bytes(scene: SimpleNamespace) -> None:
    written = []
    for number, ahead in enumerate((["--read-ahead", "0"], [], ["--read-ahead=3", "--frames-per-batch=4"])):
        out = scene.folder / str(number)
        out.mkdir()
        files = {"--output": "o.txt", "--csv": "o.csv", "--json": "o.json", "--save-video": "o.mp4"}
        outputs = [text for option, name in files.items() for text in (option, str(out / name))]
        arguments = [scene.video, "--detections", scene.det, "--quiet", "--save-crops", str(out / "crops")]
        assert track([*arguments, *outputs, *ahead]) == 0
        # x264 itself does not give the same bytes each time.
        paths = sorted(path for path in out.rglob("*") if path.is_file() and path.suffix != ".mp4")
        contents: dict[str, object] = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}
        with open_source(out / "o.mp4") as video:
            contents["timestamps"] = [frame.timestamp for frame in video]
        written.append(contents)
    assert len(written[0]) > 50
    assert written[1] == written[0]
    assert written[2] == written[0]


def test_encoding_what_is_needed_encodes_fewer_crops_and_keeps_the_ids(
    scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: dict[str, int] = {}
    call = encoder.AppearanceEncoder.__call__

    def counted(self: Any, frame: Any, boxes: Any) -> Any:
        counts[which] += len(boxes)
        return call(self, frame, boxes)

    monkeypatch.setattr(encoder.AppearanceEncoder, "__call__", counted)
    ids = {}
    for which in ("all", "needed"):
        counts[which], out = 0, scene.folder / which
        arguments = ["--output", f"{out}.txt", "--json", f"{out}.json", "--quiet", "--encode", which]
        arguments += ["--preset", "deepsort"]
        assert track([scene.video, "--detections", scene.det, *arguments]) == 0
        assert json.loads(Path(f"{out}.json").read_text())["meta"]["settings"]["encode"] == which
        ids[which] = read_tracks(f"{out}.txt").ids.tolist()
    assert counts["all"] == 2 * FRAMES
    assert 10 < counts["needed"] < 1.2 * FRAMES
    assert ids["needed"] == ids["all"]


@pytest.mark.parametrize(
    "option", ["--encode needed", "--precision int8", "--backend onnxruntime", "--max-cosine-distance 0.5"]
)
def test_options_of_the_model_say_when_there_is_none(
    option: str, scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(scene.folder / "o.txt"), "--overwrite"]
    arguments = [scene.video, "--detections", scene.det, *output, *option.split()]
    assert track([*arguments, "--reid", "none"]) == 0
    told = f"note: {option} has no effect: there is no appearance model"
    assert told in capsys.readouterr().err
    assert track(arguments) == 0
    assert told not in capsys.readouterr().err
    if "distance" in option:  # embeddings of the detection file go by it
        lines = Path(scene.det).read_text().splitlines()
        Path(scene.det).write_text("".join(f"{line},1,0\n" for line in lines))
        assert track(arguments) == 0
        assert told not in capsys.readouterr().err


def test_standard_outputs_have_the_name_of_the_source(
    scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene.folder)
    assert track([scene.video, "--detections", scene.det, "--quiet"]) == 0
    assert sorted(path.name for path in (scene.folder / "output").iterdir()) == ["clip.mp4", "clip.txt"]


def test_the_predecessors_flags_do_the_same(scene: SimpleNamespace) -> None:
    out = scene.folder
    old = ["--video_path", scene.video, "--save_dir", f"{out}/old", "--max_cosine_distance", "0.3"]
    old += ["--nn_budget=50", "--threshold", "0.85", "--use_gpu=False", "--display", "False"]
    old += ["--preset", "deepsort"]
    assert track([*old, "--detections", scene.det, "--quiet", "--cpu_threads=1"]) == 0
    new = ["--output", f"{out}/new.txt", "--max-cosine-distance", "0.3", "--gallery-size", "50"]
    new += ["--preset", "deepsort"]
    assert track([scene.video, *new, "--min-confidence", "0.85", "--detections", scene.det, "--quiet"]) == 0
    assert (out / "old" / "clip.txt").read_bytes() == (out / "new.txt").read_bytes()
    assert set(read_tracks(out / "new.txt").ids.tolist()) == {1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quiet"], "expected a SOURCE: a video"),
        (["a", "--video_path", "b"], "expected one SOURCE, got a and --video-path b; several are named"),
        (["a", "--bogus"], "unrecognized arguments: --bogus"),
        (["a", "--perset", "strong"], "unrecognized arguments: --perset strong (did you mean --preset?)"),
        (["a", "--vdeo-path"], "unrecognized arguments: --vdeo-path"),  # the predecessor's are not told
        (["a", "--set", "max_agee=3"], "--set: unknown option 'max_agee' (did you mean max_age?); expected"),
        (
            ["a", "--max-cosine-distance", "-0.2"],
            "--max-cosine-distance: expected a number from 0 to 2, got '-0.2'",
        ),
        (["a", "--min-confidence", "nan"], "--min-confidence: expected a number from 0 to 1"),
        (["a", "--max-iou-distance=-1"], "--max-iou-distance: expected a number from 0 to 1"),
        (["a", "--fps", "0"], "--fps: expected a number above 0"),
        (["a", "--max-age", "0"], "--max-age: expected a whole number from 1"),
        (["a", "--read-ahead", "-1"], "--read-ahead: expected a whole number from 0"),
        (
            ["a", "--encode", "needed", "--frames-per-batch", "4"],
            "--encode needed encodes frame by frame: leave out --frames-per-batch 4",
        ),
        (["a", "--threads", "1.5"], "--threads: expected a whole number from 1"),
        (["a", "--detections", "d", "--detector", "hog"], "--detections and --detector exclude each other"),
        (["absent.mp4"], "no such file or folder: absent.mp4"),
    ],
)
def test_wrong_options_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{video}", "--detections", "{dir}/absent.txt", "--output", "{dir}/o.txt"], "absent.txt"),
        (["{video}", "--detections", "{dir}/nan.txt", "--output", "{dir}/o.txt"], "nan.txt, line 1: NaN"),
        (
            ["{video}", "--detections", "{dir}/wide.txt", "--output", "{dir}/o.txt"],
            "wide.txt, line 1: at least 6",
        ),
        (
            ["{dir}/det.txt", "--detections", "{det}", "--output", "{dir}/o.txt"],
            "det.txt is not a video: use --detections",
        ),
        (["{video}", "{det}", "--save-dir", "{dir}/o"], "det.txt is not a video: use --detec"),
        (["{dir}/nets/yolo.onnx"], "yolo.onnx is not a video: use --detector FILE"),
        (["{dir}/films"], ".tiff .webp); it contains 2 videos: name each of them"),
        (["{dir}/empty.mp4", "--detections", "{det}"], "empty.mp4 is empty"),
        (["{video}", "--detections", "{det}", "--output", "{det}/o.txt"], "there is no folder"),
        (["{video}", "--detections", "{det}", "--output", "{dir}"], "expected a file name, got a folder"),
        (["{video}", "--detections", "{det}", "--output", "{det}"], "would replace an input"),
        (["{video}", "--detections", "{det}", "--save-video", "{video}"], "would replace an input"),
        (["{video}", "--detections", "{det}", "--csv", "{dir}/o", "--json", "{dir}/o"], "name the same file"),
        (["{video}", "--detections", "{det}", "--save-video", "{dir}/o.avi"], "a video is written as .mp4"),
        (["{video}", "--detections", "{det}", "--save-crops", "{dir}"], "expected a new or empty folder"),
        (["{video}", "--detections", "{det}", "--save-dir", "{video}"], "is not a folder"),
        (["{video}", "--detections", "{det}", "--classes", "person"], "--classes needs a detector"),
        (["{video}", "--detections", "{det}", "--reid", "{dir}", "--csv", "{dir}/o"], "encoder.json"),
        (["{video}", "--reid", "{dir}/absent", "--csv", "{dir}/o"], "absent: no such folder"),
        (["{video}", "--device", "tpu", "--csv", "{dir}/o"], "device must be auto, cpu, gpu or gpu:N"),
        (["{video}", "--reid", "{dir}/gone", "--csv", "{dir}/o"], "gone/inference.onnx: no such file"),
        (["{video}", "--reid", "{dir}/changed", "--csv", "{dir}/o"], "inference.onnx: wrong checksum"),
        (["{dir}/seq", "--output", "{dir}/o.txt"], "has no images to detect people in: use --detections"),
        (["{dir}/seq", "--detections", "{det}", "--save-video", "{dir}/o.mp4"], "leave out --save-video"),
        (["{dir}/seq", "--detections", "{det}", "--reid", "x", "--csv", "{dir}/o"], "leave out --reid"),
    ],
)
def test_wrong_files_are_one_line(
    arguments: list[str], message: str, scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    (scene.folder / "nan.txt").write_text("1,-1,nan,1,2,3,1\n")
    (scene.folder / "wide.txt").write_text("1,-1,1\n")
    (scene.folder / "empty.mp4").touch()
    (scene.folder / "nets").mkdir()
    (scene.folder / "nets" / "yolo.onnx").write_bytes(b"a network")
    (scene.folder / "films").mkdir()
    for name in ("one", "two"):
        shutil.copy(scene.video, scene.folder / "films" / f"{name}.mp4")
    (scene.folder / "seq").mkdir()
    (scene.folder / "seq" / "seqinfo.ini").write_text("[Sequence]\nseqLength=3\n")
    for name in ("gone", "changed"):
        shutil.copytree(default_model(), scene.folder / name)
    (scene.folder / "gone" / "inference.onnx").unlink()
    with (scene.folder / "changed" / "inference.onnx").open("ab") as file:
        file.write(b"x")
    filled = [text.format(video=scene.video, det=scene.det, dir=scene.folder) for text in arguments]
    before = {path: path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()}
    assert message in error_of(capsys, *filled)
    assert before == {path: path.read_bytes() for path in scene.folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there OpenCV ends the process")
def test_show_without_a_display_is_refused(
    scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "--show needs a display" in error_of(capsys, scene.video, "--show")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    assert "--show needs an OpenCV with windows" in error_of(capsys, scene.video, "--show")


def test_a_sequence_without_images_is_tracked_from_its_detections(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scene.folder / "seq"
    folder.mkdir()
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={FRAMES}\nframeRate=10\n")
    for source, name, more in ((str(folder), "a.txt", []), (scene.video, "b.txt", ["--reid", "none"])):
        words = [source, "--detections", scene.det, "--output", str(scene.folder / name), *more]
        words += ["--camera-motion", "boxes"]
        assert track(words) == 0
    assert (scene.folder / "a.txt").read_bytes() == (scene.folder / "b.txt").read_bytes()


def test_clipped_scores_are_a_note_and_quiet_is_silent(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    high = scene.folder / "high.txt"
    high.write_text("".join(f"{number},-1,1,1,20,40,7\n" for number in range(1, 9)))
    arguments = [
        scene.video,
        "--detections",
        str(high),
        "--output",
        str(scene.folder / "o.txt"),
        "--overwrite",
    ]
    assert track(arguments) == 0
    assert "note: " + str(high) + ": 8 of 8 confidences" in capsys.readouterr().err
    assert track([*arguments, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_the_encoders_calibrated_distance_is_used_unless_one_is_given(
    scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Encoder:
        max_cosine_distance = 0.125
        spec = SimpleNamespace(calibrated=True)

        def __init__(
            self, directory: str, *, device: str, threads: int | None, backend: str, precision: str
        ) -> None:
            pass

        def __call__(self, frame: object, boxes: np.ndarray) -> np.ndarray:
            return np.tile(np.float32([1, 0]), (len(boxes), 1))

    monkeypatch.setattr("deepsort_paddle.appearance.encoder.AppearanceEncoder", Encoder)
    arguments = [
        scene.video,
        "--detections",
        scene.det,
        "--reid",
        "w",
        "--json",
        str(scene.folder / "o.json"),
    ]
    for extra, wanted in (([], 0.125), (["--max_cosine_distance", "0.5"], 0.5)):
        assert track([*arguments, "--overwrite", *extra]) == 0
        settings = json.loads((scene.folder / "o.json").read_text())["meta"]["settings"]
        assert settings["max_cosine_distance"] == wanted
        assert settings["preset"] == "strong"
        assert "--max-cosine-distance" not in capsys.readouterr().err


def test_a_network_without_a_calibrated_distance_is_not_called_calibrated(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    network = scene.folder / "bare.onnx"
    shutil.copy(default_model() / "inference.onnx", network)
    output = str(scene.folder / "o.txt")
    assert track([scene.video, "--detections", scene.det, "--reid", str(network), "--output", output]) == 0
    told = "note: bare.onnx has no calibrated threshold: --max-cosine-distance is 0.2, as in DeepSORT\n"
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_closes_every_output_after_a_whole_frame(
    scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update, calls = tracker.DeepSort.update, []

    def interrupted(self: tracker.DeepSort, detections: stages.Detections, **known: Any) -> object:
        calls.append(1)
        if len(calls) == 21:
            signal.raise_signal(signal.SIGINT)
        return update(self, detections, **known)

    monkeypatch.setattr(tracker.DeepSort, "update", interrupted)
    out = scene.folder
    files = {"output": "o.txt", "csv": "o.csv", "json": "o.json", "save-video": "o.mp4"}
    options = [f"--{option}={out}/{name}" for option, name in files.items()]
    code = track([scene.video, "--detections", scene.det, *options])
    assert code == 130
    captured = capsys.readouterr()
    assert "stopped by SIGINT; the outputs contain 20 frames" in captured.err
    assert captured.out.startswith("20 frames")
    assert read_tracks(out / "o.txt").frame.max() == 20
    assert json.loads((out / "o.json").read_text())["summary"]["frames"] == 20
    assert open_source(out / "o.mp4").frame_count == 20
    assert not list(out.glob("*.part*"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
