"""Run a command in several processes of this machine, and report its end as that of one process.

This module does not import paddle: the environment must be set before paddle's mathematics library is loaded,
and the launcher itself computes nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

__all__ = [
    "NOT_JOINED",
    "PEER_LOST",
    "NotJoinedError",
    "PeerLostError",
    "Terminated",
    "cpu_environment",
    "launch",
    "launched",
    "process_environments",
    "terminable",
]

_LOGGER = logging.getLogger("reid_train")

# Set for processes that `launch` started.
LAUNCHED = "REID_TRAIN_LAUNCHED"
# Exit code of a process that failed only because another one failed (EX_TEMPFAIL).
PEER_LOST = 75
# Exit code of a process that did not find the others at the start.
NOT_JOINED = 76
# gloo can time out while connecting on a busy machine, so the processes are started again.
ATTEMPTS = 3
# Seconds that the first process has to report an error that another process met too.
GRACE = 5.0


class PeerLostError(Exception):
    """Another process of the run ended or did not answer in time."""


class NotJoinedError(Exception):
    """The processes of the run did not find each other at its start."""


class Terminated(KeyboardInterrupt):
    """SIGTERM asked this process to end; handled like Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM raise `Terminated` inside ``with``.

    Enter it after paddle is imported: paddle's own handler prints a long trace and sometimes hangs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def launched() -> bool:
    """Whether this process was started by `launch`, which reports errors to the user."""
    return LAUNCHED in os.environ


def cpu_environment() -> dict[str, str]:
    """Return the environment variables to set before the first matrix product.

    Paddle's bundled MKL uses slow code on AMD processors. Selecting the instruction set that it uses on Intel
    makes ResNets about 3.5 times faster. Other processors need no setting.
    """
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    if "AuthenticAMD" not in text or "MKL_DEBUG_CPU_TYPE" in os.environ:
        return {}
    return {"MKL_DEBUG_CPU_TYPE": "7" if "avx512f" in text else "5"}


def process_environments(processes: int) -> list[dict[str, str]]:
    """Return the environment variables of each of several data-parallel processes of one CPU thread."""
    ports = _free_ports(processes + 1)
    endpoints = [f"127.0.0.1:{port}" for port in ports[1:]]
    return [
        {
            **cpu_environment(),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PADDLE_DISTRI_BACKEND": "gloo",
            "PADDLE_TRAINER_ID": str(rank),
            "PADDLE_TRAINERS_NUM": str(processes),
            "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
            "PADDLE_CURRENT_ENDPOINT": endpoints[rank],
            "PADDLE_MASTER": f"127.0.0.1:{ports[0]}",
        }
        for rank in range(processes)
    ]


def launch(arguments: Sequence[str], processes: int, *, module: str = "reid_train") -> int:
    """Run ``python -m <module> <arguments>`` in several processes of one CPU thread.

    If one process fails, the others are ended, and the reason is logged. The first process writes to this
    process's stderr. The stderr of another process is shown only if that process alone failed, so an error in
    all of them is reported once. Processes that do not find each other are started again, at most twice.

    Args:
        arguments: of the command.
        processes: number of processes.
        module: the module to run.

    Returns:
        The exit code.
    """
    for _ in range(ATTEMPTS):
        code = _run(arguments, processes, module)
        if code != NOT_JOINED:
            return code
    _LOGGER.error("the processes did not find each other in %d attempts", ATTEMPTS)
    return 1


def _run(arguments: Sequence[str], processes: int, module: str) -> int:
    """Start the processes once and wait for them; returns the exit code."""
    children: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        stack.callback(_end, children)
        stack.enter_context(terminable())
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(1, processes)]
        for rank, environment in enumerate(process_environments(processes)):
            child = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                # GLOG_minloglevel hides Paddle's messages about connections.
                env={"GLOG_minloglevel": "2", **os.environ, **environment, LAUNCHED: "1"},
                # A child ends when this pipe closes.
                stdin=subprocess.PIPE,
                stderr=errors[rank - 1] if rank else None,
            )
            children.append(child)
        return _wait(children, errors)


def _wait(children: Sequence[subprocess.Popen[bytes]], errors: Sequence[IO[bytes]]) -> int:
    """Wait for all children to end well or one to fail; returns the exit code."""
    while not any(codes := [child.poll() for child in children]):
        if None not in codes:
            return 0
        time.sleep(0.1)
    # The first process reports an error that all processes meet, but may be slower.
    deadline = time.monotonic() + GRACE
    while children[0].poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    codes = [child.poll() for child in children]
    failed = min(
        (rank for rank, code in enumerate(codes) if code),
        key=lambda rank: (codes[rank] in (PEER_LOST, NOT_JOINED), rank),
    )
    code = codes[failed] or 0
    if code == NOT_JOINED:
        return code
    if code == PEER_LOST:
        _LOGGER.error("the processes lost each other; checkpoints stay")
        return 1
    if failed:
        errors[failed - 1].seek(0)
        sys.stderr.write(errors[failed - 1].read().decode(errors="replace"))
    # A process that handles a signal and exits returns 128 plus its number.
    number = -code if code < 0 else code - 128
    if number > 0:
        name = signal.Signals(number).name
        _LOGGER.error("process %d was ended by %s; checkpoints stay", failed, name)
        return 1
    return code


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.kill()  # loses nothing; SIGTERM would make Paddle print a long trace
    for child in children:
        child.wait()
        if child.stdin is not None:
            child.stdin.close()


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


def _free_ports(count: int) -> list[int]:
    """Find free ports of this machine; all are held until the last one is found."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for server in sockets:
            server.bind(("127.0.0.1", 0))
        return [int(server.getsockname()[1]) for server in sockets]
