"""The documentation is run: its Python, its commands, its links."""

from __future__ import annotations

import hashlib
import re
import runpy
import shlex
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from deepsort_paddle import cli
from deepsort_paddle.detection.named_models import NAMED_MODELS
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.research import evaluate
from deepsort_paddle.structures import Detections, Tracks
from reid_train import command_line as reid_train

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
EVERYTHING = [*PAGES, *(ROOT / name for name in ("README.zh-CN.md", "CONTRIBUTING.md", "SECURITY.md"))]
EVERYTHING += [*ROOT.glob("benchmarks/**/README.md"), *ROOT.glob("tools/**/README.md")]
EVERYTHING += [ROOT / "weights" / "README.md"]
PROGRAMS = ("deepsort-track", "deepsort-eval", "reid-train")
HEIGHT, WIDTH, FRAMES = 48, 96, 6
BOXES = np.array([[4.0, 4.0, 20.0, 44.0], [60.0, 6.0, 76.0, 46.0]])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The commands of a page that are complete: no capitals in place of a name, no brackets, no variables."""
    text = re.sub(r" *\\\n *", " ", page.read_text("utf-8"))
    lines = re.findall(rf"^(?: {{4}})?((?:{'|'.join(PROGRAMS)}) .*)$", text, re.MULTILINE)
    plain = [re.sub(r"\s+# .*| \[--onnx\]$", "", line) for line in lines]
    return [line for line in plain if not re.search(r"\[|\$| [A-Z_]{2,}\b", line)]


def scene(number: int) -> np.ndarray:
    """A grey frame with somebody in red on the left and somebody in blue on the right."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    moved = BOXES.astype(int) + np.array([number, 0, number, 0])
    for (x1, y1, x2, y2), colour in zip(moved, [2, 0], strict=True):
        image[y1:y2, x1:x2] = np.eye(3, dtype=np.uint8)[colour] * 255
    return image


def save_named_detectors(network: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill a cache in which every named detector is this network."""
    monkeypatch.setenv("DEEPSORT_PADDLE_CACHE", str(folder / "cache"))
    (folder / "cache" / "detectors").mkdir(parents=True)
    for name, asset in list(NAMED_MODELS.items()):
        path = folder / "cache" / "detectors" / asset.url.rpartition("/")[2]
        content = network.read_bytes()
        path.write_bytes(content)
        pinned = replace(asset, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(NAMED_MODELS, name, pinned)


@pytest.fixture
def desk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save_yolox: Callable[[Path], None],
    save_mean_color: Callable[[Path], None],
) -> Path:
    """A working directory with every file that the pages name, tiny."""
    monkeypatch.chdir(tmp_path)
    for name in ("video.mp4", "street.mp4"):
        with VideoWriter(tmp_path / name, fps=25) as video:
            for number in range(FRAMES):
                video.write(scene(number))
    rows = [
        (number, track + 1, *(BOXES[track, :2] + 1 + [number - 1, 0]), *(BOXES[track, 2:] - BOXES[track, :2]))
        for number in range(1, FRAMES + 1)
        for track in (0, 1)
    ]
    for name, tail in (("gt.txt", "1,1,1"), ("tracks.txt", "0.9,-1,-1,-1"), ("det.txt", "0.9,-1,-1,-1")):
        (tmp_path / name).write_text("".join(f"{','.join(map(str, row))},{tail}\n" for row in rows))
    save_yolox(tmp_path / "yolox_nano.onnx")
    save_named_detectors(tmp_path / "yolox_nano.onnx", tmp_path, monkeypatch)
    (config,) = re.findall(
        r"^```yaml\n(source:.*?)^```", (ROOT / "docs" / "track.md").read_text("utf-8"), re.M | re.S
    )
    (tmp_path / "street.yaml").write_text(config)
    save_mean_color(tmp_path / "weights" / "resnet50vd" / "mean_color.onnx")
    embeddings = np.eye(3, dtype=np.float32)
    np.savez("features.npz", names=np.array(["a.jpg", "b.jpg", "c.jpg"]), embeddings=embeddings)
    return tmp_path


def save_persons(folder: Path, persons: int, images: int) -> None:
    """A Market-1501 folder of noise around a colour for each person, in two cameras."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for person in range(1, persons + 1):
        colour = rng.integers(40, 215, (2, 3)).repeat([20, 12], axis=0)[:, None]
        for number in range(images):
            crop = colour + rng.normal(0, 12, (32, 16, 3))
            name = f"{person:04}_c{number % 2 + 1}s1_{number:06}_01.jpg"
            cv2.imwrite(str(folder / name), np.clip(crop, 0, 255).astype(np.uint8))


def names_for(page: str) -> dict[str, Any]:
    """What the text around a page's example says is there already."""
    found = Detections.of(BOXES, np.array([0.9, 0.8]))
    embeddings = np.eye(2, 3, dtype=np.float32)
    tracks = Tracks.empty()
    images = [scene(number) for number in range(FRAMES)]
    return {
        "README.md": {"frames": images, "detect": lambda frame: (BOXES, np.array([0.9, 0.8]))},
        "docs/counting.md": {"tracks": tracks, "timestamp": 0.04},
        "docs/detectors.md": {"image": images[0]},
        "docs/encoder.md": {
            **{"frame": images[0], "frame1": images[1], "frame2": images[2]},
            **{"boxes": BOXES, "boxes1": BOXES, "boxes2": BOXES[:1]},
        },
        "docs/explain.md": {"frames": [found] * 8},
        "docs/tracker.md": {"frames": [(BOXES, np.array([0.9, 0.8]), embeddings)] * 4},
    }.get(page, {})


EXAMPLES = [(page, number) for page in PAGES for number in range(len(python_blocks(page)))]


@pytest.mark.parametrize(("page", "number"), EXAMPLES, ids=[f"{name_of(p)}-{n}" for p, n in EXAMPLES])
def test_the_python_of_the_pages_runs(page: Path, number: int, desk: Path) -> None:
    code = python_blocks(page)[number]
    if name_of(page) == "docs/data.md":
        save_persons(desk / "Market-1501" / "bounding_box_train", persons=64, images=4)
    if "AppearanceEncoder()" in code:
        pytest.importorskip("paddle")
    names = names_for(name_of(page))
    if name_of(page) == "docs/explain.md":
        code = code.replace("7)", "1)")  # the tiny scene has no seventh person
    exec(compile(code, name_of(page), "exec"), names)
    assert set(names) - set(names_for(name_of(page))) - {"__builtins__"}, "the example defines nothing"


def deepsort_commands() -> Iterator[Any]:
    for page in PAGES:
        for line in commands(page):
            trained = "weights/mine" in line or "folder/" in line
            if line.startswith(("deepsort-track", "deepsort-eval")) and not trained:
                yield pytest.param(line, id=f"{name_of(page)}: {line}")


@pytest.mark.parametrize("line", list(deepsort_commands()))
def test_the_commands_of_the_pages_run(line: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(line)
    if program == "deepsort-track":
        if not {"--detector", "--detections"} & set(words):
            words += ["--detections", "det.txt"]  # HOG takes a second for these frames
        if "--reid" not in words:
            words += ["--reid", "weights/resnet50vd"]
        words = [re.sub(r"^3,7$|^7$", "1", word) for word in words]  # an id that this video has
        words = [{"1:30": "0", "2:00": "1"}.get(word, word) for word in words]  # and times
    assert (cli.track if program == "deepsort-track" else evaluate.main)(words) == 0
    assert capsys.readouterr().out


def test_the_readme_trains_a_network_that_tracks(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("paddle")
    save_persons(desk / "Market-1501" / "bounding_box_train", persons=64, images=4)
    with tarfile.open(desk / "market1501.tar", "w") as archive:
        archive.add(desk / "Market-1501", "Market-1501")
    lines = [line for line in commands(ROOT / "README.md") if "reid-train" in line or "weights/mine" in line]
    assert [line.split()[1] for line in lines] == ["prepare", "elem", "eval", "export", "video.mp4"]
    small = shlex.split(
        "--model MobileNetV3_small_x0_35 --image_shape 3,32,16 --resolutions '' --total_iter_num 1"
    )
    small += ["--train_batch_size", "8", "--test_batch_size", "64"]
    for line in lines:
        program, *words = shlex.split(line)
        if program == "reid-train":
            assert reid_train.main(words + (small if words[0] == "elem" else [])) == 0, line
        else:
            assert cli.track([*words, "--detections", "det.txt"]) == 0
    assert "written: weights/mine" in capsys.readouterr().out
    assert (desk / "output" / "video.txt").read_text().count("\n") > 0


def test_every_reid_train_command_of_the_pages_is_understood() -> None:
    lines = [line for page in PAGES for line in commands(page) if line.startswith("reid-train")]
    assert len(lines) >= 8
    for line in lines:
        options = reid_train.build_parser().parse_args(shlex.split(line)[1:])
        assert options.command == line.split()[1]


@pytest.mark.parametrize("page", EVERYTHING, ids=name_of)
def test_code_does_not_scroll_sideways(page: Path) -> None:
    """78 characters fit beside the two columns of the site, 100 on pages whose lines are folded there."""
    if "benchmarks" in page.parts or page.stem in ("explain", "speed"):
        return  # output as it comes, commands of the laboratory
    width, fenced, code = 78 if page.stem.startswith("README") else 100, False, []
    for line in page.read_text("utf-8").splitlines():
        fenced ^= line.startswith("```")
        code.append(line if fenced else line.removeprefix("    ") if line.startswith("    ") else "")
    assert [line for line in code if len(line) > width] == []


def test_the_table_of_options_is_up_to_date() -> None:
    written = runpy.run_path(str(ROOT / "tools" / "docs" / "option_table.py"))["table"]()
    assert written in (ROOT / "docs" / "presets.md").read_text("utf-8")


def test_links_lead_somewhere() -> None:
    dead = [
        f"{name_of(page)}: {target}"
        for page in EVERYTHING
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert dead == []


def test_every_page_is_on_the_site() -> None:
    def pages(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            for item in part.values() if isinstance(part, dict) else part:
                yield from pages(item)

    listed = set(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert {page.name for page in DOCS} <= listed
    outside = {name for name in listed if not (ROOT / "docs" / name).is_file()} - {"index.md"}
    assert all((ROOT / name).is_file() for name in outside)


def test_the_chinese_readme_shows_the_same_code() -> None:
    def code(name: str) -> list[str]:
        text = (ROOT / name).read_text("utf-8")
        lines = re.findall(r"^ {4}\S.*$", text, re.MULTILINE) + re.findall(r"\]\(([^)]+)\)", text)
        return [re.sub(r"\s+#.*", "", line) for line in lines if "README" not in line]

    def places(lines: list[str]) -> list[str]:
        return [line.replace("/en/install", "/install") for line in lines]

    assert places(code("README.md")) == places(code("README.zh-CN.md"))
    assert "README.zh-CN.md" in (ROOT / "README.md").read_text("utf-8")
    assert "(README.md)" in (ROOT / "README.zh-CN.md").read_text("utf-8")
