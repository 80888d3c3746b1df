"""Write ``deepsort_paddle/help.txt``, which ``deepsort-track --help`` prints, from the options of the plans.

python tools/docs/help_text.py
"""

from __future__ import annotations

import os
from pathlib import Path

from deepsort_paddle.command.parser import make_parser

PAGE = Path(__file__).resolve().parents[2] / "deepsort_paddle" / "help.txt"
_COLUMNS = "80"


def help_text() -> str:
    """Return the help of ``deepsort-track`` for a terminal of 80 columns."""
    given = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _COLUMNS  # argparse takes the width from here
    try:
        return make_parser().format_help()
    finally:
        if given is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = given


if __name__ == "__main__":
    PAGE.write_text(help_text(), "utf-8")
