"""Types of options: functions that check and convert a word of the command line or a value from Python.

A type raises `OptionError` with one line, "expected ..., got ..."; the caller adds the name of the option.
Returned values are hashable and pass the same check again, so that a plan can be sent as JSON.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from operator import index
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepsort_paddle.counting.places import Line, Zone

__all__ = [
    "OptionError",
    "assignment",
    "choice",
    "class_list",
    "confidences",
    "count",
    "device",
    "duration",
    "event_file",
    "every",
    "ids",
    "line",
    "moment",
    "number",
    "page_file",
    "seconds",
    "switch",
    "text",
    "zone",
]


class OptionError(ValueError, argparse.ArgumentTypeError):
    """A value is not what its option expects; a ValueError that argparse knows, too."""


def text(value: str | int | PathLike[str]) -> str:
    """A name or path."""
    if isinstance(value, bool) or not isinstance(value, str | int | PathLike):
        raise OptionError(f"expected a name or a path, got {value!r}")
    return str(value)


def device(value: str) -> str:
    """A device in lower case; pptracking writes GPU."""
    return text(value).lower()


def switch(value: bool) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise OptionError(f"expected True or False, got {value!r}")
    return value


def choice(*names: str, **older: str) -> Callable[[str], str]:
    """One of these names; ``older`` are former names and what they are called now."""

    def parse(value: str) -> str:
        value = older.get(value, value)
        if value not in names:
            raise OptionError(f"expected {', '.join(names[:-1])} or {names[-1]}, got {value!r}")
        return value

    return parse


def number(low: float, high: float = math.inf, *, open_low: bool = False) -> Callable[[str | float], float]:
    """A finite number from ``low`` (or above it) to ``high``."""

    def parse(value: str | float) -> float:
        try:
            parsed = float(value)
        except (TypeError, ValueError):
            parsed = math.nan
        if not (low < parsed if open_low else low <= parsed) or not parsed <= high or math.isinf(parsed):
            expected = f"a number above {low:g}" if open_low else f"a number from {low:g}"
            expected += f" to {high:g}" if high < math.inf else "" if open_low else " up"
            raise OptionError(f"expected {expected}, got {value!r}")
        return parsed

    return parse


def count(low: int) -> Callable[[str | int], int]:
    """A whole number from ``low``."""

    def parse(value: str | int) -> int:
        try:
            parsed = int(value) if isinstance(value, str) else index(value)
        except (TypeError, ValueError):
            parsed = low - 1
        if parsed < low:
            raise OptionError(f"expected a whole number from {low}, got {value!r}")
        return parsed

    return parse


def every(value: str | int | Iterable[int]) -> tuple[int, ...]:
    """The numbers of ``N`` or ``N:FIRST``; one number or two."""
    if isinstance(value, str):
        parts: Iterable[str | int] = value.split(":")
    else:
        parts = value if isinstance(value, Iterable) else (value,)
    parse = count(1)
    found = tuple(parse(part) for part in parts)
    if len(found) > 2:
        raise OptionError(f"expected N or N:FIRST, got {value!r}")
    return found


def seconds(value: str | float) -> float:
    """A time in seconds: a number, or a text ``ss``, ``mm:ss`` or ``hh:mm:ss``."""
    parts = value.split(":") if isinstance(value, str) else [value]
    try:
        numbers = [number(0)(part) for part in parts]
        fits = len(numbers) <= 3 and all(part < 60 for part in numbers[1:])
    except OptionError:
        fits = False
    if not fits:
        raise OptionError(f"expected seconds or hh:mm:ss, got {value!r}")
    return float(sum(part * 60.0**place for place, part in enumerate(reversed(numbers))))


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([\d.]+)\s*(s|m|min|h|d|)", re.IGNORECASE)


def duration(value: str | float) -> float:
    """A length of time in seconds: a number, or a text as ``90s``, ``15min``, ``1h``, ``1d``."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    words = (found[1], found[2].lower()) if found else (value, "")
    try:
        return number(0, open_low=True)(words[0]) * _UNITS[words[1]]
    except OptionError:
        raise OptionError(f"expected a time as 15min, 1h or 90s, got {value!r}") from None


def moment(value: str) -> str:
    """A date and time in ISO 8601, as ``2026-05-01T08:00``."""
    from deepsort_paddle.wall_clock import WallClock

    try:
        WallClock.parse(text(value))
    except ValueError as error:
        raise OptionError(str(error)) from None
    return text(value)


def event_file(value: str | PathLike[str]) -> str:
    """The name of an events file, whose suffix determines the format."""
    if not text(value).lower().endswith((".csv", ".jsonl", ".ndjson")):
        raise OptionError(f"expected a name that ends in .csv or .jsonl, got {str(value)!r}")
    return text(value)


def page_file(value: str | PathLike[str]) -> str:
    """The name of a page for browsers."""
    if not text(value).lower().endswith((".html", ".htm")):
        raise OptionError(f"expected a name that ends in .html, got {str(value)!r}")
    return text(value)


def ids(value: str | int | Iterable[int]) -> tuple[int, ...]:
    """Track ids: a comma-separated text, one number or several."""
    if isinstance(value, str):
        parts: Iterable[str | int] = value.split(",")
    else:
        parts = value if isinstance(value, Iterable) else (value,)
    parse = count(1)
    return tuple(parse(part) for part in parts)


def class_list(value: str | int | Iterable[int | str]) -> str:
    """Names or numbers of classes, as comma-separated text."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = ",".join(str(part) for part in value)
    if not all(part.strip() for part in str(value).split(",")):
        raise OptionError(f"expected names or numbers separated by commas, got {value!r}")
    return str(value)


def confidences(
    value: str | float | Mapping[str, float] | Iterable[tuple[str, float]],
) -> float | tuple[tuple[str, float], ...]:
    """A confidence, or pairs of a class name and its confidence; the name ``""`` stands for all others.

    As text ``0.4``, or ``person=0.4,car=0.6``, or ``0.3,car=0.6``.
    """
    confidence = number(0, 1)
    if isinstance(value, str):
        return _parsed_confidences(value)
    if isinstance(value, Mapping | list | tuple):
        pairs = value.items() if isinstance(value, Mapping) else value
        return tuple((str(name), confidence(part)) for name, part in pairs)
    return confidence(value)  # type: ignore[arg-type]


def _parsed_confidences(words: str) -> float | tuple[tuple[str, float], ...]:
    confidence = number(0, 1)
    if "=" not in words and "," not in words:
        return confidence(words)
    found: dict[str, float] = {}
    for part in words.split(","):
        name, equals, value = part.rpartition("=")
        name = name.strip()
        if bool(name) != bool(equals) or name in found:
            raise OptionError(f"expected confidences as person=0.4,car=0.6, got {words!r}")
        found[name] = confidence(value)
    return tuple(found.items())


def assignment(value: str | Iterable[Any]) -> tuple[str, float | int | bool]:
    """The name and value of a tracker option: ``NAME=VALUE`` or a pair."""
    if isinstance(value, str):
        name, equals, word = value.partition("=")
        if not equals:
            raise OptionError(f"expected NAME=VALUE, got {value!r}")
        return name.strip().replace("-", "_"), _number_or_truth(name.strip(), word.strip())
    name, setting = tuple(value)
    if not isinstance(setting, int | float):
        raise OptionError(f"expected a number, true or false for {name}, got {setting!r}")
    return str(name), setting


def _number_or_truth(name: str, word: str) -> float | int | bool:
    truths = {"true": True, "false": False}
    if word.lower() in truths:
        return truths[word.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(word)
    raise OptionError(f"expected a number, true or false for {name}, got {word!r}")


def line(value: Line | str | Mapping[str, Any]) -> Line:
    """A line to count at: the object, ``NAME:x1,y1,x2,y2``, or its fields."""
    from deepsort_paddle.counting.places import Line  # imports numpy, which --help does not need

    return _place(Line, value, "Line")  # type: ignore[no-any-return]


def zone(value: Zone | str | Mapping[str, Any]) -> Zone:
    """A zone to count in: the object, ``NAME:x1,y1,x2,y2,x3,y3,...``, or its fields."""
    from deepsort_paddle.counting.places import Zone

    return _place(Zone, value, "Zone")  # type: ignore[no-any-return]


def _place(kind: Any, value: Any, name: str) -> Any:
    try:
        if isinstance(value, str):
            return kind.parse(value)
        if isinstance(value, Mapping):
            return kind(**value)
    except (TypeError, ValueError) as error:
        raise OptionError(str(error)) from None
    if not isinstance(value, kind):
        raise OptionError(f"expected {name} or its text, got {type(value).__name__}")
    return value
