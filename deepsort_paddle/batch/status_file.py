"""The status of each video of a run over many: a file of JSON lines to which lines are only appended.

The last line on a video counts. A line is written when a video is started, is done or has failed, so the file
is right even after ``kill -9`` or a crash. A line that is not JSON, such as a truncated last one, is ignored:
its video is tracked again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from deepsort_paddle.part_files import lock

__all__ = ["Record", "StatusFile"]

Record = dict[str, Any]


class StatusFile:
    """The records of this and earlier runs; locked by one run at a time.

    Attributes:
        path: the file.
        latest: the last record of each source, by its path relative to the file's folder.
    """

    def __init__(self, path: str | Path) -> None:
        """Read ``path`` if it exists.

        Raises:
            OSError: it cannot be read or written, or another run is writing it.
        """
        self.path = Path(path)
        try:
            self._file = self.path.open("a+b")
        except OSError as error:
            raise OSError(f"cannot write {path}: {error.strerror or error}") from None
        if not lock(self._file):
            self._file.close()
            raise OSError(f"cannot write {path}: another run is writing it")
        self._file.seek(0)
        content = self._file.read()
        if content and not content.endswith(b"\n"):
            self._file.write(b"\n")
        self.latest: dict[str, Record] = {}
        for record in _records(content):
            self.latest[record["source"]] = record

    def add(self, record: Record) -> None:
        """Append a record with the current time."""
        stamped = {**record, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        self._file.write(json.dumps(stamped).encode() + b"\n")
        self._file.flush()
        self.latest[record["source"]] = stamped

    def place(self, path: str | Path) -> str:
        """Return a path relative to the file's folder, so that both can be moved together."""
        try:
            return Path(os.path.relpath(path, self.path.parent)).as_posix()
        except ValueError:  # another drive on Windows
            return Path(path).absolute().as_posix()

    def sizes(self, paths: Iterable[Path]) -> dict[str, int | None]:
        """Return the size in bytes of each file by its `place`; None for a folder."""
        return {self.place(path): _size(path) for path in paths}

    def intact(self, sizes: dict[str, int | None]) -> bool:
        """Whether all these files exist with these sizes."""
        try:
            return all(_size(self.path.parent / name) == size for name, size in sizes.items())
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _records(content: bytes) -> Iterator[Record]:
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("source", "video")):
            yield record


def _size(path: Path) -> int | None:
    return None if path.is_dir() else path.stat().st_size
