"""Write the table of all tracker options into docs/presets.md, from the metadata of `TrackerOptions`.

python tools/docs/option_table.py
"""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from deepsort_paddle.tracking.options import TrackerOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "presets.md"
START, END = "<!-- options: written by tools/docs/option_table.py -->\n", "<!-- end of options -->\n"


def table() -> str:
    """Return the table as Markdown, one row for each option."""
    defaults = TrackerOptions()
    rows = ["| option | default | range | meaning |", "|---|---|---|---|"]
    for option in fields(TrackerOptions):
        meaning = option.metadata["help"].removesuffix(f" [{getattr(defaults, option.name)}]")
        default = getattr(defaults, option.name)
        rows.append(f"| `{option.name}` | {default} | {_range_of(option)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _range_of(option: Field[Any]) -> str:
    limits = option.metadata
    if "high" in limits:
        return f"{limits['low']:g} to {limits['high']:g}"
    return f"at least {limits['low']}" if "low" in limits else "True, False"


def main() -> None:
    """Replace the table in the page."""
    head, _, rest = PAGE.read_text("utf-8").partition(START)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{START}{table()}{END}{tail}", "utf-8")


if __name__ == "__main__":
    main()
