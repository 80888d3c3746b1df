"""The command ``reid-train``: parse the arguments, call one function, print its lines.

Flag names are the original trainer's, with hyphens or underscores. Exit codes: 0 success; 1 the run failed (a
loss that is not finite, out of memory, a killed process); 2 an error that the user can fix (bad input, a full
disk, no Paddle); 130 and 143 stopped by Ctrl-C and ``kill``. All but 0 come with one line on stderr. Heavy
imports happen in `reid_train.commands`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.console.one_line import OneLineParser, in_one_line
from deepsort_paddle.extras import needs
from reid_train.argument_types import percentages, whole_numbers
from reid_train.checkpoints.run_files import numbered_checkpoints
from reid_train.config import Stage, add_flags
from reid_train.training.launcher import (
    NOT_JOINED,
    PEER_LOST,
    NotJoinedError,
    PeerLostError,
    Terminated,
    cpu_environment,
    launch,
    launched,
    terminable,
)

__all__ = ["build_parser", "main"]

MODEL_FLAGS = ("model", "embedding_size", "image_shape")
DEFAULTS = (
    "In brackets: the default without --recipe, as in the original trainer. Recipes change many settings; "
    "each run prints all settings first and saves them in config.json."
)


class _Parser(OneLineParser):
    """A parser that accepts no abbreviated flags, for itself and its commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = next(action.choices for action in parser._actions if isinstance(action.choices, dict))
        message = command[options.command].with_nearest(f"unrecognized arguments: {' '.join(unknown)}")
        parser.exit(2, f"{parser.prog}: error: {message}\n")
    if options.command in ("elem", "pair"):
        options.model_save_dir = options.model_save_dir or _run_folder(options.checkpoint)
    try:
        processes = getattr(options, "processes", 1)
        if processes < 1:
            raise ValueError(f"processes must be at least 1, got {processes}")
        if processes > 1 and "PADDLE_TRAINERS_NUM" not in os.environ:
            return launch_processes(options, arguments)
        return run(options, arguments)
    except (ValueError, OSError, ImportError) as error:
        code = _fail(error, 2)
    except (FloatingPointError, MemoryError) as error:
        code = _fail(error, 1)
    except PeerLostError as error:
        code = PEER_LOST if launched() else _fail(error, 1)
    except NotJoinedError as error:
        code = NOT_JOINED if launched() else _fail(error, 1)
    except KeyboardInterrupt as stop:
        if not launched():  # the launcher reports for all processes
            sys.stderr.write(f"reid-train: {_stopped(options)}\n")
        code = 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    if launched():
        # Paddle's exit handler waits for processes that wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def launch_processes(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command in several processes."""
    if options.use_gpu in ("true", "1"):
        raise ValueError(
            "--processes is for CPUs of this machine; to train on several GPUs, run: "
            "python -m paddle.distributed.launch -m reid_train ..."
        )
    with log_lines("reid_train", "reid-train"):
        return launch(arguments, options.processes)


def run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Run the command with the parsed options."""
    # Must be set before Paddle loads its math library.
    os.environ.update(cpu_environment())
    # Only errors of glog, unless the user chose a level.
    os.environ.setdefault("GLOG_minloglevel", "2")
    values = dict(vars(options))
    command = values.pop("command")
    values.pop("processes", None)
    if command in ("elem", "pair"):
        values["command_line"] = arguments
    with warnings.catch_warnings():
        # Paddle warns about tools for its developers and about its own batch norm.
        warnings.filterwarnings("ignore", module=r"paddle\.")
        work = _import_command(command)
        with terminable():
            for line in work(**values):
                print(line, flush=True)
    return 0


def _import_command(name: str) -> Callable[..., Iterator[str]]:
    """Import the function of a command.

    Raises:
        ImportError: it needs Paddle, which is not installed.
    """
    if name == "prepare":  # the only command without a network
        from reid_train.data.preparation import prepare

        return prepare
    with needs("train"):
        from reid_train import commands
    function: Callable[..., Iterator[str]] = getattr(commands, name)
    return function


def _run_folder(checkpoint: Path | None) -> Path:
    """Return the default folder of a run: the folder of the resumed run, else ``output``."""
    if checkpoint is None:
        return Path("output")
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def _stopped(options: argparse.Namespace) -> str:
    """Describe the state that a stopped command leaves."""
    if options.command not in ("elem", "pair"):
        return "stopped"
    folder = options.model_save_dir
    found = numbered_checkpoints(folder)
    if not found:
        return "stopped before its first checkpoint"
    return f"stopped; --checkpoint {folder} continues from iteration {found[-1][0]}"


def _fail(error: BaseException, code: int) -> int:
    """Report an error in one line."""
    sys.stderr.write(f"reid-train: error: {in_one_line(error)}\n")
    return code


def build_parser() -> OneLineParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="reid-train", description="Train, evaluate and export person re-identification networks."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _prepare(commands.add_parser("prepare", help="unpack, index, split and check a data set"))
    _training(
        commands.add_parser("elem", help="train with a classification-type loss", epilog=DEFAULTS), "elem"
    )
    _training(commands.add_parser("pair", help="fine-tune with a pair loss", epilog=DEFAULTS), "pair")
    _eval(commands.add_parser("eval", help="Rank-k, mAP, mINP, Recall@Rank-1 and ROC of a network"))
    infer = commands.add_parser("infer", help="write the embeddings of images, with their file names")
    _network(infer)
    _precision(infer)
    _dashed(infer, "--data", type=Path, required=True, help="list file, folder of images, or one image")
    _dashed(
        infer, "--output", type=Path, required=True, help="file to write: .npz, or text with any other suffix"
    )
    export = commands.add_parser("export", help="write weights/<name>/ for the tracker")
    _network(export)
    _development(export, "; without it, nothing is evaluated and the threshold is not calibrated")
    _dashed(
        export, "--model_save_dir", type=Path, required=True, help="folder to write, such as weights/mine"
    )
    _dashed(
        export, "--onnx", action="store_true", help="also write inference.onnx, with the same parity check"
    )
    _dashed(
        export,
        "--float16",
        action="store_true",
        help="store weights as float16, which halves the files; refused where an embedding's cosine falls "
        "below 0.9999",
    )
    calibrate = commands.add_parser(
        "calibrate", help="evaluate an export on your scenes, and set its threshold"
    )
    calibrate.add_argument("folder", type=Path, help="folder that export wrote, such as weights/mine")
    _development(calibrate, required=True)
    _quantize(
        commands.add_parser("quantize", help="add an int8 version to an export, and measure its accuracy")
    )
    onnx = commands.add_parser("onnx", help="add an ONNX copy to an export, for ONNX Runtime and OpenVINO")
    onnx.add_argument("folder", type=Path, help="folder that export wrote, such as weights/resnet50vd")
    _dashed(onnx, "--output", type=Path, help="folder to write; without it, the export itself gets the copy")
    return parser


def _development(parser: argparse.ArgumentParser, end: str = "", *, required: bool = False) -> None:
    _dashed(
        parser,
        "--data",
        type=Path,
        action="append",
        default=[],
        required=required,
        help="images of persons not trained on: a folder written by prepare, a list or a folder; repeatable: "
        f"metrics are of the first, the threshold is valid for all{end}",
    )


def _eval(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    _precision(parser)
    _dashed(
        parser,
        "--data",
        type=Path,
        action="append",
        default=[],
        help="evaluation set: a folder written by prepare (query.txt and gallery.txt, or dev.txt), the root "
        "of a data set with an official split, or a list or folder used as query and gallery; repeatable, "
        "for one table",
    )
    _dashed(parser, "--query", type=Path, help="query images: list file or folder")
    _dashed(parser, "--gallery", type=Path, help="gallery images: list file or folder")
    _pattern(parser)
    _dashed(parser, "--rerank", action="store_true", help="also report k-reciprocal re-ranking")
    _dashed(
        parser,
        "--casts",
        type=percentages,
        default=(0.15, 0.3),
        metavar="PERCENT[,PERCENT]",
        help="also evaluate with a different colour cast in each camera: channel gains within this "
        "percentage of 1; 0 turns it off [15,30]",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write one page with metrics, rank lists and curves"
    )
    _dashed(parser, "--report_dir", type=Path, help="write report.json and plots into this folder")


def _precision(parser: argparse.ArgumentParser) -> None:
    _dashed(
        parser,
        "--precision",
        choices=("auto", "float32", "bfloat16", "int8"),
        default="auto",
        help="precision of an exported folder on its fastest backend; auto: bfloat16 if the embeddings are "
        "equal up to rounding [auto]",
    )


def _quantize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder that export wrote, such as weights/mine")
    _dashed(
        parser,
        "--data",
        type=Path,
        required=True,
        help="folder written by prepare: train.txt to calibrate, dev.txt (or a list or folder) to evaluate",
    )
    _dashed(parser, "--calibration", type=Path, help="other images to calibrate with: list or folder")
    _dashed(parser, "--images", type=int, default=256, help="number of random calibration images [256]")
    _dashed(parser, "--seed", type=int, default=0, help="seed of their selection [0]")


def _prepare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        nargs="+",
        help="archive, folder or list file; several sources are merged with distinct ids and data sets",
    )
    _dashed(parser, "--output", type=Path, required=True, help="folder to write the lists into")
    _dashed(
        parser,
        "--split",
        choices=("held-out", "article", "official"),
        default="held-out",
        help="held-out: hold out random ids; article: hold out the last 1014 images; official: training, "
        "query and gallery as defined by the data set's authors [held-out]",
    )
    _dashed(
        parser,
        "--held_out_ids",
        type=whole_numbers,
        default=(60,),
        metavar="IDS[,IDS]",
        help="held-out: number of ids to hold out, over all sources or per source: 60,0,40 [60]",
    )
    _dashed(parser, "--seed", type=int, default=0, help="held-out: seed of the selection [0]")
    _pattern(parser)
    _dashed(
        parser,
        "--names",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="NAME[,NAME]",
        help="name of each source's data set; persons are compared within a data set [detected]",
    )
    _dashed(parser, "--skip_unreadable", action="store_true", help="skip unreadable images, and list them")


def _pattern(parser: argparse.ArgumentParser) -> None:
    _dashed(
        parser,
        "--pattern",
        metavar="REGEX",
        help="read person and camera from the path of each image in a folder, by named groups: "
        r"'cam(?P<camid>\d)/(?P<pid>\d+)_'; groups seq and frame are allowed",
    )


def _training(parser: argparse.ArgumentParser, stage: Stage) -> None:
    _dashed(parser, "--data", type=Path, help="folder written by prepare, with train.txt and dev.txt")
    _dashed(parser, "--train", type=Path, help="training images, instead of --data: list file or folder")
    _dashed(
        parser,
        "--dev",
        type=Path,
        action="append",
        default=[],
        help="development images, instead of those of --data: list file or folder; repeatable",
    )
    _dashed(parser, "--recipe", help="seed, strong, refine, quick or a YAML file; flags override it")
    _dashed(
        parser,
        "--model_save_dir",
        type=Path,
        help="folder of the run [the folder of --checkpoint, else output]",
    )
    _dashed(parser, "--checkpoint", type=Path, help="run to continue: a checkpoint, or the folder of the run")
    _dashed(
        parser,
        "--pretrained_model",
        type=Path,
        help="initial weights: a checkpoint, an exported folder such as weights/osnet_ain_x0_5, or ImageNet "
        "weights of PaddleClas (.pdparams)",
    )
    _use_gpu(parser)
    _dashed(
        parser, "--processes", type=int, default=1, help="data-parallel processes on this machine's CPUs [1]"
    )
    add_flags(parser, stage)


def _network(parser: argparse.ArgumentParser) -> None:
    _dashed(
        parser,
        "--pretrained_model",
        type=Path,
        required=True,
        help="a checkpoint of reid-train, the folder of a run (newest checkpoint), or an exported folder",
    )
    _use_gpu(parser)
    _dashed(parser, "--batch_size", type=int, default=64, help="images per forward pass [64]")
    add_flags(parser.add_argument_group("refuse weights that differ in"), only=MODEL_FLAGS)


def _use_gpu(parser: argparse.ArgumentParser) -> None:
    _dashed(
        parser,
        "--use_gpu",
        type=str.lower,
        choices=("auto", "true", "false", "1", "0"),
        default="auto",
        help="auto: if available [auto]",
    )


def _dashed(parser: argparse.ArgumentParser, name: str, **options: object) -> None:
    """Add a flag with underscores and with hyphens in its name."""
    names = dict.fromkeys([name, "--" + name[2:].replace("_", "-")])
    parser.add_argument(*names, dest=name[2:], **options)  # type: ignore[arg-type]
