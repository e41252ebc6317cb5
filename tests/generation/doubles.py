"""Models that see or spoil what goes through them, and short ways to run sequences."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, update_wrapper
from typing import Any

import torch
from torch import nn

from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence


def greedy_ids(model: Any, prompt: Iterable[int], max_new_tokens: int, **more: Any) -> list[int]:
    """transformers' own greedy ids for one prompt, cut after the end-of-sequence token."""
    ids = torch.tensor([list(prompt)])
    out = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=0,
        **more,
    )
    return list(out[0, ids.shape[1] :].tolist())


TEXTS = [
    "Where is the new bridge?",
    "Anna Berg of Northwind Ltd said on Monday that they would repair the new bridge. Who said it?",
    "a",
    "In Oslo, Omar Haddad found a data server and called Delta Motors. Where was it found?",
    "The tenant shall close the lease within 90 days of Friday morning.\n\nWhat must be done?" * 3,
    "Zürich, 東京, 🚢",
    "Who pays? " * 20,
    "The work in Cairo will take 12 hours and begins on Monday. When does it begin?",
]


DOCUMENT = (
    "In Oslo, Omar Haddad found a data server and called Delta Motors. The work in Cairo will "
    "take 12 hours and begins on Monday."
)


def chat(question: str) -> Chat:
    """A question about `DOCUMENT` in the form that the tiny Llama was trained on."""
    return Chat(
        (
            Message("system", "Answer from the text only."),
            Message("user", f"Document:\n{DOCUMENT}\n\nQuestion: {question}"),
        )
    )


class Wrapped(nn.Module):
    """A model around another one, that sees what goes in. Subclasses fail."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # With the signature of the model's own, which says how it calls its cache.
        self.forward = update_wrapper(partial(self.forward), model.forward)  # type: ignore[method-assign]
        self.model = model
        self.calls = 0
        self.largest_position = -1
        self.widest_batch = 0

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        self.calls += 1
        self.largest_position = max(self.largest_position, int(inputs["position_ids"].max()))
        self.widest_batch = max(self.widest_batch, len(input_ids))
        return self.model(input_ids=input_ids, **inputs)


class Allergic(Wrapped):
    """Fails on every batch that holds one token."""

    def __init__(self, model: Any, token: int, error: Exception) -> None:
        super().__init__(model)
        self.token = token
        self.error = error

    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        if (input_ids == self.token).any():
            raise self.error
        return super().forward(input_ids, **inputs)


class Overflowing(Wrapped):
    """Gives no finite logits for rows that hold one token, as a model in float16 may."""

    def __init__(self, model: Any, token: int) -> None:
        super().__init__(model)
        self.token = token

    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        out = super().forward(input_ids, **inputs)
        out.logits[(input_ids == self.token).any(-1)] = float("nan")
        return out


def finish(executor: BatchExecutor, sequences: list[Sequence]) -> list[Sequence]:
    """Adds sequences and steps until all have come back; in the order in which they did."""
    for sequence in sequences:
        executor.add(sequence)
    done: list[Sequence] = []
    while len(done) < len(sequences):
        done += executor.step()
    assert executor.step() == []
    return done


def sequence(name: str, ids: list[int], **params: Any) -> Sequence:
    return Sequence(name, list(ids), SamplingParams(**params))
