"""Write the decision log in words, one line for each event of an id, or as a CSV table."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.part_files import commit, temporary_path
from deepsort_paddle.tracking import kalman
from deepsort_paddle.tracking.decision_log import EVENT, KINDS, STAGE_NAMES, Journal

__all__ = ["explain", "write_table"]

_STAGE_WORDS = {
    "appearance": "in the appearance stage",
    "overlap": "in the overlap stage",
    "low": "in the stage of low confidence",
    "reactivation": "by appearance alone",
}


def explain(journal: Journal, track_id: int) -> str:
    """Describe the life of an id, with one line for each event; consecutive matches share a line.

    Args:
        journal: the log of the tracker.
        track_id: the id.

    Returns:
        The lines as one text.

    Raises:
        ValueError: there was no such id; the message has the range of ids.
    """
    events = journal.events(track_id)
    if len(events) == 0:
        ids = journal.ids
        there = f"there were ids {ids[0]} to {ids[-1]}" if len(ids) else "no id was born"
        raise ValueError(f"no id {track_id} to explain; {there}")
    kinds = np.array(KINDS)[events["kind"]]
    taken = events[np.isin(kinds, ("born", "matched", "found"))]
    head = (
        f"id {track_id}: frames {taken['frame'][0]} to {taken['frame'][-1]}, {len(taken)} detections, "
        f"lost {_times(int((kinds == 'lost').sum()))}"
    )
    return "\n".join([head, *_lines(events, kinds, journal.max_cosine_distance)])


def write_table(journal: Journal, path: str | Path) -> None:
    """Write all events as CSV with a header; unknown values are empty.

    Args:
        journal: the log of the tracker.
        path: the file to write.

    Raises:
        OSError: the file cannot be written.
    """
    with temporary_path(path).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(EVENT.names or ())
        for event in journal.events():
            values = dict(zip(EVENT.names or (), event.item(), strict=True))
            values["kind"], values["stage"] = KINDS[values["kind"]], STAGE_NAMES[values["stage"]]
            rows.writerow([_field(value) for value in values.values()])
    commit(path)


def _field(value: float | int | str) -> float | int | str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return value


def _lines(events: NDArray[Any], kinds: NDArray[np.str_], max_cosine: float) -> Iterator[str]:
    start = 0
    while start < len(events):
        event, kind = events[start], str(kinds[start])
        stop = start + 1
        if kind == "matched":
            while stop < len(events) and kinds[stop] == kind and events["rival"][stop] == event["rival"]:
                stop += 1
        if stop - start > 1:
            run = events[start:stop]
            span, text = f"{run['frame'][0]}-{run['frame'][-1]}", _describe_run(run)
        else:
            span, text = str(event["frame"]), _DESCRIBE[kind](event, max_cosine)
        yield f"{span:>11}  {kind:9}  {text}"
        start = stop


def _describe_run(run: NDArray[Any]) -> str:
    """Describe consecutive matches, by stage."""
    parts = []
    for code in np.unique(run["stage"]):
        stage = run[run["stage"] == code]
        worst = stage[stage["cost"].argmax()]
        parts.append(
            f"{_times(len(stage))} {_STAGE_WORDS[STAGE_NAMES[code]]} (largest cost {worst['cost']:.2f} "
            f"of {worst['limit']:.2f}, in frame {worst['frame']})"
        )
    rival = run["rival"][0]
    return ", ".join(parts) + (f"; may be a switch: all nearer to id {rival}" if rival else "")


def _near(event: Any, prefix: str, max_cosine: float) -> str:
    """Describe how near track and detection are, each number with its limit."""
    parts = [f"IoU {event[f'{prefix}iou']:.2f}"]
    gate, cosine = event[f"{prefix}gate"], event[f"{prefix}cosine"]
    parts.append(f"gate {gate:.1f} of {kalman.GATE:.1f}" if gate < 1000 else "far outside the gate")
    if not np.isnan(cosine):
        parts.append(f"cosine {cosine:.2f} of {max_cosine:.2f}")
    return ", ".join(parts)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _place(event: Any) -> str:
    return (
        f"detection {event['detection']} (confidence {event['confidence']:.2f}) "
        f"at {event['x']:.0f}, {event['y']:.0f}"
    )


def _describe_born(event: Any, max_cosine: float) -> str:
    text = f"from {_place(event)}"
    if event["rival"] == 0:
        return text + "; no confirmed track was missing"
    gap = event["rival_gap"]
    return (
        f"{text}; nearest missing: id {event['rival']}, not seen for {_frames(gap)} "
        f"({_near(event, 'rival_', max_cosine)})"
    )


def _describe_match(event: Any, max_cosine: float) -> str:
    text = (
        f"{_STAGE_WORDS[STAGE_NAMES[event['stage']]]}: cost {event['cost']:.2f} of {event['limit']:.2f}, "
        f"{_place(event)} ({_near(event, '', max_cosine)})"
    )
    if event["gap"] > 1:
        text = f"after {_frames(event['gap'])} {text}"
    if event["rival"]:
        text += f"; may be a switch: nearer to id {event['rival']} ({_near(event, 'rival_', max_cosine)})"
    return text


def _describe_lost(event: Any, max_cosine: float) -> str:
    if event["detection"] < 0:
        return "no detection overlaps the predicted place"
    text = f"best was {_place(event)} ({_near(event, '', max_cosine)})"
    if event["rival"] == 0:
        return text + ", over the limits"
    return text + f", taken by id {event['rival']} ({_near(event, 'rival_', max_cosine)})"


def _describe_deleted(event: Any, _: float) -> str:
    return f"not matched for {_frames(event['gap'])}"


_DESCRIBE = {
    "born": _describe_born,
    "confirmed": lambda *_: "had enough detections",
    "matched": _describe_match,
    "found": _describe_match,
    "lost": _describe_lost,
    "deleted": _describe_deleted,
    "duplicate": lambda *_: "deleted: it overlapped a track that has more detections too much",
}
