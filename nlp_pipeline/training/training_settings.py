"""How a Llama is trained: the one list of the settings, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from nlp_pipeline.errors.training import InvalidTrainingSetting

METHODS = ("lora", "full")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "linear", "constant")
ADAPTER_DTYPES = ("float32", "float16", "bfloat16")
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a Llama's block, as Hugging Face names them."""


def _setting(default: Any, allowed: str, check: Callable[[Any], bool]) -> Any:
    return field(default=default, metadata={"allowed": allowed, "check": check})


def _choice(default: str, choices: tuple[str, ...]) -> Any:
    return _setting(default, " or ".join(choices), lambda value: value in choices)


def _count(default: int | None, least: int = 1) -> Any:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return _setting(default, f"an integer of at least {least}", check)


def _number(default: float | None, allowed: str, check: Callable[[float], bool]) -> Any:
    def number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and check(value)

    return _setting(default, allowed, number)


def _share(default: float) -> Any:
    return _number(default, "a number from 0 to below 1", lambda value: 0 <= value < 1)


def _positive(default: float | None) -> Any:
    return _number(default, "a number above 0", lambda value: 0 < value < float("inf"))


@dataclass(frozen=True)
class TrainingSettings:
    """What a training is told beside its corpus and its pipeline.

    Attributes:
        method: `lora` trains low-rank matrices beside the frozen weights (Hu et al. 2021), `full`
            all weights.
        rank: Of LoRA's matrices.
        alpha: Their product is multiplied by `alpha / rank`; None for twice the rank.
        targets: Names of the linear layers that LoRA is put beside.
        adapter_dtype: Number format in which LoRA's matrices are written; what is merged is
            what is written.
        dropout: Share of the inputs of LoRA's matrices that is dropped.
        optimizer: `adamw` (Loshchilov and Hutter 2019) or `sgd`: plain mini-batch gradient
            descent, `w ← w − η/n · Σ∇w`.
        learning_rate: η, at the height of its schedule.
        weight_decay: Of AdamW.
        batch_size: Answers in a mini-batch at least: the questions about a document stay together.
        gradient_accumulation: Mini-batches whose gradients one step adds up.
        epochs: How often all answers are trained on.
        max_steps: Stop after so many steps; None for all epochs.
        warmup: Share of the steps in which the learning rate rises to its height.
        schedule: How it falls then: `cosine`, `linear` or `constant`.
        cooldown: Share of the steps, the last ones, in which it falls to 0 in a line, whatever the
            schedule. With it, `max_steps` cuts the schedule of all epochs short, else it spans
            `max_steps`.
        unanswerable: Share of questions without an answer at least; where the corpus has fewer,
            questions of other documents are asked too.
        altered_questions: Share of the answerable questions that are asked a second time, altered
            so that their text does not answer them: a word for its opposite, a name, a number or
            a noun for another, with a negation or without.
        held_out: Share of the documents that is never trained on: they prove the result.
        early_stopping: Share of the others that is not trained on either: their loss says when
            to stop, and which weights are best.
        evaluate_every: Steps between two looks at that loss; None for a tenth of all.
        patience: Stop after so many looks that found no smaller loss.
        save_every: Steps that a crash loses at most.
        gradient_checkpointing: Compute the layers' activations twice and hold few of them.
        max_tokens: Tokens in one forward pass, padding counted; None for what suits the device.
        seed: Of the split, the order and the random numbers.

    Raises:
        InvalidTrainingSetting: A value is of the wrong type or out of its range.
    """

    method: str = _choice("lora", METHODS)
    rank: int = _count(16)
    alpha: float | None = _positive(None)
    targets: tuple[str, ...] = _setting(
        LORA_TARGETS,
        "names of linear layers",
        lambda value: bool(value) and all(isinstance(name, str) and name for name in value),
    )
    adapter_dtype: str = _choice("float32", ADAPTER_DTYPES)
    dropout: float = _share(0.0)
    optimizer: str = _choice("adamw", OPTIMIZERS)
    learning_rate: float = _positive(6e-4)
    weight_decay: float = _number(0.0, "a number of at least 0", lambda value: value >= 0)
    batch_size: int = _count(12)
    gradient_accumulation: int = _count(1)
    epochs: int = _count(1)
    max_steps: int | None = _count(None)
    warmup: float = _share(0.05)
    schedule: str = _choice("cosine", SCHEDULES)
    cooldown: float = _share(0.0)
    unanswerable: float = _share(0.2)
    altered_questions: float = _number(0.0, "a number from 0 to 1", lambda value: 0 <= value <= 1)
    held_out: float = _share(0.2)
    early_stopping: float = _share(0.1)
    evaluate_every: int | None = _count(None)
    patience: int = _count(3)
    save_every: int = _count(10)
    gradient_checkpointing: bool = _setting(
        False, "true or false", lambda value: isinstance(value, bool)
    )
    max_tokens: int | None = _count(None, 64)
    seed: int = _count(1, 0)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if value is None and setting.default is None:
                continue
            if not setting.metadata["check"](value):
                raise InvalidTrainingSetting(setting.name, value, setting.metadata["allowed"])

    @property
    def scale(self) -> float:
        """What the product of LoRA's matrices is multiplied by."""
        return (2 * self.rank if self.alpha is None else self.alpha) / self.rank
