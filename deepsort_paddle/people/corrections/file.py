"""The file of corrections that the report page saves: JSON, simple enough to write by hand.

    {
      "kind": "deepsort-paddle corrections", "format": 1,
      "index": "street.sqlite", "video": "street", "model": {"name": "...", "sha256": "..."}, "tracks": 24,
      "splits": [{"track": 6, "frame": 301, "new": 25}],
      "links": [{"tracks": [3, 25], "same": true}, {"tracks": [4, 9], "same": false}],
      "names": {"3": "Anna"}
    }

Splits come first, in their order: from ``frame`` on, the track has the id ``new``. ``links`` and ``names``
mean the tracks after all splits; a name is that of the track's person. A file holds everything that was
said so far, not what came last: applying it starts from the run's own tracks; with ``"annotated": true`` from
those of the annotations that were applied last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepsort_paddle.people.index_file import IndexMeta

__all__ = ["FORMAT", "KIND", "Corrections", "Link", "Split"]

KIND = "deepsort-paddle corrections"
FORMAT = 1
_FIELDS = ("kind", "format", "index", "video", "model", "tracks", "annotated", "splits", "links", "names")


@dataclass(frozen=True, slots=True)
class Split:
    """A split of a track that switched from one person to another.

    Attributes:
        track: id of the track.
        frame: first frame of the second person.
        new: id of the second part.
    """

    track: int
    frame: int
    new: int


@dataclass(frozen=True, slots=True)
class Link:
    """An answer about two tracks.

    Attributes:
        first: id of a track.
        second: id of another track.
        same: whether they are one person.
    """

    first: int
    second: int
    same: bool


@dataclass(frozen=True, slots=True)
class Corrections:
    """A user's corrections of the tracks of one run.

    Attributes:
        path: path of the file, for errors.
        index: index of the run, as named by the page; None if unknown.
        video: name of the video; None if unknown.
        model: name and checksum of the appearance model; None if unknown.
        tracks: number of tracks of the run; None if unknown.
        annotated: whether they refer to the tracks of annotations instead of the original tracks.
        splits: splits in order.
        links: pairs of tracks that are, or are not, one person.
        names: names by track.

    Example:
        >>> said = Corrections.of({"kind": KIND, "format": 1, "links": [{"tracks": [3, 29], "same": True}]})
        >>> said.links
        (Link(first=3, second=29, same=True),)
    """

    path: str = "corrections"
    index: str | None = None
    video: str | None = None
    model: tuple[str, str] | None = None
    tracks: int | None = None
    annotated: bool = False
    splits: tuple[Split, ...] = ()
    links: tuple[Link, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> Corrections:
        """Read a file.

        Args:
            path: the file.

        Returns:
            The corrections.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a file of corrections; the one-line message has the reason.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            known = json.loads(Path(path).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            known = None
        if not isinstance(known, dict) or known.get("kind") != KIND:
            raise ValueError(f"{path}: not a file of corrections (the page of --report saves one)")
        return cls.of(known, str(path))

    @classmethod
    def of(cls, known: Mapping[str, Any], path: str = "corrections") -> Corrections:
        """Convert the values of the JSON document.

        Raises:
            ValueError: a value is invalid; the one-line message names it.
        """
        if known.get("format") != FORMAT:
            raise ValueError(f"{path}: format {known.get('format')} of corrections, expected {FORMAT}")
        unknown = [name for name in known if name not in _FIELDS]
        if unknown:
            raise ValueError(f"{path}: expected the fields {', '.join(_FIELDS)}, got {unknown[0]!r}")
        try:
            model = known.get("model")
            return cls(
                path=path,
                index=_text(known.get("index")),
                video=_text(known.get("video")),
                model=None if model is None else (str(model["name"]), str(model["sha256"])),
                tracks=None if known.get("tracks") is None else _whole(known["tracks"]),
                annotated=_truth("annotated", known.get("annotated", False)),
                splits=tuple(
                    Split(*(_whole(one[name]) for name in ("track", "frame", "new")))
                    for one in known.get("splits", ())
                ),
                links=tuple(_link(one) for one in known.get("links", ())),
                names={_whole(int(track)): _name(name) for track, name in known.get("names", {}).items()},
            )
        except KeyError as error:
            raise ValueError(f"{path}: {error} is missing") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{path}: wrong corrections ({' '.join(str(error).split())})") from None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        model = None if self.model is None else dict(zip(("name", "sha256"), self.model, strict=True))
        return {
            "kind": KIND,
            "format": FORMAT,
            "index": self.index,
            "video": self.video,
            "model": model,
            "tracks": self.tracks,
            "annotated": self.annotated,
            "splits": [{"track": one.track, "frame": one.frame, "new": one.new} for one in self.splits],
            "links": [{"tracks": [one.first, one.second], "same": one.same} for one in self.links],
            "names": {str(track): name for track, name in self.names.items()},
        }

    def check_run(self, path: str | Path, meta: IndexMeta, tracks: int | None = None) -> None:
        """Check that an index belongs to the run that was corrected.

        Args:
            path: path of the index.
            meta: description of the index.
            tracks: number of tracks of the run; None: not checked.

        Raises:
            ValueError: it belongs to another model, video or run.
        """
        if self.model is not None and self.model != (meta.model.name, meta.model.sha256):
            name = f"{self.model[0]} ({self.model[1][:12] or 'no checksum'})"
            raise ValueError(f"{self.path}: for an index of the model {name}, but {path} is of {meta.model}")
        if self.video is not None and self.video != meta.name:
            raise ValueError(f"{self.path}: for the video {self.video}, but {path} is of {meta.name}")
        if tracks is not None and self.tracks not in (None, tracks):
            raise ValueError(
                f"{self.path}: for a run of {self.tracks} tracks, but {path} has {tracks}: another run"
            )


def _link(one: Mapping[str, Any]) -> Link:
    first, second = (_whole(track) for track in one["tracks"])
    same = _truth("same", one["same"])
    if first == second:
        raise ValueError(f"expected two tracks, got {first} twice")
    return Link(first, second, same)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected {name} to be true or false, got {value!r}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"expected a whole number of at least 1, got {value!r}")
    return value


def _text(value: Any) -> str | None:
    if not (value is None or isinstance(value, str)):
        raise ValueError(f"expected text, got {value!r}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
        raise ValueError(f"expected a name of one line, got {value!r}")
    return value.strip()
