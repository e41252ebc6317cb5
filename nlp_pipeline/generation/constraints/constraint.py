"""What every constraint on a completion looks like: without a model, and in a model's tokens.

The two are protocols: a constraint of your own inherits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from nlp_pipeline.generation.constraints.vocabulary import Vocabulary


class BoundConstraint(Protocol):
    """A constraint in the tokens of one model, for one sample of one request.

    One may also have `stop_token_ids`, a frozen set of tokens that end the completion beside
    the model's own and are no part of it, and `keep(output_ids)`, which says how many tokens of
    a completion that the budget cut off are a complete text.
    """

    def allowed(self, output_ids: Sequence[int]) -> Sequence[int] | Tensor | None:
        """What may follow the output so far: token ids, at least one; None allows all.

        Where it is much of the vocabulary, a boolean tensor of shape (tokens,) is cheaper; ids
        beyond its end are not allowed.

        The answer depends on `output_ids` alone: what is kept between calls only saves time.
        """
        ...


class Constraint(Protocol):
    """What may be generated, such as only what stands in the document; knows no model."""

    @property
    def example(self) -> str:
        """A text that satisfies it: what the echo generator says."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema that says as much, for servers; None where none does."""
        ...

    def bind(self, vocabulary: Vocabulary) -> BoundConstraint:
        """The constraint in a model's tokens, new for every sample of every request.

        Raises:
            NlpPipelineError: No text of this model's tokens can satisfy it. The request fails.
        """
        ...
