import numpy as np
import pytest

from deepsort_paddle.output.draw import Trails, draw_tracks, track_color
from deepsort_paddle.structures import Tracks


def tracks_at(boxes: list[list[float]], ids: list[int] | None = None, *, matched: bool = True) -> Tracks:
    count = len(boxes)
    return Tracks(
        np.arange(1, count + 1) if ids is None else np.array(ids, np.int64),
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.ones(count, np.float32),
        np.zeros(count, np.int64),
        np.arange(count) if matched else np.full(count, -1),
        np.zeros(count, np.int64),
    )


def grey(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def test_drawing_leaves_the_frame_and_the_tracks_alone() -> None:
    image, tracks = grey(), tracks_at([[20, 40, 60, 110]])
    drawn = draw_tracks(image, tracks)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (image == 90).all()
    assert (drawn != 90).any()
    np.testing.assert_array_equal(tracks.boxes, [[20, 40, 60, 110]])


def test_no_tracks_draw_nothing() -> None:
    np.testing.assert_array_equal(draw_tracks(grey(), Tracks.empty(), trails={}), grey())


def test_the_box_edge_has_the_colour_of_the_id() -> None:
    drawn = draw_tracks(grey(), tracks_at([[20, 40, 60, 110]], [7]))
    assert tuple(drawn[80, 20].tolist()) == track_color(7)
    assert tuple(drawn[80, 60].tolist()) == track_color(7)
    assert (drawn[70:100, 25:55] == 90).all()  # nothing inside


def test_neighbouring_ids_have_plainly_different_colours() -> None:
    colors = np.array([track_color(i) for i in range(1, 400)], float)
    for step in range(1, 101):
        apart = np.abs(colors[step:] - colors[:-step]).max(axis=1).min()
        assert apart > (20 if step <= 40 else 10)
    assert track_color(10**12) == track_color(10**12)


@pytest.mark.parametrize(
    "box",
    [
        [-30, -30, 10, 10],
        [140, 100, 400, 300],
        [-1e7, -1e7, 1e7, 1e7],
        [50, 50, 50, 50],
        [500, 500, 600, 600],
        [-1e300, 0, 1e300, 50],
    ],
)
@pytest.mark.parametrize("size", [(120, 160), (3, 3), (1, 1), (60, 7)])
def test_any_box_on_any_frame_can_be_drawn(box: list[float], size: tuple[int, int]) -> None:
    trails = {1: np.array([[0.0, 0.0], [1e9, -1e9], [5.0, 5.0]])}
    assert draw_tracks(grey(*size), tracks_at([box]), trails=trails).shape == (*size, 3)


@pytest.mark.parametrize(
    "box", [[0, 0, 30, 60], [130, 0, 159, 60], [0, 60, 30, 119], [130, 60, 159, 119], [-50, -50, 200, 200]]
)
def test_labels_stay_inside_the_frame(box: list[float]) -> None:
    def label_area(box: list[float]) -> int:
        tracks = tracks_at([box], [8888])
        without = draw_tracks(grey(), tracks, label=lambda tracks, row: "")
        return int((draw_tracks(grey(), tracks) != without).any(axis=2).sum())

    assert label_area(box) > 0.85 * label_area([60, 50, 90, 110])


def test_two_people_at_one_place_have_two_readable_labels() -> None:
    image = grey(240, 320)
    both = draw_tracks(image, tracks_at([[100, 80, 140, 200], [101, 80, 141, 201]], [4, 9]))
    for track_id in (4, 9):
        filled = (both == np.array(track_color(track_id), np.uint8)).all(axis=2)
        assert filled.sum() > 60


def test_a_dense_group_has_readable_labels() -> None:
    image, count = grey(480, 640), 8
    boxes = [[300 + 2 * row, 180 + row, 340 + 2 * row, 300 + row] for row in range(count)]
    group = tracks_at(boxes, list(range(11, 11 + count)))
    drawn = draw_tracks(image, group)
    for row in range(count):
        alone = draw_tracks(image, group[row])
        bare = draw_tracks(image, group[row], label=lambda tracks, row: "")
        tag = int((alone != bare).any(axis=2).sum())
        filled = (drawn == np.array(track_color(11 + row), np.uint8)).all(axis=2)
        edges = (bare == np.array(track_color(11 + row), np.uint8)).all(axis=2)
        assert (filled & ~edges).sum() > 0.3 * tag  # the digits and their soft edges take the rest


def test_text_on_a_portrait_image_is_as_large_as_on_the_same_one_lying() -> None:
    box = [[400.0, 400.0, 500.0, 700.0]]
    areas = []
    for size in ((1080, 1920), (1920, 1080)):
        bare = draw_tracks(grey(*size), tracks_at(box), label=lambda tracks, row: "")
        areas.append(int((draw_tracks(grey(*size), tracks_at(box)) != bare).any(axis=2).sum()))
    assert areas[0] == areas[1]


def test_unmatched_tracks_have_a_thinner_box() -> None:
    image = grey(1080, 800)
    box = [[100.0, 200.0, 400.0, 900.0]]
    thick = draw_tracks(image, tracks_at(box), label=lambda tracks, row: "")
    thin = draw_tracks(image, tracks_at(box, matched=False), label=lambda tracks, row: "")
    assert (thin != 90).sum() < 0.7 * (thick != 90).sum()


def test_lines_and_text_grow_with_the_frame() -> None:
    small = draw_tracks(grey(480, 640), tracks_at([[100, 160, 180, 400]]))
    large = draw_tracks(grey(2160, 2880), tracks_at([[450, 720, 810, 1800]]))
    share = [(image != 90).any(axis=2).mean() for image in (small, large)]
    assert 0.6 < share[1] / share[0] < 1.4  # thickness is in whole pixels


def test_trails_follow_the_feet_and_forget() -> None:
    trails = Trails(length=3)
    for frame in range(5):
        points = trails.update(tracks_at([[frame, 0, frame + 2, 10]], [6]))
    np.testing.assert_array_equal(points[6], [[3, 10], [4, 10], [5, 10]])
    for _ in range(3):
        assert trails.update(Tracks.empty()) == {}
    np.testing.assert_array_equal(trails.update(tracks_at([[8, 0, 8, 1]], [6]))[6], [[8, 1]])


def test_a_label_of_ones_own_is_used() -> None:
    seen = []

    def label(tracks: Tracks, row: int) -> str:
        seen.append(int(tracks.ids[row]))
        return ""

    draw_tracks(grey(), tracks_at([[1, 1, 9, 9], [20, 20, 40, 40]], [3, 5]), label=label)
    assert sorted(seen) == [3, 5]
