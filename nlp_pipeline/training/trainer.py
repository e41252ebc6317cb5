"""The loop: mini-batches in, steps of the optimizer out, all of it from one state."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch

from nlp_pipeline.generation.distributed.process_group import ALONE, World
from nlp_pipeline.training.answer_loss import answer_loss, mean_loss
from nlp_pipeline.training.data_parallel import rank_share, sum_gradients, summed
from nlp_pipeline.training.learning_rate import learning_rate
from nlp_pipeline.training.optimizers import optimizer
from nlp_pipeline.training.packed_rows import PackedRows, forward_passes
from nlp_pipeline.training.shared_sequences import SharedSequence, mini_batches
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.training_settings import TrainingSettings

Step = list[SharedSequence]
"""What one step of the optimizer is computed on."""


class NotFinite(Exception):
    """A loss or a gradient is no number; the weights are those before the step."""


def planned_steps(sequences: Sequence[SharedSequence], settings: TrainingSettings) -> list[Step]:
    """All steps of a training, from the seed alone: a resumed training takes the same ones."""
    batches = (
        batch
        for epoch in range(settings.epochs)
        for batch in mini_batches(sequences, settings.batch_size, settings.seed, epoch)
    )
    steps: list[Step] = []
    while batch_group := list(islice(batches, settings.gradient_accumulation)):
        steps.append([sequence for batch in batch_group for sequence in batch])
    return steps[: settings.max_steps]


def scheduled_steps(sequences: Sequence[SharedSequence], settings: TrainingSettings) -> int:
    """How many steps the schedule of the learning rate spans."""
    spans_all = replace(settings, max_steps=None) if settings.cooldown else settings
    return len(planned_steps(sequences, spans_all))


@dataclass(frozen=True)
class StepFigures:
    """What one step did.

    Attributes:
        step: 1-based.
        loss: Mean negative log-probability of the answers' tokens, before the step.
        tokens: Tokens that were computed.
        plain_tokens: Tokens of all prompts with their answers, each by itself.
        seconds: It took.
        cpu_seconds: Of all threads of this process: on a busy machine they say more.
        learning_rate: It was taken with.
        stopping_loss: The loss on the documents that say when to stop, where it was looked at.
    """

    step: int
    loss: float
    tokens: int
    plain_tokens: int
    seconds: float
    cpu_seconds: float
    learning_rate: float
    stopping_loss: float | None = None


class Trainer:
    """Takes the steps, and looks now and then whether to stop.

    Args:
        weights: What is trained.
        steps: What on.
        stopping: Sequences that are not trained on; none where nothing says when to stop.
        max_tokens: Tokens in one forward pass.
        scheduled: Steps that the schedule of the learning rate spans; None for these.
        world: The processes that share each step out; all of them have the same weights.

    Attributes:
        max_tokens: As it was given.
        step: Steps taken.
        best_loss: The smallest loss on `stopping` so far.
        best_step: After how many steps.
        is_whole: Whether `state` is that of a step's end; not so while a step changes the weights.
    """

    def __init__(
        self,
        weights: TrainedWeights,
        steps: Sequence[Step],
        stopping: Sequence[SharedSequence],
        *,
        max_tokens: int,
        scheduled: int | None = None,
        world: World = ALONE,
    ) -> None:
        self.weights = weights
        self._world = world
        self.step = 0
        self.is_whole = True
        self.best_loss, self.best_step = math.inf, 0
        self._best: dict[str, torch.Tensor] = {}
        self._looks_in_vain = 0
        self._steps, self._stopping = steps, stopping
        self._settings = settings = weights.settings
        self.max_tokens, self._scheduled = max_tokens, scheduled
        self._optimizer = optimizer(weights.parameters.values(), settings)
        self._device = next(weights.model.parameters()).device
        self._numbers = self._random_state()
        self._look_every = settings.evaluate_every or max(1, math.ceil(len(steps) / 10))

    @property
    def is_done(self) -> bool:
        """Whether all steps are taken, or further ones were in vain."""
        return self.step >= len(self._steps) or self._looks_in_vain >= self._settings.patience

    def take_step(self) -> StepFigures:
        """Computes the gradient of the next step's answers and follows it.

        The gradient is that of the sum over the answers of their losses over their number,
        however many forward passes it takes.

        Raises:
            NotFinite: The loss or the gradient is no number.
        """
        start, cpu_start = time.perf_counter(), time.process_time()
        # An interrupt may come at any time: what it breaks off began with these numbers.
        self._numbers = self._random_state()
        if self._world.size > 1:
            # What is dropped follows from the step and the rank: a checkpoint has one rank's state.
            number = self._settings.seed * len(self._steps) + self.step
            torch.manual_seed(number * self._world.size + self._world.rank)
        sequences = self._steps[self.step]
        n_answers = sum(len(sequence.examples) for sequence in sequences)
        self._optimizer.zero_grad(set_to_none=True)
        total, n_labels = self._backward(rank_share(sequences, self._world), n_answers)
        total, n_labels = summed((total, n_labels), self._world)
        if not math.isfinite(total):
            raise NotFinite
        sum_gradients(self.weights.parameters.values(), self._world)
        gradients = [p.grad for p in self.weights.parameters.values() if p.grad is not None]
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            raise NotFinite
        rate = learning_rate(self._settings, self.step, len(self._steps), self._scheduled)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.is_whole = False
        self._optimizer.step()
        self.step += 1
        stopping_loss = self._look()
        self._numbers = self._random_state()
        self.is_whole = True
        return StepFigures(
            step=self.step,
            loss=total / n_labels,
            tokens=sum(sequence.n_tokens for sequence in sequences),
            plain_tokens=sum(e.n_tokens for s in sequences for e in s.examples),
            seconds=time.perf_counter() - start,
            cpu_seconds=time.process_time() - cpu_start,
            learning_rate=rate,
            stopping_loss=stopping_loss,
        )

    def _backward(self, sequences: Sequence[SharedSequence], n_answers: int) -> tuple[float, float]:
        """Computes this process's part of the gradient.

        Args:
            sequences: Its share of the step.
            n_answers: Of the whole step.

        Returns:
            The sum of the losses, no number where one of them is none, and how many tokens they
            are of.
        """
        total, n_labels = 0.0, 0
        for rows_sequences in forward_passes(sequences, self.max_tokens):
            rows = PackedRows.of(rows_sequences, self._device)
            loss = answer_loss(self.weights.model, rows)
            total += float(loss.detach())
            if not math.isfinite(total):
                break
            (loss / n_answers).backward()
            n_labels += len(rows.labels)
        return total, n_labels

    def _look(self) -> float | None:
        """The loss on the documents that say when to stop, where it is time to look."""
        is_last = self.step == len(self._steps)
        if not self._stopping or (self.step % self._look_every and not is_last):
            return None
        loss = mean_loss(self.weights.model, self._stopping, self.max_tokens, self._world)
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, self.step
            self._best, self._looks_in_vain = self.weights.state(), 0
        else:
            self._looks_in_vain += 1
        return loss

    def take_best(self) -> None:
        """Gives the weights those values that had the smallest loss; the last, if none was seen."""
        if self._best:
            self.weights.restore(self._best)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "weights": self.weights.state(),
            "optimizer": self._optimizer.state_dict(),
            "random": self._numbers,
            "best": self._best,
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "looks_in_vain": self._looks_in_vain,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.weights.restore(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self._numbers = state["step"], state["random"]
        self._best, self.best_loss = state["best"], state["best_loss"]
        self.best_step, self._looks_in_vain = state["best_step"], state["looks_in_vain"]
        torch.set_rng_state(self._numbers["cpu"])
        if "cuda" in self._numbers and self._device.type == "cuda":
            torch.cuda.set_rng_state(self._numbers["cuda"], self._device)

    def _random_state(self) -> dict[str, torch.Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self._device)
        return state
