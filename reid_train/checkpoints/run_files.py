"""The numbered checkpoints of a run by their names.

Kept free of paddle: who starts processes or ends a run must not wait for it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "BEST",
    "best_hint",
    "checkpoint_path",
    "newest_checkpoint",
    "numbered_checkpoints",
    "remove_old_checkpoints",
]

NUMBERED = "checkpoint_*.safetensors"
BEST = "best.safetensors"


def checkpoint_path(folder: Path, iteration: int) -> Path:
    """Where a run's checkpoint of an iteration is."""
    return folder / NUMBERED.replace("*", f"{iteration:07d}")


def numbered_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Iteration and file of each numbered checkpoint of a run, in rising order."""
    before, after = NUMBERED.split("*")
    found = [(path.name[len(before) : -len(after)], path) for path in folder.glob(NUMBERED)]
    return sorted((int(number), path) for number, path in found if number.isdecimal())


def newest_checkpoint(path: Path) -> Path:
    """A checkpoint file as it is; of a folder the one with the most iterations.

    Raises:
        FileNotFoundError: there is none.
    """
    if not path.is_dir():
        return path
    found = numbered_checkpoints(path)
    if not found:
        raise FileNotFoundError(f"{path}: holds no {NUMBERED}")
    return found[-1][1]


def remove_old_checkpoints(folder: Path, iteration: int, keep: int) -> None:
    """Of the numbered checkpoints before an iteration, leave only the newest ``keep``."""
    older = [path for number, path in numbered_checkpoints(folder) if number < iteration]
    for path in older[: max(len(older) - keep, 0)]:
        path.unlink()


def best_hint(path: Path) -> tuple[str, ...]:
    """Which checkpoint of a run's folder is meant, and how to name the best one; nothing for a file.

    Raises:
        FileNotFoundError: the folder holds none.
    """
    if not path.is_dir():
        return ()
    line = f"{path}: took {newest_checkpoint(path).name}, the newest"
    best = path / BEST
    return (f"{line}; {best} is the best on the development set" if best.is_file() else line,)
