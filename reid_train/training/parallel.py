"""Data parallel training over processes.

On CPUs, two processes of one thread each are faster than one process of two threads. On several GPUs or
hosts, the same code runs under ``python -m paddle.distributed.launch``. The batch of an iteration is split
into one shard per process. Embeddings are gathered before the loss, so a loss that compares images sees the
whole batch. Its gradient is passed to each process's own rows, and the network's gradients are summed. The
result equals that of one process with the whole batch, except for batch norm, which uses the statistics of
the shard.

Evaluation is shared too. That halves its time, and no process waits long for another; gloo times out after
about two minutes.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr

import numpy as np
import paddle
import paddle.distributed as dist
from numpy.typing import NDArray

from reid_train.training.launcher import NotJoinedError, PeerLostError, launched

__all__ = ["World", "join"]


class World:
    """The processes of a run, and the index of this one; a world of one needs no communication.

    Attributes:
        rank: index of this process, 0 to size - 1.
        size: number of processes.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size

    def shard(self, count: int) -> slice:
        """Return the rows of this process in a batch of ``count``.

        Raises:
            ValueError: the batch does not divide evenly.
        """
        if count % self.size:
            raise ValueError(f"train_batch_size must be a multiple of {self.size} processes, got {count}")
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def gather(self, rows: paddle.Tensor) -> paddle.Tensor:
        """Return the rows of all processes, in rank order, detached from the graph."""
        if self.size == 1:
            return rows.detach()
        parts: list[paddle.Tensor] = []
        with _detect_lost_peers():
            dist.all_gather(parts, rows.detach())
        return paddle.concat(parts)

    def interleave(self, own: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Return all ``(count, D)`` rows in every process; each process has computed ``rank::size``."""
        if self.size == 1:
            return own
        padded = np.zeros((-(-count // self.size), own.shape[1]), np.float32)  # gloo needs equal sizes
        padded[: len(own)] = own
        parts = self.gather(paddle.to_tensor(padded)).numpy().reshape(self.size, *padded.shape)
        return np.asarray(parts.transpose(1, 0, 2).reshape(-1, own.shape[1])[:count], np.float32)

    def sum_gradients(self, parameters: Sequence[paddle.Tensor]) -> None:
        """Replace each gradient by its sum over the processes, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = paddle.concat([gradient.reshape([-1]) for gradient in gradients])
        with _detect_lost_peers():
            dist.all_reduce(flat)
        for gradient, piece in zip(
            gradients, paddle.split(flat, [gradient.size for gradient in gradients]), strict=True
        ):
            gradient.set_value(piece.reshape(gradient.shape))

    def average(self, tensors: Sequence[paddle.Tensor]) -> None:
        """Replace each float32 tensor by its mean over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = paddle.concat([tensor.reshape([-1]) for tensor in tensors])
        with _detect_lost_peers():
            dist.all_reduce(flat)
        pieces = paddle.split(flat / self.size, [tensor.size for tensor in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.set_value(piece.reshape(tensor.shape))

    def barrier(self) -> None:
        """Wait for all processes."""
        # Paddle's own barrier fails with gloo; every all-reduce is one too.
        self.average([paddle.zeros([1])])


@contextmanager
def _detect_lost_peers() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError("another process of the run has ended or does not answer") from error


def join() -> World:
    """Join the processes that `launch` or ``paddle.distributed.launch`` started, if any.

    Raises:
        NotJoinedError: they did not find each other in time.
    """
    size = int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
    if size == 1:
        return World(0, 1)
    if launched():
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    # Paddle prints its non-default flags to stderr.
    with redirect_stderr(io.StringIO()):
        try:
            dist.init_parallel_env()
        except RuntimeError as error:
            raise NotJoinedError("the processes did not find each other") from error
    return World(int(os.environ.get("PADDLE_TRAINER_ID", "0")), size)


def _end_with_launcher() -> None:
    """Wait until the launcher has ended, even by a kill, and end this process too."""
    # Not sys.stdin.read(), which would hold a lock when this process ends normally.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
