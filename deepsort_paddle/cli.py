"""The command ``deepsort-track``: reads its options and hands over.

``--help`` prints the file ``help.txt``, which ``tools/docs/help_text.py`` writes from the options, so it
imports neither the parser nor the options. The work and its imports come after the parser. ``deepsort-eval``
is in ``research/evaluate.py``.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["track"]

_HELP = os.path.join(os.path.dirname(__file__), "help.txt")  # noqa: PTH118, PTH120 (pathlib is slow to import)


def track(arguments: Sequence[str] | None = None) -> int:
    """Run ``deepsort-track``; returns the exit code.

    0: done; 1: some of many videos failed; 2: the user can put it right, one line on stderr says what; 130:
    stopped by Ctrl-C; 143: by ``kill``. Outputs of one video hold every frame up to a stop.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = words[: words.index("--")] if "--" in words else words
    if "--help" in options or "-h" in options:
        with open(_HELP, encoding="utf-8") as page:  # noqa: PTH123
            sys.stdout.write(page.read())
        return 0
    return _run(words)


def _run(words: Sequence[str]) -> int:
    """Run a command line that does not ask for help; returns the exit code."""
    from deepsort_paddle.command.parser import EXAMPLES, PROGRAM, parse
    from deepsort_paddle.console.one_line import in_one_line
    from deepsort_paddle.plan.batch_plan import BatchPlan

    if not words:
        sys.stderr.write(f"usage: {PROGRAM} SOURCE [options], all of them by --help\n\n{EXAMPLES}")
        return 2
    try:
        plan = parse(words)
        if isinstance(plan, BatchPlan):
            from deepsort_paddle.batch.many import run_many

            return run_many(plan)
        from deepsort_paddle.command.track import print_run

        return print_run(plan)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sys.stderr.write(f"{PROGRAM}: error: {in_one_line(error)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: stopped before the first frame\n")
        return 130
