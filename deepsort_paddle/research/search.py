"""Search of tracker options on saved detections, with each sequence left out in turn."""

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
# Options that a preset without settings of its own is searched over.
_DEFAULT = ("max_iou_distance", "max_age", "n_init", "new_track_confidence")
_NEVER = ("frame_rate", "min_confidence")  # of the source and of the saved detections
_MOST_CHANGED = 3  # options that a random trial changes
_FACTOR = 3  # by which a value may become smaller or larger where no range is given

Values = dict[str, float | int | bool]


@dataclass(frozen=True, slots=True)
class Range:
    """The values of an option to search.

    Attributes:
        name: of the option.
        low: smallest value.
        high: largest value.
        kind: ``float``, ``int`` or ``switch``.
    """

    name: str
    low: float
    high: float
    kind: str

    def suggest(self, trial: Trial) -> float | int | bool:
        """The value of one trial; numbers have three digits, which flags can show."""
        if self.kind == "switch":
            return bool(trial.suggest_categorical(self.name, [False, True]))
        if self.kind == "int":
            return trial.suggest_int(self.name, int(self.low), int(self.high))
        rounded = float(f"{trial.suggest_float(self.name, self.low, self.high):.3g}")
        return min(max(rounded, self.low), self.high)


def search_space(preset: str, named: Sequence[str] = ()) -> tuple[Range, ...]:
    """The ranges to search.

    Args:
        preset: where the search begins.
        named: options as ``NAME`` or ``NAME=LOW:HIGH``; empty: the numbers that the preset sets. Without
            LOW and HIGH a value may become three times as small or as large, within the option's own range.

    Raises:
        ValueError: an option is unknown, or a range is not within the option's own.
    """
    known = {one.name: one for one in fields(TrackerOptions) if one.name not in _NEVER}
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
            hint = f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(known)}"
            raise ValueError(f"--option knows no {name!r}{hint}")
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
    """The range around a preset's value, within the option's own."""
    if kind == "int":
        return max(least, value // _FACTOR), max(_FACTOR * value, least + _FACTOR)
    if value == 0:
        return least, min(most, 1.0)
    return max(least, value / _FACTOR), min(most, _FACTOR * value)


def parse_measure(text: str) -> tuple[int, ...]:
    """Places in `FIGURES` of ``HOTA+IDF1``.

    Raises:
        ValueError: one is no ratio among the figures.
    """
    names = {name.upper(): place for place, name in enumerate(FIGURES[:-1])}
    words = [word.strip().upper() for word in text.split("+")]
    if not all(word in names for word in words):
        raise ValueError(f"expected {', '.join(names)} or several as HOTA+IDF1, got {text!r}")
    return tuple(names[word] for word in words)


@dataclass(frozen=True, slots=True)
class TuneSequence:
    """A sequence to search on.

    Attributes:
        name: of the sequence.
        detections: its file of ``--save-detections``.
        ground_truth: its annotation.
        frames: first and last frame to count.
        benchmark: rules for classes and distractors; None guesses them.
    """

    name: str
    detections: Path
    ground_truth: TrackRecords
    frames: tuple[int, int]
    benchmark: Benchmark | None = None

    def track(self, preset: str, options: Mapping[str, float | int | bool]) -> FrameSums:
        """Track it as ``deepsort-track`` does, and count.

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
    """An output that keeps the tracks."""

    def __init__(self) -> None:
        self._frames: list[TrackedFrame] = []

    def write(self, tracked: TrackedFrame) -> None:
        self._frames.append(tracked)

    def close(self) -> None:
        pass

    def table(self) -> TrackRecords:
        tracks = [one.tracks for one in self._frames]
        counts = [len(one) for one in tracks]
        ones = np.ones(sum(counts))
        return TrackRecords(
            frame=np.repeat(np.array([one.frame.number for one in self._frames], np.int64), counts),
            ids=np.concatenate([np.zeros(0, np.int64), *(one.ids for one in tracks)]),
            boxes=np.concatenate([np.zeros((0, 4)), *(one.boxes for one in tracks)]),
            confidence=ones,
            class_id=ones.astype(np.int64),
            visibility=ones,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a search chose.

    Attributes:
        options: that differ from the preset; empty: none of those tried is better.
        score: on the sequences searched.
    """

    options: Values
    score: float


@dataclass(slots=True)
class Search:
    """A search over sequences; results of a setting are kept, so no setting is tracked twice.

    Attributes:
        sequences: all.
        preset: where it begins.
        space: the ranges.
        measure: places in `FIGURES` whose mean is the score.
        sampler: ``random``, which changes up to three options of the preset and tries the same settings
            whatever is left out; or ``tpe``, which changes all.
        trials: settings to try.
        seed: of the sampler.
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
        """The counts of one sequence with these options."""
        key = sequence.name, tuple(options.items())
        if key not in self._known:
            self._known[key] = sequence.track(self.preset, options)
        return self._known[key]

    def figures(self, sequences: Sequence[TuneSequence], options: Values) -> NDArray[np.float64]:
        """`FIGURES` of several sequences together, ``(6,)``."""
        return total([self.sums(one, options) for one in sequences])

    def score(self, sequences: Sequence[TuneSequence], options: Values) -> float:
        """The mean of the measures."""
        return float(self.figures(sequences, options)[list(self.measure)].mean())

    def best(self, sequences: Sequence[TuneSequence]) -> Found:
        """The best of all trials on these sequences; the preset's own options where none is better.

        Raises:
            ImportError: Optuna is not installed.
        """
        optuna = import_optuna()

        def objective(trial: Trial) -> float:
            options = {one.name: one.suggest(trial) for one in self.space}
            if self.sampler == "random":  # all at once seldom beat settings that were chosen with care
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
        own = Found({}, self.score(sequences, {}))
        study.optimize(objective, n_trials=self.trials)
        finished = [one for one in study.trials if one.value is not None]
        if not finished or study.best_value <= own.score:
            return own
        return Found(study.best_trial.user_attrs["options"], float(study.best_value))


def import_optuna() -> Any:
    """Optuna, without its notes on each trial.

    Raises:
        ImportError: it is not installed.
    """
    with needs("tune"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
