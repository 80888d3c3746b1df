"""The tracker's options: names, defaults, meaning and ranges, in one place.

The defaults are DeepSORT as published. Everything beyond it is off by default, and off means that nothing
of it runs. `presets` holds settings that go well together; docs/presets.md what each option brings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from deepsort_paddle.arguments import number, whole

__all__ = ["TrackerOptions"]

# Largest value of each number (the smallest is 0); smallest value of each count.
_NUMBERS = {
    "max_cosine_distance": 2.0,
    "max_iou_distance": 1.0,
    "min_confidence": 1.0,
    "high_confidence": 1.0,
    "new_track_confidence": 1.0,
    "max_low_iou_distance": 1.0,
    "motion_weight": 1.0,
    "appearance_weight": 1.0,
    "confidence_weight": 1.0,
    "direction_weight": 1.0,
    "height_weight": 4.0,
    "box_margin": 4.0,
    "gallery_momentum": 1.0,
    "reactivate_part": 10.0,
    "reactivate_seconds": 3600.0,
    "max_duplicate_iou": 1.0,
    "detection_weight": 1.0,
    "velocity_noise": 100.0,
    "max_seconds": 3600.0,
    "frame_rate": 1000.0,
}
_COUNTS = {
    "max_age": 1,
    "n_init": 1,
    "gallery_size": 1,
    "gallery_neighbours": 1,
    "coast": 0,
    "iou_max_age": 1,
    "low_max_age": 1,
    "min_camera_pairs": 0,
}


@dataclass(kw_only=True, eq=False)
class TrackerOptions:
    """What a tracker can be told.

    Args:
        max_cosine_distance: largest appearance distance (1 - cosine) that still matches; >= 0.
            It belongs to the encoder: use its calibrated value where there is one.
        max_iou_distance: largest 1 - IoU that still matches in the overlap stage, in [0, 1].
        max_age: a confirmed track can be matched until this many frames after its last match; >= 1.
        n_init: detections that confirm a track. One frame confirms no track: 1 acts like 2.
        gallery_size: newest embeddings kept for each track; >= 1.
        coast: also report confirmed tracks missed in up to this many frames in a row, at their predicted
            place; 0 reports matched tracks only, the published code reports with 1.
        min_confidence: detections below are ignored, in [0, 1].
        class_gate: a track matches detections of its own class only.
        gate_position_only: gate on the centre alone, not on aspect ratio and height.
        iou_max_age: confirmed tracks missed in up to this many frames, this one included,
            enter the overlap stage; >= 1, 1 in the published code. Raise it when there are no embeddings.
        high_confidence: detections below only prolong tracks, by overlap, after the others were matched
            (ByteTrack, arXiv 2110.06864); 0 treats all alike.
        max_low_iou_distance: largest 1 - IoU that still matches such a detection.
        low_max_age: confirmed tracks missed in up to this many frames may take such a detection; >= 1.
        new_track_confidence: detections below start no track; 0 lets all.
        confirmed_first: confirmed tracks choose before tentative ones in the overlap stage.
        motion_weight: part of the motion distance in the cost of the appearance stage (StrongSORT, arXiv
            2202.13514, equation 5 takes 0.02); 0 is appearance alone.
        appearance_weight: above 0 there is no appearance stage; motion (the better of 1 - IoU and the
            distance as a part of the gate) and appearance are one cost, held against ``max_iou_distance``;
            this part of it is the cosine distance over ``max_cosine_distance``.
        confidence_weight: 1 multiplies the IoU by the detection's confidence, smaller values do so in part.
        direction_weight: weight of a detection's direction against the track's velocity (OC-SORT, arXiv
            2203.14360, takes 0.2).
        height_weight: power of the ratio of heights that the IoU is multiplied by (1: near to Hybrid-SORT's
            height-modulated IoU, arXiv 2308.00783).
        box_margin: both boxes grow by this part of their sides, on each side, before their IoU is taken
            (C-BIoU, arXiv 2211.14317).
        noise_by_confidence: the filter trusts confident detections more: variance times 1 - confidence
            (NSA, StrongSORT, equation 3).
        velocity_noise: factor on the filter's process noise of velocities, as a standard deviation; 1 in the
            published code, whose tracks turn slowly. More for low frame rates and people who stop and go.
        observation_centred: a track found again is filtered anew over the line between its two
            detections (OC-SORT, section 4.1).
        gallery_momentum: above 0 a track keeps one running mean of its embeddings, in which the past
            weighs this much (StrongSORT takes 0.9), instead of ``gallery_size`` embeddings.
        gallery_neighbours: the appearance distance is the mean over so many nearest embeddings of the
            gallery; 1, the nearest alone, in the published code. A crop of a passer-by that got into a
            gallery then counts for little.
        reactivate_part: above 0 detections left over are compared with all lost tracks by appearance alone,
            up to this part of ``max_cosine_distance``.
        reactivate_seconds: above 0 lost tracks wait so long for that, at ``frame_rate``, and ``max_age`` is
            at least as long; the overlap stage goes by ``iou_max_age`` as ever.
        max_duplicate_iou: of a lost and a matched track that overlap more, the younger is deleted; 1 is off.
        min_camera_pairs: shift all tracks by what the boxes of at least so many of them have moved in common
            against their prediction, less what chance would make of it; 0 is off. Needs no picture.
        detection_weight: part of the detection's own box in the reported box of a matched track; the rest is
            the filter's. It changes what is reported, not what is tracked.
        max_seconds: above 0 ``max_age`` and ``iou_max_age`` become so many seconds at ``frame_rate``, so that
            videos of 10 and of 60 frames a second are tracked alike.
        frame_rate: frames a second; `deepsort-track` fills in that of the video.

    Raises:
        ValueError: an argument is out of range; the message names it.
    """

    max_cosine_distance: float = 0.2
    max_iou_distance: float = 0.7
    max_age: int = 70
    n_init: int = 3
    gallery_size: int = 100
    coast: int = 0
    min_confidence: float = 0.0
    class_gate: bool = True
    gate_position_only: bool = False
    iou_max_age: int = 1
    high_confidence: float = 0.0
    max_low_iou_distance: float = 0.5
    low_max_age: int = 1
    new_track_confidence: float = 0.0
    confirmed_first: bool = False
    motion_weight: float = 0.0
    appearance_weight: float = 0.0
    confidence_weight: float = 0.0
    direction_weight: float = 0.0
    height_weight: float = 0.0
    box_margin: float = 0.0
    noise_by_confidence: bool = False
    velocity_noise: float = 1.0
    observation_centred: bool = False
    gallery_momentum: float = 0.0
    gallery_neighbours: int = 1
    reactivate_part: float = 0.0
    reactivate_seconds: float = 0.0
    max_duplicate_iou: float = 1.0
    min_camera_pairs: int = 0
    detection_weight: float = 0.0
    max_seconds: float = 0.0
    frame_rate: float = 25.0

    def __post_init__(self) -> None:
        for field in fields(TrackerOptions):
            name, value = field.name, getattr(self, field.name)
            if name in _NUMBERS:
                setattr(self, name, number(name, value, _NUMBERS[name]))
            elif name in _COUNTS:
                setattr(self, name, whole(name, value, _COUNTS[name]))
            else:
                setattr(self, name, bool(value))
        if self.max_seconds:
            self.max_age = self.iou_max_age = max(1, round(self.max_seconds * self.frame_rate))
        if self.reactivate_part:
            self.max_age = max(self.max_age, round(self.reactivate_seconds * self.frame_rate))

    def __repr__(self) -> str:
        """The options that are not at their defaults."""
        settings = (
            (field.name, getattr(self, field.name), field.default) for field in fields(TrackerOptions)
        )
        changed = ", ".join(f"{name}={value!r}" for name, value, default in settings if value != default)
        return f"{type(self).__name__}({changed})"

    @property
    def reactivate_distance(self) -> float:
        """The largest cosine distance at which a lost track is found again by appearance alone."""
        return self.reactivate_part * self.max_cosine_distance
