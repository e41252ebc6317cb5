"""Which names, numbers and dates of a generated text the document has.

What this cannot find: a name or a number of the document in the wrong place (two names swapped, a
sum given for another thing), and anything wrong that names and counts nothing. A unit that is
supported is one that stands in the document; it says nothing about what is claimed of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Any

from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.dates import Date, agrees, find_dates
from nlp_pipeline.grounding.names import Match, find_name
from nlp_pipeline.grounding.numbers import Number, Pair, find_numbers
from nlp_pipeline.grounding.text import TextIndex, cuts_word
from nlp_pipeline.grounding.units import Unit, find_units


@dataclass(frozen=True)
class Supported:
    """A unit of a generated text, and whether the document has it.

    Attributes:
        text: As the generated text has it.
        kind: `name`, `number` or `date`.
        label: The entity's label; `PROPN`, `NUMBER` or `DATE` outside of entities.
        answer_start: First character in the generated text.
        answer_end: One past the last.
        supported: Whether the document has it.
        matched: How: `exact`, `normalized`, `title`, `acronym` or `words` (as in `find_name`),
            `number` (of the same value), `date` (says all that this says); None where not.
        score: 1 for the same words or value, less for looser matches; for what is not supported
            half of the share of its parts that the document has.
        start_char: First character of its place in the document; None where there is none.
        end_char: One past the last.
    """

    text: str
    kind: str
    label: str
    answer_start: int
    answer_end: int
    supported: bool
    matched: str | None
    score: float
    start_char: int | None
    end_char: int | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `doc._`."""
        return asdict(self)


_PAIR_GAP = 12
"""Characters between the two numbers of a pair that is written out: "two goals to one"."""
_IN_PLACE = {"name": "exact", "number": "number", "date": "date"}
"""How a unit of a piece of the document itself is matched."""


class Support:
    """Looks units up in one document.

    Args:
        index: The document.
    """

    def __init__(self, index: TextIndex) -> None:
        self.index = index

    def check(self, piece: Doc | Span) -> list[Supported]:
        """The units of a piece of generated text, in their order."""
        base = piece.doc if isinstance(piece, Span) else piece
        units = find_units(piece, self.index.lang)
        return [self._check(unit, base.text[unit.start : unit.end]) for unit in units]

    def check_in_place(self, start: int, end: int) -> list[Supported]:
        """The units of a piece of the document itself: they stand there, so they are supported.

        Only a number that the piece cuts, as "200" of "1,200" is one, is looked up like any other.

        Args:
            start: First character of the piece.
            end: One past the last.
        """
        index = self.index
        place = index.doc.char_span(start, end, alignment_mode="expand")
        supported: list[Supported] = []
        for unit in [] if place is None else find_units(place, index.lang):
            first, last = unit.start, unit.end
            if unit.kind == "name":  # without the title before the piece, the mark behind it
                first, last = max(start, first), min(end, last)
            if start <= first < last <= end:
                itself = Supported(
                    index.text[first:last],
                    unit.kind,
                    label=unit.label,
                    answer_start=first - start,
                    answer_end=last - start,
                    supported=True,
                    matched=_IN_PLACE[unit.kind],
                    score=1.0,
                    start_char=first,
                    end_char=last,
                )
                supported.append(itself)
        if cuts_word(index.text, start, end):
            supported += self._cut_numbers(start, end)
        return sorted(supported, key=lambda unit: unit.answer_start)

    def _cut_numbers(self, start: int, end: int) -> list[Supported]:
        """The numbers at the ends of a piece that are parts of longer ones."""
        text = self.index.text[start:end]
        return [
            self._check(
                Unit("number", "NUMBER", start=n.start, end=n.end, value=n), text[n.start : n.end]
            )
            for n in find_numbers(text, self.index.lang)
            if cuts_word(self.index.text, start + n.start, start + n.end)
        ]

    def _check(self, unit: Unit, text: str) -> Supported:
        if isinstance(unit.value, Date):
            match = self._date(unit.value)
        elif isinstance(unit.value, Number):
            match = self._number(unit.value.values)
        elif isinstance(unit.value, Pair):
            match = self._pair(unit.value)
        else:
            match = find_name(self.index, text)
            if match.how is None:
                match = self._inside(text) or match
        is_supported = match.how is not None
        return Supported(
            text,
            unit.kind,
            label=unit.label,
            answer_start=unit.start,
            answer_end=unit.end,
            supported=is_supported,
            matched=match.how,
            score=match.score,
            start_char=match.start,
            end_char=match.end,
        )  # fmt: skip

    def _inside(self, text: str) -> Match | None:
        """A name that is nothing but a number: "Seventeen" at the head of a sentence."""
        numbers = find_numbers(text, self.index.lang)
        whole = len(numbers) == 1 and numbers[0].end - numbers[0].start == len(text)
        return self._number(numbers[0].values) if whole else None

    @cached_property
    def _number_list(self) -> list[Number]:
        return find_numbers(self.index.text, self.index.lang)

    @cached_property
    def _numbers(self) -> dict[Decimal, Number]:
        """Every value of the document to where it first stands."""
        by_value: dict[Decimal, Number] = {}
        for number in self._number_list:
            for value in number.values:
                by_value.setdefault(value, number)
        return by_value

    @cached_property
    def _dates(self) -> list[Date]:
        return find_dates(self.index.text, self.index.lang)

    def _number(self, values: frozenset[Decimal]) -> Match:
        for value in sorted(values):
            if value in self._numbers:
                number = self._numbers[value]
                return Match("number", 1.0, start=number.start, end=number.end)
        return Match(None, 0.0)

    def _pair(self, pair: Pair) -> Match:
        """Two numbers that follow each other in the document too, in either order."""
        for first_number, second_number in pairwise(self._number_list):
            near = second_number.start - first_number.end <= _PAIR_GAP
            agree = first_number.values & pair.first and second_number.values & pair.second
            turned = first_number.values & pair.second and second_number.values & pair.first
            if near and (agree or turned):
                return Match("number", 1.0, start=first_number.start, end=second_number.end)
        n_present = sum(any(v in self._numbers for v in side) for side in (pair.first, pair.second))
        return Match(None, 0.25 * n_present)

    def _date(self, claimed: Date) -> Match:
        for date in self._dates:
            if agrees(claimed.readings, date.readings):
                return Match("date", 1.0, start=date.start, end=date.end)
        # The year may stand elsewhere ("in 2021 … on 14 March"); a day and its month may not.
        for year, month, day in claimed.readings:
            if year is None or Decimal(year) not in self._numbers or day is None:
                continue
            for date in self._dates:
                undated = [fields for fields in date.readings if fields[0] is None]
                if agrees([(None, month, day)], undated):
                    return Match("date", 0.8, start=date.start, end=date.end)
        fields = [field for field in next(iter(claimed.readings)) if field is not None]
        n_fields = sum(Decimal(field) in self._numbers for field in fields)
        return Match(None, 0.5 * n_fields / len(fields))


def support_score(units: Sequence[Supported]) -> float | None:
    """The mean score of units, in [0, 1]; None where there are none."""
    return sum(unit.score for unit in units) / len(units) if units else None


def unsupported(units: Sequence[Supported]) -> dict[str, list[str]]:
    """The names, and the numbers and dates, that the document lacks, each once, in their order."""
    names = [u.text for u in units if not u.supported and u.kind == "name"]
    numbers = [u.text for u in units if not u.supported and u.kind != "name"]
    return {
        "unsupported_entities": list(dict.fromkeys(names)),
        "unsupported_numbers": list(dict.fromkeys(numbers)),
    }
