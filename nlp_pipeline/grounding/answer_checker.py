"""All that can be checked about the answers to a Doc, and about its summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.align import Grounding, ground
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

    def check_answers(
        self, doc: Doc, answers: Sequence[tuple[str, str | None, Grounding | None]]
    ) -> list[dict[str, Any]]:
        """Grounding, evidence and support of each answer, as plain dicts.

        Args:
            doc: What was asked about.
            answers: Question, answer (None where there is none), and the grounding where it is
                known by construction.
        """
        index = TextIndex(doc)
        support = Support(index)
        said = [(question, text) for question, text, _ in answers if text]
        texts = list(dict.fromkeys(text for pair in said for text in pair))
        read = dict(zip(texts, self.reader.read(texts, doc.lang_), strict=True))
        return [
            self._check(support, read[text], terms(read[question]), known)
            if text
            else unchecked(known)
            for question, text, known in answers
        ]

    def check_summary(self, doc: Doc, summary: str | None) -> dict[str, Any]:
        """Support of a summary, and under `sentences` all that is known of each of them."""
        if not summary:
            return {**unchecked_support(), "sentences": []}
        support = Support(TextIndex(doc))
        (read,) = self.reader.read([summary], doc.lang_)
        sentences: list[dict[str, Any]] = []
        units: list[Supported] = []
        for number, sentence in enumerate(split_sentences(read)):
            found = self._check(support, sentence, {}, None)
            units += [Supported(**unit) for unit in found["entities"]]
            place = {"summary_start": sentence.start_char, "summary_end": sentence.end_char}
            sentences.append({"sentence": number, "text": sentence.text, **place, **found})
        return {
            "support_score": support_score(units),
            **unsupported(units),
            "sentences": sentences,
        }

    @staticmethod
    def _check(
        support: Support, piece: Doc | Span, question: dict[str, float], known: Grounding | None
    ) -> dict[str, Any]:
        index = support.index
        found = known or ground(index, piece.text.strip(), read=piece, question=question)
        units = support.check(piece)
        evidence = rank_evidence(index, found, terms(piece), question)
        return {
            **found.as_dict(),
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


def unchecked(known: Grounding | None = None) -> dict[str, Any]:
    """The result for an answer that does not exist."""
    found = (known or Grounding.nowhere()).as_dict()
    return {**found, "evidence": [], "evidence_starts": [], **unchecked_support(), "entities": []}
