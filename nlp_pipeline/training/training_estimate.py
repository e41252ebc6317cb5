"""What a training will take: memory from the shapes, time from one pass of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nlp_pipeline.errors.training import TrainingDoesNotFit
from nlp_pipeline.training.answer_loss import answer_loss
from nlp_pipeline.training.packed_rows import PackedRows, forward_passes
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.trainer import Step
from nlp_pipeline.training.training_settings import TrainingSettings

_CPU_TOKENS, _GPU_TOKENS = 1024, 16384
_WIDTH, _INNER, _LORA = 14, 6, 7
"""Numbers that a layer keeps of a token for the backward pass: of the width of its states, of its
inner width, and per linear layer of LoRA its rank; counted on Llama's block."""


def tokens_of_a_pass(settings: TrainingSettings, device: torch.device) -> int:
    """Tokens in one forward pass: what the user says, else what suits the device."""
    suited = _GPU_TOKENS if device.type == "cuda" else _CPU_TOKENS
    return settings.max_tokens or suited


@dataclass(frozen=True)
class TrainingEstimate:
    """What a training will take.

    Attributes:
        steps: Of the optimizer.
        tokens: To compute in all of them.
        plain_tokens: As many if no prompt shared anything.
        bytes: Of memory, at the most.
        seconds: From the first step to the last; looks at the loss between are not in it.
    """

    steps: int
    tokens: int
    plain_tokens: int
    bytes: int
    seconds: float


def memory_needed(weights: TrainedWeights, steps: Sequence[Step], max_tokens: int) -> int:
    """Bytes that weights, gradients, optimizer and one forward pass take together."""
    settings, model = weights.settings, weights.model
    config: Any = model.config.get_text_config()
    trained = sum(p.numel() * p.element_size() for p in weights.parameters.values())
    n_held = sum(p.numel() * p.element_size() for p in model.parameters())
    copies = {"adamw": 3, "sgd": 1}[settings.optimizer]  # the gradient, and AdamW's two means
    widest = max(
        sequence.n_tokens * len(rows)
        for step in steps
        for rows in forward_passes(step, max_tokens)
        for sequence in rows[-1:]
    )
    layer = _WIDTH * config.hidden_size + _INNER * config.intermediate_size
    if settings.method == "lora":
        layer += _LORA * settings.rank + config.hidden_size * _LORA
    n_layers = config.num_hidden_layers
    if settings.gradient_checkpointing:  # one layer in full, of the others what goes in
        layer = layer / n_layers + config.hidden_size
    size = next(model.parameters()).element_size()
    return int(n_held + trained * copies + widest * layer * n_layers * size)


def check_memory(weights: TrainedWeights, needed: int, max_tokens: int) -> None:
    """Refuses what would not fit, before it is tried.

    Raises:
        TrainingDoesNotFit: The message says what needs less.
    """
    free = _free_memory(next(weights.model.parameters()).device)
    n_held = sum(p.numel() * p.element_size() for p in weights.model.parameters())
    if needed - n_held <= free:
        return
    advice = []
    if not weights.settings.gradient_checkpointing:
        advice.append("--gradient-checkpointing")
    if max_tokens > 256:
        advice.append(f"--max-tokens {max_tokens // 4}")
    if weights.settings.method == "full":
        advice.append("--method lora")
    raise TrainingDoesNotFit(needed, free + n_held, advice)


def _free_memory(device: torch.device) -> int:
    """Bytes that can still be taken."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    from nlp_pipeline.generation.engine.kv_cache.memory import free_memory

    return free_memory()


def estimate(
    weights: TrainedWeights, steps: Sequence[Step], max_tokens: int, n_processes: int = 1
) -> TrainingEstimate:
    """The estimate of some steps; computes the gradient of one pass and forgets it.

    Args:
        weights: What is trained.
        steps: Those to come, at least one.
        max_tokens: Tokens in one forward pass.
        n_processes: That share them out.
    """
    tokens = sum(sequence.n_tokens for step in steps for sequence in step)
    plain = sum(e.n_tokens for step in steps for s in step for e in s.examples)
    passes = [rows for step in steps[:8] for rows in forward_passes(step, max_tokens)]
    probe = sorted(passes, key=lambda rows: sum(s.n_tokens for s in rows))[len(passes) // 2]
    numbers = torch.get_rng_state()
    start = time.perf_counter()
    rows = PackedRows.of(probe, next(weights.model.parameters()).device)
    answer_loss(weights.model, rows).backward()
    seconds = time.perf_counter() - start
    for parameter in weights.parameters.values():
        parameter.grad = None
    torch.set_rng_state(numbers)
    per_token = seconds / sum(sequence.n_tokens for sequence in probe) / n_processes
    needed = memory_needed(weights, steps, max_tokens)
    return TrainingEstimate(len(steps), tokens, plain, bytes=needed, seconds=per_token * tokens)
