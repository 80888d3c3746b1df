from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from reid_train import command_line, commands
from reid_train.checkpoints.run_files import checkpoint_path
from reid_train.command_line import build_parser, main
from reid_train.config import TrainConfig
from reid_train.training.launcher import PEER_LOST, PeerLostError, Terminated

ROOT = Path(__file__).resolve().parents[2]


def code_of(arguments):
    try:
        return main(arguments)
    except SystemExit as error:
        return error.code


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("elem --learning_rate 1", "unrecognized arguments: --learning_rate 1"),
        ("elem --tot 5", "unrecognized arguments: --tot 5"),
        (
            "elem --batch-size 5",  # eval and export have one
            "unrecognized arguments: --batch-size 5 (did you mean --test_batch_size or --train_batch_size?)",
        ),
        ("elem --model_save_dri=x", "--model_save_dri=x (did you mean --model_save_dir?)"),
        ("elem --lr fast", "lr must be a number, got 'fast'"),
        ("elem --image-shape 3x64x32", "image_shape must be 3,height,width, got '3x64x32'"),
        ("elem --arc_easy_margin maybe", "arc_easy_margin must be true or false, got 'maybe'"),
        ("elem --use_gpu perhaps", "argument --use_gpu/--use-gpu: invalid choice: 'perhaps'"),
        ("elem --processes 0", "processes must be at least 1, got 0"),
        ("elem --processes 2 --use_gpu true", "python -m paddle.distributed.launch"),
        (
            "elem --train x --recipe weak",
            "recipe 'weak': neither seed, strong, refine, quick nor a",
        ),
        ("elem --train x --image_shape 3,0,9", "image_shape must be 3,height,width, got 3,0,9"),
        ("elem --train x --lr nan", "lr must be a finite number, got nan"),
        ("infer --data x", "--pretrained_model"),
        ("prepare --output x", "the following arguments are required: source"),
        ("eval --pretrained_model x", "name either --data, or both --query and --gallery"),
    ],
)
def test_bad_input_is_one_line_and_code_2(capsys, monkeypatch, tmp_path, line, message):
    monkeypatch.chdir(tmp_path)
    assert code_of(line.split()) == 2
    message = capsys.readouterr().err
    assert message in message
    assert message.startswith("reid-train")
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("two\nlines"), 2, "reid-train: error: two lines\n"),
        (
            PermissionError(13, "Permission denied", "run/x"),
            2,
            "reid-train: error: run/x: Permission denied\n",
        ),
        (OSError("x: checkpoint not written"), 2, "reid-train: error: x: checkpoint not written\n"),
        (
            FloatingPointError("loss is nan in iteration 7"),
            1,
            "reid-train: error: loss is nan in iteration 7\n",
        ),
        (MemoryError(), 1, "reid-train: error: not enough memory\n"),
        (PeerLostError("another process has ended"), 1, "reid-train: error: another process has ended\n"),
        (KeyboardInterrupt(), 130, "reid-train: stopped before its first checkpoint\n"),
        (Terminated(), 143, "reid-train: stopped before its first checkpoint\n"),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(capsys, monkeypatch, tmp_path, error, code, message):
    def elem(**options):
        raise error

    monkeypatch.setattr(commands, "elem", elem)
    assert main(["elem", "--model_save_dir", str(tmp_path / "run")]) == code
    assert capsys.readouterr().err == message


def test_a_stopped_command_says_how_to_continue(capsys, monkeypatch, tmp_path):
    def stop(**options):
        raise KeyboardInterrupt

    for name in ("pair", "infer"):
        monkeypatch.setattr(commands, name, stop)
    checkpoint_path(tmp_path, 40).write_bytes(b"")
    assert main(["pair", "--model_save_dir", str(tmp_path)]) == 130
    message = f"reid-train: stopped; --checkpoint {tmp_path} continues from iteration 40\n"
    assert capsys.readouterr().err == message
    assert main(["infer", "--pretrained_model", "x", "--data", "x", "--output", "x"]) == 130
    assert capsys.readouterr().err == "reid-train: stopped\n"


def test_the_launcher_reports_for_stopped_processes(monkeypatch, capsys):
    def elem(**options):
        raise Terminated

    left = []
    monkeypatch.setattr(commands, "elem", elem)
    monkeypatch.setattr(command_line, "launched", lambda: True)
    monkeypatch.setattr(os, "_exit", left.append)
    main(["elem"])
    assert left == [143]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("error", "code"), [(PeerLostError("lost"), PEER_LOST), (ValueError("bad"), 2)])
def test_a_launched_process_exits_at_once(monkeypatch, capsys, error, code):
    def elem(**options):
        raise error

    left = []
    monkeypatch.setattr(commands, "elem", elem)
    monkeypatch.setattr(command_line, "launched", lambda: True)
    monkeypatch.setattr(os, "_exit", left.append)
    main(["elem"])
    assert left == [code]
    assert "lost" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["prepare", "elem", "pair", "eval", "infer", "export", "calibrate", "quantize", "onnx"]
)
def test_every_command_has_help(capsys, command):
    assert code_of([command, "--help"]) == 0
    assert f"reid-train {command}" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["--version", "elem --version"])
def test_the_version_is_that_of_the_distribution(capsys, line):
    assert code_of(line.split()) == 0
    assert capsys.readouterr().out == f"deepsort-paddle {version('deepsort-paddle')}\n"


def test_help_shows_the_defaults_of_its_stage():
    commands = build_parser()._subparsers._group_actions[0].choices
    texts = {name: " ".join(parser.format_help().split()) for name, parser in commands.items()}
    assert "images per training batch, over all processes [256]" in texts["elem"]
    assert "images per training batch, over all processes [120]" in texts["pair"]
    assert "input [3,224,224]" in texts["elem"]
    assert "positive [false]" in texts["elem"]
    assert "are the targets [none]" in texts["elem"]
    assert "config.json" in texts["pair"]
    assert "input [" not in texts["eval"]  # there the weights decide


def test_the_original_flags_are_there_with_hyphens_and_underscores():
    original = """
    model embedding_size train_batch_size test_batch_size image_shape class_dim lr lr_strategy lr_steps
    total_iter_num display_iter_step test_iter_step save_iter_step use_gpu pretrained_model checkpoint
    model_save_dir loss_name arc_scale arc_margin arc_easy_margin samples_each_class margin npairs_reg_lambda
    """
    help_of = {}
    for command in ("elem", "pair"):
        parser = build_parser()._subparsers._group_actions[0].choices[command]
        help_of[command] = parser.format_help()
        for name in original.split():
            for flag in {f"--{name}", f"--{name.replace('_', '-')}"}:
                assert flag in help_of[command].replace(",", " ").split(), flag
    for name in TrainConfig.__dataclass_fields__:
        assert f"--{name}" in help_of["elem"]


def test_help_does_not_import_paddle():
    check = (
        "import sys; from reid_train.command_line import main\n"
        "try: main(['elem', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'paddle', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def test_the_module_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "reid_train", "elem", "--train", "gone", "--total_iter_num", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (result.returncode, result.stderr) == (2, "reid-train: error: gone: no such list file or folder\n")


def test_without_paddle_prepare_works_and_the_others_say_what_to_install(people, tmp_path):
    check = (
        "import sys; sys.modules['paddle'] = None\n"  # importing it raises ModuleNotFoundError
        "from reid_train.command_line import main; sys.exit(main())"
    )
    for arguments, code, message in (
        (["prepare", people, "--output", tmp_path, "--held_out_ids", "2"], 0, ""),
        (["elem", "--data", tmp_path], 2, "PaddlePaddle is not installed: pip install paddlepaddle"),
    ):
        command = [sys.executable, "-c", check, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(f"reid-train: error: {message}" if message else "")
        assert done.stderr.count("\n") == (1 if message else 0)
    assert (tmp_path / "dev.txt").is_file()
