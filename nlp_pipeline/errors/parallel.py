"""Errors of several processes that share one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nlp_pipeline.errors.base import NlpPipelineError, counted, listing
from nlp_pipeline.errors.generation import ModelError


class WorldSizeDisagrees(ModelError):
    """`tensor_parallel_size` and the number of processes that were started differ."""

    def __init__(self, size: int, started: int) -> None:
        super().__init__(
            f"tensor_parallel_size={size} was asked for and "
            f"{counted(started, 'process was', 'processes were')} started. Start {size} with "
            f"`torchrun --nproc-per-node {size} …`, or leave tensor_parallel_size out."
        )


class CannotSplit(ModelError):
    """A model whose parts do not divide by the number of processes."""

    def __init__(self, size: int, parts: Mapping[str, int], possible: Iterable[int]) -> None:
        counts = ", ".join(f"{count} {name}" for name, count in parts.items())
        super().__init__(
            f"The model cannot be split over {size} processes: it has {counts}, and each of "
            f"these must divide by their number. Possible numbers of processes: "
            f"{listing(possible)}."
        )


class NoSplitPlan(ModelError):
    """A model for which it is not known how to split it."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"Model '{model}' cannot be split over several processes: {reason}. Run it in one "
            'process; device_map="auto" spreads it over several GPUs there.'
        )


class TooFewDevices(ModelError):
    """More processes on this machine than GPUs."""

    def __init__(self, processes: int, gpus: int) -> None:
        super().__init__(
            f"{processes} processes were started on this machine, which has "
            f"{counted(gpus, 'GPU')}, and each needs its own. Start {gpus or 1} with "
            f"`torchrun --nproc-per-node {gpus or 1} …`, or run on the CPU with device cpu."
        )


class ProcessGroupFailed(ModelError):
    """The processes that were started do not find each other."""

    def __init__(self, rank: int, size: int, address: str, reason: str) -> None:
        super().__init__(
            f"Process {rank} of {size} found no connection to the others at {address}: {reason}. "
            "Start all of them with one torchrun command, and make that address reachable."
        )


class RankLost(NlpPipelineError):
    """A process that died or no longer answers; what all of them did together ends here.

    Attributes:
        ranks: Those that did not answer; empty where it cannot be told.
    """

    stage = "run"

    def __init__(self, rank: int, size: int, ranks: Iterable[int], reason: str) -> None:
        self.ranks = tuple(ranks)
        ranks_text = f"rank {listing(self.ranks)}" if self.ranks else "one of them"
        super().__init__(
            f"The {size} processes lost each other: {ranks_text} no longer answers, as rank {rank} "
            f"noticed ({reason}). See that process's own output above; start all of them again."
        )


class LeaderStopped(NlpPipelineError):
    """Rank 0 gave up what all ranks did together."""

    stage = "run"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Rank 0 ended the work ({reason}); it says why in its own output.")


class RanksDisagree(NlpPipelineError):
    """The processes were given different work, which they can only do together."""

    stage = "run"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The processes that share one model were given different {name}. Every rank must "
            "make the same calls with the same values, in the same order."
        )
