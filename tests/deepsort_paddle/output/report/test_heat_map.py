"""Where people stood and walked."""

import cv2
import numpy as np
import pytest

from deepsort_paddle.output.report.heat_map import heat_maps
from deepsort_paddle.output.report.track_path import TrackPath


def path_of(feet: list[tuple[float, float]], *, step: float = 0.2) -> TrackPath:
    """A path whose feet are at these points, one a step."""
    path = TrackPath(1, 0)
    for number, (x, y) in enumerate(feet):
        path.add(number, number + 1, number * step, np.array([x - 10, y - 60, x + 10, y]))
    return path


def test_seconds_are_where_feet_stood_and_sum_over_people() -> None:
    paths = {1: path_of([(40, 90)] * 11), 2: path_of([(41, 91)] * 6), 3: path_of([(120, 30)] * 3)}
    stood, _ = heat_maps(paths, 160, 120)
    assert stood.values.shape == (120, 160)
    assert stood.reach == 2.5
    assert stood.values[90, 40] == pytest.approx(2.0 + 1.0)
    assert stood.values[30, 120] == pytest.approx(0.4)
    assert stood.values[60, 80] == 0
    assert stood.most == pytest.approx(3.0)


def test_a_person_who_walks_to_and_fro_passes_once() -> None:
    to_and_fro = path_of([(20, 60), (100, 60), (20, 60), (100, 60)])
    other = path_of([(60, 20), (60, 100)])
    _, passed = heat_maps({1: to_and_fro, 2: other}, 160, 120)
    assert passed.values[60, 40] == 1
    assert passed.values[60, 60] == 2
    assert passed.values[20, 20] == 0


def test_a_track_of_one_frame_passes() -> None:
    _, passed = heat_maps({1: path_of([(40, 90)])}, 160, 120)
    assert passed.values[90, 40] == 1


def test_tracks_of_one_person_pass_once() -> None:
    paths = {1: path_of([(20, 60), (100, 60)]), 5: path_of([(20, 60), (100, 60)])}
    assert heat_maps(paths, 160, 120)[1].most == 2
    assert heat_maps(paths, 160, 120, persons=[1, 1])[1].most == 1


def test_feet_outside_the_frame_count_at_its_edge() -> None:
    stood, passed = heat_maps({1: path_of([(-30, 500)] * 6)}, 160, 120)
    assert stood.values[119, 0] == pytest.approx(1.0)
    assert passed.values[119, 0] == 1


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1, 1), (90, 4000)])
def test_every_size_of_frame_has_a_map_in_its_shape(width: int, height: int) -> None:
    stood, _ = heat_maps({1: path_of([(0, 0), (width, height)])}, width, height)
    png = cv2.imdecode(np.frombuffer(stood.png(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert png is not None
    assert png.shape[2] == 4
    assert max(png.shape) == 160
    assert png.shape[1] / png.shape[0] == pytest.approx(width / height, rel=0.3)


def test_where_nothing_was_the_image_is_transparent() -> None:
    stood, _ = heat_maps({1: path_of([(40, 90)] * 6)}, 160, 120)
    png = cv2.imdecode(np.frombuffer(stood.png(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert png is not None
    assert png[10, 150, 3] == 0
    assert png[90, 40, 3] > 200
