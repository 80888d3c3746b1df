"""A stream that says how long it is: it ends there, and is found again where it ends earlier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsort_paddle.frames import Tally
from deepsort_paddle.media.readers import open_container, read_stream
from deepsort_paddle.media.video_writer import VideoWriter


@pytest.mark.parametrize(("stated", "attempts"), [(3.0, 0), (60.0, 2)])
def test_a_recording_ends_at_its_stated_length(tmp_path: Path, stated: float, attempts: int) -> None:
    path = tmp_path / "recording.mp4"
    with VideoWriter(path, fps=10) as video:
        for number in range(30):
            video.write(np.full((48, 64, 3), number, np.uint8))

    class Connection:
        """The file with another length."""

        def __init__(self) -> None:
            self.container, self.stream = open_container(str(path), "recording")
            self.duration = int(stated * 1e6)

        def demux(self) -> Any:
            return self.container.demux()

        def __enter__(self) -> Connection:
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

    asked: list[int] = []

    def connect() -> tuple[Any, Any]:
        asked.append(1)
        raise OSError("gone")

    first, tally = Connection(), Tally()
    frames = list(read_stream(connect, (first, first.stream), tally, 2, 0.001, 5.0))
    assert len(frames) == 30
    assert len(asked) == attempts
    assert bool(tally.note) == bool(attempts)
