"""A constraint as a grammar in GBNF, the notation that llama.cpp, vLLM and SGLang read.

The grammar of a document's pieces has one rule for each place where a piece may end: it goes on to
the next such place, and may stop there. So it grows with the document, not with the number of
its pieces, which is quadratic. Where a piece may begin stands in the root, by the words that stand
there: two places with the same word are one alternative, as a server tries every alternative
of the root against its whole vocabulary.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from nlp_pipeline.generation.constraints.spans import DocumentSpans, spelled

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text_grammar(text: str, *, after_space: bool = True) -> str:
    """The grammar of one text, and of nothing else.

    Args:
        text: It, without the space before it.
        after_space: Whether a space comes first, as after an answer's beginning; else it may.
    """
    return f"root ::= {_opening(after_space)} {_literal(text)}\n"


def token_grammar(token_ids: Sequence[int], *, may_break: bool) -> str:
    """The grammar of a text in the very tokens that a tokenizer makes of it, for llama.cpp.

    Args:
        token_ids: The tokens; at least one.
        may_break: Whether a line break may follow.
    """
    end = ' "\\n"?' if may_break else ""
    return f"root ::= {' '.join(f'<[{token}]>' for token in token_ids)}{end}\n"


def span_grammar(spans: DocumentSpans, *, after_space: bool = True) -> str:
    """The grammar of all pieces of a document, or of its reply where it has no piece.

    A line break may end a piece: many models end a short answer so rather than by their
    end-of-sequence token, and it is what the in-process search takes for an end too.

    Args:
        spans: The pieces.
        after_space: As in `text_grammar`.
    """
    pieces = _Pieces(spans)
    alternatives = pieces.alternatives()
    if spans.no_answer:
        alternatives.append(_literal(spans.no_answer))
    root = f'root ::= {_opening(after_space)} ({" | ".join(alternatives)}) "\\n"?'
    return "\n".join([root, *pieces.rules(), ""])


class _Pieces:
    """The rules of one document: `c0`, `c1` … say how a piece goes on after each end."""

    def __init__(self, spans: DocumentSpans) -> None:
        self._text = spelled(spans.text)
        self._starts = sorted(set(spans.starts))
        self._ends = sorted(set(spans.ends))
        self._breaks = sorted(spans.breaks)

    def alternatives(self) -> list[str]:
        """The beginnings of pieces: a word up to the first end after it, and what may follow."""
        follows: dict[str, list[str]] = {}
        for start in self._starts:
            number = bisect_right(self._ends, start)
            if number < len(self._ends) and not self._breaks_between(start, self._ends[number]):
                word = self._text[start : self._ends[number]]
                after = follows.setdefault(word, [])
                if self._goes_on(number):
                    after.append(f"c{number}")
        return [_followed(_literal(word), after) for word, after in follows.items()]

    def rules(self) -> list[str]:
        """One for each end that a piece may go on from: up to the next end, and on from there."""
        return [
            f"c{number} ::= "
            + _followed(
                _literal(self._text[self._ends[number] : self._ends[number + 1]]),
                [f"c{number + 1}"] if self._goes_on(number + 1) else [],
            )
            for number in range(len(self._ends))
            if self._goes_on(number)
        ]

    def _goes_on(self, number: int) -> bool:
        """Whether a piece may go on from an end to the next one."""
        is_last = number + 1 >= len(self._ends)
        return not is_last and not self._breaks_between(self._ends[number], self._ends[number + 1])

    def _breaks_between(self, start: int, end: int) -> bool:
        after = bisect_right(self._breaks, start - 1)
        return after < len(self._breaks) and self._breaks[after] < end


def _followed(expression: str, rules: list[str]) -> str:
    """An expression that one of some rules may follow."""
    if not rules:
        return expression
    return (
        f"{expression} {rules[0]}?" if len(rules) == 1 else f"{expression} ({' | '.join(rules)})?"
    )


def _opening(after_space: bool) -> str:
    return '" "' if after_space else '" "?'


def _literal(text: str) -> str:
    """A text between quotes; what is no printable character by its code."""
    chars = (_ESCAPES.get(c) or (c if ord(c) >= 32 else f"\\x{ord(c):02X}") for c in text)
    return '"' + "".join(chars) + '"'
