"""The examples with other trackers, run against the real packages on a tiny video."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from deepsort_paddle.media.source import open_source
from deepsort_paddle.media.video_writer import VideoWriter
from deepsort_paddle.motchallenge.text import read_tracks

DEMO = Path(__file__).resolve().parents[2] / "demo"
FRAMES = 12


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script with_<package>.py; skips where the package is not installed."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed, see docs/plug_in.md")
    sys.path.insert(0, str(DEMO))
    yield importlib.import_module(f"with_{request.param}")
    sys.path.remove(str(DEMO))
    sys.modules.pop(f"with_{request.param}")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, save_mean_color: Callable[[Path], None]) -> Path:
    """A folder of frames, its detections and a re-ID network of mean colours: two walkers, red and blue."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "frames").mkdir()
    lines = []
    for number in range(1, FRAMES + 1):
        image = np.full((120, 200, 3), 90, np.uint8)
        for left, colour in ((10 + 4 * number, (0, 0, 255)), (150 - 4 * number, (255, 0, 0))):
            top = 20 if colour[2] else 60
            image[top : top + 40, left : left + 20] = colour
            lines.append(f"{number},-1,{left + 1},{top + 1},20,40,0.9,-1,-1,-1\n")
        cv2.imwrite(str(folder / "frames" / f"{number:04}.png"), image)
    (folder / "det.txt").write_text("".join(lines))
    reid = folder / "reid"
    save_mean_color(reid / "colours.onnx")
    spec = {
        "format": 1,
        "name": "colours",
        "input": {"height": 16, "width": 8, "layout": "NHWC", "dtype": "uint8", "channels": "BGR"},
        "resize": {"interpolation": "linear"},
        "output": {"embedding_size": 3, "normalized": False},
        "files": {"model": "colours.onnx"},
        "max_cosine_distance": 0.2,
    }
    (reid / "encoder.json").write_text(json.dumps(spec))
    sums = importlib.import_module("hashlib")
    (reid / "SHA256SUMS").write_text(
        "".join(
            f"{sums.sha256((reid / name).read_bytes()).hexdigest()}  {name}\n"
            for name in ("colours.onnx", "encoder.json")
        )
    )
    return folder


def arguments(scene: Path) -> list[str]:
    return [str(scene / "frames"), "--detections", str(scene / "det.txt"), "--reid", str(scene / "reid")]


@pytest.mark.parametrize("example", ["deep_sort_realtime", "norfair", "boxmot", "trackers"], indirect=True)
# These packages do not know the warnings of the libraries below them.
@pytest.mark.filterwarnings("ignore")
def test_another_tracker_follows_two_people_by_our_embeddings(
    example: ModuleType, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tracks.txt"
    words = arguments(scene)
    if example.__name__ == "with_trackers":  # it matches by motion alone
        words = words[:3]
    monkeypatch.setattr(sys, "argv", ["example", *words, "--output", str(output)])
    example.main()
    tracks = read_tracks(output)
    assert tracks.frame.max() == FRAMES
    above = tracks.boxes[:, 1] < 40
    red, blue = set(tracks.ids[above].tolist()), set(tracks.ids[~above].tolist())
    assert len(red) == len(blue) == 1
    assert red != blue


@pytest.mark.parametrize("example", ["supervision"], indirect=True)
def test_supervision_gives_detections_and_draws_the_tracks_at_the_rate_of_the_video(
    example: ModuleType, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "tracked.mp4"
    with VideoWriter(source, fps=10) as video:
        for path in sorted((scene / "frames").iterdir()):
            video.write(cv2.imread(str(path)))
    words = [str(source), *arguments(scene)[1:], "--save-video", str(target)]
    monkeypatch.setattr(sys, "argv", ["example", *words])
    example.main()
    with open_source(target) as frames:
        assert frames.fps == pytest.approx(10)
        images = [frame.image for frame in frames]
    assert len(images) == FRAMES
    plain = cv2.imread(str(scene / "frames" / f"{FRAMES:04}.png"))
    assert images[-1] is not None
    assert (np.abs(images[-1].astype(int) - plain).max(axis=2) > 80).sum() > 200


@pytest.mark.parametrize("example", ["ultralytics"], indirect=True)
@pytest.mark.filterwarnings("ignore")
def test_ultralytics_boxes_are_tracked(
    example: ModuleType, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = importlib.import_module("torch")
    results = importlib.import_module("ultralytics.engine.results")

    class Model:
        """Stands for trained weights, which a test has not; its results are the real ones."""

        def __init__(self, weights: Path) -> None:
            self.number = 0

        def predict(self, image: np.ndarray, classes: list[int], conf: float, verbose: bool) -> list[object]:
            self.number += 1
            left = 10.0 + 4 * self.number
            boxes = torch.tensor([[left, 20.0, left + 20, 60.0, 0.9, 0.0]])
            return [results.Results(orig_img=image, path="", names={0: "person"}, boxes=boxes)]

    monkeypatch.setattr(example, "YOLO", Model)
    output = tmp_path / "tracks.txt"
    words = [str(scene / "frames"), "--weights", "yolo.pt", "--reid", str(scene / "reid")]
    monkeypatch.setattr(sys, "argv", ["example", *words, "--output", str(output)])
    example.main()
    tracks = read_tracks(output)
    assert set(tracks.ids.tolist()) == {1}
    np.testing.assert_allclose(tracks.boxes[-1], [10 + 4 * FRAMES, 20, 30 + 4 * FRAMES, 60], atol=3)
