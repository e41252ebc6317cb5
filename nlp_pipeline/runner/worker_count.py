"""How many processes annotate, and how readily threads let go of the interpreter.

On a CPU the linguistic pipes and the Llama want the same cores, and a thread will do. A GPU
computes beside them, if only the interpreter's lock is free when the engine wants to launch a step:
beside a busy thread a decode step of a 1B model took 51 times as long on an H200, beside a busy
process 1.01 times (docs/devices.md).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

MOST_WORKERS = 6
"""So many keep a generator of some hundred documents a second fed; each has spaCy in memory."""

SPARED_CORES = 2
"""For the engine's own thread, and for the one that unpacks what workers send."""

SHORT_SWITCH_S = 0.0002
"""With this switch interval a decode step of an 8B model took no longer beside a busy thread."""


def worker_count(n_process: int | None, nlp: Language) -> int:
    """How many processes the linguistic pipes run in; 1 is a thread of this one.

    Args:
        n_process: What was asked for; None takes what suits the device of the Llama.
        nlp: The pipeline, whose Llama need not be loaded.
    """
    if n_process is not None:
        return n_process
    if sys.platform == "win32" or not runs_on_cuda(nlp):
        return 1
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) - SPARED_CORES))


def runs_on_cuda(nlp: Language) -> bool:
    """Whether a component's Llama runs on a GPU, or will when it is loaded."""
    generators = (getattr(pipe, "generator", None) for _, pipe in nlp.pipeline)
    return any(getattr(generator, "on_cuda", False) for generator in generators)


@contextmanager
def short_switches(*, enabled: bool) -> Iterator[None]:
    """Threads let go of the interpreter's lock sooner, where wanted, for the time of the block."""
    interval = sys.getswitchinterval()
    if enabled:
        sys.setswitchinterval(min(interval, SHORT_SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
