"""Log records of the packages become lines of a command."""

from __future__ import annotations

import logging

import pytest

from deepsort_paddle.console.log_lines import log_lines


def test_records_are_lines_on_stderr_while_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("deepsort_paddle.media")
    with log_lines("deepsort_paddle", "deepsort-track"):
        logger.info("%d frames are broken", 3)
        logger.warning("a.mp4 failed")
        logger.error("no frame")
    logger.info("nobody listens")
    told = capsys.readouterr()
    assert told.err.splitlines() == [
        "deepsort-track: note: 3 frames are broken",
        "deepsort-track: a.mp4 failed",
        "deepsort-track: error: no frame",
    ]
    assert told.out == ""


def test_a_quiet_command_leaves_out_notes(capsys: pytest.CaptureFixture[str]) -> None:
    with log_lines("deepsort_paddle", "deepsort-track", quiet=True):
        logging.getLogger("deepsort_paddle").info("no detector named")
        logging.getLogger("deepsort_paddle").warning("stopped")
    assert capsys.readouterr().err == "deepsort-track: stopped\n"


def test_the_logger_is_left_as_it_was() -> None:
    logger = logging.getLogger("deepsort_paddle")
    before = (list(logger.handlers), logger.level, logger.propagate)
    with log_lines("deepsort_paddle", "deepsort-track"):
        assert not logger.propagate
    assert (logger.handlers, logger.level, logger.propagate) == before
