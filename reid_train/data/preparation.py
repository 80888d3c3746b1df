"""The command ``prepare``: turn archives and folders into lists for training and evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from reid_train.data.archives import extract_archive
from reid_train.data.datasets import (
    ImageIndex,
    article_split,
    dataset_counts,
    first_image,
    hold_out_ids,
    merge_indexes,
    of_dataset,
    persons_only,
    read_dataset,
    write_list_file,
)
from reid_train.data.official import read_official_split
from reid_train.data.readers.layouts import is_vehicle_id
from reid_train.data.readers.naming import dataset_name
from reid_train.data.splits import ARTICLE_DEV_IMAGES
from reid_train.data.validation import validate

__all__ = ["prepare"]


def prepare(
    source: list[Path],
    output: Path,
    split: str,
    held_out_ids: Sequence[int],
    seed: int,
    pattern: str | None = None,
    names: Sequence[str] = (),
    skip_unreadable: bool = False,
) -> Iterator[str]:
    """Unpack, index and split data sets; write the lists and summarise them in a table.

    Args:
        source: archives, folders or list files.
        output: folder for ``train.txt`` and ``dev.txt``, or ``query.txt`` and ``gallery.txt`` of an official
            split.
        split: held-out, article or official.
        held_out_ids: number of ids held out from training, over all sources or per source.
        seed: selects the held-out ids.
        pattern: see `readers.layouts.read_pattern`.
        names: name of each source's data set, in order; by default they are detected.
        skip_unreadable: skip unreadable images.

    Yields:
        Lines to print.

    Raises:
        ValueError: the options do not fit the sources, or an image is unreadable.
        OSError: a file is missing, or cannot be read or written.
    """
    if split == "official" and len(source) > 1:
        raise ValueError("the official split needs exactly one source, got several")
    if names and len(names) != len(source):
        raise ValueError(f"expected a name for each of the {len(source)} sources, got {len(names)}")
    if any(not name or len(name.split()) != 1 for name in names):
        raise ValueError("names must not contain spaces; separate them by commas")
    if len(held_out_ids) not in (1, len(source)):
        raise ValueError(f"held_out_ids must be one number, or {len(source)}, got {len(held_out_ids)}")
    output.mkdir(parents=True, exist_ok=True)
    folders = []
    for item in source:
        if item.is_file() and item.suffix != ".txt":
            folder = output / "images" / item.name.split(".")[0]
            if not folder.exists():
                yield f"unpacking {item.name} to {folder}"
                extract_archive(item, folder)
            folders.append(_image_folder(folder))
        else:
            folders.append(item)
    if split == "official":
        found = read_official_split(folders[0], seed)
        yield from found.differences
        splits = {"train": found.train, "query": found.query, "gallery": found.gallery}
        if names:
            splits = {name: of_dataset(part, names[0]) for name, part in splits.items()}
    else:
        for at, root in enumerate(folders):
            chosen = root if pattern else _folder_of_split(root, split)
            if chosen != root:
                yield f"the {split} split uses {chosen}"
                folders[at] = chosen
        indexes = [persons_only(read_dataset(folder, pattern=pattern)) for folder in folders]
        if names:
            indexes = [of_dataset(index, name) for index, name in zip(indexes, names, strict=True)]
        indexes = _named_apart(indexes, folders)
        train, dev = _split(indexes, split, held_out_ids, seed)
        if split == "article" and len(dev) != ARTICLE_DEV_IMAGES:
            yield (
                f"note: the last {ARTICLE_DEV_IMAGES} images begin with part of a person, who is held out "
                "entirely: this is not all of gt_bbox, so metrics are not comparable with the article's"
            )
        splits = {"train": train, "dev": dev}
    splits = {name: part for name, part in splits.items() if len(part)}
    with tqdm(total=sum(map(len, splits.values())), unit="image", disable=None, leave=False) as bar:
        report = validate(splits, progress=bar.update)
    yield str(report)
    yield from _datasets(splits)
    if report.unreadable and not skip_unreadable:
        raise ValueError(
            f"no list written, {len(report.unreadable)} images are unreadable (--skip_unreadable skips "
            f"them), the first: {report.unreadable[0].reason}"
        )
    if report.unreadable:
        yield from (f"skipped: {image.reason}" for image in report.unreadable)
        lost = {image.path for image in report.unreadable}
        splits = {
            name: part[np.array([path not in lost for path in part.paths], np.bool_)]
            for name, part in splits.items()
        }
    if split == "article":
        yield (
            "note: a network trained on the article's split has seen at least 670 of the 750 persons of the "
            "official Market-1501 test set; do not report official metrics for it"
        )
    yield from _cameras(splits)
    yield from _write_lists(output, splits)


def _split(
    indexes: Sequence[ImageIndex], split: str, held_out_ids: Sequence[int], seed: int
) -> tuple[ImageIndex, ImageIndex]:
    """Split all sources into training and development images."""
    if split == "article":
        return article_split(merge_indexes(indexes))
    if len(held_out_ids) == 1:
        return hold_out_ids(merge_indexes(indexes), held_out_ids[0], seed)
    kept = [hold_out_ids(index, count, seed) for index, count in zip(indexes, held_out_ids, strict=True)]
    return merge_indexes([train for train, _ in kept]), merge_indexes([dev for _, dev in kept])


def _datasets(splits: Mapping[str, ImageIndex]) -> Iterator[str]:
    """Yield the number of images and persons per data set, for splits of several data sets."""
    for name, part in splits.items():
        counts = dataset_counts(persons_only(part))
        if len(counts) > 1:
            yield f"{name}: " + ", ".join(
                f"{dataset} {count['images']:,} images of {count['ids']:,} ids"
                for dataset, count in counts.items()
            )


def _cameras(splits: Mapping[str, ImageIndex]) -> Iterator[str]:
    """Yield a note for each split with unknown cameras."""
    for name, part in splits.items():
        unknown = int(np.count_nonzero((part.pids > 0) & (part.camids == 0)))
        if unknown and name != "train":
            yield (
                f"note: {name}: cameras unknown ({unknown:,} of {len(part):,} images): metrics will count "
                "images from the query's camera; --pattern reads cameras from paths"
            )


def _write_lists(output: Path, splits: Mapping[str, ImageIndex]) -> Iterator[str]:
    lists = {name: persons_only(part) if name == "train" else part for name, part in splits.items()}
    lists = {name: part for name, part in lists.items() if len(part)}
    for name in sorted({"train", "dev", "query", "gallery"} - lists.keys()):
        if (output / f"{name}.txt").is_file():
            raise ValueError(
                f"{output / name}.txt: belongs to an earlier split, the new one has no such list: remove it"
            )
    tested = [part.pids for name, part in lists.items() if name in ("query", "gallery")]
    numbering = np.concatenate(tested) if tested else None
    for name, part in lists.items():
        write_list_file(
            output / f"{name}.txt", part, numbering=numbering if name in ("query", "gallery") else None
        )
        yield f"written: {output / name}.txt"


def _named_apart(indexes: Sequence[ImageIndex], folders: Sequence[Path]) -> list[ImageIndex]:
    """Rename the data sets of sources that only use another data set's file names.

    Sources of one data set may share persons. But a file name is unique within a data set, so sources that
    share file names are different data sets: they are named after their folders.
    """
    files = Counter((index.domain_names, name) for index in indexes for name in {p.name for p in index.paths})
    shared = {names for (names, _), count in files.items() if count > 1}
    found: list[ImageIndex] = []
    for index, folder in zip(indexes, folders, strict=True):
        if len(index.domain_names) == 1 and index.domain_names in shared:
            own = dataset_name(folder.resolve(), None)
            taken = sum(name.partition("#")[0] == own for other in found for name in other.domain_names)
            index = of_dataset(index, f"{own}#{taken + 1}" if taken else own)
        found.append(index)
    return found


def _folder_of_split(root: Path, split: str) -> Path:
    """Return the folder in a data set's root that a split uses; ``root`` itself if it has none.

    The article's split uses all hand-drawn boxes of Market-1501, held-out ids come from the training images;
    if one folder is missing, the other is used.
    """
    if not root.is_dir() or is_vehicle_id(root) or first_image(root):
        return root
    names = ["bounding_box_train", "gt_bbox", "image_train", "bbox_train", "mask_train_v2", "train"]
    names = ["gt_bbox", *names] if split == "article" else names
    within = sorted(path for path in root.iterdir() if path.is_dir())
    found = [base / name for base in (root, *within) for name in names if (base / name).is_dir()]
    return found[0] if found else root


def _image_folder(folder: Path) -> Path:
    """Return the outermost folder of an unpacked archive that is not just a wrapper."""
    while len(children := sorted(folder.iterdir())) == 1 and children[0].is_dir():
        folder = children[0]
    return folder
