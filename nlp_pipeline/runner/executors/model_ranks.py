"""Several GPUs in one actor: it is rank 0, and starts the other ranks that share its model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.distributed.rank0 import run_on_rank0
from nlp_pipeline.pipeline import shared_place

if TYPE_CHECKING:
    from confection import Config

_FOLLOW = "from nlp_pipeline.runner.executors.model_ranks import follow; follow()"
_DEVICE = "NLP_PIPELINE_ACTOR_DEVICE"


def with_ranks(config: Config, ranks: int, work: Callable[[], None]) -> None:
    """Does the work, beside as many processes less one as are to share its models.

    Args:
        config: The pipeline's, which says where its models compute.
        ranks: Processes in all; with 1 the work is done without more ado.
        work: Called in this process.

    Raises:
        RankLost: One of the others died or no longer answers.
    """
    if ranks == 1:
        work()
        return
    _, device = shared_place(config)
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        port = free_port.getsockname()[1]
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    world |= {"LOCAL_WORLD_SIZE": str(ranks), _DEVICE: device}
    followers = [
        subprocess.Popen(
            [sys.executable, "-c", _FOLLOW],
            stdin=subprocess.PIPE,
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(1, ranks)
    ]
    os.environ.update({**world, "RANK": "0", "LOCAL_RANK": "0"})
    try:
        run_on_rank0(ranks, device, work, generator=LlamaGenerator)
    finally:
        for follower in followers:
            follower.kill()
            follower.wait()


def follow() -> None:
    """In the other ranks: computes along until rank 0 is gone."""
    threading.Thread(target=_die_with_rank0, daemon=True).start()
    size, device = int(os.environ["WORLD_SIZE"]), os.environ[_DEVICE]
    run_on_rank0(size, device, _no_work, generator=LlamaGenerator)


def _no_work() -> None:
    """Only rank 0 has any."""


def _die_with_rank0() -> None:
    # The pipe ends with the process at its other end, however that ended.
    sys.stdin.buffer.read()
    os._exit(1)
