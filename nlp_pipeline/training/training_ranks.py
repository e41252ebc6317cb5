"""A training of several processes: rank 0 leads, the others take the same steps.

Rank 0 alone reads, writes and proves. Before each step it says that there is one, so that a disk
that is full or a Ctrl-C between two steps ends all of them, and all agree on when to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.parallel import LeaderStopped, RankLost
from nlp_pipeline.generation.distributed.process_group import World, data_parallel
from nlp_pipeline.generation.distributed.rank0 import no_interrupts
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.settings import LlamaSettings
from nlp_pipeline.training.shared_sequences import (
    SharedSequence,
    TrainingExample,
    shared_sequences,
)
from nlp_pipeline.training.trained_base import load_base
from nlp_pipeline.training.trainer import (
    NotFinite,
    Step,
    Trainer,
    planned_steps,
    scheduled_steps,
)
from nlp_pipeline.training.training_estimate import tokens_of_a_pass
from nlp_pipeline.training.training_settings import TrainingSettings

_BEGIN, _STEP, _END, _STOP = "begin", "step", "end", "stop"


@dataclass(frozen=True)
class TrainingPlan:
    """What every process needs to take the same steps.

    Attributes:
        llama: How the model is loaded.
        settings: How it is trained.
        training: What on.
        stopping: Examples that say when to stop.
    """

    llama: LlamaSettings
    settings: TrainingSettings
    training: Sequence[TrainingExample]
    stopping: Sequence[TrainingExample]

    def steps(self) -> list[Step]:
        """All steps."""
        return planned_steps(self._sequences(self.training), self.settings)

    def trainer(self, world: World) -> tuple[LoadedModel, Trainer]:
        """Loads the model and gets it ready for the first step.

        Raises:
            ModelError: The model or its adapter cannot be used.
            NotTrainable: It cannot be trained so.
        """
        loaded, weights = load_base(self.llama, self.settings)
        return loaded, Trainer(
            weights,
            self.steps(),
            self._sequences(self.stopping),
            max_tokens=tokens_of_a_pass(self.settings, loaded.model.device),
            scheduled=scheduled_steps(self._sequences(self.training), self.settings),
            world=world,
        )

    def _sequences(self, examples: Sequence[TrainingExample]) -> list[SharedSequence]:
        return shared_sequences(examples, self.settings.batch_size)


class Leader:
    """Rank 0, or a process that is alone: what it says to the others.

    Args:
        world: All processes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._in_step = False

    def begin(self, plan: TrainingPlan, checkpoint: dict[str, Any] | None) -> None:
        """Everybody loads the model, and goes on from the checkpoint where there is one."""
        self._tell(_BEGIN, (plan, checkpoint))

    @contextmanager
    def step(self) -> Iterator[None]:
        """Everybody takes a step; the block is what this process does of it."""
        self._tell(_STEP)
        self._in_step = True  # and stays so where the block fails: the others are in the middle
        try:
            yield
        except NotFinite:  # which it is on every rank
            self._in_step = False
            raise
        self._in_step = False

    def end(self, report: dict[str, Any]) -> None:
        """The training is over; all return its report."""
        self._tell(_END, report)

    def stop(self, error: BaseException) -> None:
        """The training failed. Who is in the middle of a step notices when this process is gone."""
        if not self._in_step and not isinstance(error, RankLost):
            self._tell(_STOP, type(error).__name__)

    def _tell(self, verb: str, subject: Any = None) -> None:
        if self.world.size > 1:
            self.world.from_main((verb, subject))


def on_all_ranks(device: str, work: Callable[[Leader], dict[str, Any]]) -> dict[str, Any]:
    """Trains with all processes that torchrun started, or with this one.

    Args:
        device: `auto`, `cpu` or `cuda`; with one process any.
        work: The training. Called on rank 0 only.

    Returns:
        What the work returned, on every rank.

    Raises:
        LeaderStopped: On the other ranks, where the work raised an exception on rank 0.
        RankLost: A rank died or no longer answers.
        ModelError: The processes cannot work together.
    """
    with data_parallel(device) as world:
        if world.rank > 0:
            with no_interrupts():
                return _follow(world)
        leader = Leader(world)
        try:
            report = work(leader)
        except BaseException as error:
            leader.stop(error)
            raise
        leader.end(report)
        return report


def _follow(world: World) -> dict[str, Any]:
    """On the other ranks: takes the steps that rank 0 takes, until it says that it is done."""
    trainer: Trainer | None = None
    while True:
        verb, subject = world.from_main()
        if verb == _END:
            report: dict[str, Any] = subject
            return report
        if verb == _STOP:
            raise LeaderStopped(subject)
        if verb == _BEGIN:
            plan, checkpoint = subject
            _, trainer = plan.trainer(world)
            if checkpoint is not None:
                trainer.restore(checkpoint)
        elif trainer is not None:
            with suppress(NotFinite):  # rank 0 says so
                trainer.take_step()
