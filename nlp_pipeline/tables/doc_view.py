"""A Doc as the rows of its tables look at it."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nlp_pipeline.grounding.sentences import sentence_numbers, sentences_of

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


class DocView:
    """One Doc, with what several tables need of it.

    Args:
        doc: The document.
    """

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        self.text = doc.text

    @cached_property
    def sentences(self) -> list[Span]:
        """The sentences; none where the pipeline sets none."""
        return sentences_of(self.doc)

    @cached_property
    def sentence_ids(self) -> list[int | None]:
        """The number of each token's sentence."""
        return sentence_numbers(self.doc, self.sentences)

    def sentences_at(self, characters: list[int]) -> list[int]:
        """The numbers of the sentences that hold these characters, each once, in that order."""
        starts = [sentence.start_char for sentence in self.sentences]
        numbers = (max(0, bisect_right(starts, place) - 1) for place in characters)
        return list(dict.fromkeys(numbers)) if starts else []

    def annotations(self, name: str) -> list[dict[str, Any]]:
        """The values that components have appended to a Doc extension.

        Raises:
            TypeError: It holds something else.
        """
        value = extension(self.doc, name)
        if value is not None and not isinstance(value, list | tuple):
            raise TypeError(f"doc._.{name} is {value!r:.80} and not a list")
        return list(value or ())


def extension(doc: Doc, name: str) -> Any:
    """The value of a Doc extension, None where it is not registered."""
    return getattr(doc._, name) if doc.has_extension(name) else None
