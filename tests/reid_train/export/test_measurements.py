"""Measurements of an exported network on development sets."""

from __future__ import annotations

import numpy as np
import pytest

from reid_train.data.image_cache import decode_images
from reid_train.export.measurements import measure


@pytest.mark.parametrize("batch_size", [1, 15, 16, 17])
def test_the_batch_size_does_not_change_the_metrics(dev_index, batch_size):
    images = decode_images(dev_index.paths, height=8, width=8)
    assert len(images) == 16
    sizes = []

    def run(batch):
        sizes.append(len(batch))
        rows = batch.reshape(len(batch), -1).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    whole = measure(run, {"dev": images}, {"dev": dev_index}, 64)
    assert set(sizes) == {16}
    sizes.clear()
    assert measure(run, {"dev": images}, {"dev": dev_index}, batch_size) == whole
    assert max(sizes) == min(batch_size, 16)
    assert sum(sizes) % 16 == 0
