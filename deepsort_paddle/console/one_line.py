"""What the commands have in common: parsers and errors of one line, and ``--version``."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn
from unicodedata import combining, east_asian_width

from deepsort_paddle._version import __version__

__all__ = ["OneLineParser", "columns", "in_one_line", "padded"]

_UNKNOWN = "unrecognized arguments: "


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage in front, and which knows ``--version``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_argument(
            "--version",
            action="version",
            version=f"deepsort-paddle {__version__}",
            help="show the version and exit",
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        self.exit(2, f"{self.prog}: error: {self.with_nearest(message)}\n")

    def with_nearest(self, message: str) -> str:
        """The message; where it is about unknown options, with the known ones that were most likely meant.

        Hyphens and underscores count as the same.
        """
        from difflib import get_close_matches  # most runs do not need it

        words = message.removeprefix(_UNKNOWN).split() if message.startswith(_UNKNOWN) else []
        flags = [_plain(word.partition("=")[0]) for word in words if word.startswith("--")]
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        names = (name for action in shown for name in action.option_strings[:1] if name.startswith("--"))
        known = {_plain(name): name for name in sorted(names)}
        near = [known[name] for flag in flags for name in get_close_matches(flag, known, n=2, cutoff=0.7)]
        return f"{message} (did you mean {' or '.join(near[:2])}?)" if near else message


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def in_one_line(error: BaseException) -> str:
    """What an error says; those of the operating system with the file's name in front."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    nameless = "not enough memory" if isinstance(error, MemoryError) else type(error).__name__
    return " ".join(str(error).split()) or nameless


def columns(text: str) -> int:
    """How wide a terminal shows a text: Chinese and the like take two columns, accents of their own none."""
    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


def padded(text: str, width: int) -> str:
    """The text with spaces behind it, up to so many columns."""
    return text + " " * (width - columns(text))
