"""Search tracker options on saved detections, with leave-one-out validation over sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.command.run import run_plan
from deepsort_paddle.extras import needs
from deepsort_paddle.motchallenge.frame_sums import FIGURES, FrameSums, count_frames, total
from deepsort_paddle.motchallenge.metrics import Benchmark, prepare_sequence
from deepsort_paddle.motchallenge.text import TrackRecords
from deepsort_paddle.plan.run_plan import RunPlan
from deepsort_paddle.tracked_frame import TrackedFrame
from deepsort_paddle.tracking.options import TrackerOptions, current_name
from deepsort_paddle.tracking.presets import PRESETS

if TYPE_CHECKING:
    from optuna import Trial

__all__ = ["SAMPLERS", "Found", "Range", "Search", "TuneSequence", "parse_measure", "search_space"]

SAMPLERS = ("random", "tpe")
# Options to search for a preset that sets none.
_DEFAULT = ("max_iou_distance", "max_age", "n_init", "new_track_confidence")
_NEVER = ("frame_rate", "min_confidence")  # fixed by the source and the saved detections
_MOST_CHANGED = 3  # options that a random trial changes
_FACTOR = 3  # default range: a third to three times the preset's value

Values = dict[str, float | int | bool]


@dataclass(frozen=True, slots=True)
class Range:
    """The values to search for one option.

    Attributes:
        name: name of the option.
        low: smallest value.
        high: largest value.
        kind: ``float``, ``int`` or ``switch``.

    Example:
        >>> Range("n_init", 1, 5, "int").high
        5
    """

    name: str
    low: float
    high: float
    kind: str

    def suggest(self, trial: Trial) -> float | int | bool:
        """Return the value for one trial, rounded to three digits."""
        if self.kind == "switch":
            return bool(trial.suggest_categorical(self.name, [False, True]))
        if self.kind == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high))
        rounded = float(f"{trial.suggest_float(self.name, self.low, self.high):.3g}")
        return min(max(rounded, self.low), self.high)


def search_space(preset: str, named: Sequence[str] = ()) -> tuple[Range, ...]:
    """Return the ranges to search.

    Args:
        preset: the preset that the search starts from.
        named: options as ``NAME`` or ``NAME=LOW:HIGH``; by default every number that the preset sets.
            Without LOW and HIGH the range is a third to three times the value, clipped to valid values.

    Returns:
        One range per option.

    Raises:
        ValueError: an option is unknown, or a range contains invalid values.
    """
    known = {option.name: option for option in fields(TrackerOptions) if option.name not in _NEVER}
    own = TrackerOptions.from_preset(preset)
    if not named:
        numbers = [name for name, value in PRESETS[preset].items() if not isinstance(value, bool)]
        named = [name for name in numbers if name in known] or list(_DEFAULT)
    ranges = {}
    for text in named:
        former, equals, limits = text.partition("=")
        name = current_name(former)
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else f"; expected one of {', '.join(known)}"
            raise ValueError(f"--option {name}: unknown option{hint}")
        metadata = known[name].metadata
        if "low" not in metadata:
            ranges[name] = Range(name, 0, 1, "switch")
            continue
        kind = "float" if "high" in metadata else "int"
        least, most = float(metadata["low"]), float(metadata.get("high", np.inf))
        value = float(getattr(own, name))
        low, high = _pair(text, limits) if equals else _around(value, least, most, kind)
        if not least <= low < high <= most:
            raise ValueError(f"--option {text}: expected LOW below HIGH within {least:g} to {most:g}")
        if kind == "int" and (low % 1 or high % 1):
            raise ValueError(f"--option {text}: expected whole numbers")
        ranges[name] = Range(name, low, high, kind)
    return tuple(ranges.values())


def _pair(text: str, limits: str) -> tuple[float, float]:
    low, _, high = limits.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise ValueError(f"--option {text}: expected NAME=LOW:HIGH, as n_init=1:5") from None


def _around(value: float, least: float, most: float, kind: str) -> tuple[float, float]:
    """Return the default range around a preset's value, clipped to valid values."""
    if kind == "int":
        return max(least, value // _FACTOR), max(_FACTOR * value, least + _FACTOR)
    if value == 0:
        return least, min(most, 1.0)
    return max(least, value / _FACTOR), min(most, _FACTOR * value)


def parse_measure(text: str) -> tuple[int, ...]:
    """Parse ``HOTA+IDF1`` into indices of `FIGURES`.

    Args:
        text: names of ratios, joined by ``+``; case does not matter.

    Returns:
        The index of each name.

    Raises:
        ValueError: a name is unknown or not a ratio.
    """
    names = {name.upper(): place for place, name in enumerate(FIGURES[:-1])}
    words = [word.strip().upper() for word in text.split("+")]
    if not all(word in names for word in words):
        raise ValueError(f"expected {', '.join(names)} or a sum such as HOTA+IDF1, got {text!r}")
    return tuple(names[word] for word in words)


@dataclass(frozen=True, slots=True)
class TuneSequence:
    """A sequence with saved detections and ground truth.

    Attributes:
        name: name of the sequence.
        detections: the file written by ``--save-detections``.
        ground_truth: its annotations.
        frames: first and last frame to evaluate.
        benchmark: rules for classes and distractors; None detects them.
    """

    name: str
    detections: Path
    ground_truth: TrackRecords
    frames: tuple[int, int]
    benchmark: Benchmark | None = None

    def track(self, preset: str, options: Mapping[str, float | int | bool]) -> FrameSums:
        """Track the sequence as ``deepsort-track`` does and evaluate the result.

        Args:
            preset: name of the preset.
            options: tracker options that differ from the preset.

        Returns:
            The metrics as sums over frames.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file or an option is wrong.
        """
        rows = _Rows()
        plan = RunPlan(
            source=str(self.detections),
            preset=preset,
            tracker_options=tuple(options.items()),
            quiet=True,
            read_ahead=0,
        )
        run_plan(plan, lambda note: None, outputs=[rows])
        prepared = prepare_sequence(
            self.name, self.ground_truth, rows.table(), benchmark=self.benchmark, frames=self.frames
        )
        return count_frames(prepared)


class _Rows:
    """An output that keeps the tracks in memory."""

    def __init__(self) -> None:
        self._frames: list[TrackedFrame] = []

    def write(self, tracked: TrackedFrame) -> None:
        self._frames.append(tracked)

    def close(self) -> None:
        pass

    def table(self) -> TrackRecords:
        tracks = [tracked.tracks for tracked in self._frames]
        counts = [len(rows) for rows in tracks]
        ones = np.ones(sum(counts))
        return TrackRecords(
            frame=np.repeat(np.array([tracked.frame.number for tracked in self._frames], np.int64), counts),
            ids=np.concatenate([np.zeros(0, np.int64), *(rows.ids for rows in tracks)]),
            boxes=np.concatenate([np.zeros((0, 4)), *(rows.boxes for rows in tracks)]),
            confidence=ones,
            class_id=ones.astype(np.int64),
            visibility=ones,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The best options of a search.

    Attributes:
        options: options that differ from the preset; empty if no trial beat the preset.
        score: mean of the measures on the sequences searched, in per cent.
    """

    options: Values
    score: float


@dataclass(slots=True)
class Search:
    """A search of tracker options; results are cached, so each setting is tracked once per sequence.

    Attributes:
        sequences: the sequences to search on.
        preset: the preset that the search starts from.
        space: the ranges.
        measure: indices of `FIGURES` whose mean is the score.
        sampler: ``random`` changes up to three options of the preset and tries the same settings in every
            leave-one-out round; ``tpe`` changes all of them.
        trials: number of settings to try.
        seed: seed of the sampler.
        tried: called after each trial.
    """

    sequences: Sequence[TuneSequence]
    preset: str
    space: Sequence[Range]
    measure: tuple[int, ...]
    sampler: str = "random"
    trials: int = 100
    seed: int = 0
    tried: Callable[[], object] = lambda: None
    _known: dict[tuple[str, tuple[tuple[str, Any], ...]], FrameSums] = field(default_factory=dict)

    def sums(self, sequence: TuneSequence, options: Values) -> FrameSums:
        """Return the metric sums of one sequence with these options."""
        key = sequence.name, tuple(options.items())
        if key not in self._known:
            self._known[key] = sequence.track(self.preset, options)
        return self._known[key]

    def figures(self, sequences: Sequence[TuneSequence], options: Values) -> NDArray[np.float64]:
        """Return `FIGURES` over several sequences, ``(6,)``, ratios in per cent."""
        return total([self.sums(sequence, options) for sequence in sequences])

    def score(self, sequences: Sequence[TuneSequence], options: Values) -> float:
        """Return the mean of the measures, in per cent."""
        return float(self.figures(sequences, options)[list(self.measure)].mean())

    def best(self, sequences: Sequence[TuneSequence]) -> Found:
        """Return the best of all trials on these sequences, or the preset if no trial beats it.

        Args:
            sequences: the sequences to score on.

        Raises:
            ImportError: Optuna is not installed.
        """
        optuna = import_optuna()

        def objective(trial: Trial) -> float:
            options = {span.name: span.suggest(trial) for span in self.space}
            if self.sampler == "random":  # changing all options at once rarely beats a tuned preset
                drawn = np.random.default_rng([self.seed, trial.number])
                count = min(len(self.space), 1 + trial.number % _MOST_CHANGED)
                kept = {
                    self.space[place].name for place in drawn.choice(len(self.space), count, replace=False)
                }
                options = {name: value for name, value in options.items() if name in kept}
            trial.set_user_attr("options", options)
            try:
                return self.score(sequences, options)
            except ValueError as error:  # options that exclude each other
                raise optuna.TrialPruned(str(error)) from None
            finally:
                self.tried()

        kinds = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
        study = optuna.create_study(direction="maximize", sampler=kinds[self.sampler](seed=self.seed))
        baseline = Found({}, self.score(sequences, {}))
        study.optimize(objective, n_trials=self.trials)
        finished = [trial for trial in study.trials if trial.value is not None]
        if not finished or study.best_value <= baseline.score:
            return baseline
        return Found(study.best_trial.user_attrs["options"], float(study.best_value))


def import_optuna() -> Any:
    """Import Optuna and silence its log of each trial.

    Raises:
        ImportError: it is not installed.
    """
    with needs("tune"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
