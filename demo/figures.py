# ruff: noqa: RUF005 - these are arrays: `+` adds, it does not join.
"""Walking people: a skeleton in metres, dressed with polygons.

A figure is built in its own frame (forward, left, up), turned to where it walks, and projected by the
camera, so the same code shows it from the side, from the front and from behind. Parts are painted from
the far one to the near one. What tells people apart for an appearance model is here: colours
of hair, skin and clothes, patterns, coats, skirts, bags, height and build.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scene import Camera, Color, Image, cast, fill

ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
RING = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (12, 2)
STRIDE = 0.82  # metres walked in a whole gait cycle (two steps), for a height of one metre


@dataclass(frozen=True)
class Look:
    """What a person looks like.

    Attributes:
        height: metres.
        build: width relative to an average person.
        hair: colour, BGR; also of the hat.
        skin: colour, BGR.
        top: colour of shirt or jacket.
        trim: second colour of the top: stripes, the shirt under an open jacket, the lower half.
        bottom: colour of trousers, skirt or legs of the shorts.
        shoes: colour.
        pattern: how ``trim`` shows on the top.
        cut: what is worn below: trousers, shorts, a skirt, or a coat that falls over the trousers.
        long_hair: whether the hair falls on the shoulders.
        hat: colour of a cap, None without.
        bag: colour of a backpack, None without.
    """

    height: float
    build: float
    hair: Color
    skin: Color
    top: Color
    trim: Color
    bottom: Color
    shoes: Color
    pattern: Literal["plain", "stripes", "open", "halves"] = "plain"
    cut: Literal["trousers", "shorts", "skirt", "coat"] = "trousers"
    long_hair: bool = False
    hat: Color | None = None
    bag: Color | None = None


@dataclass(frozen=True)
class Pose:
    """Where a person is and how it walks there.

    Attributes:
        x: metres to the right.
        z: metres away from the camera.
        heading: direction of walking in radians: 0 is right, pi / 2 away from the camera.
        phase: gait cycle in radians.
        stride: 0 standing still to 1 walking.
    """

    x: float
    z: float
    heading: float
    phase: float
    stride: float


@dataclass(frozen=True)
class Painted:
    """A figure on a canvas of its own.

    Attributes:
        image: ``(h, w, 3)`` BGR.
        mask: ``(h, w)`` 1 where the figure is, else 0.
        left: column of the first pixel in the image; may lie outside.
        top: row of the first pixel in the image; may lie outside.
    """

    image: Image
    mask: NDArray[np.uint8]
    left: int
    top: int


def limb(start: NDArray[np.float64], length: float, swing: float) -> NDArray[np.float64]:
    """End of a limb that hangs down from ``start``, swung forward by ``swing`` radians."""
    return np.asarray(start + length * np.array([np.sin(swing), 0.0, -np.cos(swing)]))


def skeleton(look: Look, pose: Pose) -> dict[str, NDArray[np.float64]]:
    """Joints in the figure's own frame (forward, left, up), metres, with the lower foot on the ground."""
    h = look.height
    joints: dict[str, NDArray[np.float64]] = {}
    for side, sign, phase in (("left", 1, pose.phase), ("right", -1, pose.phase + np.pi)):
        swing = 0.42 * pose.stride * np.sin(phase)
        # The knee bends while the leg comes forward.
        bend = pose.stride * (0.12 + 0.75 * max(0.0, float(np.cos(phase))) ** 2)
        hip = np.array([0.0, sign * 0.05 * h * look.build, 0.52 * h])
        knee = limb(hip, 0.245 * h, swing)
        ankle = limb(knee, 0.235 * h, swing - bend)
        toe = ankle + 0.115 * h * np.array([np.cos(0.6 * (swing - bend)), 0, np.sin(0.6 * (swing - bend))])
        shoulder = np.array([0.01 * h, sign * 0.108 * h * look.build, 0.8 * h])
        elbow = limb(shoulder + [0, sign * 0.02 * h, 0], 0.165 * h, -0.75 * swing)
        hand = limb(elbow, 0.175 * h, -0.75 * swing + 0.18 + 0.3 * pose.stride)
        parts = {"hip": hip, "knee": knee, "ankle": ankle, "toe": toe}
        parts |= {"shoulder": shoulder, "elbow": elbow, "hand": hand}
        joints |= {f"{side} {name}": joint for name, joint in parts.items()}
    joints["head"] = np.array([0.02 * h, 0.0, 0.92 * h])
    sole = min(joints["left ankle"][2], joints["right ankle"][2]) - 0.03 * h
    return {name: joint - [0, 0, sole] for name, joint in joints.items()}


def paint_figure(camera: Camera, look: Look, pose: Pose) -> Painted:
    """Paint a person on a canvas of its own."""
    return Figure(camera, look, pose).paint()


def shadow_outlines(camera: Camera, look: Look, pose: Pose) -> list[NDArray[np.float64]]:
    """Polygons, in pixels, of the shadow that a person throws on the ground."""
    figure = Figure(camera, look, pose)
    h, joints = look.height, figure.joints
    parts = [
        (("shoulder", "elbow", "hand"), 0.028),
        (("hip", "knee", "ankle", "toe"), 0.04),
    ]
    outlines = [
        figure.shadow([joints[f"{side} {a}"], joints[f"{side} {b}"]], radius * h)
        for names, radius in parts
        for side in ("left", "right")
        for a, b in pairwise(names)
    ]
    body = [joints[f"{side} {name}"] for side in ("left", "right") for name in ("shoulder", "hip")]
    outlines += [figure.shadow(body, 0.05 * h), figure.shadow([joints["head"]], 0.07 * h)]
    if look.cut in ("skirt", "coat"):
        outlines.append(
            figure.shadow([joints["left hip"], joints["left knee"], joints["right knee"]], 0.06 * h)
        )
    return outlines


class Figure:
    """One person in one pose; `paint` puts the parts on a canvas."""

    def __init__(self, camera: Camera, look: Look, pose: Pose) -> None:
        self.camera, self.look, self.pose = camera, look, pose
        forward = np.array([np.cos(pose.heading), 0.0, np.sin(pose.heading)])
        left = np.array([-np.sin(pose.heading), 0.0, np.cos(pose.heading)])
        self.axes = np.stack([forward, left, [0.0, 1.0, 0.0]])  # rows: forward, left, up in the world
        self.place = np.array([pose.x, 0.0, pose.z])
        self.joints = skeleton(look, pose)
        self.parts: list[tuple[float, list[tuple[NDArray[np.float64], Color]]]] = []

    def world(self, points: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> NDArray[np.float64]:
        """World coordinates of points in the figure's own frame."""
        return np.asarray(points) @ self.axes + self.place

    def pixels(self, points: Sequence[NDArray[np.float64]] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels of points in the figure's own frame."""
        return self.camera.project(self.world(points))

    def depth(self, point: NDArray[np.float64]) -> float:
        """Distance from the camera along Z."""
        return float(self.world(point[None])[0, 2])

    def shadow(self, points: list[NDArray[np.float64]], radius: float) -> NDArray[np.float64]:
        """Outline of the shadow of balls around points."""
        ring = radius * np.insert(RING, 1, 0.0, axis=1)  # flat on the ground
        balls = (cast(self.world(points))[:, None] + ring).reshape(-1, 3)
        return hull(self.camera.project(balls))

    def capsule(
        self, start: NDArray[np.float64], end: NDArray[np.float64], radii: tuple[float, float], color: Color
    ) -> list[tuple[NDArray[np.float64], Color]]:
        """A tapered limb with its lit side brighter."""
        centers = self.pixels([start, end])
        sizes = float(self.camera.scale(self.pose.z)) * np.array(radii)
        rings = sizes[:, None, None] * RING  # (2, 12, 2)
        outline = (centers[:, None] + rings).reshape(-1, 2)
        lit = (centers[:, None] + 0.62 * rings).reshape(-1, 2) - [0.3 * sizes.max(), 0]
        return [(hull(outline), shade(color, 0.78)), (hull(lit), color)]

    def band(
        self, levels: Sequence[tuple[float, float, float]], color: Color, *, lean: float = 0.0
    ) -> list[tuple[NDArray[np.float64], Color]]:
        """A piece of torso, skirt or bag through ellipses (up, half width, half depth), in body heights."""
        h, build = self.look.height, self.look.build
        up, width, depth = np.array(levels).T[:, :, None] * h  # (L, 1) each
        rings = np.empty((len(levels), len(RING), 3))
        rings[..., 0] = depth * RING[:, 0] + lean * h
        rings[..., 1] = width * build * RING[:, 1]
        rings[..., 2] = up + self.joints["left hip"][2] - 0.52 * h
        outline = hull(self.pixels(rings.reshape(-1, 3)))
        middle = outline.mean(axis=0)
        half = np.ptp(outline[:, 0]) / 2
        inner = middle + (outline - middle) * [0.66, 1.0] - [0.2 * half, 0]
        return [(outline, shade(color, 0.78)), (inner, color)]

    def dress(self) -> None:
        """Collect the parts with their depth."""
        look, joints, h = self.look, self.joints, self.look.height
        sleeve = look.top
        bare_legs = look.cut in ("shorts", "skirt")
        for side in ("left", "right"):
            hip, knee, ankle, toe = (joints[f"{side} {name}"] for name in ("hip", "knee", "ankle", "toe"))
            leg = look.skin if bare_legs else look.bottom
            pieces = self.capsule(ankle, toe - [0, 0, 0.012 * h], (0.026 * h, 0.016 * h), look.shoes)
            pieces += self.capsule(knee, ankle, (0.036 * h, 0.024 * h), leg)
            thigh = look.bottom if look.cut != "skirt" else look.skin
            pieces += self.capsule(hip, knee, (0.055 * h * look.build, 0.039 * h), thigh)
            # Always before what hangs over the legs, whatever the leg's depth.
            self.parts.append((self.depth(knee) + 100, pieces))
            shoulder, elbow, hand = (joints[f"{side} {name}"] for name in ("shoulder", "elbow", "hand"))
            short = look.cut == "shorts"
            arm = self.capsule(hand, hand + [0, 0, -0.01 * h], (0.02 * h, 0.018 * h), look.skin)
            arm += self.capsule(elbow, hand, (0.025 * h, 0.02 * h), look.skin if short else sleeve)
            arm += self.capsule(shoulder, elbow, (0.034 * h, 0.027 * h), sleeve)
            beyond = self.depth(elbow) > self.pose.z
            self.parts.append((self.depth(elbow) + 200 * beyond, arm))
        middle = self.depth(np.array([0.0, 0.0, h]))
        self.parts.append((middle, self.torso()))
        if look.bag is not None:
            sack = [(0.79, 0.06, 0.03), (0.76, 0.075, 0.05), (0.58, 0.08, 0.055), (0.55, 0.07, 0.045)]
            bag = self.band(sack, look.bag, lean=-0.11)
            self.parts.append((self.depth(np.array([-0.11 * h, 0.0, h])), bag))
        self.parts.append((middle - 1e-3, self.head()))

    def torso(self) -> list[tuple[NDArray[np.float64], Color]]:
        """Neck, shirt with its pattern, and what falls over the legs."""
        look = self.look
        shape = [(0.84, 0.035, 0.035), (0.82, 0.1, 0.05), (0.76, 0.118, 0.066), (0.66, 0.1, 0.062),
                 (0.58, 0.096, 0.06), (0.5, 0.104, 0.064)]  # fmt: skip
        pieces = self.band([(0.88, 0.03, 0.03), (0.82, 0.034, 0.034)], look.skin)
        if look.cut in ("skirt", "coat"):
            color = look.bottom if look.cut == "skirt" else look.top
            pieces += self.band([(0.54, 0.1, 0.065), (0.46, 0.118, 0.082), (0.3, 0.14, 0.105)], color)
        pieces += self.band([(0.56, 0.097, 0.06), (0.49, 0.104, 0.066), (0.47, 0.09, 0.06)], look.bottom)
        levels = np.linspace(0.84, 0.5, 10)
        known = np.array(shape[::-1])
        width, depth = (np.interp(levels, known[:, 0], known[:, axis]) for axis in (1, 2))
        rows = list(zip(levels, width, depth, strict=True))
        # From the hem upwards, each piece reaching to the neck: so the lower edges are the ones that show.
        colors = [look.top] * 9
        if look.pattern == "stripes":
            colors = [look.top, look.trim] * 4 + [look.top]
        elif look.pattern == "halves":
            colors = [look.top] * 5 + [look.trim] * 4
        edges = [k for k in range(9) if k == 8 or colors[k] != colors[k + 1]]
        for k in reversed(edges):
            pieces += self.band(rows[: k + 2], colors[k])
        if look.pattern == "open" and np.sin(self.pose.heading) < 0.5:
            # The shirt shows in front: a narrow strip that lies forward of the axis.
            strip = [(up, 0.3 * width, 0.02) for up, width, _ in rows[1:]]
            pieces += self.band(strip, look.trim, lean=0.05)
        return pieces

    def head(self) -> list[tuple[NDArray[np.float64], Color]]:
        """Hair, face and cap, in the order in which the camera sees them."""
        look, h = self.look, self.look.height
        center = self.joints["head"]
        hair = self.capsule(center + [-0.012 * h, 0, 0.022 * h], center + [-0.012 * h, 0, -0.01 * h],
                            (0.058 * h, 0.05 * h), look.hair)  # fmt: skip
        if look.long_hair:
            hair += self.capsule(center + [-0.025 * h, 0, 0], center + [-0.035 * h, 0, -0.12 * h],
                                 (0.055 * h, 0.05 * h), look.hair)  # fmt: skip
        face = self.capsule(center + [0.02 * h, 0, 0.006 * h], center + [0.016 * h, 0, -0.03 * h],
                            (0.047 * h, 0.036 * h), look.skin)  # fmt: skip
        away = np.sin(self.pose.heading) > 0.35
        pieces = face + hair if away else hair + face
        if look.hat is not None:
            crown = self.capsule(
                center + [0, 0, 0.045 * h], center + [0, 0, 0.03 * h], (0.05 * h, 0.058 * h), look.hat
            )
            brim = self.capsule(center + [0.03 * h, 0, 0.024 * h], center + [0.085 * h, 0, 0.02 * h],
                                (0.016 * h, 0.01 * h), shade(look.hat, 0.8))  # fmt: skip
            pieces += crown + ([] if away else brim)
        return pieces

    def paint(self) -> Painted:
        """All parts on one canvas, the far ones first."""
        self.dress()
        polygons = [piece for _, part in sorted(self.parts, key=lambda part: -part[0]) for piece in part]
        corners = np.concatenate([outline for outline, _ in polygons])
        left, top = (np.floor(corners.min(axis=0)) - 1).astype(int)
        right, bottom = (np.ceil(corners.max(axis=0)) + 2).astype(int)
        image = np.zeros((bottom - top, right - left, 3), np.uint8)
        mask = np.zeros(image.shape[:2], np.uint8)
        for outline, color in polygons:
            fill(image, outline - [left, top], color)
            fill(mask, outline - [left, top], 1)
        return Painted(image, mask, int(left), int(top))


def hull(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convex hull of pixels ``(N, 2)``."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)


def shade(color: Color, factor: float) -> Color:
    """A darker or brighter colour."""
    blue, green, red = (min(255.0, factor * value) for value in color)
    return blue, green, red
