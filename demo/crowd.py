"""Who walks through the demo clip, and where.

Routes are lists of points on the ground that are walked at constant speed, some with a stop. They are
laid so that people cross, walk in pairs, pass behind the van and the column, leave and come back: the
cases that a tracker gets wrong. The seed moves starts, lanes and speeds a little.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from figures import STRIDE, Look, Pose
from numpy.typing import NDArray

BLACK, DARK, BROWN, FAIR, GREY = (26, 24, 26), (34, 40, 52), (40, 62, 104), (120, 178, 214), (160, 164, 168)
PALE, TAN, DEEP = (166, 192, 226), (110, 150, 198), (62, 88, 130)
WHITE, CREAM = (232, 232, 234), (190, 214, 226)
RED, ORANGE, YELLOW, GREEN, TEAL = (
    (52, 48, 190),
    (40, 120, 226),
    (70, 202, 236),
    (78, 138, 62),
    (140, 134, 30),
)
BLUE, NAVY, PURPLE, PINK, DENIM = (184, 112, 44), (98, 56, 34), (128, 52, 104), (172, 132, 226), (132, 94, 62)


@dataclass(frozen=True)
class Walk:
    """A route.

    Attributes:
        look: the person.
        start: seconds into the clip.
        points: ``(x, z)`` in metres.
        speed: metres a second.
        stops: seconds spent at a point, by its place in ``points``.
    """

    look: Look
    start: float
    points: list[tuple[float, float]]
    speed: float = 1.35
    stops: dict[int, float] = field(default_factory=dict)


def make_walks() -> list[Walk]:
    """The whole cast; the first ones are on stage first."""
    striped = Look(1.8, 1.05, DARK, TAN, RED, WHITE, DENIM, BLACK, "stripes", bag=GREEN)
    return [
        Walk(striped, -1.2, [(-4.5, 7.2), (5.2, 7.0)]),
        Walk(Look(1.66, 0.95, BROWN, PALE, BLUE, YELLOW, BLACK, CREAM, "open", "skirt", True),
             -1.0, [(4.6, 7.9), (-5, 7.7)]),
        Walk(Look(1.76, 1.1, BLACK, DEEP, ORANGE, GREEN, GREY, BROWN, "halves", hat=NAVY),
             -3.5, [(-8.6, 15.6), (10, 15.9)]),
        Walk(Look(1.69, 0.95, FAIR, PALE, PINK, WHITE, NAVY, WHITE, "plain", long_hair=True),
             -2.0, [(9.0, 16.6), (-9.5, 16.4)]),
        Walk(Look(1.83, 1.1, GREY, PALE, NAVY, WHITE, BLACK, BLACK, "open", "coat"), -1.5,
             [(-5.5, 16.9), (2.6, 15.3), (3.2, 9.4), (1.9, 8.2), (-6, 7.9)], 1.5),
        Walk(Look(1.72, 1.0, BLACK, TAN, WHITE, TEAL, BLUE, WHITE, "plain", "shorts", hat=RED), 1.5,
             [(5.2, 8.3), (3.6, 8.9), (3.9, 15.2), (9.6, 16.2)], 1.45),
        Walk(Look(1.78, 1.05, BROWN, PALE, GREEN, CREAM, (92, 120, 150), BROWN, "plain", bag=BLACK),
             2.6, [(4.8, 8.5), (-5.4, 8.7)]),
        Walk(Look(1.63, 0.92, BLACK, PALE, YELLOW, BLACK, DENIM, RED, "stripes", long_hair=True),
             2.6, [(5.5, 8.1), (-4.7, 8.3)]),
        Walk(Look(1.86, 1.15, DARK, DEEP, TEAL, WHITE, GREY, WHITE, "halves"),
             4.6, [(-4.4, 6.5), (4.6, 6.7)]),
        Walk(Look(1.7, 1.0, FAIR, PALE, PURPLE, WHITE, BLACK, BLACK, "plain", "coat", True), 3.5,
             [(9.9, 17.4), (-0.4, 17.5), (-10, 17.2)], 1.3, {1: 4.0}),
        Walk(Look(1.74, 1.0, GREY, TAN, CREAM, BLUE, (70, 84, 104), BROWN, "open", hat=GREY), 6.3,
             [(-5.6, 9.1), (1.3, 9.15), (6.0, 9.0)], 1.3, {1: 1.4}),
        Walk(Look(1.68, 0.95, BROWN, PALE, RED, BLACK, BLACK, BLACK, "plain", "skirt", True),
             8.0, [(4.3, 6.3), (-4.4, 6.5)]),
        # The first one comes back: the same person after four seconds out of sight.
        Walk(striped, 10.2, [(4.6, 7.3), (-5, 7.1)], 1.4),
        Walk(Look(1.79, 1.0, BLACK, DEEP, WHITE, RED, NAVY, ORANGE, "stripes", "shorts"),
             12.6, [(-4.6, 6.9), (4.8, 7.2)], 2.6),
        Walk(Look(1.75, 1.08, DARK, TAN, GREY, BLACK, DENIM, WHITE, "halves", bag=ORANGE),
             8.5, [(-9.6, 17.0), (9.6, 16.7)], 1.4),
        Walk(Look(1.65, 0.95, BLACK, TAN, ORANGE, WHITE, WHITE, BROWN, "open", "trousers", True),
             13.6, [(-4.6, 7.8), (5, 8.0)]),
        Walk(Look(1.81, 1.05, FAIR, PALE, BLACK, YELLOW, (64, 90, 120), BLACK, "halves"),
             14.2, [(4.6, 7.5), (-5, 7.4)]),
        Walk(Look(1.67, 0.98, DARK, DEEP, PURPLE, PINK, CREAM, WHITE, "stripes", "skirt", True),
             15.3, [(-5.4, 8.6), (5.4, 8.4)]),
        Walk(Look(1.84, 1.1, BROWN, PALE, WHITE, NAVY, RED, BLACK, "halves", "shorts", bag=BLUE),
             16.0, [(4.6, 6.6), (-4.8, 6.9)]),
        Walk(Look(1.73, 1.02, BLACK, TAN, GREEN, YELLOW, BLACK, BROWN, "plain", "coat"),
             13.0, [(9.8, 15.5), (-9.6, 15.8)], 1.4),
    ]  # fmt: skip


# Walks of one person share one id.
SAME_PERSON = {12: 0}


def poses(walk: Walk, seconds: NDArray[np.float64], rng: np.random.Generator) -> list[Pose | None]:
    """A pose for each time, None before the start and after the end."""
    start = walk.start + rng.uniform(-0.3, 0.3)
    speed = walk.speed * rng.uniform(0.96, 1.04)
    points = np.add(walk.points, [0.0, rng.uniform(-0.08, 0.08)])
    phase = rng.uniform(0, 2 * np.pi)

    # Distance walked as a function of time, held at the stops.
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    times, walked, now = [], [], start
    for place, length in enumerate(lengths):
        now += 0.0 if place == 0 else (length - lengths[place - 1]) / speed
        for pause in (0.0, walk.stops.get(place, 0.0)):
            now += pause
            times.append(now)
            walked.append(length)
    # Averaged over a third of a second, so that corners are rounded and nobody stops dead.
    window = np.linspace(-0.35, 0.35, 15)
    distance = np.interp(seconds[:, None] + window, times, walked)  # (T, 15)
    x, z = (np.interp(distance, lengths, points[:, axis]) for axis in (0, 1))
    step = np.stack([x[:, -1] - x[:, 0], z[:, -1] - z[:, 0]], axis=1)
    stride = np.clip(np.hypot(*step.T) / (0.7 * walk.speed), 0.0, 1.0)
    # Who stops looks at the shop window.
    heading = np.where(stride > 0.15, np.arctan2(step[:, 1], step[:, 0]), np.pi / 2)
    cycle = phase + 2 * np.pi * distance.mean(axis=1) / (STRIDE * walk.look.height)
    on_stage = (seconds >= times[0]) & (seconds <= times[-1])
    return [
        Pose(float(a), float(b), float(c), float(d), float(e)) if alive else None
        for a, b, c, d, e, alive in zip(
            x.mean(axis=1), z.mean(axis=1), heading, cycle, stride, on_stage, strict=True
        )
    ]
