"""The log of a run: lines on the terminal, progress bar, JSON lines, TensorBoard events.

The JSON lines are the record. Each report is written at once, and a resumed run first removes the lines after
its checkpoint, so the file reads as if the run had never been interrupted. TensorBoard events are for
viewing. They are written by this thread, because tensorboardX's own thread hangs on a full disk.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar
from tqdm import tqdm
from typing_extensions import Self

from deepsort_paddle.part_files import replacing
from reid_train.config import TrainConfig

__all__ = ["RunLog"]

_WORDS = {
    "rank1": "rank-1",
    "rank5": "rank-5",
    "rank10": "rank-10",
    "mean_ap": "mAP",
    "mean_inp": "mINP",
    "recall1": "Recall@Rank-1",
    "images_per_second": "images/s",
}
_FORMATS = {
    "lr": ".4g",
    "queries": ".0f",
    "images_per_second": ".4g",
    **dict.fromkeys(
        ("accuracy", "rank1", "rank5", "rank10", "mean_ap", "mean_inp", "recall1", "dev_mean"), ".2%"
    ),
}


class RunLog:
    """Reports of one run; use it in a ``with`` statement.

    Losses are averaged over the iterations since the last line or checkpoint, so that a resumed run writes
    the same lines. ``images_per_second`` excludes evaluations and checkpoints.

    Args:
        config: the settings.
        folder: for ``log.jsonl`` and ``events``.
        iteration: number of finished iterations; later lines are removed.
        log: called with each report as a line of text.

    Raises:
        OSError: a file cannot be written.
    """

    def __init__(self, config: TrainConfig, folder: Path, iteration: int, log: Callable[[str], None]) -> None:
        self._config = config
        self._path = folder / "log.jsonl"
        self._log = log
        _remove_later_lines(self._path, iteration)
        (folder / "events").mkdir(exist_ok=True)
        # Unbuffered, so that closing the file cannot fail after a failed write.
        self._file = self._path.open("ab", buffering=0)
        self._events = EventsWriter(str(folder / "events" / "events"))
        if iteration:
            # Makes TensorBoard drop the events that an interrupted run wrote after the checkpoint.
            start = Event(step=iteration + 1, session_log=SessionLog(status=SessionLog.START))
            self._events.write_event(start)
        batch = config.train_batch_size
        self._bar = tqdm(
            total=config.total_iter_num * batch,
            initial=iteration * batch,
            unit="image",
            unit_scale=True,
            disable=None,
        )
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._file.close()
        try:
            self._events.close()
        except OSError:
            # Must not hide the error of a full disk, which ends the run.
            if error is None:
                raise

    def step(self, iteration: int, loss: float, rate: float, accuracy: float | None = None) -> None:
        """Count one iteration, and report every ``display_iter_step``-th one.

        Args:
            iteration: number of finished iterations.
            loss: of this iteration.
            rate: learning rate of this iteration.
            accuracy: share of the batch that was classified correctly; None for a loss without classes.
        """
        self._losses.append(loss)
        if accuracy is not None:
            self._accuracies.append(accuracy)
        self._bar.update(self._config.train_batch_size)
        if iteration % self._config.display_iter_step and iteration != self._config.total_iter_num:
            return
        seconds = (time.monotonic() - self._started) / len(self._losses)  # of an iteration
        mean = float(np.mean(self._losses))
        self._bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
        values = {"loss": mean, "lr": rate}
        if self._accuracies:
            values["accuracy"] = float(np.mean(self._accuracies))
        values["images_per_second"] = round(self._config.train_batch_size / seconds, 2)
        left = seconds * (self._config.total_iter_num - iteration)
        self.report(iteration, values, f", {timedelta(seconds=round(left))} left")
        self._restart()

    def report(self, iteration: int, values: Mapping[str, float], end: str = "") -> None:
        """Write a line of values to the file, TensorBoard and ``log``.

        Args:
            iteration: number of finished iterations.
            values: figure by name.
            end: text after the line for ``log`` only.

        Raises:
            OSError: the disk is full.
        """
        line = json.dumps({"iteration": iteration, **values})
        try:
            self._file.write(line.encode() + b"\n")
            for name, value in values.items():
                self._events.write_event(
                    Event(wall_time=time.time(), step=iteration, summary=scalar(name, value))
                )
            self._events.flush()
        except OSError as error:
            raise OSError(
                f"{self._path.parent}: log not written, checkpoints stay: {error.strerror}"
            ) from error
        with tqdm.external_write_mode():
            self._log(f"iteration {iteration} of {self._config.total_iter_num}: {_in_words(values)}{end}")

    def resume(self, seconds: float, saved: bool) -> None:
        """Exclude a pause for an evaluation or a checkpoint from the speed.

        Args:
            seconds: length of the pause.
            saved: whether a checkpoint was written: the next mean of losses starts here.
        """
        self._started += seconds
        if saved:
            self._restart()

    def _restart(self) -> None:
        self._losses.clear()
        self._accuracies.clear()
        self._started = time.monotonic()


def _in_words(values: Mapping[str, float]) -> str:
    """Format names and values as a line."""
    return ", ".join(
        f"{_WORDS.get(name, name)} {value:{_FORMATS.get(name.rpartition('/')[2], '.4f')}}"
        for name, value in values.items()
    )


def _remove_later_lines(path: Path, iteration: int) -> None:
    """Remove the lines after an iteration, and an incomplete last line."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_bytes().splitlines():
        try:
            if json.loads(line)["iteration"] > iteration:
                break
        except (ValueError, KeyError, TypeError, RecursionError):
            break
        kept.append(line + b"\n")
    with replacing(path) as file:
        file.writelines(kept)
