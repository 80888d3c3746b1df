"""The options of a run about what it writes, shows and prints."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.plan.argument_types import choice, ids, number, switch
from deepsort_paddle.plan.option import option

__all__ = ["OutputOptions"]

_GROUP = "outputs"


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class OutputOptions:
    """What a run writes, shows and prints."""

    output: str | None = option(
        None,
        "tracks as MOTChallenge text: frame,id,left,top,width,height,...",
        group=_GROUP,
        metavar="FILE",
        role="file",
    )
    output_ids: str = option(
        "track",
        "ids in --output: of tracks, or of the persons that --identities finds [{default}]",
        group=_GROUP,
        choices=("track", "person"),
        kind=choice("track", "person"),
    )
    save_video: str | None = option(
        None, "annotated video (H.264)", group=_GROUP, metavar="FILE.mp4", role="file"
    )
    save_crops: str | None = option(
        None, "crop of each track in each frame, DIR/ID/FRAME.jpg", group=_GROUP, metavar="DIR", role="folder"
    )
    json: str | None = option(
        None, "settings and tracks as one JSON document", group=_GROUP, metavar="FILE", role="file"
    )
    csv: str | None = option(None, "tracks as a CSV table", group=_GROUP, metavar="FILE", role="file")
    report: str | None = option(
        None,
        "one page with video, timeline, thumbnails, counts and speed",
        group=_GROUP,
        metavar="FILE.html",
        role="file",
    )
    report_inline: float = option(
        20.0,
        "largest video to embed in the report; larger ones stay a separate file [{default:g}]",
        group=_GROUP,
        metavar="MB",
        kind=number(0),
    )
    blur: str | None = option(
        None,
        "blur heads, or whole persons, in video, crops, report and index; see docs/privacy.md",
        group=_GROUP,
        choices=("head", "person"),
        kind=choice("head", "person"),
        bare="head",
    )
    cvat: str | None = option(
        None,
        "persons as annotations for CVAT ('CVAT for video 1.1'); --apply reads the corrected file",
        group=_GROUP,
        metavar="FILE.xml",
        role="file",
    )
    ground_truth: str | None = option(
        None,
        "persons as MOTChallenge ground truth; --apply reads the corrected file",
        group=_GROUP,
        metavar="FILE.txt",
        role="file",
    )
    index: str | None = option(
        None,
        "track index: the best crops of each track, for deepsort-find",
        group=_GROUP,
        metavar="FILE.sqlite",
        role="file",
    )
    keep_hours: float | None = option(
        None,
        "cameras and streams: forget tracks not seen for N hours, so that --index and --identities need no "
        "more memory and disk however long the run is",
        group=_GROUP,
        metavar="N",
        kind=number(0, open_low=True),
    )
    apply: str | None = option(
        None,
        "correct the index of an earlier run and write its outputs again: the file that the report page "
        "saves, or persons annotated in CVAT (.xml, .zip) or as MOTChallenge ground truth (.txt)",
        group=_GROUP,
        metavar="FILE",
        role="input",
    )
    save_dir: str | None = option(
        None,
        "write --save-video and --output into DIR; existing results stay, new ones are named NAME-2",
        group=_GROUP,
        metavar="DIR",
        decides=False,
    )
    overwrite: bool = option(
        False,
        "replace files that exist; without it a named output that exists is an error",
        group=_GROUP,
        kind=switch,
        decides=False,
    )
    show: bool = option(
        False, "show the video while it is tracked; q or Esc stops", group=_GROUP, kind=switch, decides=False
    )
    fps: float | None = option(
        None,
        "frame rate of an image folder",
        group=_GROUP,
        metavar="N",
        kind=number(0, open_low=True),
    )
    save_detections: str | None = option(
        None,
        "detections and embeddings; a later run with --detections FILE.npz computes neither",
        group=_GROUP,
        metavar="FILE.npz",
        role="file",
    )
    explain: tuple[int, ...] = option(
        (),
        "explain at the end why these ids (3 or 3,7) were started, matched, lost and recovered",
        group=_GROUP,
        metavar="IDS",
        kind=ids,
    )
    explain_csv: str | None = option(
        None,
        "table of all decisions about all ids, with their costs",
        group=_GROUP,
        metavar="FILE",
        role="file",
    )
    quiet: bool = option(False, "no progress, notes or summary", group=_GROUP, kind=switch, decides=False)
