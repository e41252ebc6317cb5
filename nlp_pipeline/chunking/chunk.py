"""A piece of a document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Ends = Literal["sentence", "token", "name", "character"]
"""Where a chunk ends: at the end of a sentence; inside one that is longer than the budget, but
outside its names and noun phrases; inside a name or noun phrase that is longer; inside a token
that is longer."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous piece of a document. Ends are exclusive.

    Attributes:
        chunk_id: 0-based number in the document.
        start_char: First character, in Unicode code points of the document's text.
        end_char: One past the last.
        start_token: First spaCy token that it touches.
        end_token: One past the last.
        start_sentence: First sentence that it touches; None where none are set.
        end_sentence: One past the last.
        n_model_tokens: Its length in the tokens of the model.
        overlap: How many sentences at its beginning the chunk before holds too.
        ends: Where it ends.
    """

    chunk_id: int
    start_char: int
    end_char: int
    start_token: int
    end_token: int
    start_sentence: int | None
    end_sentence: int | None
    n_model_tokens: int
    overlap: int
    ends: Ends

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `doc._.chunks`."""
        return asdict(self)
