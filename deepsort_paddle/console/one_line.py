"""What the commands have in common: errors of one line, ``--version``, ``--print-completion``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from deepsort_paddle._version import __version__
from deepsort_paddle.extras import needs

__all__ = ["UNKNOWN", "OneLineParser", "columns", "in_one_line", "padded"]

# How argparse begins the message on options that it does not know.
UNKNOWN = "unrecognized arguments: "
_SHELLS = ("bash", "zsh", "fish")


class _PrintCompletion(argparse.Action):
    """``--print-completion SHELL``: print what shtab makes of the parser, and exit.

    What an option takes is read from its placeholder: FILE and SOURCE stand for paths, DIR for folders,
    ``{a,b}`` for a choice.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values not in _SHELLS:
            parser.error(f"--print-completion: expected {', '.join(_SHELLS)}, got {values!r}")
        try:
            with needs("completion"):
                import shtab
        except ImportError as error:
            parser.error(str(error))
        for action in parser._actions:
            if action.nargs == argparse.SUPPRESS:  # parse_intermixed_args hides the positional ones
                action.nargs = "*"
            placeholder = str(action.metavar or action.dest)
            if placeholder.startswith("{"):
                action.choices = placeholder.strip("{}").split(",")
            elif placeholder.startswith("DIR"):
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
            elif placeholder.startswith(("FILE", "SOURCE", "INDEX", "GT")):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, str(values)))
        parser.exit()


class OneLineParser(argparse.ArgumentParser):
    """A parser with errors of one line, without the usage, and the options that all commands have."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_argument(
            "--version",
            action="version",
            version=f"deepsort-paddle {__version__}",
            help="show the version and exit",
        )
        self.add_argument(
            "--print-completion",
            action=_PrintCompletion,
            metavar="{" + ",".join(_SHELLS) + "}",
            default=argparse.SUPPRESS,
            help="print the script that completes options in this shell and exit",
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        self.exit(2, f"{self.prog}: error: {self.with_nearest(message)}\n")

    def with_nearest(self, message: str) -> str:
        """Return the message; if it is about unknown options, with the known ones that are most similar.

        Hyphens and underscores count as equal.
        """
        from difflib import get_close_matches  # few runs need it

        words = message.removeprefix(UNKNOWN).split() if message.startswith(UNKNOWN) else []
        flags = [_plain(word.partition("=")[0]) for word in words if word.startswith("--")]
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        names = (name for action in shown for name in action.option_strings[:1] if name.startswith("--"))
        known = {_plain(name): name for name in sorted(names)}
        near = [known[name] for flag in flags for name in get_close_matches(flag, known, n=2, cutoff=0.7)]
        return f"{message} (did you mean {' or '.join(near[:2])}?)" if near else message


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def in_one_line(error: BaseException) -> str:
    """Return an error as one line; errors of the operating system start with the name of the file."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    nameless = "not enough memory" if isinstance(error, MemoryError) else type(error).__name__
    return " ".join(str(error).split()) or nameless


def columns(text: str) -> int:
    """Return the width of a text in a terminal: wide characters take two columns, combining accents none."""
    from unicodedata import combining, east_asian_width  # only tables need them

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, width: int) -> str:
    """Return the text, padded with spaces on the right to a number of columns."""
    return text + " " * (width - columns(text))
