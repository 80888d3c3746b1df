from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_train.data.image_index import ImageIndex
from reid_train.evaluation.figures import DistanceHistogram, RankList
from reid_train.evaluation.plots import draw_cmc, draw_distances, draw_rank_lists
from reid_train.evaluation.ranking import QueryRanks

GREEN, RED = (60, 143, 26), (40, 39, 214)  # BGR of the frames


def near(image, colour, tolerance=12):
    return (np.abs(image.astype(int) - colour) <= tolerance).all(axis=2)


def one_list(right):
    rows = np.arange(len(right))
    return RankList(0, rows, np.linspace(0.1, 0.9, len(right)).astype(np.float32), np.array(right))


@pytest.fixture
def index(tmp_path):
    paths = []
    for row in range(4):
        paths.append(tmp_path / f"{row}.png")
        cv2.imwrite(str(paths[-1]), np.full((128, 64, 3), 90 + 20 * row, np.uint8))
    paths[3].write_bytes(b"not an image")
    return ImageIndex(tuple(paths), np.array([5, 5, 0, 7]), np.array([1, 2, 0, 3]))


def test_correct_images_have_green_frames_and_wrong_ones_red(tmp_path, index):
    counts = {}
    for right in ([True, True], [True, False], [False, False]):
        draw_rank_lists(tmp_path / "lists.png", index, index, [one_list(right)], ["AP 50%"], title="t")
        image = cv2.imread(str(tmp_path / "lists.png"))
        counts[sum(right)] = near(image, GREEN).sum(), near(image, RED).sum()
    # The legend contains a little of both colours.
    assert counts[2][0] > counts[1][0] > counts[0][0] > 0
    assert counts[0][1] > counts[1][1] > counts[2][1] > 0


def test_frames_are_in_the_order_of_the_ranking(tmp_path, index):
    draw_rank_lists(
        tmp_path / "lists.png", index, index, [one_list([True, False, False, False])], ["AP"], title="t"
    )
    image = cv2.imread(str(tmp_path / "lists.png"))
    below_legend = slice(image.shape[0] // 3, None)
    green = np.flatnonzero(near(image[below_legend], GREEN).any(axis=0))
    red = np.flatnonzero(near(image[below_legend], RED).any(axis=0))
    assert green.max() < red.min()


def test_images_of_any_shape_and_unreadable_ones_are_drawn(tmp_path, index):
    for row, shape in enumerate([(1000, 20), (10, 900), (1, 1)]):
        cv2.imwrite(str(index.paths[row]), np.zeros((*shape, 3), np.uint8))
    lists = [one_list([True, False, True, False]), one_list([False])]
    draw_rank_lists(tmp_path / "lists.png", index, index, lists, ["a", "b"], title="t")
    assert cv2.imread(str(tmp_path / "lists.png")) is not None
    with pytest.raises(ValueError, match="at least one rank list"):
        draw_rank_lists(tmp_path / "lists.png", index, index, [], [], title="t")


@pytest.mark.parametrize("gallery_size", [1, 7, 500])
def test_cmc_is_drawn_for_any_gallery(tmp_path, gallery_size):
    one = np.ones(1)
    ranks = QueryRanks(np.array([0]), np.array([1]), one, one, gallery_size)
    draw_cmc(tmp_path / "cmc.png", {"plain": ranks, "re-ranked": ranks})
    assert cv2.imread(str(tmp_path / "cmc.png")) is not None


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_an_empty_histogram_is_drawn(tmp_path, threshold):
    edges = (0.0, 0.5, 1.0, 1.5, 2.0)
    full = DistanceHistogram(edges, (0.9, 0.1, 0.0, 0.0), (0.0, 0.2, 0.8, 0.0), 10, 20)
    empty = DistanceHistogram(edges, (0.0,) * 4, (0.0,) * 4, 0, 0)
    for histogram in (full, empty):
        draw_distances(tmp_path / "distances.png", histogram, threshold=threshold)
        assert cv2.imread(str(tmp_path / "distances.png")) is not None


def test_matplotlib_and_paddle_are_imported_only_when_used():
    code = "import sys, reid_train.evaluation.report; "
    code += "sys.exit(bool({'matplotlib', 'paddle'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_a_missing_folder_is_an_oserror(tmp_path):
    ranks = QueryRanks(np.array([0]), np.array([1]), np.ones(1), np.ones(1), 3)
    with pytest.raises(FileNotFoundError):
        draw_cmc(tmp_path / "missing" / "cmc.png", {"plain": ranks})
