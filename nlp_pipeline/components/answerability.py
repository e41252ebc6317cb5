"""How likely a document holds the answer to a question, and the best candidate is it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from typing import NamedTuple

from spacy.tokens import Doc, Span, Token

from nlp_pipeline.chunking.query import all_forms, token_forms
from nlp_pipeline.components.answer_features import weighted
from nlp_pipeline.components.opposites import are_opposites

ANSWER_FEATURES = (
    "score",
    "log_share",
    "reply_logprob",
    "coverage",
    "opposites",
    "negation",
    "missing_numbers",
)
"""What each is stands at `answer_features`."""

BIAS = "bias"
"""Stands among the weights for what is added in any case."""

_NEGATIONS_BY_LANGUAGE = {
    "en": """not n't n’t nt never no none neither nor without cannot nobody nothing nowhere except
        besides unable fail refuse lack least hardly unlikely avoid""",
    "fr": "ne n' n’ pas jamais aucun aucune rien personne sans ni sauf excepté",
    "de": "nicht nie niemals kein keine keiner ohne weder niemand nichts außer",
}
_NEGATIONS = {code: frozenset(words.split()) for code, words in _NEGATIONS_BY_LANGUAGE.items()}

# Stop words to spaCy, but words whose opposites turn a question round.
_TURNING = """before after above below over under more less most least few fewer many first last top
    bottom former latter within with without up down"""
_TURNING_WORDS = frozenset(_TURNING.split())


class AskedWords(NamedTuple):
    """The words of a question, as plain texts, which outlive every memory zone.

    Forms are without case: a word as it stands, and its lemma.

    Attributes:
        words: The forms of each word that says something.
        numbers: Which of them are numbers, by their place in `words`.
        forms: Of all its words.
        negates: Whether it asks for what is not so.
        language: Its code.
    """

    words: tuple[frozenset[str], ...]
    numbers: frozenset[int]
    forms: frozenset[str]
    negates: bool
    language: str

    @classmethod
    def of(cls, question: Doc) -> AskedWords:
        """Those of a question that the pipes have read which read the document."""
        tokens = [token for token in question if _counts(token)]
        return cls(
            words=tuple(token_forms(token) for token in tokens),
            numbers=frozenset(n for n, token in enumerate(tokens) if _is_number(token)),
            forms=all_forms(question),
            negates=_negates(question),
            language=question.lang_,
        )


def answer_features(
    question: AskedWords,
    answer: Span,
    *,
    scores: Sequence[float],
    reply_logprob: float | None,
) -> dict[str, float]:
    """The features of a question and of the best candidate for its answer.

    Args:
        question: Its words.
        answer: The candidate, in its document.
        scores: Of all candidates, best first.
        reply_logprob: Log-probability of the forced reply that there is no answer; None where it
            was not asked.

    Returns:
        By `ANSWER_FEATURES`: `score` of the candidate; `log_share`, the logarithm of its share of
        the softmax of all scores; `reply_logprob` (0 for None); `coverage`, the share of the
        question's words that stand in the sentence of the answer; `opposites`, how many of the
        others have their opposite there, which the question lacks; `negation`, whether the
        question negates and the sentence does not; `missing_numbers`, how many numbers of the
        question stand nowhere in the document.
    """
    doc = answer.doc
    sentence = answer[0].sent if doc.has_annotation("SENT_START") else doc[:]
    in_sentence = all_forms(sentence)
    lacking = [n for n, forms in enumerate(question.words) if not forms & in_sentence]
    unread_numbers = [question.words[n] for n in lacking if n in question.numbers]
    in_text = all_forms(doc) if unread_numbers else frozenset()
    return {
        "score": scores[0],
        "log_share": -log(sum(exp(score - scores[0]) for score in scores)),
        "reply_logprob": reply_logprob or 0.0,
        "coverage": 1 - len(lacking) / max(1, len(question.words)),
        "opposites": float(_opposites(question, lacking, sentence)),
        "negation": float(question.negates and not _negates(sentence)),
        "missing_numbers": float(sum(not forms & in_text for forms in unread_numbers)),
    }


def probability(features: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Of what the weights were fitted for, by the logistic function of the weighted sum."""
    total = weights.get(BIAS, 0.0) + weighted(features, weights)
    return 1 / (1 + exp(-max(-700.0, total)))


def _opposites(question: AskedWords, lacking: Iterable[int], sentence: Span) -> int:
    """Words of the question whose opposite stands in the sentence in their stead."""
    in_stead = [forms for token in sentence if not (forms := token_forms(token)) & question.forms]
    return sum(
        any(are_opposites(question.words[n], forms, question.language) for forms in in_stead)
        for n in lacking
    )


def _negates(tokens: Iterable[Token]) -> bool:
    return any(
        bool(token_forms(token) & _NEGATIONS.get(token.lang_, frozenset()))
        or "Neg" in token.morph.get("Polarity", [])
        for token in tokens
    )


def _is_number(token: Token) -> bool:
    return token.like_num or any(character.isdigit() for character in token.text)


def _counts(token: Token) -> bool:
    if token.is_punct or token.is_space:
        return False
    return not token.is_stop or token.lower_ in _TURNING_WORDS
