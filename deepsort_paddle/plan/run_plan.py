"""What a run is to do, as a frozen value: built once, by the command line or in Python.

A plan holds what was asked for. It is never changed: `RunPlan.named` returns a new one with the file names
filled in, and what the models and the source decide is in `components.Components`. A plan has no live
objects, so workers get it as JSON, and two equal plans are equal values. To add an option, add a field here
and use it in one place: the parser, the checks and the digest of a finished video read these fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepsort_paddle.part_files import real_path
from deepsort_paddle.plan.argument_types import (
    assignment,
    choice,
    class_list,
    confidences,
    count,
    device,
    duration,
    event_file,
    every,
    ids,
    line,
    moment,
    number,
    seconds,
    switch,
    text,
    zone,
)
from deepsort_paddle.plan.option import check_fields, option, options
from deepsort_paddle.tracking.presets import PRESETS

if TYPE_CHECKING:
    from deepsort_paddle.counting.places import Line, Zone

__all__ = ["FILES", "INPUTS", "OUTPUTS", "PLACEHOLDERS", "RunPlan"]

# What each of many videos fills in where an option names a file.
PLACEHOLDERS = ("{name}", "{stem}", "{folder}", "{source}")
# Headings of --help.
_MODELS, _OUTPUTS, _TRACKER = "models", "outputs", "tracker"
_COUNTING = "counting (where the feet are; pixels, or fractions from 0 to 1; lines and zones are repeatable)"

_BACKENDS = ("auto", "paddle", "onnxruntime", "openvino")
_PRECISIONS = ("auto", "float32", "bfloat16", "int8")
_CAMERA = ("none", "boxes", "pictures", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run over one source. Each field is an option of ``deepsort-track`` by the same name.

    A value of None leaves the choice to the run. Paths may be `pathlib.Path`, lists become tuples.

    Example:
        >>> plan = RunPlan(source="street.mp4", detector="yolox_nano.onnx", output="street.txt")
        >>> RunPlan.from_dict(plan.as_dict()) == plan
        True

    ``track_video(**plan.as_dict())`` runs it.

    Raises:
        ValueError: a value is not what its option expects; one line names the option.
    """

    source: str
    # Of the result files; None: the source's own name.
    name: str | None = None

    reid: str | None = option(
        None,
        "appearance model, as weights/resnet50vd; none: motion only [osnet_ain_x0_5, which comes along]",
        group=_MODELS,
        metavar="DIR",
        role="input",
    )
    detections: str | None = option(
        None,
        "detections in MOTChallenge text, or an .npz file of --save-detections with their embeddings; for "
        "many videos a folder",
        group=_MODELS,
        metavar="FILE",
        role="input",
    )
    detector: str | None = option(
        None,
        "yolox-nano, yolox-tiny or yolox-s (downloaded once), hog, an .onnx file or a folder exported by "
        "PaddleDetection [yolox-nano; hog where it cannot be downloaded]",
        group=_MODELS,
        metavar="NAME",
        role="input",
    )
    download: bool = option(
        True,
        "never download a detector: take it from the cache",
        group=_MODELS,
        flag="--no-download",
        kind=switch,
        decides=False,
    )
    classes: str | None = option(
        None,
        "class names or numbers to track, as person,car or 0,2 [people]",
        group=_MODELS,
        metavar="LIST",
        kind=class_list,
    )
    min_confidence: float | tuple[tuple[str, float], ...] | None = option(
        None,
        "ignore detections below, 0 to 1; for each class as person=0.4,car=0.6, where a score without "
        "name is for the others [0.1; with --preset deepsort the detector's own, 0.3 for --detections]",
        group=_MODELS,
        metavar="SCORE",
        kind=confidences,
    )
    min_height: float = option(
        0.0,
        "ignore detections less high [{default:g}]",
        group=_MODELS,
        metavar="PIXELS",
        kind=number(0),
    )
    nms: float | None = option(
        None,
        "of two detections of --detections that overlap more, keep the more confident [all]",
        group=_MODELS,
        metavar="IOU",
        kind=number(0, 1),
    )
    stride: tuple[int, ...] | None = option(
        None,
        "track every N-th frame only, from frame FIRST on; frames keep their numbers [1]",
        group=_MODELS,
        metavar="N[:FIRST]",
        kind=every,
    )
    start: float | None = option(
        None, "of a file: begin here, seconds or hh:mm:ss", group=_MODELS, metavar="TIME", kind=seconds
    )
    end: float | None = option(
        None, "of a file: end here, likewise", group=_MODELS, metavar="TIME", kind=seconds
    )
    every_frame: bool = option(
        False,
        "of a camera or stream: track all frames, however late; without, the newest one each time",
        group=_MODELS,
        kind=switch,
    )
    device: str = option(
        "auto", "auto, cpu, gpu or gpu:N [{default}]", group=_MODELS, metavar="NAME", kind=device
    )
    threads: int | None = option(
        None,
        "CPU threads of the networks [all cores]",
        group=_MODELS,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    frames_per_batch: int = option(
        1,
        "encode the crops of N frames in one go; same results [{default}]",
        group=_MODELS,
        metavar="N",
        kind=count(1),
        decides=False,
    )
    backend: str = option(
        "auto",
        "library that runs the model of --reid [the fastest of those installed; all but Paddle want a "
        "copy of the model in ONNX, which reid-train onnx makes]",
        group=_MODELS,
        choices=_BACKENDS,
        kind=choice(*_BACKENDS),
    )
    precision: str = option(
        "auto",
        "numbers that the model of --reid computes with; int8, on a CPU, is fastest for large models "
        "and changes embeddings a little [bfloat16 where that changes nothing but rounding, else float32]",
        group=_MODELS,
        choices=_PRECISIONS,
        kind=choice(*_PRECISIONS),
    )
    encode: str = option(
        "all",
        "needed: leave out people whom motion alone can tell, but for every fifth time; faster, "
        "somewhat other results, frame by frame [{default}]",
        group=_MODELS,
        choices=("all", "needed"),
        kind=choice("all", "needed"),
    )
    read_ahead: int | None = option(
        None,
        "batches that reading, detecting and encoding may be ahead, in threads; same results; "
        "0: one after the other [2; 0 for cameras and streams]",
        group=_MODELS,
        metavar="N",
        kind=count(0),
        decides=False,
    )

    output: str | None = option(
        None,
        "MOTChallenge results, frame,id,left,top,width,height,...",
        group=_OUTPUTS,
        metavar="FILE",
        role="file",
    )
    save_video: str | None = option(
        None, "annotated video (H.264)", group=_OUTPUTS, metavar="FILE.mp4", role="file"
    )
    save_crops: str | None = option(
        None, "pictures of the people, DIR/ID/FRAME.jpg", group=_OUTPUTS, metavar="DIR", role="folder"
    )
    json: str | None = option(
        None, "one JSON document with settings and tracks", group=_OUTPUTS, metavar="FILE", role="file"
    )
    csv: str | None = option(None, "table with a header", group=_OUTPUTS, metavar="FILE", role="file")
    report: str | None = option(
        None,
        "one page with video, timeline, pictures, counts and speed",
        group=_OUTPUTS,
        metavar="FILE.html",
        role="file",
    )
    report_inline: float = option(
        20.0,
        "put the video into the report up to this size, else beside it [{default:g}]",
        group=_OUTPUTS,
        metavar="MB",
        kind=number(0),
    )
    index: str | None = option(
        None,
        "the best moments of each track, to find people with deepsort-find",
        group=_OUTPUTS,
        metavar="FILE.sqlite",
        role="file",
    )
    save_dir: str | None = option(
        None,
        "short for --save-video and --output in DIR; what is there stays, NAME-2 comes beside it",
        group=_OUTPUTS,
        metavar="DIR",
        decides=False,
    )
    overwrite: bool = option(
        False, "replace results in DIR of --save-dir", group=_OUTPUTS, kind=switch, decides=False
    )
    show: bool = option(
        False, "show the video while it runs; q or Esc ends", group=_OUTPUTS, kind=switch, decides=False
    )
    fps: float | None = option(
        None,
        "frame rate of a folder of pictures",
        group=_OUTPUTS,
        metavar="N",
        kind=number(0, open_low=True),
    )
    save_detections: str | None = option(
        None,
        "detections and embeddings, for --detections of the next run, which then computes neither",
        group=_OUTPUTS,
        metavar="FILE.npz",
        role="file",
    )
    explain: tuple[int, ...] = option(
        (),
        "say at the end why these ids, as 3 or 3,7, were born, matched, lost, found again",
        group=_OUTPUTS,
        metavar="IDS",
        kind=ids,
    )
    explain_csv: str | None = option(
        None,
        "every decision on every id with its costs, as a table",
        group=_OUTPUTS,
        metavar="FILE",
        role="file",
    )
    quiet: bool = option(False, "no progress, notes or summary", group=_OUTPUTS, kind=switch, decides=False)

    lines: tuple[Line, ...] = option(
        (),
        "count who crosses this line, to its right and to its left; IN/OUT names the two",
        group=_COUNTING,
        metavar="NAME:x1,y1,x2,y2[:IN/OUT]",
        flag="--line",
        kind=line,
        repeat=True,
    )
    zones: tuple[Zone, ...] = option(
        (),
        "count who enters and leaves this polygon, and how long they stay",
        group=_COUNTING,
        metavar="NAME:x1,y1,x2,y2,x3,y3,...",
        flag="--zone",
        kind=zone,
        repeat=True,
    )
    loiter: float | None = option(
        None,
        "report who stays in a zone this long, as 30s or 5min",
        group=_COUNTING,
        metavar="TIME",
        kind=duration,
    )
    events: str | None = option(
        None,
        "every crossing, entry and exit with time, track and person; FILE.jsonl for JSON lines",
        group=_COUNTING,
        metavar="FILE.csv",
        role="file",
        kind=event_file,
    )
    count_every: float | None = option(
        None,
        "count for each interval as well, as 15min or 1h",
        group=_COUNTING,
        metavar="TIME",
        kind=duration,
    )
    counts: str | None = option(
        None,
        "table of the counts, of each interval with --count-every",
        group=_COUNTING,
        metavar="FILE.csv",
        role="file",
    )
    start_time: str | None = option(
        None,
        "date and time at the begin of the file, as 2026-05-01T08:00; results then show the time of day "
        "[of a camera or stream the present]",
        group=_COUNTING,
        metavar="TIME",
        kind=moment,
    )

    preset: str | None = option(
        None,
        "strong: best with appearance; motion: best without; deepsort: as published "
        "[strong; motion where there is no appearance]",
        group=_TRACKER,
        choices=tuple(PRESETS),
        kind=choice(*PRESETS),
    )
    tracker_options: tuple[tuple[str, float | int | bool], ...] = option(
        (),
        "any tracker option of docs/presets.md, as direction_weight=0.2; can be repeated",
        group=_TRACKER,
        metavar="NAME=VALUE",
        flag="--set",
        kind=assignment,
        repeat=True,
    )
    max_cosine_distance: float | None = option(
        None,
        "largest appearance distance, 1 - cosine [the model's own calibrated value, else 0.2]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 2),
    )
    max_iou_distance: float | None = option(
        None,
        "largest 1 - IoU of a match by overlap [the preset's]",
        group=_TRACKER,
        metavar="X",
        kind=number(0, 1),
    )
    max_age: int | None = option(
        None,
        "a lost track is kept for this long [the preset's]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    n_init: int | None = option(
        None,
        "detections in a row that confirm a track [the preset's]",
        group=_TRACKER,
        metavar="N",
        kind=count(1),
    )
    gallery_size: int | None = option(
        None, "embeddings kept for each track [the preset's]", group=_TRACKER, metavar="N", kind=count(1)
    )
    coast: int | None = option(
        None,
        "also report tracks missed in so many frames, at their predicted place [the preset's]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(0),
    )
    identities: bool = option(
        False,
        "join the tracks of one person when the video is over; --index and --json say who is who",
        group=_TRACKER,
        kind=switch,
    )
    offline: bool = option(
        False,
        "track the whole video before anything is written: link broken tracks, fill gaps, smooth boxes",
        group=_TRACKER,
        kind=switch,
    )
    camera_motion: str | None = option(
        None,
        "move tracks with the camera: by what most people do in common, by the background of the pictures "
        "(5 ms a frame), or by both [both; with --preset deepsort none]",
        group=_TRACKER,
        choices=_CAMERA,
        kind=choice(*_CAMERA),
    )
    iou_max_age: int | None = option(
        None,
        "tracks missed in up to so many frames match by overlap [the preset's]",
        group=_TRACKER,
        metavar="FRAMES",
        kind=count(1),
    )
    class_gate: bool = option(
        True,
        "let a track take detections of another class",
        group=_TRACKER,
        flag="--no-class-gate",
        kind=switch,
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", text(self.source))
        check_fields(self)

    @property
    def tracks_several_classes(self) -> bool:
        """Whether results have to say of which class a track is."""
        return self.classes is not None and "," in self.classes

    def files(self) -> dict[str, str]:
        """The files and folders to write by option, files first; those not asked for are left out."""
        names = (*FILES, *(name for name in OUTPUTS if name not in FILES))
        return {name: path for name in names if (path := getattr(self, name)) is not None}

    def in_pixels(self, width: int | None, height: int | None) -> RunPlan:
        """A plan whose lines and zones are in pixels of frames of this size; fractions are multiplied."""
        if not (width and height and (self.lines or self.zones)):
            return self
        from deepsort_paddle.counting.places import in_pixels

        lines = []
        for one in self.lines:
            start, end = in_pixels((one.start, one.end), width, height)
            lines.append(replace(one, start=start, end=end))
        zones = [replace(one, polygon=in_pixels(one.polygon, width, height)) for one in self.zones]
        return replace(self, lines=tuple(lines), zones=tuple(zones))

    def named(self, name: str, *, has_images: bool) -> RunPlan:
        """A plan with the files that ``save_dir`` and ``report`` imply.

        Args:
            name: of the source, for a plan without a ``name`` of its own.
            has_images: whether the source has any; without there is no video to write.
        """
        plan = self
        if plan.report and has_images and not (plan.save_video or plan.save_dir):
            plan = replace(plan, save_video=str(_video_beside(Path(plan.report), Path(plan.source))))
        if plan.save_dir is None:
            return plan
        stem = str(Path(plan.save_dir) / (plan.name or self._free_name(name)))
        plan = replace(plan, output=plan.output or f"{stem}.txt")
        return replace(plan, save_video=plan.save_video or f"{stem}.mp4") if has_images else plan

    def _free_name(self, name: str) -> str:
        """The name, or ``NAME-2`` and so on where ``save_dir`` has results of it that are to stay."""
        folder = Path(self.save_dir or "")
        implied = [
            ending for ending, own in ((".txt", self.output), (".mp4", self.save_video)) if own is None
        ]
        names = chain([name], (f"{name}-{number}" for number in count_from(2)))
        return next(
            free
            for free in names
            if self.overwrite or not any((folder / f"{free}{ending}").exists() for ending in implied)
        )

    def as_dict(self) -> dict[str, Any]:
        """All fields as values that JSON can carry."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> RunPlan:
        """The plan that `as_dict` described.

        Raises:
            ValueError: a value is wrong.
            TypeError: a name is unknown.
        """
        return cls(**known)


def _video_beside(page: Path, source: Path) -> Path:
    """The video of a report for which none was asked: of the page's name, unless that is the source."""
    video = page.with_suffix(".mp4")
    return page.with_name(f"{page.stem}_tracks.mp4") if real_path(video) == real_path(source) else video


# Options that name something to write, and those of them that name a file; in the order of the fields.
OUTPUTS = tuple(name for name, known in options(RunPlan).items() if known.role in ("file", "folder"))
FILES = tuple(name for name, known in options(RunPlan).items() if known.role == "file")
# Options that name something to read, beside the source.
INPUTS = tuple(name for name, known in options(RunPlan).items() if known.role == "input")
