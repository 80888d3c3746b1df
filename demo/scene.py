# ruff: noqa: RUF005 - these are arrays: `+` adds, it does not join.
"""The street of the demo clip: a pinhole camera, the ground, houses, and parked things that hide people.

The world is in metres: X to the right, Y up, Z away from the camera, the ground at Y = 0. Ground and
houses are coloured pixel by pixel as functions of the world point that the pixel shows, so that
perspective comes by itself. Everything is painted `SUPERSAMPLING` times too large and scaled down at
the end: the cheapest way to smooth edges and smooth motion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Color = tuple[float, float, float]  # BGR, 0 to 255
Image = NDArray[np.uint8]

SUPERSAMPLING = 2
HOUSES = 18.6  # Z of the house fronts
NEAR_KERB, FAR_KERB = 9.3, 14.6  # the road lies between
SUN = np.array([0.62, -1.0, -0.34])  # direction of light; a point's shadow is where it hits the ground


@dataclass(frozen=True)
class Camera:
    """A camera 2.8 m above the ground that looks along Z, with the horizon in the upper third.

    Attributes:
        height: of the image in pixels.
        width: of the image in pixels.
    """

    height: int
    width: int

    def project(self, points: ArrayLike) -> NDArray[np.float64]:
        """Pixels ``(N, 2)`` of world points ``(N, 3)``."""
        x, y, z = np.asarray(points, dtype=np.float64).T
        scale = self.scale(z)
        pixels = np.empty((len(scale), 2))
        pixels[:, 0] = 0.5 * self.width + scale * x
        pixels[:, 1] = 0.31 * self.height + scale * (2.8 - y)
        return pixels

    def scale(self, z: ArrayLike) -> NDArray[np.float64]:
        """Pixels a metre at depth ``z``."""
        return 0.94 * self.width / np.asarray(z, dtype=np.float64)

    def half_width(self, z: float) -> float:
        """Metres that are visible to each side of the middle at depth ``z``."""
        return 0.5 * self.width / float(self.scale(z))


@dataclass(frozen=True)
class Prop:
    """A parked thing that stands in front of whatever is behind it.

    Attributes:
        z: depth in metres, for painting from back to front.
        image: ``(h, w, 3)`` BGR.
        mask: ``(h, w)`` 1 where the thing is, else 0.
        left: column of the first pixel in the image.
        top: row of the first pixel in the image.
    """

    z: float
    image: Image
    mask: NDArray[np.uint8]
    left: int
    top: int


def fill(canvas: Image, points: NDArray[np.float64], color: Color | float) -> None:
    """Fill a polygon given in pixels, with sixteenths of a pixel respected; modifies ``canvas``."""
    fixed = np.rint(points * 16.0).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], color, cv2.LINE_8, 4)


def paint_background(camera: Camera, rng: np.random.Generator) -> Image:
    """The empty street, ``(height, width, 3)`` BGR."""
    height, width = camera.height, camera.width
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    horizon = 0.31 * height
    z = np.full((height, width), 1e6)
    below = row > horizon + 1
    z[below] = 0.94 * width * 2.8 / (row[below] - horizon)
    ground = z < HOUSES
    z = np.where(ground, z, HOUSES)
    scale = camera.scale(z)
    x = (column - 0.5 * width) / scale
    y = np.where(ground, 0.0, 2.8 - (row - horizon) / scale)

    pixels = np.where(ground[..., None], ground_color(x, z, rng), house_color(x, y, rng))
    grain = cv2.GaussianBlur(rng.normal(0, 9, (height, width)), (0, 0), 1.2 * SUPERSAMPLING)
    pixels = pixels * (1 + grain[..., None] / 60)
    # Darker towards the corners and, on the houses, towards their foot: what a lens and daylight do.
    radius = np.hypot((column / width - 0.5) * 1.2, row / height - 0.55)
    pixels *= (1.06 - 0.35 * radius**2)[..., None]
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    shade = np.where(ground & (z > HOUSES - 1.1), 0.72, 1.0)
    return np.asarray(pixels * shade[..., None], dtype=np.uint8)


def ground_color(
    x: NDArray[np.float64], z: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Colour of ground points: slabs, kerbs, asphalt with a lane line and a zebra crossing."""
    tint = rng.uniform(-9, 9, (64, 256))
    slab = tint[(np.floor(z / 0.6) % 64).astype(int), (np.floor(x / 0.6) % 256).astype(int)]
    joint = np.minimum(z % 0.6, x % 0.6) < 0.02 + 0.002 * z
    pavement = np.array([168.0, 176, 182]) + slab[..., None] - 34.0 * joint[..., None]
    asphalt = np.full((*x.shape, 3), [92.0, 90, 88]) + 4 * np.sin(x * 0.7 + np.sin(z))[..., None]
    line = (np.abs(z - 11.95) < 0.07) & (x % 3.0 < 1.8) & (np.abs(x - 3.4) > 2.0)
    zebra = (np.abs(x - 3.4) < 1.5) & ((x - 1.9) % 0.75 < 0.4)
    asphalt[line | zebra] = [214, 218, 220]
    road = (z > NEAR_KERB) & (z < FAR_KERB)
    kerb = (np.abs(z - NEAR_KERB) < 0.12) | (np.abs(z - FAR_KERB) < 0.12)
    color = np.where(road[..., None], asphalt, pavement)
    color[kerb] = [196, 200, 204]
    gutter = (z > NEAR_KERB + 0.12) & (z < NEAR_KERB + 0.25)
    color[gutter] *= 0.7
    return color


def house_color(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Colour of points on the house fronts: plaster, windows with frames, shop windows under awnings."""
    plaster = np.array(
        [[150, 186, 214], [176, 168, 156], [128, 150, 196], [190, 204, 210], [146, 178, 160]], float
    )
    awning = np.array([[60, 60, 170], [120, 80, 40], [60, 110, 60], [40, 130, 190], [110, 60, 110]], float)
    house = np.floor((x + 40) / 5.2).astype(int)
    local = (x + 40) % 5.2
    order = rng.permutation(5)
    color = plaster[order[house % 5]]
    color = color - 14.0 * ((y % 3.1) < 0.12)[..., None]
    window_x, window_y = local % 1.73, (y - 3.6) % 2.9
    window = (y > 3.4) & (window_x > 0.42) & (window_x < 1.36) & (window_y > 0.5) & (window_y < 2.2)
    frame = (y > 3.4) & (window_x > 0.34) & (window_x < 1.44) & (window_y > 0.42) & (window_y < 2.28)
    color[frame] = [225, 230, 232]
    lit = rng.random((32, 64))
    room = lit[house % 32, (np.floor(local / 1.73) + 3 * np.floor((y - 3.6) / 2.9)).astype(int) % 64]
    glass = np.stack([120 + 50 * window_y, 96 + 44 * window_y, 78 + 40 * window_y], axis=-1) * (
        0.55 + 0.6 * room[..., None]
    )
    color = np.where(window[..., None], glass, color)
    color[window & (np.abs(window_x - 0.89) < 0.03)] = [225, 230, 232]
    shop = (y < 2.55) & (y > 0.45) & (local > 0.5) & (local < 3.5)
    reflection = 62 + 30 * np.sin(2.2 * local + 1.3 * y + house) + 16 * y
    color = np.where(shop[..., None], reflection[..., None] * np.array([1.15, 1.05, 0.9]), color)
    color[(y < 2.6) & (np.abs(local - 2.0) < 0.05) & (y > 0.4)] = [70, 74, 80]
    door = (y < 2.35) & (local > 3.9) & (local < 4.8)
    color[door] = awning[order[(house + 2) % 5]][door] * 0.8
    color[door & (np.abs(local - 4.35) < 0.28) & (y > 1.1) & (y < 2.1)] = [130, 120, 104]
    shade = (y > 2.5) & (y < 3.15) & (local > 0.35) & (local < 3.65)
    striped = (np.floor(local / 0.3) % 2 == 0)[..., None]
    cloth = np.where(striped, awning[order[house % 5]], 222.0)
    color = np.where(shade[..., None], cloth * (0.75 + 0.4 * (y[..., None] - 2.5)), color)
    color[(y < 0.35) & ~door] *= 0.78
    color[(local < 0.06)] *= 0.8
    return color


def make_props(camera: Camera, background: Image) -> list[Prop]:
    """The parked things, from back to front; their shadows are painted into ``background``."""
    things: list[tuple[float, Callable[[Image, Camera], None]]] = [
        (14.0, lambda canvas, view: paint_car(canvas, view, 6.3, 14.0, (72, 70, 196))),
        (9.9, lambda canvas, view: paint_van(canvas, view, -2.9, 9.9)),
        (8.9, lambda canvas, view: paint_column(canvas, view, 1.45, 8.9)),
        (6.9, lambda canvas, view: paint_lamp(canvas, view, -2.75, 6.9)),
    ]
    footprints = [
        (6.3, 14.0, 4.2, 1.5),
        (-2.9, 9.9, 4.3, 2.1),
        (1.45, 8.9, 0.9, 2.7),
        (-2.75, 6.9, 0.12, 6.0),
    ]
    shadow = np.zeros(background.shape[:2], np.uint8)
    for x, z, length, top in footprints:
        half = 0.5 * length
        corners = [[x + side, up, z + deep] for side in (-half, half) for up in (0, top) for deep in (0, 0.9)]
        if length < 1:
            corners = [[x + side, up, z] for side in (-half, half) for up in (0, top)]
        fill(shadow, cv2.convexHull(camera.project(cast(np.array(corners))).astype(np.float32))[:, 0], 255)
    soft = cv2.GaussianBlur(shadow, (0, 0), 1.5 * SUPERSAMPLING)[..., None] / 255
    background[:] = (background * (1 - 0.42 * soft)).astype(np.uint8)

    props = []
    for z, paint in things:
        canvas = np.zeros((*background.shape[:2], 3), np.uint8)
        paint(canvas, camera)
        props.append(cut_out(canvas, z))
    return props


def cut_out(canvas: Image, z: float) -> Prop:
    """The painted part of a canvas; black is what was not painted."""
    mask = canvas.any(axis=2).astype(np.uint8)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return Prop(z, canvas[:0, :0], mask[:0, :0], 0, 0)
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Prop(z, canvas[area].copy(), mask[area].copy(), int(columns[0]), int(rows[0]))


def cast(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the shadows of world points ``(N, 3)`` fall on the ground."""
    return np.asarray(points - SUN * (points[:, 1:2] / SUN[1]))


def paint_polygon(canvas: Image, camera: Camera, z: float, outline: ArrayLike, color: Color) -> None:
    """A polygon of ``(X, Y)`` points that stands upright at depth ``z``."""
    flat = np.asarray(outline, dtype=np.float64)
    fill(canvas, camera.project(np.column_stack([flat, np.full(len(flat), z)])), color)


def disc(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Outline of a circle, ``(24, 2)``."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])


def paint_wheels(canvas: Image, camera: Camera, z: float, places: tuple[float, float], radius: float) -> None:
    """Two wheels."""
    for place in places:
        paint_polygon(canvas, camera, z, disc(place, radius, radius), (28, 28, 30))
        paint_polygon(canvas, camera, z, disc(place, radius, 0.55 * radius), (150, 152, 156))
        paint_polygon(canvas, camera, z, disc(place, radius, 0.2 * radius), (60, 60, 62))


def paint_car(canvas: Image, camera: Camera, x: float, z: float, color: Color) -> None:
    """A parked car seen from the side, 4.2 m long; ``x`` is its middle."""
    hood = [[-2.1, 0.3], [-2.1, 0.78], [-1.9, 0.9], [-1.2, 0.96], [-0.7, 1.45]]
    trunk = [[0.75, 1.45], [1.35, 0.95], [2.0, 0.82], [2.1, 0.6], [2.1, 0.3]]
    body = np.array(hood + trunk)
    glass = np.array([[-1.02, 0.98], [-0.62, 1.37], [0.68, 1.37], [1.12, 0.96]])
    dark = tuple(0.72 * value for value in color)
    paint_polygon(canvas, camera, z, body + [x, 0], color)
    lower = np.array([[-2.1, 0.3], [-2.1, 0.55], [2.1, 0.55], [2.1, 0.3]])
    paint_polygon(canvas, camera, z, lower + [x, 0], dark)
    paint_polygon(canvas, camera, z, glass + [x, 0], (96, 84, 74))
    pillar = np.array([[-0.02, 0.96], [-0.02, 1.4], [0.06, 1.4], [0.06, 0.96]])
    paint_polygon(canvas, camera, z, pillar + [x, 0], color)
    lamp = np.array([[1.92, 0.66], [1.92, 0.8], [2.08, 0.76], [2.08, 0.66]])
    paint_polygon(canvas, camera, z, lamp + [x, 0], (210, 235, 240))
    paint_wheels(canvas, camera, z, (x - 1.3, x + 1.28), 0.32)


def paint_van(canvas: Image, camera: Camera, x: float, z: float) -> None:
    """A delivery van seen from the side, 4.3 m long and 2.1 m high; ``x`` is its middle."""
    # The roof is seen from above: the far edge of the top lies a little higher in the image.
    roof = camera.project(
        [[x - 2.1, 2.1, z], [x + 0.9, 2.1, z], [x + 0.9, 2.1, z + 1.7], [x - 2.1, 2.1, z + 1.7]]
    )
    fill(canvas, roof, (226, 228, 230))
    box = [[-2.15, 0.28], [-2.15, 2.0], [-2.05, 2.1], [0.95, 2.1]]
    cab = [[1.55, 1.3], [2.05, 1.12], [2.15, 0.9], [2.15, 0.28]]
    body = np.array(box + cab)
    paint_polygon(canvas, camera, z, body + [x, 0], (206, 210, 212))
    paint_polygon(canvas, camera, z, [[x - 2.15, 0.28], [x - 2.15, 0.6], [x + 2.15, 0.6], [x + 2.15, 0.28]],
                  (150, 154, 158))  # fmt: skip
    paint_polygon(canvas, camera, z, [[x - 2.15, 1.05], [x - 2.15, 1.4], [x + 0.35, 1.4], [x + 0.35, 1.05]],
                  (150, 96, 30))  # fmt: skip
    glass = np.array([[0.5, 1.2], [0.5, 1.95], [0.92, 1.95], [1.42, 1.28], [1.42, 1.2]])
    paint_polygon(canvas, camera, z, glass + [x, 0], (104, 90, 78))
    for seam in (-0.7, 0.4):
        paint_polygon(canvas, camera, z, [[x + seam, 0.5], [x + seam, 2.0], [x + seam + 0.025, 2.0],
                      [x + seam + 0.025, 0.5]], (168, 172, 176))  # fmt: skip
    paint_polygon(canvas, camera, z, [[x + 1.98, 0.72], [x + 1.98, 0.92], [x + 2.13, 0.88], [x + 2.13, 0.72]],
                  (215, 238, 242))  # fmt: skip
    paint_wheels(canvas, camera, z, (x - 1.35, x + 1.3), 0.36)


def paint_column(canvas: Image, camera: Camera, x: float, z: float) -> None:
    """A round advertising column, 2.7 m high, with posters; shaded from its lit side to its dark side."""
    posters: list[tuple[float, float, Color]] = [
        (0.25, 1.0, (60, 170, 220)),
        (1.0, 1.15, (222, 226, 228)),
        (1.15, 2.2, (150, 90, 60)),
        (2.2, 2.45, (90, 130, 90)),
    ]
    edges = np.linspace(-1, 1, 25)
    for left, right in pairwise(edges):
        light = 0.55 + 0.5 * float(np.sqrt(max(0.0, 1 - (0.5 * (left + right) + 0.35) ** 2)))
        ends = (x + 0.45 * left, x + 0.45 * right)
        for low, high, color in [(0.0, 0.25, (110, 116, 118)), *posters, (2.45, 2.7, (80, 92, 84))]:
            corners = [[ends[0], low], [ends[0], high], [ends[1], high], [ends[1], low]]
            paint_polygon(canvas, camera, z, corners, tuple(light * value for value in color))
    paint_polygon(canvas, camera, z, disc(x - 0.05, 1.7, 0.2) * [1, 1.3] - [0, 0.51], (186, 212, 232))
    paint_polygon(
        canvas, camera, z, [[x - 0.52, 2.7], [x - 0.4, 2.85], [x + 0.4, 2.85], [x + 0.52, 2.7]], (70, 82, 74)
    )


def paint_lamp(canvas: Image, camera: Camera, x: float, z: float) -> None:
    """A lamp post that leaves the image at the top."""
    paint_polygon(
        canvas, camera, z, [[x - 0.11, 0], [x - 0.09, 0.5], [x + 0.09, 0.5], [x + 0.11, 0]], (58, 62, 60)
    )
    paint_polygon(
        canvas, camera, z, [[x - 0.055, 0.4], [x - 0.045, 6], [x + 0.045, 6], [x + 0.055, 0.4]], (66, 70, 68)
    )
    paint_polygon(
        canvas, camera, z, [[x - 0.055, 0.4], [x - 0.045, 6], [x - 0.02, 6], [x - 0.02, 0.4]], (96, 102, 98)
    )
