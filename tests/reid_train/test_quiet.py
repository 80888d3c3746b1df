"""What libraries say, and to whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "osnet_ain_x0_5"
INPUT = json.loads((WEIGHTS / "encoder.json").read_text())["input"]
RUN = f"""
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import numpy as np
from reid_train.export.export import onnx_runner
rows = onnx_runner(Path({str(WEIGHTS / "inference.onnx")!r}))(
    np.zeros((2, {INPUT["height"]}, {INPUT["width"]}, 3), np.uint8)
)
sys.exit(len(rows) != 2)
"""


def test_a_copy_in_onnx_is_run_without_a_report_to_anybody(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", RUN], env=environment, check=True)
    # Where ONNX Runtime keeps what it has not sent yet.
    assert not list(tmp_path.rglob("*onnxruntime*"))
