from __future__ import annotations

import numpy as np
import pytest

from reid_train.evaluation.colour_cast import CASTS, cast, cast_table


@pytest.mark.parametrize("strength", CASTS)
def test_a_cast_multiplies_each_channel_by_a_gain_of_the_camera(strength):
    tables = {camera: cast_table(camera, strength) for camera in range(1, 40)}
    gains = np.array([table[100] / 100 for table in tables.values()])  # by camera and channel
    assert (np.abs(gains - 1) <= strength + 0.005).all()
    assert np.abs(gains - 1).max() > 0.9 * strength
    assert len(np.unique(gains)) > 20
    for table in tables.values():
        assert (np.diff(table.astype(int), axis=0) >= 0).all()
        assert table[0].tolist() == [0, 0, 0]
        np.testing.assert_allclose(table[:180], np.arange(180)[:, None] * (table[100] / 100), atol=1.5)
    np.testing.assert_array_equal(cast_table(3, strength), tables[3])


def test_a_cast_maps_each_channel_by_its_table_and_keeps_its_input():
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    before, table = image.copy(), cast_table(2, 0.3)
    changed = cast(image, table)
    for channel in range(3):
        np.testing.assert_array_equal(changed[..., channel], table[image[..., channel], channel])
    np.testing.assert_array_equal(image, before)


def test_without_strength_nothing_changes():
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(cast(image, cast_table(1, 0.0)), image)
