"""What the tests of both packages share.

Hypothesis runs the same examples each time, or FUZZ_EXAMPLES new ones for each test.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Some tests import these libraries by themselves; they are to tell nobody of it either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# No test downloads: nobody listens at the discard port, and the cache of detectors by name is empty.
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
