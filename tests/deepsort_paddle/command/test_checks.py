from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from deepsort_paddle.cli import track
from deepsort_paddle.command.checks import box_warnings
from deepsort_paddle.media.source import VideoWriter
from deepsort_paddle.output import lettering

CORNERS = np.array([[300.0, 200.0, 340.0, 300.0], [20.0, 30.0, 60.0, 130.0], [400.0, 250.0, 440.0, 350.0]])


def test_boxes_in_pixels_of_the_image_raise_no_doubt() -> None:
    assert box_warnings(CORNERS, 0.3, 480, 360) == []
    cut = np.vstack([CORNERS, [[440, 250, 600, 500]]])  # one of four reaches beyond the edge
    assert box_warnings(cut, 0.3, 480, 360) == []


def test_corners_in_place_of_widths_are_doubted() -> None:
    doubled = np.concatenate([CORNERS[:, :2], CORNERS[:, :2] + CORNERS[:, 2:]], axis=1)
    (doubt,) = box_warnings(doubled, 0.3, 480, 360)
    assert doubt.startswith(
        "2 of 3 detections reach far beyond the frame of 480 x 360: expected left, top, width"
    )
    assert box_warnings(doubled, 0.3, None, None) == []


def test_fractions_in_place_of_pixels_are_noted() -> None:
    (doubt,) = box_warnings(CORNERS / 480 - 1, 0.3, 480, 360)
    assert "not fractions" in doubt


def test_a_threshold_that_nothing_reaches_is_said() -> None:
    assert box_warnings(np.zeros((0, 4)), 0.3, 480, 360) == [
        "no detection reaches the threshold of 0.3 (--min-confidence)"
    ]


@pytest.fixture
def scene(tmp_path: Path) -> SimpleNamespace:
    """Four frames, as video and as images, with a box in each."""
    (tmp_path / "images").mkdir()
    with VideoWriter(tmp_path / "clip.mp4", fps=10) as video:
        for number in range(4):
            image = np.full((48, 96, 3), 40 * number, np.uint8)
            video.write(image)
            cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image)
    (tmp_path / "det.txt").write_text("".join(f"{number},-1,9,9,10,20,0.05\n" for number in range(1, 5)))
    return SimpleNamespace(folder=tmp_path, video=str(tmp_path / "clip.mp4"), det=str(tmp_path / "det.txt"))


def notes_of(capsys: pytest.CaptureFixture[str], source: str, *arguments: str) -> str:
    assert track([source, "--reid", "none", *arguments]) == 0
    return capsys.readouterr().err


def test_a_run_says_what_looks_wrong(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lettering, "_fonts", tuple)  # as on a machine without fonts
    lettering._font_with.cache_clear()
    arguments = ["--detections", scene.det, "--output", str(scene.folder / "o.txt"), "--fps", "5"]
    arguments += ["--line", "door:200,0,200,40", "--line", "gate:50,0,50,40", "--zone", "yard:0,-9,9,-9,9,-1"]
    arguments += ["--zone", "大门:0,0,9,0,9,9"]
    told = notes_of(capsys, scene.video, *arguments, "--save-video", str(scene.folder / "o.mp4"))
    assert "note: --fps applies only to image folders: clip keeps its own rate 10\n" in told
    assert "note: line 'door' lies outside the frame of 96 x 48 pixels\n" in told
    assert "note: zone 'yard' lies outside" in told
    assert "note: zone '大门' shows as zone 2 on the video: no font here has all its characters" in told
    assert "gate" not in told
    assert f"note: {scene.det}: no detection reaches the threshold of 0.1 (--min-confidence)\n" in told
    told = notes_of(capsys, str(scene.folder / "images"), *arguments, "--min-confidence", "0.01")
    assert "--fps" not in told
    assert scene.det not in told
    assert "is shown as" not in told  # there is no video to show it


def test_what_each_frame_warns_of_is_said_once(
    scene: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    beyond = "".join(f"{number},-1,{left},9,10,20,0.9\n" for number in range(1, 5) for left in (500, 600))
    Path(scene.det).write_text(beyond)
    arguments = ["--detections", scene.det, "--output", str(scene.folder / "o.txt")]
    assert track([scene.video, *arguments]) == 0
    assert capsys.readouterr().err.count("all boxes lie outside the frame or are empty") == 1
