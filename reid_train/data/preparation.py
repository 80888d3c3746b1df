"""The ``prepare`` command: from an archive or a folder to lists that a training reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from reid_train.data.archives import extract_archive
from reid_train.data.datasets import (
    ImageIndex,
    article_split,
    first_image,
    hold_out_ids,
    merge_indexes,
    of_dataset,
    official_split,
    persons_only,
    read_dataset,
    read_market1501,
    write_list_file,
)
from reid_train.data.naming import dataset_name
from reid_train.data.splits import ARTICLE_DEV_IMAGES
from reid_train.data.validation import validate

__all__ = ["prepare"]


def prepare(source: list[Path], output: Path, split: str, held_out_ids: int, seed: int) -> Iterator[str]:
    """Unpack, index and split; write ``train.txt`` and ``dev.txt``, print a table of what is there."""
    if split == "official" and len(source) > 1:
        raise ValueError("the official split is of one Market-1501 folder, several sources were named")
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
        found = official_split(read_market1501(folders[0]))
        yield from found.differences
        splits = {"train": found.train, "query": found.query, "gallery": found.gallery}
        lists = {"train": persons_only(found.train)}
    else:
        for at, root in enumerate(folders):
            chosen = _folder_of_split(root, split)
            if chosen != root:
                yield f"the {split} split is made of {chosen}"
                folders[at] = chosen
        index = persons_only(
            merge_indexes(_named_apart([read_dataset(folder) for folder in folders], folders))
        )
        train, dev = article_split(index) if split == "article" else hold_out_ids(index, held_out_ids, seed)
        if split == "article" and len(dev) != ARTICLE_DEV_IMAGES:
            yield (
                f"note: the last {ARTICLE_DEV_IMAGES} images begin inside a person, who is kept out of "
                "training whole: this is not all of gt_bbox, so figures are not comparable with the article's"
            )
        splits = lists = {"train": train, "dev": dev}
    splits = {name: part for name, part in splits.items() if len(part)}
    images = sum(map(len, splits.values()))
    with tqdm(total=images, unit="image", disable=None, leave=False) as bar:
        report = validate(splits, progress=bar.update)
    yield str(report)
    if report.unreadable:
        raise ValueError(
            f"no list written, {len(report.unreadable)} images are unreadable, the first: "
            f"{report.unreadable[0].reason}"
        )
    if split == "article":
        yield (
            "note: a network trained on the article's split has seen at least 670 of the 750 persons of the "
            "official Market-1501 test set; never report official figures of it"
        )
    lists = {name: part for name, part in lists.items() if len(part)}
    for name in {"train", "dev"} - lists.keys():
        if (output / f"{name}.txt").is_file():
            raise ValueError(f"{output / name}.txt: of an earlier split, this one has none: remove it")
    for name, part in lists.items():
        write_list_file(output / f"{name}.txt", part)
        yield f"written: {output / name}.txt"


def _named_apart(indexes: Sequence[ImageIndex], folders: Sequence[Path]) -> list[ImageIndex]:
    """The indexes, those that only borrow a data set's file names under names of their own.

    Sources of one data set are its parts, with persons in common. A file name comes once in a data set, so
    sources that share file names are no such parts: they are named after their folders.
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
    """The folder of a Market-1501 root that a split is made of; ``root`` where it is no such root.

    The article's is made of all hand-drawn boxes, the held-out ids are of the training images; each stands in
    for the other where that is absent. CUHK03's new protocol names its folders alike.
    """
    if not root.is_dir() or first_image(root):
        return root
    names = ("gt_bbox", "bounding_box_train") if split == "article" else ("bounding_box_train", "gt_bbox")
    within = sorted(path for path in root.iterdir() if path.is_dir())
    found = [base / name for base in (root, *within) for name in names if (base / name).is_dir()]
    return found[0] if found else root


def _image_folder(folder: Path) -> Path:
    """The outermost folder of an unpacked archive that is not a mere wrapper."""
    while len(children := sorted(folder.iterdir())) == 1 and children[0].is_dir():
        folder = children[0]
    return folder
