"""How hypothesis runs: the same examples each time, or FUZZ_EXAMPLES new ones for each test."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

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
