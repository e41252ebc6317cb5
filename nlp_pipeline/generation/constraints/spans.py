"""Only what stands in the document may be generated: a contiguous piece, or that there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from nlp_pipeline.errors.generation import NoSpanPossible
from nlp_pipeline.generation.constraints.bound_spans import BoundSpans
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.constraints.walk import Walk


@dataclass(frozen=True, eq=False)
class DocumentSpans:
    """A `Constraint`: a piece of a text between two allowed places, or a fixed reply instead.

    A completion under it begins with a space, as an answer after "Answer:" does, and ends with
    a newline or an end-of-sequence token, which is possible where a piece may end and only
    there. A line break in the text is spelled as a space, so that pieces go on over it. What
    the token budget cuts off is cut back to the last place where a piece may end.

    Args:
        text: The document.
        starts: Where a piece may begin, in code points; no white space stands there.
        ends: Where one may end: one past its last character, which is no white space.
        no_answer: The reply instead of a piece; empty for none.
        breaks: Spaces that no piece goes over, in code points: the text is made of parts of a
            document that do not follow on each other there.
    """

    text: str
    starts: Collection[int]
    ends: Collection[int]
    no_answer: str = ""
    breaks: Collection[int] = ()
    _walks: WeakKeyDictionary[Vocabulary, Walk] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    schema = None

    @property
    def example(self) -> str:
        """A shortest piece from the first start; the other reply where there is no piece."""
        first = min(self.starts, default=0)
        end = min((end for end in self.ends if end > first), default=None)
        return self.no_answer if end is None else self.text[first:end]

    def bind(self, vocabulary: Vocabulary) -> BoundSpans:
        """The constraint in a model's tokens. What it makes of the text is made once a model.

        Raises:
            NoSpanPossible: The text has no piece, and there is no other reply.
        """
        if vocabulary not in self._walks:
            if not self.no_answer and not any(True for _ in self._pieces()):
                raise NoSpanPossible(len(self.text))
            self._walks[vocabulary] = Walk(
                vocabulary,
                spelled(self.text),
                starts=self.starts,
                ends=self.ends,
                no_answer=self.no_answer,
                breaks=frozenset(self.breaks),
            )
        return BoundSpans(self._walks[vocabulary])

    def occurrences(self, completion: str) -> list[tuple[int, int]]:
        """Where in the document a completion stands, in code points; empty for the other reply.

        Args:
            completion: Its text as generated, with or without the space before it.
        """
        piece, text = completion.removeprefix(" "), spelled(self.text)
        if not piece or piece == self.no_answer:
            return []
        starts, ends, spans = set(self.starts), set(self.ends), []
        place = text.find(piece)
        while place >= 0:
            end = place + len(piece)
            over = any(place < cut < end for cut in self.breaks)
            if place in starts and end in ends and not over:
                spans.append((place, end))
            place = text.find(piece, place + 1)
        return spans

    def _pieces(self) -> Iterator[int]:
        last = max(self.ends, default=0)
        return (start for start in self.starts if start < last)


def spelled(text: str) -> str:
    """A text as its pieces are generated: line breaks and tabs are spaces, one for one."""
    return text.translate(_BREAKS)


_BREAKS = dict.fromkeys(map(ord, "\n\r\t\v\f"), " ")
