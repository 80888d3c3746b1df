"""Format the hits of a search: as one page without scripts or connections, as a sentence, and as times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from deepsort_paddle.output.page import PageTemplate, data_uri
from deepsort_paddle.part_files import commit, temporary_path
from deepsort_paddle.people.index_file import TrackIndex
from deepsort_paddle.people.person_index import Hit, Hits

__all__ = ["clock", "hits_summary", "when", "write_find_page"]

_CROPS = 8


def write_find_page(
    path: str | Path, hits: Hits, indexes: Sequence[TrackIndex], query: Sequence[bytes]
) -> None:
    """Write the page.

    Args:
        path: the page; an older file is replaced when this one is complete.
        hits: the hits.
        indexes: the searched indexes, which contain the thumbnails.
        query: JPEGs of the query.

    Raises:
        OSError: it cannot be written.
        ImportError: Jinja2 is not installed.
    """
    by_path = {index.path: index for index in indexes}
    text = PageTemplate("deepsort_paddle.people", "find_page").render(
        query=[data_uri("image/jpeg", image) for image in query],
        summary=hits_summary(hits, len(indexes)),
        hits=[_shown(hit, by_path[hit.index]) for hit in hits.hits],
    )
    temporary_path(path).write_text(text, encoding="utf-8")
    commit(path)


def _shown(hit: Hit, index: TrackIndex) -> dict[str, object]:
    """Return the template's values of a hit."""
    wanted = [(hit.track, frame) for frame in hit.moments[:_CROPS]]
    seconds = dict(zip(index.moment_frames.tolist(), index.moment_seconds.tolist(), strict=True))
    return {
        "video": hit.video,
        "track": hit.track,
        "person": hit.person,
        "name": hit.name,
        "first": hit.frames[0],
        "last": hit.frames[1],
        "distance": f"{hit.distance:.2f}",
        "probability": f"{100 * hit.probability:.0f} %",
        "when": when(hit),
        "images": [
            {"data": data_uri("image/jpeg", jpeg), "when": clock(seconds[frame])}
            for (_, frame), jpeg in index.thumbnails(wanted).items()
        ],
    }


def hits_summary(hits: Hits, videos: int) -> str:
    """Return the number of hits and of excluded tracks as one sentence."""
    found = len(hits.hits)
    text = f"{found} {'track' if found == 1 else 'tracks'} in {videos} {'video' if videos == 1 else 'videos'}"
    if hits.cut:
        text += f" ({hits.cut} more within the limit)"
    return f"{text}; {hits.beyond} farther than {hits.max_distance:g} left out"


def when(hit: Hit) -> str:
    """Format when a track was seen: times of day if the video's start is known, else times in the video."""
    begin, end = hit.seconds
    if hit.start_time is None:
        return f"{clock(begin)} to {clock(end)}"
    start = datetime.fromisoformat(hit.start_time)
    first, last = start + timedelta(seconds=begin), start + timedelta(seconds=end)
    return f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S}"


def clock(seconds: float) -> str:
    """Format a time in a video as a player does: 0:06, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
