"""Start a command in several processes of this machine, and tell its end as if it were one.

Kept free of paddle: what the environment must hold has to be there before paddle's mathematics
library is loaded, and the launcher itself computes nothing.
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
# Exit code of a process that failed only because another one did (EX_TEMPFAIL).
PEER_LOST = 75
# Exit code of a process that did not find the others at the start, before anything was done.
NOT_JOINED = 76
# gloo gives up when a connection is not made in time, which a busy machine may need another try for.
ATTEMPTS = 3
# Seconds in which the first process may itself tell what another one failed of.
GRACE = 5.0


class PeerLostError(Exception):
    """Another process of the run ended or did not answer in time, so that this one cannot go on."""


class NotJoinedError(Exception):
    """The processes of the run did not find each other at its start."""


class Terminated(KeyboardInterrupt):
    """``kill`` asked this process to end, as Ctrl-C would."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` inside of ``with``.

    To be entered when paddle is loaded, whose own handler prints a page and has been seen to hang.
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
    """Whether this process was started by `launch`, which tells the user what went wrong."""
    return LAUNCHED in os.environ


def cpu_environment() -> dict[str, str]:
    """Settings that must be in the environment before the first matrix product.

    Paddle's bundled MKL takes a slow path on AMD processors; naming the instruction set it would
    take on Intel's makes ResNets about 3.5 times faster. Other processors need nothing.
    """
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    if "AuthenticAMD" not in text or "MKL_DEBUG_CPU_TYPE" in os.environ:
        return {}
    return {"MKL_DEBUG_CPU_TYPE": "7" if "avx512f" in text else "5"}


def process_environments(processes: int) -> list[dict[str, str]]:
    """What each of several data-parallel processes of one CPU thread needs in its environment."""
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
    """Run ``python -m <module> <arguments>`` in several processes of one CPU thread; returns the exit code.

    When one process fails the others are ended, and the reason is logged. The first process writes to this
    one's stderr; what another one wrote is passed on only where that one failed on its own, so that an
    error of all of them is reported once. Processes that do not find each other are started again, twice
    at most.
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
                # The first: Paddle tells on stderr how its processes found each other.
                env={"GLOG_minloglevel": "2", **os.environ, **environment, LAUNCHED: "1"},
                # Its end tells a child that this process is gone.
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
    # An error that all processes meet is told by the first one, which may be slower.
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
    # A process that ends by itself on a signal gives 128 and its number.
    number = -code if code < 0 else code - 128
    if number > 0:
        name = signal.Signals(number).name
        _LOGGER.error("process %d was ended by %s; checkpoints stay", failed, name)
        return 1
    return code


def _end(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.kill()  # nothing is lost by it, and Paddle prints a page when it is terminated
    for child in children:
        child.wait()
        if child.stdin is not None:
            child.stdin.close()


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated


def _free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on; all are held until the last is found."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
