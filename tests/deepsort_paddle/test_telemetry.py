"""Nothing is reported to anybody, whatever the libraries do by default."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from deepsort_paddle.inference.libraries import import_openvino

_ENCODE = """
import os, sys, threading
from deepsort_paddle import AppearanceEncoder
AppearanceEncoder(backend="{backend}", device="cpu", precision="float32")
print("{backend}" in sys.modules, "openvino_telemetry" in sys.modules, threading.active_count())
print(os.environ["ORT_DISABLE_TELEMETRY"] if "{backend}" == "onnxruntime" else "1")
"""

_IMPORT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from deepsort_paddle.inference.libraries import import_openvino
barrier = Barrier(8)
def load(_):
    barrier.wait()
    return import_openvino().__name__
with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(load, range(8))) == {"openvino"}
assert "openvino_telemetry" not in sys.modules
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_encoding_reports_to_nobody(backend: str, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _ENCODE.format(backend=backend)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stdout.splitlines() == ["True False 1", "1"]
    # Where ONNX Runtime keeps what it has not sent yet.
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_openvinos_telemetry_stays_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    telemetry = ModuleType("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", telemetry)
    assert import_openvino().__name__ == "openvino"
    assert sys.modules["openvino_telemetry"] is telemetry
    monkeypatch.delitem(sys.modules, "openvino_telemetry")
    import_openvino()
    assert "openvino_telemetry" not in sys.modules


def test_threads_may_open_networks_at_the_same_time() -> None:
    if find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
