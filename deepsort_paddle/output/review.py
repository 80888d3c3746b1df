"""The questions of the report page about persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Review"]


@dataclass(frozen=True, slots=True)
class Review:
    """Questions about the people of a run, for the report page.

    Attributes:
        corrections: the current file of corrections, which the page extends; None: the run keeps no index, so
            corrections are impossible.
        questions: two tracks, the probability that they are one person, and whether they are joined.
        thumbnails: JPEGs of each track, best first.

    Example:
        >>> Review(questions=((3, 29, 0.6, True),)).questions[0][:2]
        (3, 29)
    """

    corrections: Mapping[str, Any] | None = None
    questions: Sequence[tuple[int, int, float, bool]] = ()
    thumbnails: Mapping[int, Sequence[bytes]] = field(default_factory=dict)
