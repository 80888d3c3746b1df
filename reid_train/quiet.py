"""Silence for libraries that write past Python's own streams, from C++, or report to their makers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

__all__ = ["import_onnxruntime", "without_output"]


def import_onnxruntime() -> Any:
    """ONNX Runtime, which otherwise tells Microsoft of its use: it reads this when it is imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


@contextmanager
def without_output() -> Iterator[None]:
    """Drop what is written to the process' stdout and stderr meanwhile."""
    kept = []
    with Path(os.devnull).open("wb") as nowhere:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            kept.append((os.dup(number), number))
            os.dup2(nowhere.fileno(), number)
    try:
        with Path(os.devnull).open("w") as silent, redirect_stdout(silent), redirect_stderr(silent):
            yield
    finally:
        for copy, number in kept:
            os.dup2(copy, number)
            os.close(copy)
