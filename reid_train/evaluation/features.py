"""Compute embeddings of image arrays and image files.

`Features` keeps file names, embeddings and unreadable files together, and so do both file formats. An
unreadable file does not stop the run: it is reported with the reason. Threads read the images one batch ahead
of the network, so memory holds at most two batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from deepsort_paddle import AppearanceEncoder
from deepsort_paddle.media.image_header import IMAGE_SUFFIXES
from deepsort_paddle.part_files import replacing
from reid_train.data.image_cache import read_image
from reid_train.data.readers.image_files import image_files_below
from reid_train.data.readers.list_files import list_columns, split_row

if TYPE_CHECKING:
    import paddle

__all__ = [
    "Features",
    "UnreadableImage",
    "embed",
    "infer",
    "is_cut_off",
    "list_images",
    "read_npz",
    "write_npz",
    "write_text",
]


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """A file without an embedding.

    Attributes:
        name: the path as given.
        reason: why it could not be read.

    Example:
        >>> UnreadableImage("a.jpg", "the file is cut off").reason
        'the file is cut off'
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Embeddings of files, in the given order.

    Attributes:
        names: ``N`` paths as given.
        embeddings: ``(N, D)`` float32.
        unreadable: files without an embedding, in order.

    Raises:
        ValueError: the number of names and rows differ.

    Example:
        >>> len(Features(("a.jpg", "b.jpg"), np.zeros((2, 256), np.float32)))
        2
    """

    names: tuple[str, ...]
    embeddings: NDArray[np.float32]
    unreadable: tuple[UnreadableImage, ...] = ()

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.names):
            raise ValueError(
                f"embeddings must be ({len(self.names)}, D), one row per name, got {self.embeddings.shape}"
            )

    def __len__(self) -> int:
        return len(self.names)


def embed(network: paddle.nn.Layer, images: NDArray[np.uint8], batch_size: int = 64) -> NDArray[np.float32]:
    """Compute unit embeddings of images in memory; the network's mode is restored afterwards.

    Args:
        network: maps ``(B, H, W, 3)`` uint8 to ``(B, D)``.
        images: ``(N, H, W, 3)`` uint8 BGR.
        batch_size: images per forward pass.

    Returns:
        ``(N, D)`` float32; an embedding of length zero stays zero.
    """
    with _evaluation_mode(network):
        starts = range(0, len(images), batch_size)
        rows = [_forward(network, images[start : start + batch_size]) for start in starts]
    return _unit(np.concatenate(rows) if rows else np.zeros((0, network.embedding_size), np.float32))


def infer(
    network: paddle.nn.Layer | AppearanceEncoder,
    paths: Sequence[Path],
    preprocessing: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    *,
    batch_size: int = 64,
    normalize: bool = True,
    strict: bool = False,
    threads: int = 2,
    progress: bool = False,
    change: Callable[[Path, NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> Features:
    """Compute embeddings of image files.

    Args:
        network: maps ``(B, H, W, 3)`` uint8 BGR to ``(B, D)`` and has ``embedding_size`` D; its mode is
            restored afterwards. Or the encoder of an export, which returns unit rows.
        paths: the files, in the order of the result; duplicates are allowed.
        preprocessing: maps ``(h, w, 3)`` uint8 BGR of any size to ``(H, W, 3)`` uint8.
        batch_size: images per forward pass.
        normalize: scale rows to unit length, as evaluation and tracking expect.
        strict: raise for an unreadable file instead of listing it in ``unreadable``.
        threads: threads that read images.
        progress: show a progress bar on stderr if that is a terminal.
        change: applied to each path and preprocessed image; returns the image to embed.

    Returns:
        Names, ``(N, D)`` float32 embeddings, and unreadable files.

    Raises:
        ValueError: a file is unreadable and ``strict`` is set, or an embedding is not finite; the message
            names the file.
    """
    if batch_size < 1 or threads < 1:
        raise ValueError(f"batch_size and threads must be at least 1, got {batch_size} and {threads}")
    names: list[str] = []
    unreadable: list[UnreadableImage] = []
    parts: list[NDArray[np.float32]] = []
    bar = tqdm(total=len(paths), unit="images", disable=None if progress else True)
    with _evaluation_mode(network), bar:
        for batch_paths, images in _prefetched_batches(paths, preprocessing, batch_size, threads, change):
            good = []
            for path, image in zip(batch_paths, images, strict=True):
                if isinstance(image, str):
                    if strict:
                        raise ValueError(f"{path}: {image}")
                    unreadable.append(UnreadableImage(str(path), image))
                else:
                    good.append(image)
                    names.append(str(path))
            if good:
                rows = _forward(network, np.stack(good))
                finite = np.isfinite(rows).all(axis=1)
                if not finite.all():
                    name = names[int(np.argmin(finite)) - len(good)]
                    raise ValueError(f"{name}: its embedding is not finite; are the weights damaged?")
                parts.append(_unit(rows) if normalize else rows)
            bar.update(len(batch_paths))
    embeddings = np.concatenate(parts) if parts else np.zeros((0, network.embedding_size), np.float32)
    return Features(tuple(names), embeddings, tuple(unreadable))


def list_images(source: str | Path) -> list[Path]:
    """Return the image files of a folder, a list file or a single image.

    A folder is searched recursively and sorted by path. A list file is UTF-8 text with one path per line,
    relative to the folder of the list; empty lines are skipped. Training lists
    (`reid_train.data.readers.list_files`) are recognised by their header.

    Args:
        source: folder, list file or image file.

    Returns:
        At least one path.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it names no image, or the list is not text.
    """
    source = Path(source)
    if source.is_dir():
        paths = image_files_below(source)
    elif not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    elif source.suffix.lower() in IMAGE_SUFFIXES:
        paths = [source]
    else:
        try:
            lines = [line.strip() for line in source.read_text(encoding="utf-8-sig").splitlines()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{source}: neither an image nor a text list of images") from error
        columns = list_columns(lines[0]) if lines else ()
        if columns:
            rows = [split_row(line, columns) for line in lines[1:] if line]
            lines = [row["path"] for row in rows if row]
        paths = [source.parent / line for line in lines if line]
    if not paths:
        raise ValueError(f"{source}: names no image")
    return paths


def is_cut_off(path: Path) -> bool:
    """Return whether a JPEG or PNG file is truncated, as after an interrupted copy.

    OpenCV silently fills the missing part of a JPEG with grey, which would give a wrong embedding.

    Args:
        path: the image file.

    Raises:
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if content.startswith(b"\xff\xd8"):
        # Markers cannot occur inside JPEG data, and an EXIF thumbnail ends before the last scan starts.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    return content.startswith(b"\x89PNG") and b"IEND" not in content[-64:]


def write_npz(path: str | Path, features: Features) -> None:
    """Write ``names``, ``embeddings``, ``unreadable`` and ``reasons`` as NumPy arrays, atomically.

    Strings are fixed-width Unicode arrays, so ``numpy.load`` reads the file without pickle.

    Args:
        path: the file to write.
        features: the embeddings.

    Raises:
        OSError: the file cannot be written; an existing file is unchanged.
    """
    lost = features.unreadable
    with _open_atomically(Path(path)) as file:
        np.savez(
            file,
            names=np.array(features.names, dtype=np.str_),
            embeddings=features.embeddings,
            unreadable=np.array([image.name for image in lost], dtype=np.str_),
            reasons=np.array([image.reason for image in lost], dtype=np.str_),
        )


def read_npz(path: str | Path) -> Features:
    """Read a file that `write_npz` wrote.

    Args:
        path: the file to read.

    Returns:
        The embeddings.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a features file.
    """
    try:
        # If NumPy opens a damaged file itself, it never closes it.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            unreadable = zip(arrays["unreadable"].tolist(), arrays["reasons"].tolist(), strict=True)
            return Features(
                tuple(arrays["names"].tolist()),
                np.asarray(arrays["embeddings"], np.float32),
                tuple(UnreadableImage(name, reason) for name, reason in unreadable),
            )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such features file") from error
    # A damaged archive raises any error of zipfile, zlib or NumPy.
    except Exception as error:
        raise ValueError(f"{path}: not a features file") from error


def write_text(path: str | Path, features: Features) -> None:
    """Write one line per image, atomically: its name and D numbers, separated by tabs.

    Nine significant digits preserve every float32 exactly. Unreadable files are not written.

    Args:
        path: the file to write.
        features: the embeddings.

    Raises:
        OSError: the file cannot be written; an existing file is unchanged.
        ValueError: a name contains a tab or a line break, which the format cannot represent.
    """
    for name in features.names:
        if any(character in name for character in "\t\r\n"):
            raise ValueError(f"{name!r}: a name with a tab or line break does not fit in text; write .npz")
    line = "\t".join(["%.9g"] * features.embeddings.shape[1])
    with _open_atomically(Path(path)) as file:
        for name, row in zip(features.names, features.embeddings, strict=True):
            text = f"{name}\t{line % tuple(row.tolist())}\n"
            file.write(text.encode("utf-8", "surrogateescape"))


@contextmanager
def _evaluation_mode(network: paddle.nn.Layer | AppearanceEncoder) -> Iterator[None]:
    if isinstance(network, AppearanceEncoder):
        yield
        return
    training = network.training
    network.eval()
    try:
        yield
    finally:
        if training:
            network.train()


def _forward(network: paddle.nn.Layer | AppearanceEncoder, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    if isinstance(network, AppearanceEncoder):
        return network.embed_crops(images)
    import paddle

    with paddle.no_grad():
        return np.asarray(network(paddle.to_tensor(images)).numpy(), np.float32)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _prefetched_batches(
    paths: Sequence[Path],
    preprocessing: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    batch_size: int,
    threads: int,
    change: Callable[[Path, NDArray[np.uint8]], NDArray[np.uint8]] | None,
) -> Iterator[tuple[Sequence[Path], list[NDArray[np.uint8] | str]]]:
    """Yield batches of paths and images; an unreadable image is replaced by the reason."""

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            if is_cut_off(path):
                return "the file is cut off"
            image = preprocessing(read_image(path))
            return image if change is None else change(path, image)
        except OSError as error:
            return error.strerror or str(error)
        except ValueError as error:
            return str(error).removeprefix(f"{path}: ")

    pool = ThreadPoolExecutor(threads)
    try:
        previous: tuple[Sequence[Path], list[Future[NDArray[np.uint8] | str]]] | None = None
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            submitted = (batch, [pool.submit(read, path) for path in batch])
            if previous is not None:
                yield previous[0], [future.result() for future in previous[1]]
            previous = submitted
        if previous is not None:
            yield previous[0], [future.result() for future in previous[1]]
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _open_atomically(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "features not written") as file:
        yield file
