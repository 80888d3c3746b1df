"""The command ``deepsort-find``: find a person in the track indexes of videos."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepsort_paddle.console.one_line import OneLineParser, columns, in_one_line, padded
from deepsort_paddle.part_files import check_writable, commit, real_path, temporary_path
from deepsort_paddle.people.person_index import SUFFIXES, Hits, PersonIndex
from deepsort_paddle.people.query import Query, image_query, split_track, track_query

__all__ = ["main"]

PROGRAM = "deepsort-find"
_EXAMPLES = """\
examples:
  deepsort-find person.jpg cameras/                     search all indexes of a folder
  deepsort-find front.jpg back.jpg cam1.sqlite          several images of the person
  deepsort-find cam1.sqlite:7 cameras/ --report hits.html
                                                        find track 7 of camera 1 elsewhere

Indexes are written by deepsort-track VIDEO --index FILE.sqlite."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``deepsort-find``; return the exit code: 0, also without hits; 2 for invalid input."""
    try:
        return _find(_parser().parse_args(arguments))
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sys.stderr.write(f"{PROGRAM}: error: {in_one_line(error)}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=PROGRAM,
        description="Find a person in the track indexes of videos.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "arguments",
        nargs="+",
        metavar="QUERY... WHERE",
        help="QUERY: images of one person, or INDEX:TRACK; WHERE: indexes, or folders of them",
    )
    parser.add_argument(
        "--top", type=_count, metavar="N", default=20, help="largest number of hits [%(default)s]"
    )
    parser.add_argument(
        "--max-distance",
        type=_distance,
        metavar="D",
        help="largest cosine distance of a hit, 0 to 2 [calibrated value of the model]",
    )
    parser.add_argument("--json", metavar="FILE", help="write the hits as JSON")
    parser.add_argument("--report", metavar="FILE", help="write a page with thumbnails")
    parser.add_argument("--unfinished", action="store_true", help="also search indexes of stopped runs")
    parser.add_argument(
        "--reid",
        metavar="DIR",
        help="appearance model for query images; must be that of the indexes [the default model]",
    )
    parser.add_argument(
        "--detector", metavar="NAME", default="hog", help="detector for whole photos [%(default)s]"
    )
    parser.add_argument(
        "--device", metavar="NAME", default="auto", help="auto, cpu, gpu, gpu:N [%(default)s]"
    )
    return parser


def _find(options: argparse.Namespace) -> int:
    queries, where = _sorted_out(options.arguments)
    outputs = [path for path in (options.json, options.report) if path]
    inputs = {real_path(text) for text in options.arguments}
    for path in outputs:
        if real_path(path) in inputs:
            raise ValueError(f"{path} would replace an input")
        check_writable(path)
    if len({real_path(path) for path in outputs}) < len(outputs):
        raise ValueError(f"--json and --report name the same file {options.json}")
    people = PersonIndex.open(where, unfinished=options.unfinished)
    query = _read(queries, people, options)
    tracks = [named for text in queries if (named := split_track(text)) is not None]
    hits = people.search(query.embeddings, max_distance=options.max_distance, top=options.top, tracks=tracks)
    if options.json:
        document = {
            "format": 1,
            "query": queries,
            "model": {"name": people.model.name, "sha256": people.model.sha256},
            "max_distance": hits.max_distance,
            "beyond": hits.beyond,
            "hits": [hit.as_dict() for hit in hits.hits],
        }
        temporary_path(options.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        commit(options.json)
    from deepsort_paddle.people.hits_page import hits_summary, write_find_page

    if options.report:
        write_find_page(options.report, hits, people.indexes, query.images)
    if hits.hits:
        print(_table(hits), end="")
    print(hits_summary(hits, len(people.indexes)))
    if outputs:
        print(f"written: {', '.join(outputs)}")
    return 0


def _sorted_out(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the arguments into queries and indexes.

    Raises:
        ValueError: there are no queries or no indexes.
    """
    where = [
        text
        for text in arguments
        if split_track(text) is None and (Path(text).is_dir() or Path(text).suffix in SUFFIXES)
    ]
    queries = [text for text in arguments if text not in where]
    if not where:
        raise ValueError("expected indexes (*.sqlite), or folders of them, as the last arguments")
    if not queries:
        raise ValueError("expected images, or INDEX:TRACK, before the indexes")
    return queries, where


def _read(queries: Sequence[str], people: PersonIndex, options: argparse.Namespace) -> Query:
    """Read all queries as one person; the models are loaded only for images."""
    from deepsort_paddle.appearance.encoder import AppearanceEncoder
    from deepsort_paddle.detection.detector import make_detector
    from deepsort_paddle.people.model import ReidModel
    from deepsort_paddle.pipeline.stages import Detect

    def detector() -> Detect:
        return make_detector(options.detector, device=options.device)

    encoder = None
    found = []
    for text in queries:
        if (named := split_track(text)) is not None:
            found.append(track_query(people, *named))
            continue
        if encoder is None:
            model = ReidModel.read(options.reid)
            if not model.fits(people.model):
                raise ValueError(
                    f"the indexes were made with the model {people.model}, the images would be encoded by "
                    f"{model}: use --reid with the model of the indexes"
                )
            encoder = AppearanceEncoder(options.reid, device=options.device)
        found.append(image_query(Path(text), encoder, detector))
        if found[-1].note:
            sys.stderr.write(f"{PROGRAM}: note: {found[-1].note}\n")
    images = tuple(image for query in found for image in query.images)
    return Query(np.concatenate([query.embeddings for query in found]), images)


def _table(hits: Hits) -> str:
    """Return the hits as a table, one line each."""
    from deepsort_paddle.people.hits_page import when

    rows = [("", "video", "track", "person", "when", "distance", "probability")]
    for rank, hit in enumerate(hits.hits, 1):
        numbers = (f"{hit.distance:.3f}", f"{hit.probability:.2f}")
        person = str(hit.person) if hit.name is None else f"{hit.person} {hit.name}"
        rows.append((str(rank), hit.video, str(hit.track), person, when(hit), *numbers))
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(padded, row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _distance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 2, got {text!r}")
    return value
