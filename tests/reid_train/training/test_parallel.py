from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from deepsort_paddle.console.log_lines import log_lines
from deepsort_paddle.media.image_header import KINDS
from reid_train.checkpoints.checkpoint import read_checkpoint, write_checkpoint
from reid_train.command_line import main
from reid_train.training.launcher import cpu_environment, launch
from reid_train.training.parallel import World, join
from reid_train.training.trainer import Trainer

ROOT = Path(__file__).resolve().parents[3]

# A command line that knows the tiny networks of the tests.
COMMAND = """
import sys
sys.path.insert(0, {tests!r})
from conftest import Plain, PlainNorm
from reid_train.command_line import main
from reid_train.models import MODELS
MODELS.update(Plain=Plain, PlainNorm=PlainNorm)
sys.exit(main())
"""
SETTINGS = """
--model Plain --embedding_size 6 --image_shape 3,16,16 --train_batch_size 12 --test_batch_size 3 --lr 0.05
--total_iter_num 8 --display_iter_step 1 --test_iter_step 4 --save_iter_step 4 --augmentation strong
"""
# A pair loss among them: it must see the gathered batch.
LOSSES = "--loss_name arcmargin --arc_scale 16 --samples_each_class 3 --batch_hard_weight 1"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Function that writes a module which `launch` can start, and gives its name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))

    def write(text, name="started_by_the_test"):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def journal(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def test_two_processes_train_as_one_with_the_same_batch(people, strangers, tiny, tmp_path, module, capfd):
    teacher = tmp_path / "teacher.safetensors"
    write_checkpoint(teacher, Trainer(tiny(seed=3), 4, World(0, 1)).checkpoint())
    arguments = ["elem", "--train", str(people), "--dev", str(strangers), *SETTINGS.split(), *LOSSES.split()]
    arguments += ["--teacher", str(teacher), "--teacher_weight", "2"]
    folders = [tmp_path / name for name in ("one", "two")]
    assert main([*arguments, "--model_save_dir", str(folders[0])]) == 0
    name = module(COMMAND.format(tests=str(Path(__file__).parents[1])))
    assert launch([*arguments, "--model_save_dir", str(folders[1])], 2, module=name) == 0
    assert capfd.readouterr().err == ""
    one, two = (journal(folder) for folder in folders)
    assert [line.keys() for line in one] == [line.keys() for line in two]
    for first, second in zip(one, two, strict=True):
        assert second == pytest.approx(first, rel=1e-4, abs=1e-6)
    assert one[-2]["loss"] < one[0]["loss"]
    checkpoints = [read_checkpoint(folder / "checkpoint_0000008.safetensors") for folder in folders]
    assert "2 processes" in checkpoints[1].origin["machine"]
    for name, value in checkpoints[0].arrays.items():
        np.testing.assert_allclose(checkpoints[1].arrays[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_what_one_process_fails_of_is_told_once(people, strangers, tmp_path, module, capfd):
    # Images of the dev set are dealt out in turn: the second process alone meets the bad one.
    bad = sorted(strangers.iterdir())[1]
    content = bad.read_bytes()
    bad.write_bytes(b"no image")
    try:
        name = module(COMMAND.format(tests=str(Path(__file__).parents[1])))
        arguments = ["elem", "--train", str(people), "--dev", str(strangers), *SETTINGS.split()]
        code = launch([*arguments, "--model_save_dir", str(tmp_path / "run")], 2, module=name)
    finally:
        bad.write_bytes(content)
    assert cv2.imread(str(bad)) is not None
    assert code == 2
    assert capfd.readouterr().err == f"reid-train: error: {bad}: not a readable image ({KINDS})\n"
    assert not list(tmp_path.glob("run/*.safetensors"))


RANK = "import os, sys, time\nrank = int(os.environ['PADDLE_TRAINER_ID'])\n"


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("print('fine')", 0, ""),
        ("sys.stderr.write('bad input\\n'); sys.exit(2)", 2, "bad input\n"),
        ("if rank == 1: sys.stderr.write('one of them\\n'); sys.exit(2)\ntime.sleep(60)", 2, "one of them\n"),
        (
            "if rank == 1: os.kill(os.getpid(), 9)\ntime.sleep(60)",
            1,
            "reid-train: error: process 1 was ended by SIGKILL; checkpoints stay\n",
        ),
        (
            "if rank == 1: os.kill(os.getpid(), 9)\ntime.sleep(0.3)\nsys.exit(75)",
            1,
            "reid-train: error: process 1 was ended by SIGKILL; checkpoints stay\n",
        ),
        (
            "if rank == 1: sys.exit(143)\ntime.sleep(60)",
            1,
            "reid-train: error: process 1 was ended by SIGTERM; checkpoints stay\n",
        ),
        ("sys.exit(75)", 1, "reid-train: error: the processes lost each other; checkpoints stay\n"),
        ("sys.exit(76)", 1, "reid-train: error: the processes did not find each other in 3 attempts\n"),
        # One gives up while the other still looks for it.
        (
            "if rank == 1: sys.exit(76)\ntime.sleep(60)",
            1,
            "reid-train: error: the processes did not find each other in 3 attempts\n",
        ),
    ],
    ids=[
        "well",
        "all fail",
        "one fails",
        "one is killed",
        "one notices",
        "one is terminated",
        "silence",
        "strangers",
        "one gives up",
    ],
)
def test_the_end_of_the_processes_is_told_as_of_one(module, monkeypatch, capfd, text, code, told):
    monkeypatch.setattr("reid_train.training.launcher.GRACE", 1.0)
    with log_lines("reid_train", "reid-train"):
        assert launch([], 3, module=module(RANK + text)) == code
    assert capfd.readouterr().err == told


def test_processes_that_did_not_find_each_other_are_started_again(module, tmp_path, capfd):
    # The first time the second process fails as gloo does on a busy machine.
    name = module(
        RANK + "import warnings\nfrom pathlib import Path\n"
        "warnings.simplefilter('ignore')\n"
        "import paddle.distributed as dist\n"
        "from reid_train.training.launcher import NOT_JOINED, NotJoinedError\n"
        "from reid_train.training.parallel import join\n"
        "def late(): raise RuntimeError('[/gloo/transport/tcp/pair.cc:584] TIMEOUT')\n"
        "log = Path(sys.argv[1], str(rank))\n"
        "if rank == 1 and not log.exists(): dist.init_parallel_env = late\n"
        "log.open('a').write('started ')\n"
        "try: world = join()\n"
        "except NotJoinedError: os._exit(NOT_JOINED)\n"
        "log.open('a').write(f'{world.rank} of {world.size}')\n"
        "world.barrier()\n"
        "os._exit(0)"
    )
    assert launch([str(tmp_path)], 2, module=name) == 0
    told = [(tmp_path / str(rank)).read_text() for rank in (0, 1)]
    assert told == ["started started 0 of 2", "started started 1 of 2"]
    assert capfd.readouterr().err == ""


def test_each_process_gets_its_rank_one_thread_and_no_gpu(module, tmp_path):
    name = module(
        RANK + "from pathlib import Path\n"
        "wanted = ['OMP_NUM_THREADS', 'PADDLE_TRAINERS_NUM', 'CUDA_VISIBLE_DEVICES']\n"
        "wanted += ['PADDLE_CURRENT_ENDPOINT']\n"
        "Path(sys.argv[1], str(rank)).write_text(' '.join(os.environ[name] for name in wanted))"
    )
    assert launch([str(tmp_path)], 2, module=name) == 0
    told = [(tmp_path / str(rank)).read_text().split(" ") for rank in (0, 1)]
    assert [words[:3] for words in told] == [["1", "2", ""]] * 2
    assert told[0][3] != told[1][3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_their_launcher(module, tmp_path, number):
    name = module(
        RANK + "import threading\nfrom pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from reid_train.training.parallel import _end_with_launcher\n"
        "threading.Thread(target=_end_with_launcher, daemon=True).start()\n"
        "Path(sys.argv[1], f'{rank}.pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)"
        if number == signal.SIGKILL
        else RANK + "from pathlib import Path\n"
        "Path(sys.argv[1], f'{rank}.pid').write_text(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    start = (
        "import sys; from reid_train.training.launcher import Terminated, launch\n"
        "try: launch(sys.argv[2:], 1, module=sys.argv[1])\n"
        "except Terminated: sys.exit(143)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", start, name, str(tmp_path), str(ROOT)])
    try:
        while not (pid := tmp_path / "0.pid").exists() or not pid.read_text():
            assert launcher.poll() is None
            time.sleep(0.01)
    finally:
        launcher.send_signal(number)
        code = launcher.wait()
    assert code == (143 if number == signal.SIGTERM else -number)
    child = int((tmp_path / "0.pid").read_text())
    for _ in range(500):
        if not _runs(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process outlived its launcher")


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A dead child of init may wait to be collected.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_world_of_one_needs_no_communication():
    world = join()
    assert (world.rank, world.size) == (0, 1)
    rows = paddle.ones([3, 2])
    rows.stop_gradient = False
    assert world.gather(rows).stop_gradient
    world.average([rows])
    world.sum_gradients([rows])
    world.barrier()
    own = np.ones((3, 2), np.float32)
    assert world.interleave(own, 3) is own
    assert world.shard(12) == slice(0, 12)


def test_a_batch_is_cut_into_equal_shards():
    assert [World(rank, 3).shard(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    with pytest.raises(ValueError, match="train_batch_size must be a multiple of 3 processes, got 10"):
        World(0, 3).shard(10)


@pytest.mark.parametrize("count", [5, 6])
def test_rows_that_were_dealt_out_come_back_in_order(monkeypatch, count):
    rows = np.arange(count * 2, dtype=np.float32).reshape(count, 2)
    shares = [rows[rank::2] for rank in range(2)]
    padded = [np.vstack([share, np.zeros((-(-count // 2) - len(share), 2), np.float32)]) for share in shares]
    world = World(1, 2)
    monkeypatch.setattr(world, "gather", lambda own: paddle.to_tensor(np.vstack([padded[0], own.numpy()])))
    np.testing.assert_array_equal(world.interleave(shares[1], count), rows)


@pytest.mark.parametrize(
    ("cpuinfo", "want"),
    [
        ("vendor_id : AuthenticAMD\nflags : avx2 avx512f", {"MKL_DEBUG_CPU_TYPE": "7"}),
        ("vendor_id : AuthenticAMD\nflags : avx2", {"MKL_DEBUG_CPU_TYPE": "5"}),
        ("vendor_id : GenuineIntel\nflags : avx2 avx512f", {}),
        (None, {}),
    ],
)
def test_only_amd_needs_a_word_to_the_mathematics_library(monkeypatch, cpuinfo, want):
    monkeypatch.delenv("MKL_DEBUG_CPU_TYPE", raising=False)
    monkeypatch.setattr(Path, "is_file", lambda _: cpuinfo is not None)
    monkeypatch.setattr(Path, "read_text", lambda _: cpuinfo)
    assert cpu_environment() == want
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "4")
    assert cpu_environment() == {}
