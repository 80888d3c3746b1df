"""Plot each tracker's difference from the first, per sequence, with its confidence interval."""

from __future__ import annotations

from pathlib import Path

from deepsort_paddle.extras import needs
from deepsort_paddle.motchallenge.comparison import Comparison
from deepsort_paddle.research.comparison_report import HEADINGS

__all__ = ["check_plot", "draw"]

_ENDINGS = (".png", ".svg", ".pdf")
_SHOWN = ("hota", "idf1", "mota")


def check_plot(path: Path) -> None:
    """Check before the evaluation that a plot can be drawn.

    Args:
        path: the file to write; its suffix selects the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the suffix is none of .png, .svg and .pdf.
    """
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError(f"--plot {path}: expected a name that ends in {', '.join(_ENDINGS)}")
    with needs("report"):
        import matplotlib  # noqa: F401


def draw(comparison: Comparison, path: Path) -> None:
    """Draw HOTA, IDF1 and MOTA in one panel each.

    Args:
        comparison: the scores of at least two trackers.
        path: the file to write.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    (first, rows), *others = comparison.trackers.items()
    places = list(range(len(rows))) if len(rows) > 2 else [0]  # one sequence is also the overall row
    names = [rows[place].scores.name for place in places]
    figure = Figure(figsize=(4 + 0.6 * len(places), 2.4 * len(_SHOWN)), layout="constrained")
    panels = figure.subplots(len(_SHOWN), 1, sharex=True, squeeze=False)[:, 0]
    for field, panel in zip(_SHOWN, panels, strict=True):
        panel.axhline(0, color="0.5", linewidth=1)
        for number, (name, compared) in enumerate(others):
            shift = 0.6 * ((number + 0.5) / len(others) - 0.5)
            shown = [compared[place] for place in places]
            values = [100 * row.difference[field] for row in shown]
            limits = [[100 * bound for bound in row.interval[field]] for row in shown]
            # The interval comes from resampled differences and need not contain the difference.
            errors = [
                [max(0.0, value - low) for value, (low, _) in zip(values, limits, strict=True)],
                [max(0.0, high - value) for value, (_, high) in zip(values, limits, strict=True)],
            ]
            x = [place + shift for place in range(len(places))]
            panel.errorbar(x, values, yerr=errors, fmt="o", markersize=4, capsize=2, label=name)
        panel.set_ylabel(f"{HEADINGS[field]} minus {first}")
    panels[-1].set_xticks(range(len(places)), names, rotation=30, ha="right")
    panels[0].legend(fontsize="small")
    figure.savefig(path)
