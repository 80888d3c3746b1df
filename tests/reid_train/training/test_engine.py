from __future__ import annotations

import io
import json
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from tensorboardX.proto.event_pb2 import Event

from reid_train.checkpoints.checkpoint import read_checkpoint, write_checkpoint
from reid_train.checkpoints.run_files import newest_checkpoint, numbered_checkpoints
from reid_train.command_line import main
from reid_train.data.datasets import ImageIndex
from reid_train.data.image_cache import ImageCache
from reid_train.training import engine
from reid_train.training.engine import train
from reid_train.training.parallel import World
from reid_train.training.run_log import RunLog
from reid_train.training.transforms import preprocessing_of

ALONE = World(0, 1)


def run(config, index, dev, folder, **options):
    last = train(config, index, dev, folder, ALONE, log=lambda line: None, **options)
    return last, journal(folder)


def journal(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_speed(lines):
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def events(folder):
    """Scalars of TensorBoard's files: records of length, checksum, event, checksum."""
    found = []
    for path in sorted((folder / "events").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            at += length + 16
    return found


def assert_same_checkpoint(one, other):
    assert one.arrays.keys() == other.arrays.keys()
    for name, value in one.arrays.items():
        np.testing.assert_array_equal(value, other.arrays[name], err_msg=name)


def test_a_run_leaves_checkpoints_the_best_one_a_log_and_events(tiny, train_index, dev_index, tmp_path):
    config = tiny(keep_checkpoints=1)
    last, lines = run(config, train_index, dev_index, tmp_path, origin={"data": "toys"})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        engine.LOCK,
        "best.safetensors",
        "checkpoint_0000004.safetensors",
        "checkpoint_0000006.safetensors",
        "config.json",
        "events",
        "log.jsonl",
    ]
    assert last == tmp_path / "checkpoint_0000006.safetensors"
    assert json.loads((tmp_path / "config.json").read_text()) == config.as_dict()
    assert journal(tmp_path) == lines
    losses = [line for line in lines if "loss" in line]
    figures = [line for line in lines if "mean_ap" in line]
    assert [line["iteration"] for line in losses] == [2, 4, 6]
    assert [line["iteration"] for line in figures] == [3, 6]
    assert losses[0].keys() == {"iteration", "loss", "lr", "accuracy", "images_per_second"}
    assert figures[0].keys() == {
        "iteration",
        *("rank1", "rank5", "rank10", "mean_ap", "mean_inp", "queries", "recall1"),
    }
    shown = {(step, tag): value for step, tag, value in events(tmp_path)}
    assert shown.keys() == {(line["iteration"], key) for line in lines for key in line if key != "iteration"}
    assert shown[2, "loss"] == pytest.approx(losses[0]["loss"])
    best = read_checkpoint(tmp_path / "best.safetensors")
    top = max(figures, key=lambda line: line["mean_ap"])
    assert best.best == top
    assert best.iteration == top["iteration"]
    checkpoint = read_checkpoint(last)
    assert checkpoint.best == best.best
    assert checkpoint.origin["data"] == "toys"
    assert checkpoint.origin["hours"] > 0
    assert checkpoint.config == config.as_dict()


def test_evaluation_happens_at_its_own_steps_only(tiny, train_index, dev_index, tmp_path, monkeypatch):
    calls = []
    plain = engine.embed
    monkeypatch.setattr(engine, "embed", lambda *arguments: calls.append(1) or plain(*arguments))
    for name, kind in {"elem": {}, "pair": {"loss_name": "eml", "samples_each_class": 3}}.items():
        calls.clear()
        run(tiny(test_iter_step=4, **kind), train_index, dev_index, tmp_path / name)
        assert len(calls) == 2  # at 4, and at the end


def test_the_terminal_shows_iteration_of_all_accuracy_time_left_and_four_digits(
    tiny, train_index, dev_index, tmp_path
):
    lines = []
    train(tiny(), train_index, dev_index, tmp_path, ALONE, log=lines.append)
    pattern = (
        r"iteration (\d) of 6: loss \d+\.\d{4}, lr 0\.05, accuracy \d+\.\d\d%, images/s \S+, 0:\d\d:\d\d left"
    )
    found = [re.fullmatch(pattern, line) for line in lines if "loss" in line]
    assert [match[1] for match in found if match] == ["2", "4", "6"]
    assert lines[-1].startswith("iteration 6 of 6: rank-1 ")
    assert re.search(r"mAP \d+\.\d\d%, .*Recall@Rank-1 \d+\.\d\d%$", lines[-1])


def test_several_dev_sets_are_judged_in_one_table_and_by_their_mean(tiny, train_index, dev_index, tmp_path):
    unknown = ImageIndex(dev_index.paths, dev_index.pids, np.zeros(16, np.int64))
    lines = []
    sets = {"market": dev_index, "own": unknown}
    train(tiny(), train_index, sets, tmp_path, ALONE, log=lines.append)
    figures = [line for line in journal(tmp_path) if "loss" not in line]
    assert [line["iteration"] for line in figures] == [3, 6]
    for line in figures:
        assert line["dev_mean"] == pytest.approx((line["market/mean_ap"] + line["own/recall1"]) / 2)
        assert "own/mean_ap" not in line
    best = read_checkpoint(tmp_path / "best.safetensors").best
    assert best["dev_mean"] == max(line["dev_mean"] for line in figures)
    table = lines[-3:]
    assert table[0].split() == ["rank-1", "mAP", "mINP", "Recall@Rank-1"]
    assert table[1].split()[:2] == ["market", f"{figures[1]['market/rank1']:.2%}"]
    assert table[2].split()[:2] == ["own", "-"]
    _, alone = run(tiny(), train_index, dev_index, tmp_path / "alone")
    assert alone[-1]["mean_ap"] == figures[-1]["market/mean_ap"]


@pytest.mark.parametrize("count", [255, 256, 257])
def test_an_unreadable_image_is_found_wherever_it_stands(tiny, train_index, tmp_path, count):
    bad = tmp_path / "0009_c1s1_000001_01.jpg"
    bad.write_bytes(b"no image")
    rows = np.arange(count) % len(train_index)
    index = train_index[rows]
    index = ImageIndex((*index.paths[:-1], bad), index.pids, index.camids)
    with pytest.raises(ValueError, match=r"0009_c1s1_000001_01\.jpg: not a readable image"):
        run(tiny(), index, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_dev_set_there_are_no_figures_and_no_best(tiny, train_index, tmp_path):
    _, lines = run(tiny(), train_index, None, tmp_path)
    assert all("loss" in line for line in lines)
    assert not (tmp_path / "best.safetensors").exists()


def test_a_dev_set_without_cameras_is_judged_by_recall(tiny, train_index, dev_index, tmp_path):
    dev = ImageIndex(dev_index.paths, dev_index.pids, np.zeros(len(dev_index), np.int64))
    _, lines = run(tiny(), train_index, dev, tmp_path)
    figures = [line for line in lines if "loss" not in line]
    assert [line.keys() for line in figures] == [{"iteration", "recall1"}] * 2
    assert set(read_checkpoint(tmp_path / "best.safetensors").best) == {"iteration", "recall1"}


def test_a_dev_set_in_which_nothing_can_be_found_is_refused_at_the_start(
    tiny, train_index, dev_index, tmp_path
):
    with pytest.raises(
        ValueError, match="the dev set must have an identity with two images, got 4 with one each"
    ):
        run(tiny(), train_index, dev_index[np.arange(0, 16, 4)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("images", [1, *(engine.DECODED_AT_ONCE + more for more in (-1, 0, 1))])
def test_every_image_is_decoded_before_a_run_however_many_there_are(tmp_path, images):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes())
    bad.write_bytes(good.read_bytes()[:-20])
    engine._decode(cache := ImageCache([good] * images), threads=2)
    assert cache.bytes_used == 12 * images
    with pytest.raises(ValueError, match="bad.png"):
        engine._decode(ImageCache([*[good] * (images - 1), bad]), threads=2)


@pytest.mark.parametrize("which", ["train", "dev"])
def test_an_unreadable_image_is_named_before_anything_is_written(
    tiny, train_index, dev_index, tmp_path, which
):
    bad = tmp_path / "0009_c1s1_000001_01.jpg"
    bad.write_bytes(b"no image")
    sets = {"train": train_index, "dev": dev_index}
    index = sets[which]
    sets[which] = ImageIndex((*index.paths[:-1], bad), index.pids, index.camids)
    with pytest.raises(ValueError, match="0009_c1s1_000001_01.jpg: not a readable image"):
        run(tiny(), sets["train"], sets["dev"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, "the training set is empty"),
        (range(6), {}, "the training set has one id only"),
        (range(60), {"class_dim": 9}, "class_dim must be at least 10, the ids in training, got 9"),
        (
            range(60),
            {"loss_name": "eml", "samples_each_class": 3, "center_weight": 0.1, "class_dim": 9},
            "class_dim must be at least 10, the ids in training, got 9",
        ),
        (range(60), {"loss_name": "eml", "samples_each_class": 12}, "no id has more than 6 images"),
        (range(60), {"samples_each_class": 12}, "no id has more than 6 images"),
        (range(60), {"samples_each_class": 5}, "train_batch_size must be a multiple of 5"),
        (range(60), {"loss_name": "triplet", "train_batch_size": 14}, "must be a multiple of 3"),
        (range(18), {"samples_each_class": 2}, "a batch needs 6 persons, the data set has 3"),
        (range(60), {"model": "ResNet99"}, "model must be one of"),
    ],
)
def test_data_that_does_not_suffice_is_refused(tiny, train_index, tmp_path, rows, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tiny(**settings), train_index[np.array(rows, np.int64)], None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_more_classes_than_ids_are_fine(tiny, train_index, tmp_path):
    last, _ = run(tiny(class_dim=15, total_iter_num=2), train_index, None, tmp_path)
    assert read_checkpoint(last).part("objective")["main.linear.weight"].shape == (6, 15)


def test_a_fresh_run_never_mixes_with_the_checkpoints_of_another(tiny, train_index, tmp_path):
    last, _ = run(tiny(), train_index, None, tmp_path)
    kept = last.read_bytes()
    with pytest.raises(ValueError, match="holds checkpoints of a run; continue it with --checkpoint"):
        run(tiny(), train_index, None, tmp_path)
    with pytest.raises(ValueError, match="the checkpoint is at iteration 6 of 6: nothing to do"):
        run(tiny(), train_index, None, tmp_path, resume=read_checkpoint(last))
    early = read_checkpoint(numbered_checkpoints(tmp_path)[0][1])
    with pytest.raises(ValueError, match="checkpoints after iteration 2, the last is checkpoint_0000006"):
        run(tiny(), train_index, None, tmp_path, resume=early)
    assert last.read_bytes() == kept


def test_a_resumed_run_goes_on_to_the_same_bits_and_the_same_log(tiny, train_index, dev_index, tmp_path):
    settings = {"ema_decay": 0.9, "model": "PlainNorm", "optimizer": "adamw", "lr": 0.01, "total_iter_num": 9}
    settings |= {"display_iter_step": 3, "warmup_iter_num": 2, "lr_strategy": "cosine_decay"}
    config = tiny(**settings, resolutions="8x8:0.5", num_workers=2)
    whole, _ = run(config, train_index, dev_index, tmp_path / "whole")
    folder = tmp_path / "cut"

    class Killed(Exception):
        pass

    def die(line):
        if line.startswith("iteration 6 of 9: "):
            raise Killed

    with pytest.raises(Killed):
        train(config, train_index, dev_index, folder, ALONE, log=die)
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"iteration": 7, "lo')  # as a kill leaves it
    (folder / "checkpoint_0000006.safetensors.part").write_bytes(b"half")
    resume = read_checkpoint(newest_checkpoint(folder))
    assert resume.iteration == 4
    last, _ = run(config, train_index, dev_index, folder, resume=resume)
    assert_same_checkpoint(read_checkpoint(whole), read_checkpoint(last))
    assert without_speed(journal(folder)) == without_speed(journal(tmp_path / "whole"))
    assert not list(folder.glob("*.part"))


def test_kill_ends_a_run_in_one_line(people, tmp_path):
    settings = "--model OSNet_x0_25 --image_shape 3,16,16 --train_batch_size 4 --save_iter_step 1"
    arguments = ["elem", "--train", str(people), *settings.split(), "--model_save_dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "reid_train", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    try:
        while not list(tmp_path.glob("checkpoint_*.safetensors")):
            assert process.poll() is None, "the run ended before its first checkpoint"
            time.sleep(0.01)
        process.terminate()
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    reached = numbered_checkpoints(tmp_path)[-1][0]
    assert told == f"reid-train: stopped; --checkpoint {tmp_path} continues from iteration {reached}\n"
    assert process.returncode == 143
    assert read_checkpoint(newest_checkpoint(tmp_path)).iteration == reached
    assert not list(tmp_path.glob("*.part"))


# The process ends itself, so the run is cut at the same place however busy the machine is.
KILLED = """
import os, signal, sys
from reid_train.training.launcher import cpu_environment
os.environ.update(cpu_environment())
from reid_train.command_line import main
from reid_train.training.run_log import RunLog

step = RunLog.step

def step_or_die(log, iteration, *values):
    step(log, iteration, *values)
    if iteration == 15:
        os.kill(os.getpid(), signal.SIGKILL)

RunLog.step = step_or_die
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_to_the_same_bits(people, strangers, tmp_path, capsys):
    arguments = ["elem", "--train", str(people), "--dev", str(strangers)]
    settings = [
        "--model",
        "MobileNetV3_small_x0_35",
        "--embedding_size",
        "16",
        "--image_shape",
        "3,64,32",
        "--train_batch_size",
        "10",
        "--total_iter_num",
        "24",
        "--save_iter_step",
        "6",
        "--test_iter_step",
        "12",
        "--display_iter_step",
        "5",
        "--lr",
        "0.02",
        "--lr_steps",
        "10,20",
        "--ema_decay",
        "0.9",
        "--augmentation",
        "strong",
        "--loss_name",
        "arcmargin",
    ]
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, *arguments, *settings, "--model_save_dir", str(folder)]
    root = Path(__file__).resolve().parents[3]
    killed = subprocess.run(command, stdout=subprocess.DEVNULL, cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read_checkpoint(newest_checkpoint(folder)).iteration == 12
    assert [line["iteration"] for line in journal(folder)][-1] == 15  # after the checkpoint
    # Another process, in which Paddle numbers its parameters otherwise.
    resumed = ["--checkpoint", str(folder), "--model_save_dir", str(folder)]
    assert main([*arguments, *resumed]) == 0
    assert main([*arguments, *settings, "--model_save_dir", str(tmp_path / "whole")]) == 0
    name = "checkpoint_0000024.safetensors"
    assert_same_checkpoint(read_checkpoint(folder / name), read_checkpoint(tmp_path / "whole" / name))
    assert without_speed(journal(folder)) == without_speed(journal(tmp_path / "whole"))
    capsys.readouterr()


def test_a_loss_that_is_not_finite_keeps_the_checkpoints_before_it(tiny, train_index, tmp_path, monkeypatch):
    rates = iter([0.05, 0.05, 0.05, float("inf"), float("inf")])
    monkeypatch.setattr("reid_train.training.trainer.learning_rate", lambda *_: next(rates))
    with pytest.raises(FloatingPointError, match="iteration [45]"):
        run(tiny(), train_index, None, tmp_path)
    assert [number for number, _ in numbered_checkpoints(tmp_path)] == [2]
    read_checkpoint(newest_checkpoint(tmp_path))


def test_a_second_run_into_a_folder_is_refused_while_the_first_goes_on(tiny, train_index, tmp_path):
    with FileLock(tmp_path / engine.LOCK), pytest.raises(OSError, match="another run is writing into it"):
        run(tiny(), train_index, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [engine.LOCK]


def test_a_full_disk_stops_the_run_and_keeps_the_checkpoints(tiny, train_index, tmp_path, monkeypatch):
    def write(path, checkpoint):
        if checkpoint.iteration == 4:
            raise OSError(f"{path}: checkpoint not written, earlier ones stay: No space left on device")
        write_checkpoint(path, checkpoint)

    monkeypatch.setattr(engine, "write_checkpoint", write)
    with pytest.raises(OSError, match="checkpoint_0000004.safetensors: .* No space left"):
        run(tiny(), train_index, None, tmp_path)
    assert read_checkpoint(newest_checkpoint(tmp_path)).iteration == 2


def test_a_full_disk_under_the_log_is_told_and_does_not_hang(tiny, tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "log.jsonl").write_text('{"iteration": 1, "loss": 2.0}\n' * 100)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with RunLog(tiny(), tmp_path, 1, lambda line: None) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        try:
            with pytest.raises(OSError, match="log not written, checkpoints stay: File too large"):
                log.report(2, {"loss": 1.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(journal(tmp_path)) == 100


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_images_a_second_and_the_time_that_remains(tiny, train_index, tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(tiny(), train_index, None, tmp_path)
    last = terminal.getvalue().split("\r")[-1]
    assert "72.0/72.0" in last
    assert "image/s" in last
    assert "<" in last  # elapsed<remaining
    assert "loss=" in last


def test_without_a_terminal_there_is_no_bar(tiny, train_index, tmp_path, capsys):
    run(tiny(), train_index, None, tmp_path)
    assert capsys.readouterr().err == ""


def test_the_seed_recipe_cuts_the_centre_out_and_the_strong_one_stretches(tiny):
    assert preprocessing_of(tiny(augmentation="seed")).mode == "short_side_crop"
    strong = preprocessing_of(tiny(augmentation="strong", image_shape=(3, 20, 10)))
    assert (strong.mode, strong.height, strong.width) == ("stretch", 20, 10)
