"""Results in another box convention than the ground truth, or shifted by frames.

Such results score near zero, or lose a third of their MOTA, without being wrong in any line. When few true
boxes find a result, the results are read in other common conventions; one that fits is named.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.boxes import iou
from deepsort_paddle.motchallenge.text import TrackRecords

__all__ = ["convention_warning"]

_SAMPLED_FRAMES = 200
_MIN_IOU = 0.5
_FEW = 0.3  # share of the true boxes that a result overlaps, below which another convention is looked for
_MOST = 0.5  # share above which another convention explains the results
# A shift by frames is reported where the overlap of matched boxes gains this much, and this many standard
# errors. Of correct results (7 sequences of MOT15 and MOT17, two presets) none gains more than 0.004 and 1.0
# errors; of results one frame too late, 10 of 14 gain at least 0.009 and 4.8.
_LEAST_GAIN, _LEAST_ERRORS = 0.005, 3.5
_REFINEMENTS = 4
_CONFIRMED_AFTER = 5  # frames from which on trackers report a new track
_EXPECTED = "expected left, top, width, height in pixels"

# From columns 3 to 6 as they are in the file, taken for what the name says, to left, top, right, bottom.
_CONVENTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "": lambda c: np.column_stack([c[:, :2], c[:, :2] + c[:, 2:]]),
    "corners (left, top, right, bottom)": lambda c: c,
    "centres (x, y, width, height)": lambda c: np.column_stack(
        [c[:, :2] - c[:, 2:] / 2, c[:, :2] + c[:, 2:] / 2]
    ),
    "boxes with x and y swapped": lambda c: np.column_stack([c[:, 1::-1], c[:, 1::-1] + c[:, :1:-1]]),
    "corners with x and y swapped": lambda c: c[:, [1, 0, 3, 2]],
}


def convention_warning(
    ground_truth: TrackRecords, results: TrackRecords, frames: tuple[int, int]
) -> str | None:
    """What suggests that results are in another box convention or shifted by frames; None when nothing does.

    Args:
        ground_truth: the true boxes that are evaluated.
        results: of a tracker.
        frames: first and last frame to compare.
    """
    first, last = frames
    inside = (ground_truth.frame >= first) & (ground_truth.frame <= last)
    numbers = np.unique(ground_truth.frame[inside])
    if not len(numbers) or not len(results):
        return None
    chosen = np.linspace(0, len(numbers) - 1, min(len(numbers), _SAMPLED_FRAMES)).round().astype(int)
    comparison = _Comparison(ground_truth, results, numbers[chosen])
    best = comparison.best_overlaps(results.boxes)
    share = float((best >= _MIN_IOU).mean())
    if share < _FEW:
        found = f"no result overlaps the ground truth by {_MIN_IOU}"
        if share > 0:
            found = f"only {max(1, round(100 * share))} % of the true boxes overlap a result by {_MIN_IOU}"
        reason = comparison.explain_boxes() or comparison.explain_shift(best, restart=True)
        if reason is None and share > 0:
            return None
        reason = reason or f"{_EXPECTED}, of this sequence"
        return f"{found}: {reason}"
    return comparison.explain_shift(best)


class _Comparison:
    """True boxes of some frames, and the results of the same frames in other readings."""

    def __init__(self, ground_truth: TrackRecords, results: TrackRecords, frames: NDArray[np.int64]) -> None:
        self._results, self._frames = results, frames
        self._truth = [ground_truth.boxes[rows] for rows in _rows_of(ground_truth.frame, frames)]
        self._first_frames = int(ground_truth.frame.min()), int(results.frame.min())

    def best_overlaps(self, boxes: NDArray[np.float64], shift: int = 0) -> NDArray[np.float64]:
        """Largest IoU of each true box with the results ``boxes`` of the frame ``shift`` frames earlier."""
        overlaps = []
        for truth, rows in zip(self._truth, _rows_of(self._results.frame, self._frames - shift), strict=True):
            overlap = iou(truth, boxes[rows])
            overlaps.append(overlap.max(axis=1, initial=0.0))
        return np.concatenate(overlaps)

    def explain_boxes(self) -> str | None:
        """The convention in which most true boxes overlap a result; None when there is none."""
        corners = self._results.boxes
        columns = np.column_stack([corners[:, :2] + 1, corners[:, 2:] - corners[:, :2]])
        plain = {name: (convert(columns), "") for name, convert in _CONVENTIONS.items()}
        scaled = {name: self._scaled(boxes) for name, (boxes, _) in plain.items()}
        for readings in (plain, scaled):
            shares = {
                name: float((self.best_overlaps(boxes - 1) >= _MIN_IOU).mean())
                for name, (boxes, _) in readings.items()
            }
            best = max(shares, key=lambda name: shares[name])
            if shares[best] >= _MOST:
                size = readings[best][1]
                kind = ", in ".join(part for part in (best, size) if part)
                return f"the boxes look like {kind}; {_EXPECTED}"
        return None

    def explain_shift(self, unshifted: NDArray[np.float64], *, restart: bool = False) -> str | None:
        """The shift by frames with which the results overlap more; None when there is none.

        Args:
            unshifted: `best_overlaps` of the results as they are.
            restart: also try results that begin with the ground truth's first frame.
        """
        shifts, gains = {-1, 1}, {}
        if restart:
            begin = self._first_frames[0] - self._first_frames[1]
            shifts |= set(range(begin, begin + _CONFIRMED_AFTER))
        for shift in shifts - {0}:
            shifted = self.best_overlaps(self._results.boxes, shift)
            gain = (shifted - unshifted)[np.maximum(shifted, unshifted) >= _MIN_IOU]
            enough = len(gain) > 1 and gain.mean() >= _LEAST_GAIN
            if enough and gain.mean() >= _LEAST_ERRORS * gain.std() / np.sqrt(len(gain)):
                gains[shift] = float(gain.mean())
        if not gains:
            return None
        best = max(gains, key=lambda shift: gains[shift])
        frames = "1 frame" if abs(best) == 1 else f"{abs(best)} frames"
        hint = " (do they count from 0?)" if best == 1 else ""
        way = "later" if best > 0 else "earlier"
        return (
            f"the results fit the ground truth better {frames} {way}{hint}: the boxes overlap by "
            f"{gains[best]:.2f} more"
        )

    def _scaled(self, boxes: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
        """Boxes stretched in x and y to where the true boxes are, and their unit."""
        groups = _rows_of(self._results.frame, self._frames)
        rows = np.concatenate(groups)
        if not len(rows):
            return boxes, ""
        truth = np.concatenate(self._truth)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = (truth[:, :2] + truth[:, 2:]).mean(axis=0) / (boxes[rows, :2] + boxes[rows, 2:]).mean(
                axis=0
            )
            for _ in range(_REFINEMENTS):
                if not (np.isfinite(scale).all() and (scale > 0).all()):
                    return boxes, ""
                scale = self._refined(boxes, groups, scale)
        wide, high = 1 / scale
        unit = "parts of the image"
        if np.abs(boxes).max() > 2:
            unit = f"pixels of an image {wide:.2g} times as wide and {high:.2g} times as high"
        return boxes * np.tile(scale, 2), unit

    def _refined(
        self, boxes: NDArray[np.float64], groups: list[NDArray[np.int64]], scale: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The median stretch of results to the true boxes that they overlap most at ``scale``."""
        ratios = []
        for truth, rows in zip(self._truth, groups, strict=True):
            if not (len(truth) and len(rows)):
                continue
            overlap = iou(truth, boxes[rows] * np.tile(scale, 2))
            near = overlap.max(axis=1) > 0
            found = boxes[rows[overlap.argmax(axis=1)[near]]]
            ratios.append((truth[near, :2] + truth[near, 2:]) / (found[:, :2] + found[:, 2:]))
        merged = np.concatenate([np.zeros((0, 2)), *ratios])
        return np.median(merged, axis=0) if len(merged) else scale


def _rows_of(frame: NDArray[np.int64], numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows of each of the frames ``numbers``, of a table sorted by frame."""
    starts, stops = np.searchsorted(frame, numbers), np.searchsorted(frame, numbers, side="right")
    return [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
