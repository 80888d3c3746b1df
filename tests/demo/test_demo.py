from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from deepsort_paddle.boxes import iou
from deepsort_paddle.media.source import open_source
from deepsort_paddle.motchallenge.metrics import evaluate, prepare_sequence
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import read_detections, read_ground_truth, read_tracks

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="module")
def demo():
    """Imports a script of the demo, with its folder on the path as when it is run."""
    sys.path.insert(0, str(DEMO))
    yield importlib.import_module
    sys.path.remove(str(DEMO))
    for name in ("crowd", "figures", "make_clip", "make_gif", "run_demo", "scene", "track_video"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def make_clip(demo) -> ModuleType:
    return demo("make_clip")


@pytest.fixture(scope="module")
def frames(make_clip):
    """Two seconds of a small clip."""
    return list(make_clip.render_clip(120, 160, seconds=2.0, seed=3))


@pytest.fixture(scope="module")
def clip(make_clip, tmp_path_factory) -> Path:
    """A small clip on disk: the folder that holds street/ and street.mp4."""
    folder = tmp_path_factory.mktemp("demo")
    make_clip.make_clip(folder, height=120, width=160, seconds=1.6, seed=3)
    return folder


def test_frames_have_the_size_and_number_that_were_asked_for(frames):
    assert len(frames) == 50
    for image, _ in frames:
        assert image.shape == (120, 160, 3)
        assert image.dtype == np.uint8


def test_true_boxes_lie_inside_the_frame(frames):
    for _, truth in frames:
        assert len(truth.ids) == len(set(truth.ids.tolist())) > 0
        assert (truth.boxes[:, :2] >= 0).all()
        assert (truth.boxes[:, 2:] <= [160, 120]).all()
        assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()


def test_what_is_visible_lies_inside_the_whole_outline(frames):
    for _, truth in frames:
        assert ((truth.visibility >= 0) & (truth.visibility <= 1)).all()
        seen = truth.visibility > 0
        assert (truth.visible[seen][:, :2] >= truth.boxes[seen][:, :2]).all()
        assert (truth.visible[seen][:, 2:] <= truth.boxes[seen][:, 2:]).all()
        assert (truth.visible[~seen] == 0).all()


def test_people_hide_each_other_and_move(frames):
    visibility = np.concatenate([truth.visibility for _, truth in frames])
    assert (visibility < 0.4).any()
    assert (visibility > 0.95).any()
    first, last = frames[0][1], frames[-1][1]
    both = set(first.ids.tolist()) & set(last.ids.tolist())
    shifts = [
        abs(first.boxes[first.ids == track_id][0, 0] - last.boxes[last.ids == track_id][0, 0])
        for track_id in both
    ]
    assert max(shifts) > 20


def test_boxes_fit_the_painted_people(make_clip):
    """Somebody alone in an empty street: what differs from the empty street is the person and the shadow."""
    with_person = list(make_clip.render_clip(240, 320, seconds=0.6, people=1, seed=3))[-1]
    empty = list(make_clip.render_clip(240, 320, seconds=0.6, people=0, seed=3))[-1]
    assert len(empty[1].ids) == 0
    changed = np.abs(with_person[0].astype(int) - empty[0].astype(int)).max(axis=2) > 60
    rows, columns = np.nonzero(changed)
    x1, y1, _, y2 = with_person[1].boxes[0]
    assert abs(rows.min() - y1) <= 2
    assert abs(columns.min() - x1) <= 2
    assert rows.max() <= y2 + 12


def test_one_seed_gives_one_clip_and_another_another(make_clip, frames):
    again = next(make_clip.render_clip(120, 160, seconds=2.0, seed=3))
    assert_array_equal(again[0], frames[0][0])
    assert_array_equal(again[1].boxes, frames[0][1].boxes)
    other = next(make_clip.render_clip(120, 160, seconds=2.0, seed=4))
    assert (other[0] != frames[0][0]).any()


def test_somebody_who_comes_back_keeps_the_id(demo):
    crowd = demo("crowd")
    walks = crowd.make_walks()
    for later, earlier in crowd.SAME_PERSON.items():
        assert walks[later].look == walks[earlier].look
    looks = [walk.look for place, walk in enumerate(walks) if place not in crowd.SAME_PERSON]
    assert len(set(looks)) == len(looks)


def test_the_files_are_a_sequence_that_the_package_reads(clip):
    info = SequenceInfo.read(clip / "street")
    assert (info.name, info.length, info.frame_rate) == ("street", 40, 25)
    truth = read_ground_truth(clip / "street" / "gt" / "gt.txt")
    assert set(truth.class_id.tolist()) == {1}
    assert truth.frame.max() <= 40
    assert (truth.boxes >= 0).all()
    found = read_detections(clip / "street" / "det" / "det.txt")
    assert set(found) <= set(range(1, 41))
    with open_source(clip / "street.mp4") as frames:
        assert frames.fps == 25
        assert sum(1 for _ in frames) == 40


def test_detections_are_like_those_of_a_fair_detector(clip):
    truth = read_ground_truth(clip / "street" / "gt" / "gt.txt")
    found = read_detections(clip / "street" / "det" / "det.txt")
    right = boxes = 0
    for number, detections in found.items():
        overlap = iou(detections.boxes, truth.boxes[truth.frame == number])
        right += int((overlap.max(axis=1, initial=0.0) >= 0.5).sum())
        boxes += len(detections)
    assert right / boxes > 0.8  # precision
    clear = truth.visibility > 0.7
    assert right > 0.6 * clear.sum()
    assert boxes < 1.1 * len(truth)


def test_the_demo_loop_tracks_the_clip(clip, demo, monkeypatch):
    track_video = demo("track_video")
    results = clip / "tracks.txt"
    arguments = [str(clip / "street.mp4"), "--detections", str(clip / "street" / "det" / "det.txt")]
    arguments += ["--output", str(results), "--save-video", str(clip / "tracked.mp4")]
    monkeypatch.setattr(sys, "argv", ["track_video.py", *arguments])
    track_video.main()
    truth = read_ground_truth(clip / "street" / "gt" / "gt.txt")
    scores = evaluate([prepare_sequence("street", truth, read_tracks(results))]).overall
    assert scores.mota > 0.3
    assert scores.idf1 > 0.4
    assert (clip / "tracked.mp4").stat().st_size > 1000


def test_make_demo_runs_and_says_where_the_files_are(tmp_path, demo, monkeypatch, capsys):
    run_demo = demo("run_demo")
    arguments = ["--folder", str(tmp_path / "demo"), "--seconds", "1.2"]
    monkeypatch.setattr(sys, "argv", ["run_demo.py", *arguments])
    assert run_demo.main() == 0
    output = capsys.readouterr().out
    assert "HOTA" in output
    for name in ("tracked.mp4", "tracks_motion.txt", "street.mp4"):
        assert name in output
        assert (tmp_path / "demo" / name).is_file()


def test_a_gif_of_a_video_is_small_and_moves(clip, demo, tmp_path):
    make_gif = demo("make_gif").make_gif
    output = tmp_path / "new" / "clip.gif"
    size = {"width": 80, "fps": 5.0, "colors": 32}
    assert make_gif(clip / "street.mp4", output, start=0.4, seconds=1.0, **size) == 5
    with Image.open(output) as gif:
        assert (gif.size, gif.n_frames) == ((80, 60), 5)
        first = np.asarray(gif.convert("RGB"))
        gif.seek(4)
        assert (np.asarray(gif.convert("RGB")) != first).any()
    with pytest.raises(ValueError, match="no frame after 9 seconds"):
        make_gif(clip / "street.mp4", output, start=9.0, seconds=1.0, **size)
