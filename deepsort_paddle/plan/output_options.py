"""The options of a run about what it writes, shows and prints."""

from __future__ import annotations

from dataclasses import dataclass

from deepsort_paddle.plan.argument_types import choice, ids, number, switch
from deepsort_paddle.plan.option import option

__all__ = ["OutputOptions"]

_GROUP = "outputs"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What a run writes, shows and prints."""

    output: str | None = option(
        None,
        "MOTChallenge results, frame,id,left,top,width,height,...",
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
        None, "pictures of the people, DIR/ID/FRAME.jpg", group=_GROUP, metavar="DIR", role="folder"
    )
    json: str | None = option(
        None, "one JSON document with settings and tracks", group=_GROUP, metavar="FILE", role="file"
    )
    csv: str | None = option(None, "table with a header", group=_GROUP, metavar="FILE", role="file")
    report: str | None = option(
        None,
        "one page with video, timeline, pictures, counts and speed",
        group=_GROUP,
        metavar="FILE.html",
        role="file",
    )
    report_inline: float = option(
        20.0,
        "put the video into the report up to this size, else beside it [{default:g}]",
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
    index: str | None = option(
        None,
        "the best moments of each track, to find people with deepsort-find",
        group=_GROUP,
        metavar="FILE.sqlite",
        role="file",
    )
    save_dir: str | None = option(
        None,
        "short for --save-video and --output in DIR; what is there stays, NAME-2 comes beside it",
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
        False, "show the video while it runs; q or Esc ends", group=_GROUP, kind=switch, decides=False
    )
    fps: float | None = option(
        None,
        "frame rate of a folder of pictures",
        group=_GROUP,
        metavar="N",
        kind=number(0, open_low=True),
    )
    save_detections: str | None = option(
        None,
        "detections and embeddings, for --detections of the next run, which then computes neither",
        group=_GROUP,
        metavar="FILE.npz",
        role="file",
    )
    explain: tuple[int, ...] = option(
        (),
        "say at the end why these ids, as 3 or 3,7, were born, matched, lost, found again",
        group=_GROUP,
        metavar="IDS",
        kind=ids,
    )
    explain_csv: str | None = option(
        None,
        "every decision on every id with its costs, as a table",
        group=_GROUP,
        metavar="FILE",
        role="file",
    )
    quiet: bool = option(False, "no progress, notes or summary", group=_GROUP, kind=switch, decides=False)
