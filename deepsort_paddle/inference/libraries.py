"""Imports inference libraries without telemetry and log messages."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import Any

from deepsort_paddle.extras import needs

__all__ = ["import_onnxruntime", "import_openvino", "import_paddle"]

_TELEMETRY = "openvino_telemetry"
_IMPORTING = threading.Lock()


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry, which some versions enable on import."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which sends a message to Google Analytics on import.

    It does so in a forked process, which hung in a worker of many videos: a fork copies locks that other
    threads hold. OpenVINO works without the telemetry package, so that package is hidden during the import.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    with _IMPORTING:  # the package is hidden from all threads
        before = {_TELEMETRY: sys.modules[_TELEMETRY]} if _TELEMETRY in sys.modules else {}
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # makes an import of it fail
        try:
            import openvino
        except ModuleNotFoundError as error:
            if error.name != "openvino":
                raise
            raise ImportError("OpenVINO is not installed: pip install openvino", name="openvino") from None
        finally:
            del sys.modules[_TELEMETRY]
            sys.modules.update(before)
    return openvino


def import_paddle() -> Any:
    """Import Paddle without its log messages and its signal handlers.

    Raises:
        ImportError: Paddle is not installed.
    """
    # glog shows only errors, unless the user chose a level.
    os.environ.setdefault("GLOG_minloglevel", "2")
    first = "paddle" not in sys.modules
    with needs("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import paddle
        import paddle.inference
    if first:
        # Paddle's handlers print a C++ trace on SIGTERM and take over the caller's faulthandler.
        paddle.disable_signal_handler()
    return paddle
