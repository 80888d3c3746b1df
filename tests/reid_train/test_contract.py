"""The contract of the two packages: what reid_train exports, deepsort_paddle opens and runs."""

from __future__ import annotations

import numpy as np
import pytest

from deepsort_paddle import AppearanceEncoder
from reid_train.data.datasets import read_image
from reid_train.evaluation.features import embed, infer
from reid_train.export.export import export
from reid_train.training.parallel import World
from reid_train.training.trainer import Trainer, network_of
from reid_train.training.transforms import preprocessing_of

# Sizes that are larger and smaller, wider and taller than the input.
BOXES = np.array([[3, 2, 43, 34], [10, 5, 22, 60], [0, 0, 7, 9], [20, 8, 64, 22], [5, 5, 29, 53]], float)


@pytest.mark.parametrize("augmentation", ["strong", "seed"])
def test_the_exported_encoder_gives_the_trained_networks_embeddings(tiny, dev_index, tmp_path, augmentation):
    model = "MobileNetV3_small_x0_35" if augmentation == "strong" else "PlainNorm"
    config = tiny(model=model, augmentation=augmentation, image_shape=(3, 48, 24), neck=True)
    checkpoint = Trainer(config, 4, World(0, 1)).checkpoint()
    export(checkpoint, dev_index, tmp_path / "toy")
    encoder = AppearanceEncoder(tmp_path / "toy", device="cpu", threads=1)
    assert (encoder.spec.height, encoder.spec.width, encoder.embedding_size) == (48, 24, 6)
    assert encoder.spec.resize_mode == ("stretch" if augmentation == "strong" else "short_side_crop")

    network, prepare = network_of(checkpoint), preprocessing_of(config)
    want = infer(network, dev_index.paths, prepare).embeddings
    whole = [[[0, 0, image.shape[1], image.shape[0]]] for image in map(read_image, dev_index.paths)]
    rows = encoder.encode_batch([read_image(path) for path in dev_index.paths], whole)
    np.testing.assert_allclose(np.concatenate(rows), want, atol=1e-4)

    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    crops = [prepare(frame[int(y1) : int(y2), int(x1) : int(x2)]) for x1, y1, x2, y2 in BOXES]
    np.testing.assert_allclose(encoder(frame, BOXES), embed(network, np.stack(crops)), atol=1e-4)
