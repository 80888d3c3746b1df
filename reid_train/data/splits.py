"""Splits of an index into training and development images, always by person."""

from __future__ import annotations

import numpy as np

from reid_train.data.image_index import ImageIndex, persons_only

__all__ = ["article_split", "hold_out_ids"]

ARTICLE_DEV_IMAGES = 1014


def hold_out_ids(index: ImageIndex, count: int, seed: int) -> tuple[ImageIndex, ImageIndex]:
    """Split by person: ``count`` ids chosen by ``seed`` go to the second index.

    Junk and distractors go to neither.

    Raises:
        ValueError: there are not more than ``count`` ids.
    """
    index = persons_only(index)
    ids = np.unique(index.pids)
    if not 0 <= count < len(ids):
        raise ValueError(f"held-out ids must be in [0, {len(ids) - 1}], got {count}")
    held = np.random.default_rng(seed).choice(ids, count, replace=False)
    mask = np.isin(index.pids, held)
    return index[~mask], index[mask]


def article_split(index: ImageIndex, dev_images: int = ARTICLE_DEV_IMAGES) -> tuple[ImageIndex, ImageIndex]:
    """The original article's split: the last images by name are the dev set, the rest train.

    Where the cut falls inside a person, all images of that person go to the dev set.

    Args:
        index: of all of ``gt_bbox`` 1421 persons train, and exactly 80 are in the last 1014 images.
        dev_images: images of the dev set, at least.

    Raises:
        ValueError: too few images are there to leave any for training.
    """
    order = sorted(range(len(index)), key=lambda i: index.paths[i].name)
    ordered = index[np.array(order, np.int64)]
    dev = np.isin(ordered.pids, ordered.pids[-dev_images:])
    if dev.all():
        raise ValueError(
            f"the article's split needs persons beside those of the last {dev_images} images, "
            f"got {len(order)} images"
        )
    return ordered[~dev], ordered[dev]
