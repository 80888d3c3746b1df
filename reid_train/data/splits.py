"""Split an index into training and development images by person."""

from __future__ import annotations

import numpy as np

from reid_train.data.image_index import ImageIndex, persons_only

__all__ = ["article_split", "hold_out_ids"]

ARTICLE_DEV_IMAGES = 1014


def hold_out_ids(index: ImageIndex, count: int, seed: int) -> tuple[ImageIndex, ImageIndex]:
    """Hold out random persons; junk and distractors are dropped.

    Args:
        index: the images.
        count: number of ids to hold out.
        seed: selects the ids.

    Returns:
        The remaining images, and those of the held-out ids.

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
    """Split as the original article did: the last images by name are the development set.

    If the cut falls within a person, all images of that person go to the development set.

    Args:
        index: the images. With all of ``gt_bbox``, 1421 persons remain for training, and the last 1014 images
            show exactly 80 persons.
        dev_images: smallest number of development images.

    Returns:
        Training and development images.

    Raises:
        ValueError: no images would remain for training.
    """
    order = sorted(range(len(index)), key=lambda i: index.paths[i].name)
    ordered = index[np.array(order, np.int64)]
    dev = np.isin(ordered.pids, ordered.pids[-dev_images:])
    if dev.all():
        raise ValueError(
            f"the article's split needs other persons than those of the last {dev_images} images, "
            f"got {len(order)} images"
        )
    return ordered[~dev], ordered[dev]
