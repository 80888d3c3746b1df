"""The command line of ``deepsort-track``, parsed into a plan.

The options are generated from the fields of `RunPlan` and `BatchPlan`, and ``tools/docs/help_text.py`` writes
the page of ``--help`` from them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from glob import glob, has_magic
from pathlib import Path
from textwrap import fill
from typing import Any, NoReturn

from deepsort_paddle.console.one_line import UNKNOWN, OneLineParser
from deepsort_paddle.plan.batch_plan import BatchPlan
from deepsort_paddle.plan.option import Option, option_of, options
from deepsort_paddle.plan.other_flags import ALIASES, add_other_flags, hint, translate
from deepsort_paddle.plan.run_plan import OUTPUTS, PLACEHOLDERS, RunPlan

__all__ = ["EXAMPLES", "PROGRAM", "make_parser", "normalise", "parse"]

PROGRAM = "deepsort-track"
EXAMPLES = f"""examples:
  {PROGRAM} video.mp4               # annotated video and tracks in output/
  {PROGRAM} video.mp4 --line "door:0,0.5,1,0.5"  # count who crosses a line
  {PROGRAM} rtsp://camera/1 --show  # track a camera, in a window
"""
_SWITCHES = {"--use-gpu"} | {
    known.spelled(name) for name, known in options(RunPlan).items() if known.is_switch
}

# Options with an optional value: the value if absent, and the endings of words that are values.
_BARE = {
    known.spelled(name): (known.bare, known.choices or (Path(known.bare).suffix,))
    for name, known in options(RunPlan).items()
    if known.bare
}


def parse(arguments: Sequence[str]) -> RunPlan | BatchPlan:
    """Return the plan that a command line describes, for one source or for many.

    Raises:
        ValueError: the command line is invalid; the message is one line.
    """
    parser = make_parser()
    words = normalise(arguments)
    plain: list[str] = []
    if "--" in words:  # parse_intermixed_args drops its meaning
        plain = words[words.index("--") + 1 :]
        words = words[: words.index("--")]
    given = vars(parser.parse_intermixed_args(words))
    sources = [*_matched(given.pop("source")), *_matched(plain)]
    given, flagged = translate(given)
    if (config := given.pop("config", None)) is not None:
        given, sources = _with_config(config, given, sources, flagged)
    from deepsort_paddle.motchallenge.sequence import sequence_folders  # --help ends before this line

    listed = len(sources)
    sources += flagged.values()
    if given.pop("use_gpu", False):
        given["device"] = "gpu"
    if "submission" in given and not ({"output", "save_dir"} & given.keys()):
        given["output"] = "output/{name}.txt"
    if not any(given.get(name) for name in (*OUTPUTS, "show", "apply")):
        given.setdefault("save_dir", "output")
    many = {name: given.pop(name) for name in options(BatchPlan) if name in given}
    paths = [str(given.get(name, "")) for name in ("detections", *OUTPUTS)]
    filled_in = any(placeholder in path for placeholder in PLACEHOLDERS for path in paths)
    is_many = listed > 1 or bool(many) or filled_in or any(map(sequence_folders, sources))
    if not (sources or "list_file" in many):
        parser.error("expected a SOURCE: a video, an image folder, a camera number or a stream (see --help)")
    if len(sources) > 1 and not is_many:
        words = [*sources[:listed], *(f"{flag} {value}" for flag, value in flagged.items())]
        parser.error(f"expected one SOURCE, got {' and '.join(words)}; several are named without a flag")
    if is_many and "apply" in given:
        parser.error("--apply is for one source")
    if is_many:
        return BatchPlan(run=RunPlan(source="{source}", **given), sources=tuple(sources), **many)
    return RunPlan(source=sources[0], **given)


def _with_config(
    path: str, given: dict[str, Any], sources: list[str], flagged: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Options and sources with those of a file of ``--config`` where the command line has none."""
    from deepsort_paddle.plan.config_file import read_config  # most runs do not need it

    known = read_config(path)
    named = known.pop("source", [])
    if not sources and not flagged:
        sources = _matched(named)
    return {**known, **given}, sources


def _matched(sources: Sequence[str]) -> list[str]:
    """Return the sources with patterns such as ``VIDEOS/*.mp4`` expanded, which Windows shells do not do."""
    found: list[str] = []
    for source in sources:
        pattern = has_magic(source) and "://" not in source and not os.path.lexists(source)
        matches = glob(source) if pattern else []  # noqa: PTH207 (Path.glob takes no absolute patterns)
        found += sorted(matches) or [source]
    return found


def normalise(arguments: Sequence[str]) -> list[str]:
    """Normalise the spelling of options: hyphens, current names, switches without a value.

    ``--show=True`` and ``--show True`` become ``--show``, with a false value ``--no-show``. A false
    ``--use_gpu`` vanishes.
    """
    result: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return [*result, argument, *rest]
        if not argument.startswith("--"):
            result.append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = name.lower().replace("_", "-")
        name = ALIASES.get(name, name)
        if name in _SWITCHES:
            # A 0 or 1 after a switch may be a camera number, so only words count as its value.
            if not equals and rest and rest[0].lower() in ("true", "false"):
                value = rest.pop(0)
            if value.lower() in ("false", "0"):
                result += [] if name == "--use-gpu" else [_opposite(name)]
                continue
            equals = "" if value.lower() in ("true", "1") else equals
        elif name in _BARE and not equals:
            bare, ends = _BARE[name]
            equals, value = "=", rest.pop(0) if rest and rest[0].endswith(ends) else bare
        result.append(f"{name}={value}" if equals else name)
    return result


def _opposite(switch: str) -> str:
    """The flag that turns a switch off, as ``--no-show``; ``--download`` for ``--no-download``."""
    return f"--{switch[5:]}" if switch.startswith("--no-") else f"--no-{switch[2:]}"


class _Parser(OneLineParser):
    """A parser that raises instead of exiting, for callers in Python."""

    def error(self, message: str) -> NoReturn:
        """Raise ValueError."""
        named = hint(message.removeprefix(UNKNOWN).split()) if message.startswith(UNKNOWN) else ""
        raise ValueError(f"{message} ({named})" if named else self.with_nearest(message))


class _HelpFormatter(argparse.HelpFormatter):
    """Keeps the line breaks of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of ``deepsort-track``."""
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s SOURCE... [options]",
        description="Track people in videos by motion and appearance (DeepSORT).",
        epilog=EXAMPLES
        + "\n"
        + fill(
            "Without an output option, results go to output/NAME.mp4 and output/NAME.txt. The flags of "
            "the Paddle predecessor and of PaddleDetection's pptracking are understood, too: see "
            "docs/track.md.",
            width=78,
        ),
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="video file, image folder, MOTChallenge sequence folder, folder of sequences (MOT17, "
        "DanceTrack...), camera number, or rtsp:// or http:// stream; several: see many videos",
    )
    add_other_flags(parser)
    parser.add_argument("--use-gpu", action="store_true", help=argparse.SUPPRESS, default=argparse.SUPPRESS)
    parser.add_argument(
        "--config",
        metavar="FILE.yaml",
        default=argparse.SUPPRESS,
        help="options by their names here, as stride: 5; the command line goes before them",
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for plan in (RunPlan, BatchPlan):
        for field in fields(plan):
            known = option_of(field)
            if known is None:
                continue
            if known.group not in groups:
                groups[known.group] = parser.add_argument_group(known.group)
            _add(groups[known.group], field, known)
    return parser


def _add(group: argparse._ArgumentGroup, field: Field[Any], known: Option) -> None:
    """Add the option of a plan's field; options that are not given are absent from the parsed values."""
    flag = known.spelled(field.name)
    text = known.help.format(default=field.default)
    details: dict[str, Any] = {"dest": field.name, "help": text, "default": argparse.SUPPRESS}
    if known.is_switch:
        group.add_argument(flag, action="store_false" if field.default else "store_true", **details)
        details["help"] = argparse.SUPPRESS  # against a file of --config
        group.add_argument(
            _opposite(flag), action="store_true" if field.default else "store_false", **details
        )
    else:
        words = known.metavar or "{" + ",".join(known.choices) + "}"
        details["metavar"] = f"[{words}]" if known.bare else words
        group.add_argument(flag, action="append" if known.repeat else "store", type=known.kind, **details)
