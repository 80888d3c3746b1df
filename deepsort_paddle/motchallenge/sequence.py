"""MOTChallenge sequence folders: ``seqinfo.ini``, images, detections and ground truth."""

from __future__ import annotations

import configparser
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Self

from deepsort_paddle.part_files import real_path

__all__ = ["LARGEST", "SequenceInfo", "is_sequence", "sequence_folders"]

_SPLITS = ("train", "val", "test")
LARGEST = 10_000_000  # of any number in seqinfo.ini: frames of four days at 30 a second


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    r"""A MOTChallenge sequence folder.

    Attributes:
        folder: the sequence folder.
        name: ``name`` of ``seqinfo.ini``, else the folder's.
        frame_rate: frames per second from ``seqinfo.ini``; None if unknown, as for the next three.
        length: number of frames.
        width: of the frames in pixels.
        height: of the frames in pixels.
        images: the folder with the images; None if missing.
        detections: ``det/det.txt``; None if missing.
        ground_truth: ``gt/gt.txt``; None if missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "seqinfo.ini").write_text("[Sequence]\nname=street\nseqLength=600\n")
        ...     info = SequenceInfo.read(folder)
        >>> info.name, info.length, info.frame_rate
        ('street', 600, None)
    """

    folder: Path
    name: str
    frame_rate: float | None
    length: int | None
    width: int | None
    height: int | None
    images: Path | None
    detections: Path | None
    ground_truth: Path | None

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read ``seqinfo.ini``, if it exists, and find the files of the folder.

        Args:
            folder: the sequence folder.

        Returns:
            The description.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: ``seqinfo.ini`` is malformed; names the file and the key.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"no such sequence folder: {folder}")
        ini = folder / "seqinfo.ini"
        keys = _read_ini(ini) if ini.is_file() else {}
        name = keys.get("name") or folder.resolve().name
        if Path(name.replace("\\", "/")).name != name or "\0" in name:  # results are named after it
            raise ValueError(f"{ini}: name must be a plain name, got {name!r}")
        images = folder / keys.get("imdir", "img1")
        if "\0" in str(images) or not (
            real_path(images).is_relative_to(real_path(folder)) or images.is_symlink()
        ):
            raise ValueError(f"{ini}: imDir must be a folder within {folder}, got {keys['imdir']!r}")
        detections, ground_truth = folder / "det" / "det.txt", folder / "gt" / "gt.txt"
        length, width, height = (_positive(ini, keys, key) for key in ("seqLength", "imWidth", "imHeight"))
        return cls(
            folder=folder,
            name=name,
            frame_rate=_positive(ini, keys, "frameRate", zero_is_unknown=True),
            length=None if length is None else int(length),
            width=None if width is None else int(width),
            height=None if height is None else int(height),
            images=images if images.is_dir() else None,
            detections=detections if detections.is_file() else None,
            ground_truth=ground_truth if ground_truth.is_file() else None,
        )


def is_sequence(folder: str | Path) -> bool:
    """Whether a folder is a MOTChallenge sequence: it has ``seqinfo.ini``, ``img1`` or ``det/det.txt``."""
    folder = Path(folder)
    return (
        (folder / "seqinfo.ini").is_file()
        or (folder / "img1").is_dir()
        or (folder / "det" / "det.txt").is_file()
    )


def sequence_folders(root: str | Path) -> list[Path]:
    """The sequences of a benchmark's folder, in order of name; empty where it is none.

    These are its folders that look like sequences; or, where none does, those in its ``train``, ``val`` and
    ``test`` folders (also ``train1`` and the like). That covers MOT15 to MOT20, DanceTrack and SportsMOT.
    """
    root = Path(root)
    if not root.is_dir() or is_sequence(root):
        return []
    folders = [one for one in sorted(root.iterdir()) if one.is_dir() and not one.name.startswith(".")]
    found = [one for one in folders if _holds_sequence(one)]
    if found:
        return found
    splits = [one for one in folders if one.name.lower().startswith(_SPLITS)]
    return [one for split in splits for one in sorted(split.iterdir()) if _holds_sequence(one)]


def _holds_sequence(folder: Path) -> bool:
    """Whether a folder is a sequence, if only of ground truth."""
    return is_sequence(folder) or (folder / "gt" / "gt.txt").is_file()


def _read_ini(path: Path) -> dict[str, str]:
    """The keys (lower case) of the section [Sequence]."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a readable ini file: {str(error).splitlines()[0]}") from None
    if not parser.has_section("Sequence"):
        raise ValueError(f"{path} has no section [Sequence]")
    return dict(parser["Sequence"])


def _positive(path: Path, keys: dict[str, str], key: str, *, zero_is_unknown: bool = False) -> float | None:
    """A positive number of seqinfo.ini; None when the key is absent or has no value."""
    text = keys.get(key.lower())
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number == 0 and zero_is_unknown:  # what converters write
        return None
    if not (0 < number <= LARGEST):
        raise ValueError(f"{path}: {key} must be a positive number up to {LARGEST}, got {text!r}")
    return number
