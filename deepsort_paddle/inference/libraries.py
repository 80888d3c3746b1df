"""Imports of inference libraries without their telemetry and chatter."""

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
    """Import ONNX Runtime without its telemetry, which versions of it switch on when they are imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which sends a message to Google Analytics on import.

    It does so in a forked process, which in a worker of many videos never ended: a fork copies locks that
    other threads hold. OpenVINO does without where the package is missing, so it is missing for that moment.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    with _IMPORTING:  # what is missing for a moment is so for every thread
        before = {_TELEMETRY: sys.modules[_TELEMETRY]} if _TELEMETRY in sys.modules else {}
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # to Python: it cannot be imported
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
    """Import Paddle without its chatter, and without its signal handlers.

    Raises:
        ImportError: it is not installed.
    """
    # Of glog only errors; a level chosen by the user stays.
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
