"""What ``make demo`` runs: paint a street clip, track through it, measure the result.

The clip comes with detections that have a real detector's faults, so that no detector need be downloaded.
People are told apart by the appearance model that comes with the package; a run by motion alone stands
beside it, each with the preset for its kind.

Example:
    python demo/run_demo.py
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from make_clip import make_clip

from deepsort_paddle.cli import track
from deepsort_paddle.motchallenge.metrics import Scores, evaluate, prepare_sequence
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.motchallenge.text import read_ground_truth, read_tracks
from deepsort_paddle.research.evaluate import format_scores


def main() -> int:
    """Run the demo; returns the exit code of the tracking run that failed, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("output/demo"), help="default: %(default)s")
    parser.add_argument("--reid", help="appearance model (default: the one that comes with the package)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="length of the clip (default: %(default)s)"
    )
    options = parser.parse_args()

    began = time.perf_counter()
    say("Painting a street clip with people who cross and hide each other")
    sequence = make_clip(options.folder, seconds=options.seconds)
    clip = options.folder / "street.mp4"
    runs = {
        "by motion": options.folder / "tracks_motion.txt",
        "by motion and appearance": options.folder / "tracks.txt",
    }
    commands = [["--preset", "motion", "--output", str(runs["by motion"])]]
    model = ["--reid", options.reid] if options.reid else []
    commands.append(["--preset", "strong", *model, "--output", str(runs["by motion and appearance"])])
    video = options.folder / "tracked.mp4"
    commands[-1] += ["--save-video", str(video)]

    for command in commands:
        arguments = [str(clip), "--detections", str(sequence / "det" / "det.txt"), *command, "--overwrite"]
        say(f"deepsort-track {' '.join(arguments)}")
        code = track(arguments)
        if code:
            return code

    scores = [measure(name, sequence, results) for name, results in runs.items()]
    say("Measured against the clip's ground truth:")
    say(format_scores(scores))
    say(f"Annotated video  {video}")
    say(f"Tracks           {', '.join(map(str, runs.values()))}")
    say(f"Clip and truth   {clip}, {sequence}")
    say(f"Took {time.perf_counter() - began:.0f} s")
    return 0


def measure(name: str, sequence: Path, results: Path) -> Scores:
    """Scores of one run, under its name."""
    prepared = prepare_sequence(
        name,
        read_ground_truth(sequence / "gt" / "gt.txt"),
        read_tracks(results),
        frames=(1, SequenceInfo.read(sequence).length or 1),
    )
    return evaluate([prepared]).sequences[0]


def say(text: str) -> None:
    """Print at once, so that the order with other output is kept."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
