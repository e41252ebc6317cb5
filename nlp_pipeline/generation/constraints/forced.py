"""A completion that is given beforehand: what remains is how likely the model finds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlp_pipeline.errors.generation import ConstraintImpossible
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary


@dataclass(frozen=True)
class Forced:
    """Lets only one text be generated, then the end.

    The completion's log-probabilities are the model's own, unmasked: their sum with
    `stop_logprob` is the log-probability of this text as the whole answer. With the end counted,
    a text that another begins with ("sport", "sports news") does not win by being shorter.

    Attributes:
        text: Encoded as it stands, a space before it included.
    """

    text: str
    schema = None

    @property
    def example(self) -> str:
        """The forced text itself."""
        return self.text

    def bind(self, vocabulary: Vocabulary) -> _ForcedIds:
        """See `Constraint.bind`."""
        if not vocabulary.eos_token_ids:
            raise ConstraintImpossible("the model has no token that ends an answer")
        ids = vocabulary.encode(self.text)
        return _ForcedIds((*((i,) for i in ids), (min(vocabulary.eos_token_ids),)))


@dataclass(frozen=True)
class _ForcedIds:
    """One allowed token a step; the last ends."""

    steps: tuple[tuple[int], ...]

    def allowed(self, output_ids: Sequence[int]) -> Sequence[int]:
        """See `BoundConstraint.allowed`."""
        return self.steps[len(output_ids)]
