"""How a request samples, built once: logits processors in a line, and a draw at its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from nlp_pipeline.generation.engine.sampling.draws import Draw, draw_by_noise, take_likeliest
from nlp_pipeline.generation.engine.sampling.logits_processors import (
    Constrained,
    MinP,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
)
from nlp_pipeline.generation.sequence import Sequence

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.sequence_state import SequenceState


class Sampler(Protocol):
    """Chooses the next token of every row; equal parameters give the same object."""

    def choose(self, logits: Tensor, likeliest: Tensor, states: list[SequenceState]) -> Tensor:
        """Token ids, shape (rows,), from logits of shape (rows, vocabulary).

        Args:
            logits: Of the next token.
            likeliest: Their argmax, already there. Shape: (rows,).
            states: One per row.
        """
        ...


def looks_back(sampler: Sampler) -> bool:
    """Whether a choice needs the tokens before it on the host; what does not say so, may."""
    reads_tokens: bool = getattr(sampler, "looks_back", True)
    return reads_tokens


class Greedy:
    """Takes the likeliest token of the model's own distribution."""

    looks_back = False

    def choose(self, logits: Tensor, likeliest: Tensor, states: list[SequenceState]) -> Tensor:
        """See `Sampler.choose`."""
        return likeliest


@dataclass(frozen=True)
class Processed:
    """Changes the logits by processors, one after the other, then draws a token."""

    processors: tuple[Processor, ...]
    draw: Draw

    @property
    def looks_back(self) -> bool:
        """See the function of this name."""
        return any(isinstance(p, RepetitionPenalty | Constrained) for p in self.processors)

    def choose(self, logits: Tensor, likeliest: Tensor, states: list[SequenceState]) -> Tensor:
        """See `Sampler.choose`."""
        sequences = [state.sequence for state in states]
        for processor in self.processors:
            logits = processor(logits, sequences)
        return self.draw(logits, sequences)


GREEDY = Greedy()


def sampler_for(sequence: Sequence) -> Sampler:
    """The sampler of a sequence."""
    params = sequence.params
    return _built(
        params.temperature,
        params.top_k,
        params.top_p,
        params.min_p,
        params.repetition_penalty,
        sequence.constraint is not None,
    )


@lru_cache(maxsize=256)
def _built(
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
    constrained: bool,
) -> Sampler:
    """In the order of `transformers`: penalty, constraint, temperature, top-k, top-p, min-p."""
    greedy = temperature == 0
    steps: list[tuple[bool, Processor]] = [
        (repetition_penalty != 1, RepetitionPenalty(repetition_penalty)),
        (constrained, Constrained()),
        (not greedy and temperature != 1, Temperature(temperature)),
        (not greedy and top_k > 0, TopK(top_k)),
        (not greedy and top_p < 1, TopP(top_p)),
        (not greedy and min_p > 0, MinP(min_p)),
    ]
    processors = tuple(processor for used, processor in steps if used)
    if greedy and not processors:
        return GREEDY
    return Processed(processors, take_likeliest if greedy else draw_by_noise)
