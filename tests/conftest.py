"""Fixtures of all tests.

Hypothesis runs the same examples each time, or FUZZ_EXAMPLES new ones for each test.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Some tests import these libraries directly; their telemetry must be off there, too.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# No test downloads: no server listens at the discard port, and the cache of named detectors is empty.
os.environ["DEEPSORT_PADDLE_MIRROR"] = "http://127.0.0.1:9"
os.environ["DEEPSORT_PADDLE_CACHE"] = f"{tempfile.gettempdir()}/deepsort-paddle-no-cache"

COUNT = os.environ.get("FUZZ_EXAMPLES")

settings.register_profile(
    "repeatable",
    derandomize=COUNT is None,
    max_examples=int(COUNT or 40),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as in a terminal; a test run in the background of a shell inherits it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium that asks nobody on the network for anything; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver_path):
        pytest.skip("no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
        *("disable-background-networking", "disable-component-update", "disable-dev-shm-usage"),
        *(f"user-data-dir={profile}", "window-size=1100,900"),
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture
def telephone(browser: Any) -> Iterator[Any]:
    """The browser with a window as wide as a telephone."""
    browser.set_window_size(500, 900)  # narrower windows are not made
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.set_window_size(1100, 900)


@pytest.fixture(scope="session")
def save_yolox() -> Callable[[Path], None]:
    """Return a function that writes a YOLOX of COCO's 80 classes, which finds one person in every image."""
    onnx = pytest.importorskip("onnx")

    def save(path: Path) -> None:
        rows = np.zeros((1, 64 + 16 + 4, 85), np.float32)
        rows[0, 25, :6] = [0.0, 0.0, np.log(2), np.log(4), 0.9, 1.0]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Constant", [], ["output"], value=onnx.numpy_helper.from_array(rows))],
            "constant",
            [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 64, 64])],
            [onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, list(rows.shape))],
        )
        opset = onnx.helper.make_opsetid("", 13)
        onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)

    return save


@pytest.fixture(scope="session")
def save_mean_color() -> Callable[[Path], None]:
    """Return a function that writes a re-ID network whose embedding is the mean colour of a 16 x 8 crop."""
    onnx = pytest.importorskip("onnx")

    def save(path: Path) -> None:
        graph = onnx.helper.make_graph(
            [
                onnx.helper.make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
                onnx.helper.make_node("ReduceMean", ["pixels"], ["color"], axes=[1, 2], keepdims=0),
            ],
            "mean_color",
            [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["n", 16, 8, 3])],
            [onnx.helper.make_tensor_value_info("color", onnx.TensorProto.FLOAT, ["n", 3])],
        )
        opset = onnx.helper.make_opsetid("", 13)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)

    return save
