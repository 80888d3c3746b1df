"""The command ``deepsort-tune``: choose tracker options on saved detections and ground truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from deepsort_paddle.console.one_line import OneLineParser, in_one_line
from deepsort_paddle.tracking.presets import PRESETS

__all__ = ["main"]

_SHOWN = ("HOTA", "IDF1", "MOTA")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (2: an error that the user can fix, 130: Ctrl-C)."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(tune(options))
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sys.stderr.write(f"{parser.prog}: error: {in_one_line(error)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"{parser.prog}: stopped before the search finished; no options chosen\n")
        return 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    from deepsort_paddle.motchallenge.metrics import Benchmark

    parser = OneLineParser(
        prog="deepsort-tune",
        description="Search tracker options on saved detections. Each sequence is also left out in turn: "
        "the options chosen without it and evaluated on it estimate the score on new videos.",
    )
    parser.add_argument("ground_truth", metavar="GT", type=Path, help="as for deepsort-eval")
    parser.add_argument(
        "detections",
        metavar="DETECTIONS",
        type=Path,
        help="folder with one SEQUENCE.npz per sequence, from deepsort-track --save-detections",
    )
    parser.add_argument(
        "--preset", choices=tuple(PRESETS), default="strong", help="preset to start from [%(default)s]"
    )
    parser.add_argument(
        "--option",
        metavar="NAME[=LOW:HIGH]",
        action="append",
        default=[],
        help="option to search (see docs/presets.md); repeatable [every number that the preset sets, from "
        "a third to three times its value]",
    )
    parser.add_argument(
        "--trials", type=_count, default=100, metavar="N", help="number of settings to try [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the sampler [%(default)s]")
    parser.add_argument(
        "--measure",
        default="HOTA+IDF1",
        metavar="NAMES",
        help="mean of these metrics to maximise [%(default)s]",
    )
    parser.add_argument(
        "--sampler",
        choices=("random", "tpe"),
        default="random",
        help="random: change up to three options per trial, the same settings in every round; tpe: change "
        "all options and learn from trial to trial, which is slower: each round tracks again [%(default)s]",
    )
    parser.add_argument(
        "--benchmark", choices=["auto", *get_args(Benchmark)], default="auto", help="as for deepsort-eval"
    )
    parser.add_argument("--output", metavar="FILE.yaml", type=Path, help="also write the report to this file")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def tune(options: argparse.Namespace) -> str:
    """Search, write the YAML file and return the report.

    Raises:
        OSError: a file is missing or cannot be read or written.
        ValueError: a file or an option is wrong.
        ImportError: Optuna is not installed.
    """
    from tqdm import tqdm

    from deepsort_paddle.extras import needs
    from deepsort_paddle.part_files import check_writable
    from deepsort_paddle.research.search import Search, import_optuna, parse_measure, search_space

    import_optuna()
    with needs("tune"):
        import yaml
    measure = parse_measure(options.measure)
    space = search_space(options.preset, options.option)
    if options.output:
        check_writable(options.output)
    sequences = _sequences(options)
    rounds = 1 + (len(sequences) if len(sequences) > 1 else 0)
    with tqdm(total=rounds * options.trials, unit="trial", disable=None, file=sys.stderr) as bar:
        search = Search(
            sequences,
            options.preset,
            space,
            measure,
            sampler=options.sampler,
            trials=options.trials,
            seed=options.seed,
            tried=bar.update,
        )
        chosen = search.best(sequences)
        without = {}
        if len(sequences) > 1:
            for held in sequences:
                without[held.name] = search.best([kept for kept in sequences if kept is not held]).options
    report = _report(options, search, chosen.options, without)
    text = yaml.safe_dump(report, sort_keys=False, allow_unicode=True)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    flags = [
        f"--preset {options.preset}",
        *(f"--set {name}={value}" for name, value in _plain(chosen.options)),
    ]
    return f"{text}# deepsort-track SOURCE {' '.join(flags)}\n"


def _sequences(options: argparse.Namespace) -> list[Any]:
    """Return the sequences that have ground truth and saved detections."""
    from deepsort_paddle.motchallenge.text import read_ground_truth
    from deepsort_paddle.research.evaluation_files import find_sequences, frames_of
    from deepsort_paddle.research.search import TuneSequence

    files, left_out = find_sequences(options.ground_truth, options.detections, ending=".npz")
    if left_out:
        sys.stderr.write(f"deepsort-tune: no detections for {', '.join(left_out)}: skipped\n")
    benchmark = None if options.benchmark == "auto" else options.benchmark
    sequences = []
    for found in files:
        truth = read_ground_truth(found.ground_truth)
        frames = frames_of(found, truth, truth[:0])
        if frames is None:
            raise ValueError(f"{found.ground_truth} holds no boxes")
        sequences.append(TuneSequence(found.name, found.results, truth, frames, benchmark))
    return sequences


def _plain(chosen: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the options as ``--set`` expects them: switches as 0 and 1."""
    return [(name, int(value) if isinstance(value, bool) else value) for name, value in chosen.items()]


def _report(
    options: argparse.Namespace, search: Any, chosen: dict[str, Any], without: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the chosen options and their scores as YAML values."""
    import numpy as np

    from deepsort_paddle.motchallenge.frame_sums import FIGURES, figures

    def shown(values: Any) -> dict[str, float]:
        return {name: round(float(values[FIGURES.index(name)]), 2) for name in _SHOWN}

    everything = search.sequences
    report: dict[str, Any] = {"preset": options.preset, "options": dict(_plain(chosen))}
    report["figures"] = {
        "preset": shown(search.figures(everything, {})),
        "fitted": shown(search.figures(everything, chosen)),
    }
    if without:
        left_out = [search.sums(held, without[held.name]).sums.sum(axis=0) for held in everything]
        report["figures"]["left_out"] = shown(figures(np.sum(left_out, axis=0)))
        report["left_out"] = {
            held.name: {
                "preset": shown(search.figures([held], {})),
                "chosen_without_it": shown(search.figures([held], without[held.name])),
                "options": dict(_plain(without[held.name])),
            }
            for held in everything
        }
    searched = {
        span.name: [float(f"{bound:.3g}") for bound in (span.low, span.high)] for span in search.space
    }
    report["search"] = {
        "measure": options.measure,
        "sampler": options.sampler,
        "trials": options.trials,
        "seed": options.seed,
        "ranges": searched,
    }
    return report
