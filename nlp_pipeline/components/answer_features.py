"""What is known of a candidate answer: the Llama's scores beside spaCy's annotation.

The weights are one list, fitted on 400 questions of SQuAD's development set with the default model;
`nlp-pipeline evaluate --fit` learns them from labelled questions of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import exp, log
from typing import Any, NamedTuple

from spacy.tokens import Doc

from nlp_pipeline.chunking.query import Query, counts, token_forms
from nlp_pipeline.chunking.question_kinds import kinds_of
from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.grounding.sentences import sentence_numbers, sentences_of

NEAR = 10
"""Tokens on each side of a candidate in which words of the question are looked for."""

TEMPERATURE = 2.0
"""Flattens the probabilities of the hypotheses before they vote."""

DEFAULT_WEIGHTS: dict[str, float] = {
    "logprob": 0.06,
    "votes": 1.33,
    "sentence_overlap": 1.57,
    "near_overlap": 1.39,
    "kind_fit": 0.67,
    "in_question": -1.23,
    "is_entity": 0.07,
    "is_noun_chunk": 0.12,
    "log_words": 0.46,
    "is_hypothesis": -0.17,
}
"""What a candidate's features count, in the order in which the tables have them.

`logprob`: sum of the raw log-probabilities, that of the stop included, of the hypothesis that says
this; of a candidate that none says, that of the worst. `votes`: the mean share of words (F1) that
it has in common with the hypotheses, by their probability. `sentence_overlap`: share of the
question's words, by their rarity in the document, in the candidate's sentence; `near_overlap`:
within 10 tokens of it. `kind_fit`: 1 where it holds what is asked for (a person, a place, a time
...), -1 where it does not, 0 where the question does not say. `in_question`: share of its words
that stand in the question. `is_entity`, `is_noun_chunk`: it is one, an article aside. `log_words`:
logarithm of its words. `is_hypothesis`: the Llama's search has ended it.
"""

TRAINED_WEIGHTS: dict[str, float] = {"logprob": 0.5}
"""What suits a model that `nlp-pipeline train` has taught to answer, beside the defaults.

The defaults were fitted on a model that nobody had taught. Of three trainings, on other texts and
from another start, each had its best exact match on 294 questions with 0.5 to 3 here.
"""

FEATURE_NAMES: tuple[str, ...] = tuple(DEFAULT_WEIGHTS)


class Mention(NamedTuple):
    """A piece of a document that may be the answer.

    Attributes:
        start: First token.
        end: One past the last.
        logprob: Of the hypothesis that says it; None where none does.
    """

    start: int
    end: int
    logprob: float | None


class DocFeatures:
    """The features of candidates in one document.

    What a pipeline does not annotate is left out: without entities none fits, without a parse
    there are no noun chunks. Every token is looked at once, whatever is asked.

    Args:
        doc: The document.
    """

    def __init__(self, doc: Doc) -> None:
        self.doc = doc

    def rows(self, mentions: Sequence[Mention], query: Query) -> list[dict[str, float]]:
        """The features of all candidates for one question, in their order."""
        scores = [m.logprob for m in mentions if m.logprob is not None]
        lowest, highest = min(scores, default=0.0), max(scores, default=0.0)
        voters = [
            (mention, exp((mention.logprob - highest) / TEMPERATURE))
            for mention in mentions
            if mention.logprob is not None
        ]
        asked = _WordPlaces(query, self._forms, self._sentence_numbers)
        return [
            {
                "logprob": lowest if mention.logprob is None else mention.logprob,
                "votes": _votes(mention, voters),
                "is_hypothesis": float(mention.logprob is not None),
                **self._of_text(mention, query, asked),
            }
            for mention in mentions
        ]

    def phrases(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The entities and noun chunks between two tokens, as tokens; some twice."""
        for start, end in (*self._entities, *self._noun_chunks):
            if first <= start and end <= last:
                yield start, end

    def _of_text(self, mention: Mention, query: Query, asked: _WordPlaces) -> dict[str, float]:
        start, end, _ = mention
        around = self._sentence_numbers[start:end]
        near = (*range(max(0, start - NEAR), start), *range(end, min(end + NEAR, len(self.doc))))
        kinds = frozenset().union(*self._kinds[start:end])
        words = [forms for forms in self._forms[start:end] if forms]
        bare = start
        while bare < end - 1 and self.doc[bare].pos_ == "DET":
            bare += 1
        places = ((start, end), (bare, end))
        return {
            "sentence_overlap": asked.share(
                index for number in set(around) for index in asked.in_sentence[number]
            ),
            "near_overlap": asked.share(index for token in near for index in asked.at_token[token]),
            "kind_fit": (1.0 if query.kinds & kinds else -1.0) if query.kinds else 0.0,
            "in_question": _mean([bool(forms & query.forms) for forms in words]),
            "is_entity": float(any(place in self._entities for place in places)),
            "is_noun_chunk": float(any(place in self._noun_chunks for place in places)),
            "log_words": log(max(1, sum(self._is_word[start:end]))),
        }

    @cached_property
    def _forms(self) -> list[frozenset[str]]:
        """Per token its forms; none where it says nothing."""
        return [token_forms(t) if counts(t) else frozenset() for t in self.doc]

    @cached_property
    def _is_word(self) -> list[bool]:
        return [not (token.is_punct or token.is_space) for token in self.doc]

    @cached_property
    def _kinds(self) -> list[frozenset[str]]:
        """Per token the kinds of things that it is, or is a part of."""
        return [
            kinds_of((token.ent_type_,), has_number=token.like_num, has_year=token.shape_ == "dddd")
            for token in self.doc
        ]

    @cached_property
    def _sentence_numbers(self) -> list[int]:
        """Per token the number of its sentence; 0 for all where none are set."""
        numbers = sentence_numbers(self.doc, sentences_of(self.doc))
        return [number or 0 for number in numbers]

    @cached_property
    def _entities(self) -> dict[tuple[int, int], None]:
        return dict.fromkeys((entity.start, entity.end) for entity in self.doc.ents)

    @cached_property
    def _noun_chunks(self) -> dict[tuple[int, int], None]:
        """None without a parse, or in a language that spaCy has no rule for."""
        try:
            chunks = list(self.doc.noun_chunks)
        except (NotImplementedError, ValueError):
            return {}
        return dict.fromkeys((chunk.start, chunk.end) for chunk in chunks)


class _WordPlaces:
    """Where the words of a question stand in a document, and how rare they are there.

    Attributes:
        at_token: Per token the numbers of the question's words that it is.
        in_sentence: Per sentence those that stand in it.
    """

    def __init__(
        self, query: Query, forms: Sequence[frozenset[str]], sentence_numbers: Sequence[int]
    ) -> None:
        words = list(dict.fromkeys(query.words))
        self.at_token = [
            [index for index, word in enumerate(words) if word & of_token] if of_token else []
            for of_token in forms
        ]
        n_sentences = max(sentence_numbers, default=0) + 1
        self.in_sentence: list[set[int]] = [set() for _ in range(n_sentences)]
        for number, indexes in zip(sentence_numbers, self.at_token, strict=True):
            self.in_sentence[number].update(indexes)
        hits = [sum(index in held for held in self.in_sentence) for index in range(len(words))]
        self._weights = [log(1 + n_sentences / count) if count else 0.0 for count in hits]
        self._total = sum(self._weights)

    def share(self, indexes: Iterable[int]) -> float:
        """The share of the question's words, by their rarity, that these are."""
        if not self._total:
            return 0.0
        return sum(self._weights[index] for index in set(indexes)) / self._total


def checked_weights(
    component: str, setting: str, weights: Any, names: Sequence[str]
) -> dict[str, float]:
    """The weights that a setting gives.

    Args:
        component: Its name, for the message.
        setting: The setting's.
        weights: What was given.
        names: Of the features that may have one.

    Raises:
        InvalidSetting: They are no numbers by features' names.
    """
    allowed = f"numbers by {listing(names)}"
    if not isinstance(weights, Mapping):
        raise InvalidSetting(component, setting, weights, allowed=allowed)
    for name, value in weights.items():
        if name not in names:
            raise InvalidSetting(component, setting, name, allowed=allowed)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidSetting(component, setting, value, allowed=allowed)
    return dict(weights)


def weighted(features: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """The score of a candidate: what its features count, added up."""
    return sum(weights.get(name, 0.0) * value for name, value in features.items())


def _votes(mention: Mention, voters: Sequence[tuple[Mention, float]]) -> float:
    total = sum(weight for _, weight in voters)
    if not total:
        return 0.0
    return sum(weight * _overlap(mention, voter) for voter, weight in voters) / total


def _overlap(one: Mention, other: Mention) -> float:
    """The F1 of the tokens of two pieces of one document."""
    common = max(0, min(one.end, other.end) - max(one.start, other.start))
    return 2 * common / (one.end - one.start + other.end - other.start)


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else 1.0
