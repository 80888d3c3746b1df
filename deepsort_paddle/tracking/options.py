"""The tracker's options: names, defaults, ranges and meaning, in one place.

The defaults are DeepSORT as published. Everything beyond it is off by default, and nothing of it runs
while it is off. `presets` holds settings that work well together; docs/presets.md shows what each option
brings.

The metadata of each field holds its ``help``, and ``low`` and ``high`` for numbers (``high`` is missing
where there is no upper bound). Checks, ``--set`` and the documentation read them from there.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any

from typing_extensions import Self

from deepsort_paddle.arguments import check_int, check_number
from deepsort_paddle.tracking.presets import preset_settings

__all__ = ["TrackerOptions", "current_name"]

_MAX_AGE = 70
_MAX_VELOCITY_NOISE = 100.0
_IOU_MAX_AGE = 1
# Names that saved trackers and callers may still use.
_FORMER_NAMES = {"reactivate_part": "reactivate_ratio"}


def current_name(name: str) -> str:
    """Return the name of an option; former names are replaced."""
    return _FORMER_NAMES.get(name, name)


def _number(default: float, high: float, meaning: str, *, low: float = 0.0) -> Any:
    """A field for a number from ``low`` to ``high``."""
    return field(default=default, metadata={"low": low, "high": high, "help": meaning})


def _count(default: int | None, low: int, meaning: str) -> Any:
    """A field for a whole number of at least ``low``."""
    return field(default=default, metadata={"low": low, "help": meaning})


def _switch(default: bool, meaning: str) -> Any:
    """A field for True or False."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True, kw_only=True, repr=False)
class TrackerOptions:
    """The settings of a tracker; checked once, then fixed.

    Every field's ``metadata`` holds its meaning and range; docs/presets.md lists all of them.

    ``max_age`` and ``iou_max_age`` are always whole frames. Name an age in frames or in seconds, not both:
    left out, ``max_age`` follows from ``max_seconds`` and ``reactivate_seconds`` at ``frame_rate``, and
    ``iou_max_age`` from ``max_seconds``.

    Raises:
        ValueError: a value is out of range, or an age in frames disagrees with one in seconds.

    Example:
        >>> TrackerOptions(max_seconds=2, frame_rate=30).max_age
        60
    """

    max_cosine_distance: float = _number(
        0.2,
        2.0,
        "largest appearance distance (1 - cosine) that still matches; use the encoder's calibrated value",
    )
    max_iou_distance: float = _number(0.7, 1.0, "largest 1 - IoU that still matches in the IoU stage")
    max_age: int = _count(
        None, 1, f"frames after its last match for which a confirmed track can still match [{_MAX_AGE}]"
    )
    n_init: int = _count(
        3, 1, "detections that confirm a track; its first frame confirms nothing, so 1 acts like 2"
    )
    gallery_size: int = _count(100, 1, "newest embeddings kept for each track")
    early_confirmation: float = _number(
        0.0, 1.0, "a second detection of at least this confidence confirms a track early; 0 is off"
    )
    coast: int = _count(
        0,
        0,
        "also report confirmed tracks missed in up to this many frames in a row, at their predicted "
        "position; the published code reports with 1",
    )
    hidden_coast: int = _count(
        0,
        0,
        "also report confirmed tracks missed in up to this many frames in a row that have been hidden since: "
        "the box of a matched track in front covers half of theirs",
    )
    coast_after: int = _count(
        1,
        1,
        "a track is reported without a detection only if it was matched in this many successive frames just "
        "before; 1 asks for nothing",
    )
    coast_inside: bool = _switch(
        False,
        "report a track without a detection only inside the rectangle around all boxes matched so far: who "
        "would be beyond has left the image",
    )
    min_confidence: float = _number(0.0, 1.0, "detections below this confidence are ignored")
    class_gate: bool = _switch(True, "a track matches only detections of its own class")
    gate_position_only: bool = _switch(False, "gate on the centre only, not on aspect ratio and height")
    iou_max_age: int = _count(
        None,
        1,
        "confirmed tracks missed in up to this many frames, this one included, enter the IoU stage; raise it "
        f"when there are no embeddings [{_IOU_MAX_AGE}]",
    )
    high_confidence: float = _number(
        0.0,
        1.0,
        "detections below this only prolong tracks, by IoU, after the others were matched (ByteTrack, arXiv "
        "2110.06864); 0 treats all alike",
    )
    max_low_iou_distance: float = _number(
        0.5, 1.0, "largest 1 - IoU at which a detection below high_confidence still matches"
    )
    low_max_age: int = _count(
        1, 1, "confirmed tracks missed in up to this many frames can match such a detection"
    )
    new_track_confidence: float = _number(0.0, 1.0, "detections below this confidence start no track")
    confirmed_first: bool = _switch(False, "confirmed tracks match before tentative ones in the IoU stage")
    motion_weight: float = _number(
        0.0,
        1.0,
        "weight of the motion distance in the cost of the appearance stage (StrongSORT, arXiv 2202.13514, "
        "equation 5, uses 0.02); 0 is appearance only",
    )
    appearance_weight: float = _number(
        0.0,
        1.0,
        "above 0, one stage replaces appearance and IoU: this weight times cosine distance / "
        "max_cosine_distance, the rest times the smaller of 1 - IoU and gating distance / gate, held against "
        "max_iou_distance",
    )
    uncertainty_weight: float = _number(
        0.0,
        4.0,
        "above 0, the motion cost is the smaller of 1 - IoU and (gating distance + this weight times ln |S|) "
        "/ gate, S the covariance of the prediction: lost tracks match far away, at a cost that grows with "
        "their uncertainty; 1 is the log-likelihood",
    )
    confidence_weight: float = _number(
        0.0, 1.0, "1 multiplies the IoU by the detection's confidence, smaller values do so in proportion"
    )
    direction_weight: float = _number(
        0.0,
        1.0,
        "weight of the angle between a track's velocity and the direction to the detection (OC-SORT, arXiv "
        "2203.14360, uses 0.2)",
    )
    height_weight: float = _number(
        0.0,
        4.0,
        "power of the height ratio that the IoU is multiplied by (1 is close to the height-modulated IoU of "
        "Hybrid-SORT, arXiv 2308.00783)",
    )
    box_margin: float = _number(
        0.0,
        4.0,
        "both boxes grow by this fraction of their sides, on each side, before their IoU is taken (C-BIoU, "
        "arXiv 2211.14317)",
    )
    noise_by_confidence: bool = _switch(
        False,
        "the filter trusts confident detections more: measurement variance times 1 - confidence (NSA, "
        "StrongSORT, equation 3)",
    )
    velocity_noise: float = _number(
        1.0,
        _MAX_VELOCITY_NOISE,
        "factor on the filter's process noise of velocities, as a standard deviation; 1 as published, more "
        "for low frame rates and people who stop and go",
    )
    noise_frame_rate: float = _number(
        0.0,
        1000.0,
        "above 0, velocity_noise is meant for this frame rate and grows in proportion at lower ones: between "
        "two frames of a slow video people change their velocity more",
    )
    hold_shape: bool = _switch(
        False, "a missed track keeps its size and aspect ratio, only its position is extrapolated"
    )
    observation_centred: bool = _switch(
        False,
        "a recovered track is filtered again along the line between its two detections (OC-SORT, arXiv "
        "2203.14360, section 4.1)",
    )
    gallery_momentum: float = _number(
        0.0,
        1.0,
        "above 0, a track keeps one running mean of its embeddings instead of a gallery, in which the past "
        "has this weight (StrongSORT uses 0.9)",
    )
    gallery_neighbours: int = _count(
        1,
        1,
        "the appearance distance is the mean over this many nearest embeddings of the gallery; 1, the "
        "nearest, as published. With more, one crop of a passer-by in a gallery counts for little",
    )
    reactivate_ratio: float = _number(
        0.0,
        10.0,
        "above 0, unmatched detections are compared with all lost tracks by appearance only, up to this "
        "fraction of max_cosine_distance",
    )
    reactivate_seconds: float = _number(
        0.0,
        3600.0,
        "lost tracks are kept for reactivation at least this long: max_age is no shorter; iou_max_age is "
        "unaffected",
    )
    max_duplicate_iou: float = _number(
        1.0,
        1.0,
        "of a lost and a matched track that overlap more than this, the younger is deleted; 1 is off",
    )
    min_camera_pairs: int = _count(
        0,
        0,
        "estimate the camera's motion from the boxes of at least this many tracks and shift all tracks by "
        "it; 0 is off. Needs no image",
    )
    detection_weight: float = _number(
        0.0,
        1.0,
        "weight of the detection's box in the reported box of a matched track, the rest is the filter's; "
        "tracking is unaffected",
    )
    size_momentum: float = _number(
        0.0,
        1.0,
        "above 0, tracks keep a running mean of their detections' width and height, in which the past has "
        "this weight; a missed track is reported with that size, a matched one halfway; tracking is "
        "unaffected",
    )
    max_seconds: float = _number(
        0.0,
        3600.0,
        "above 0, sets max_age and iou_max_age to this time at frame_rate, so that videos of any frame rate "
        "are tracked alike",
    )
    frame_rate: float = _number(
        25.0, 1000.0, "frames per second; deepsort-track takes it from the video", low=0.001
    )

    def __post_init__(self) -> None:
        for option in fields(TrackerOptions):
            if option.default is not None or getattr(self, option.name) is not None:
                object.__setattr__(self, option.name, _checked(option, getattr(self, option.name)))
        age = max(1, round(self.max_seconds * self.frame_rate)) if self.max_seconds else 0
        wait = round(self.reactivate_seconds * self.frame_rate) if self.reactivate_ratio else 0
        self._settle_age("max_age", _MAX_AGE, age, wait)
        self._settle_age("iou_max_age", _IOU_MAX_AGE, age, 0)

    def _settle_age(self, name: str, default: int, age: int, shortest: int) -> None:
        """Fill in an age in frames, or check the one that was named.

        Args:
            name: of the option.
            default: frames where no seconds are given.
            age: frames in ``max_seconds``, 0 where that is off.
            shortest: frames in ``reactivate_seconds``, 0 where that is off.
        """
        named = getattr(self, name)
        if named is None:
            object.__setattr__(self, name, max(age or default, shortest))
        elif named < shortest or (age and named != max(age, shortest)):
            seconds = "max_seconds" if age >= shortest else "reactivate_seconds"
            raise ValueError(
                f"{name} must agree with {seconds} {getattr(self, seconds):g}, {max(age, shortest)} frames "
                f"at frame_rate {self.frame_rate:g}, got {named}: name an age in frames or in seconds"
            )

    @classmethod
    def from_preset(cls, preset: str, **settings: Any) -> Self:
        """Return the options of a preset, with ``settings`` on top.

        Args:
            preset: ``deepsort``, ``motion`` or ``strong``; see `PRESETS`.
            **settings: options by name. An age named in frames replaces the preset's ages in seconds, and
                the other way round.

        Raises:
            ValueError: there is no such preset, or as for the class.

        Example:
            >>> TrackerOptions.from_preset("strong", max_age=60).max_age
            60
        """
        named = {current_name(name): value for name, value in settings.items()}
        return cls(**preset_settings(preset, **named))

    def __repr__(self) -> str:
        """The options that are not at their defaults."""
        defaults = TrackerOptions()
        changed = ", ".join(
            f"{option.name}={value!r}"
            for option in fields(TrackerOptions)
            if (value := getattr(self, option.name)) != getattr(defaults, option.name)
        )
        return f"{type(self).__name__}({changed})"

    @property
    def frame_velocity_noise(self) -> float:
        """The factor on the process noise of velocities at ``frame_rate``."""
        if not self.noise_frame_rate:
            return self.velocity_noise
        return min(self.velocity_noise * self.noise_frame_rate / self.frame_rate, _MAX_VELOCITY_NOISE)

    @property
    def reactivate_distance(self) -> float:
        """The largest cosine distance at which a lost track is reactivated by appearance."""
        return self.reactivate_ratio * self.max_cosine_distance


def _checked(option: Field[Any], value: Any) -> float | int | bool:
    """Return ``value`` as the type of its option; raise ValueError if it is out of range."""
    limits = option.metadata
    if "high" in limits:
        return check_number(option.name, value, limits["high"], limits["low"])
    if "low" in limits:
        return check_int(option.name, value, limits["low"])
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError(f"{option.name} must be True or False, got {value!r}")
    return bool(value)
