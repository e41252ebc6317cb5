"""Ways to complete the same prompts greedily, for `generation.py`: functions of them alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.launch_plan import choose_launching
from nlp_pipeline.generation.sequence import Sequence

Outputs = list[list[int]]


class Prompt(NamedTuple):
    """Token ids, and the document they are about."""

    ids: list[int]
    group: str


class Done(NamedTuple):
    """Token ids without the end-of-sequence token, and prompt tokens that were computed."""

    outputs: Outputs
    computed: int


Way = Callable[[list[Prompt], int], Done]
"""Completes prompts with at most so many new tokens."""


class Ways:
    """The machinery around one model.

    Args:
        model: A `transformers` causal language model on its device.
        eos_token_ids: Tokens that end a completion.
    """

    def __init__(self, model: Any, eos_token_ids: frozenset[int]) -> None:
        self._model = model
        self._eos = eos_token_ids

    def single(self, prompts: list[Prompt], new_tokens: int) -> Done:
        """`generate`, one prompt at a time."""
        return self._batches([[i] for i in range(len(prompts))], prompts, new_tokens)

    def padded(self, size: int) -> Way:
        """`generate` on padded batches, in the order of the prompts."""

        def run(prompts: list[Prompt], new_tokens: int) -> Done:
            return self._batches(_in_batches(range(len(prompts)), size), prompts, new_tokens)

        return run

    def sorted(self, size: int) -> Way:
        """`generate` on padded batches of similar lengths."""

        def run(prompts: list[Prompt], new_tokens: int) -> Done:
            order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
            return self._batches(_in_batches(order, size), prompts, new_tokens)

        return run

    def engine(self, slots: int | None, *, sharing: bool = True) -> Way:
        """A fresh engine, with or without shared prefixes; None is its own choice of slots."""

        def run(prompts: list[Prompt], new_tokens: int) -> Done:
            engine = Engine(
                self._model,
                eos_token_ids=self._eos,
                token_bytes=lambda token: b"",  # no stop strings
                max_batch_size=slots,
                prefix_caching=sharing,
                # As `Llama` launches its steps there; on CUDA recording them is part of a run.
                **choose_launching(self._model.device).options(self._model.device),
            )
            params = SamplingParams(max_new_tokens=new_tokens)
            sequences = [
                Sequence(str(i), prompt.ids, params, group=prompt.group)
                for i, prompt in enumerate(prompts)
            ]
            line, done = iter(sequences), 0
            while done < len(sequences):
                while engine.room and (sequence := next(line, None)) is not None:
                    engine.add(sequence)
                done += len(engine.step())
            computed = sum(len(s.prompt_ids) - s.reused_tokens for s in sequences)
            return Done([self._cut(sequence.output_ids) for sequence in sequences], computed)

        return run

    def _batches(
        self, batches: Iterable[list[int]], prompts: list[Prompt], new_tokens: int
    ) -> Done:
        outputs: dict[int, list[int]] = {}
        for batch in batches:
            found = self._generate([prompts[i].ids for i in batch], new_tokens)
            outputs |= zip(batch, found, strict=True)
        computed = sum(len(prompt.ids) for prompt in prompts)
        return Done([outputs[i] for i in range(len(prompts))], computed)

    @torch.inference_mode()
    def _generate(self, prompts: list[list[int]], new_tokens: int) -> Outputs:
        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        out = self._model.generate(
            input_ids=ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=sorted(self._eos) or None,
            pad_token_id=0,
        )
        return [self._cut(row) for row in out[:, width:].tolist()]

    def _cut(self, ids: list[int]) -> list[int]:
        ends = (i for i, token in enumerate(ids) if token in self._eos)
        return ids[: next(ends, len(ids))]


def _in_batches(order: Iterable[int], size: int) -> list[list[int]]:
    places = list(order)
    return [places[start : start + size] for start in range(0, len(places), size)]
