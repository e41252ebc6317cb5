"""All that can be checked about the answers to a Doc, and about its summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.align import Grounding, ground, ground_words
from nlp_pipeline.grounding.answer_reader import Reader, split_sentences
from nlp_pipeline.grounding.evidence import rank_evidence
from nlp_pipeline.grounding.support import Support, Supported, support_score, unsupported
from nlp_pipeline.grounding.text import TextIndex, terms


class Checker:
    """Aligns generated text to its document and looks its names and numbers up.

    Args:
        nlp: The pipeline that the component is part of (`Reader`).
        name: The component's name in it.
    """

    def __init__(self, nlp: Language | None, name: str) -> None:
        self.reader = Reader(nlp, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Checker, (None, self.reader.name)

    def read_ahead(self, texts: Iterable[tuple[Doc, str]]) -> None:
        """Reads what generated texts need reading, together, before the checks that ask for it.

        What stands in its document needs none: the document was read.

        Args:
            texts: Documents, each with a text about it.
        """
        by_doc = ((doc.text, pairs) for doc, pairs in groupby(texts, key=itemgetter(0)))
        unread = (text for read, pairs in by_doc for _, text in pairs if text not in read)
        self.reader.read_ahead(list(dict.fromkeys(unread)))

    def check_answers(
        self,
        doc: Doc,
        answers: Sequence[tuple[Mapping[str, float], str | None, Grounding | None]],
    ) -> list[dict[str, Any]]:
        """Grounding, evidence and support of each answer, as plain dicts.

        Args:
            doc: What was asked about.
            answers: The question's terms (`grounding.text.terms`), the answer (None where there
                is none), and the grounding where it is known by construction.
        """
        support = Support(TextIndex(doc))
        return [
            self._check_answer(support, text, dict(question), grounding)
            if text
            else unchecked(grounding)
            for question, text, grounding in answers
        ]

    def _check_answer(
        self, support: Support, text: str, question: dict[str, float], grounding: Grounding | None
    ) -> dict[str, Any]:
        index = support.index
        place = grounding or ground(index, text.strip(), question=question)
        if place.alignment == "exact":
            return self._check_in_place(support, place, question)
        (read,) = self.reader.read([text], index.lang)
        return self._check(support, read, question, place)

    def check_summary(self, doc: Doc, summary: str | None) -> dict[str, Any]:
        """Support of a summary, and under `sentences` all that is known of each of them."""
        if not summary:
            return {**unchecked_support(), "sentences": []}
        support = Support(TextIndex(doc))
        (read,) = self.reader.read([summary], doc.lang_)
        sentences: list[dict[str, Any]] = []
        units: list[Supported] = []
        for number, sentence in enumerate(split_sentences(read)):
            check = ground(support.index, sentence.text.strip())
            if check.alignment == "exact":
                shift = len(sentence.text) - len(sentence.text.lstrip())
                checked = self._check_in_place(support, check, {}, sentence.start_char + shift)
            else:
                checked = self._check(support, sentence, {}, check)
            units += [Supported(**unit) for unit in checked["entities"]]
            place = {"summary_start": sentence.start_char, "summary_end": sentence.end_char}
            sentences.append({"sentence": number, "text": sentence.text, **place, **checked})
        return {
            "support_score": support_score(units),
            **unsupported(units),
            "sentences": sentences,
        }

    @staticmethod
    def _check_in_place(
        support: Support, grounding: Grounding, question: dict[str, float], shift: int = 0
    ) -> dict[str, Any]:
        """What is known of a piece of the document itself, without reading it again.

        Args:
            support: Of the document.
            grounding: The piece.
            question: Terms of the question.
            shift: Where the piece stands in the text whose offsets the units have.
        """
        assert grounding.start_char is not None
        assert grounding.end_char is not None
        units = support.check_in_place(grounding.start_char, grounding.end_char)
        if shift:
            units = [
                replace(
                    unit,
                    answer_start=unit.answer_start + shift,
                    answer_end=unit.answer_end + shift,
                )
                for unit in units
            ]
        doc = support.index.doc
        return _columns(
            support.index,
            doc[grounding.start_token : grounding.end_token],
            question,
            grounding,
            units,
        )

    @staticmethod
    def _check(
        support: Support, piece: Doc | Span, question: dict[str, float], grounding: Grounding
    ) -> dict[str, Any]:
        """What is known of a text that was read."""
        place = grounding if grounding.alignment != "none" else ground_words(support.index, piece)
        units = support.check(piece)
        if place.alignment == "normalized":
            units = [_as_grounded(unit, place) for unit in units]
        return _columns(support.index, piece, question, place, units)


def _as_grounded(unit: Supported, grounding: Grounding) -> Supported:
    """A unit of a text that stands in the document but for its spelling: so does its name."""
    if unit.supported or unit.kind != "name":
        return unit
    return replace(
        unit,
        supported=True,
        matched="normalized",
        score=1.0,
        start_char=grounding.start_char,
        end_char=grounding.end_char,
    )


def _columns(
    index: TextIndex,
    piece: Doc | Span,
    question: dict[str, float],
    grounding: Grounding,
    units: list[Supported],
) -> dict[str, Any]:
    """The checks of an answer as plain values, one for each column."""
    evidence = rank_evidence(index, grounding, terms(piece), question)
    return {
        **grounding.as_dict(),
        "evidence": evidence,
        # By these the sentences are known again when a later pipe has moved their ends.
        "evidence_starts": [index.sentences[number].start_char for number in evidence],
        "support_score": support_score(units),
        **unsupported(units),
        "entities": [unit.as_dict() for unit in units],
    }


def unchecked_support() -> dict[str, Any]:
    """The support of what does not exist."""
    return {"support_score": None, "unsupported_entities": None, "unsupported_numbers": None}


def unchecked(grounding: Grounding | None = None) -> dict[str, Any]:
    """The result for an answer that does not exist."""
    values = (grounding or Grounding.nowhere()).as_dict()
    return {**values, "evidence": [], "evidence_starts": [], **unchecked_support(), "entities": []}
