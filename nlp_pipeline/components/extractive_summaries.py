"""The extractive mode of `llama_summarizer`: whole sentences of the document, in its order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import fmean, pstdev
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.chunking import Chunk
from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.long_documents import (
    NOTHING_ASKED,
    Plan,
    Render,
    chunk_key,
    chunk_text,
)
from nlp_pipeline.components.sentence_salience import (
    SummarySentence,
    similarity,
    summary_sentences,
)
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.interface import Completion, SamplingParams
from nlp_pipeline.grounding.align import Grounding
from nlp_pipeline.grounding.answer_checker import Checker, unchecked_support
from nlp_pipeline.grounding.support import Supported, support_score, unsupported

CANDIDATES = 4
"""The Llama is asked about so many sentences for each of the summary."""
OPENING_WORDS = 12
"""The words of a sentence that it is judged by: the model has chosen it once it has begun it."""
LIKELIHOOD = 0.25
"""Weight of a standard deviation of the Llama's likelihood beside the salience."""
ALIKE = 0.7
"""A sentence that is so similar to one of the summary says it again."""


@dataclass(frozen=True)
class ExtractiveSummaries:
    """Chooses sentences by their salience and by how likely the Llama would begin with them.

    Attributes:
        key: Begins the keys of the requests.
        n_sentences: How many sentences a summary has.
        render: Makes the prompt of a summary from a text.
        checker: Knows what stands in the document.
    """

    key: str
    n_sentences: int
    render: Render
    checker: Checker

    def asks(self, doc: Doc, plan: Plan) -> list[Ask]:
        """One request for each sentence that may be chosen; none where all of them are.

        Of a document in chunks a sentence is judged in the first chunk that holds it.
        """
        candidates = self._candidates(doc)
        if len(candidates) <= self.n_sentences:
            return []
        by_chunk: dict[int, list[SummarySentence]] = {}
        for candidate in candidates:
            by_chunk.setdefault(_chunk_of(plan.chunks, candidate), []).append(candidate)
        asks: list[Ask] = []
        for chunk_id, sentences in sorted(by_chunk.items()):
            chat = self.render(chunk_text(doc, plan.chunks[chunk_id]) if plan.chunks else doc.text)
            for sentence in sentences:
                opening = _opening(doc.text[sentence.start_char : sentence.end_char])
                params = SamplingParams(max_new_tokens=len(opening.encode()) + 2)
                key = chunk_key(self.key, sentence.number)
                asks.append(Ask(key, chat, Forced(opening), params=params, piece=str(chunk_id)))
        return asks

    def follow_ups(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> list[Ask]:
        """Extractive summaries need no second round of requests."""
        return []

    def texts(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> list[str]:
        """Nothing has to be read: the document was."""
        return []

    def result(
        self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]
    ) -> tuple[Completion, dict[str, Any]]:
        """A completion with the figures of the sentences that were chosen, and the columns."""
        failed = next((c for c in completions.values() if c.error is not None), None)
        chosen = [] if failed else self._chosen(doc, completions)
        columns = self._columns(doc, chosen)
        if failed is not None:
            return failed, {**columns, "status": "error"}
        if not completions:
            return NOTHING_ASKED, columns
        replies = [completions[chunk_key(self.key, sentence.number)] for sentence in chosen]
        logprobs = tuple(logprob for reply in replies for logprob in reply.logprobs)
        return replace(replies[0], logprobs=logprobs, stop_logprob=None), columns

    def _chosen(self, doc: Doc, completions: Mapping[str, Completion]) -> list[SummarySentence]:
        """The sentences of the summary, in the order of the document."""
        candidates = self._candidates(doc)
        replies = [completions.get(chunk_key(self.key, c.number)) for c in candidates]
        likelihoods = _standardized([_mean_logprob(reply) for reply in replies])
        scores = {
            candidate.number: candidate.salience + LIKELIHOOD * likelihood
            for candidate, likelihood in zip(candidates, likelihoods, strict=True)
        }
        chosen: list[SummarySentence] = []
        for candidate in sorted(candidates, key=lambda c: (-scores[c.number], c.number)):
            says_again = any(similarity(candidate.vector, c.vector) > ALIKE for c in chosen)
            if len(chosen) < self.n_sentences and not says_again:
                chosen.append(candidate)
        return sorted(chosen, key=lambda sentence: sentence.number)

    def _columns(self, doc: Doc, chosen: Sequence[SummarySentence]) -> dict[str, Any]:
        """The summary with all that is known of its sentences, by construction."""
        texts = [doc.text[s.start_char : s.end_char] for s in chosen]
        starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
        groundings = [_grounding(doc, sentence) for sentence in chosen]
        checks = self.checker.check_answers(
            doc, [({}, text, place) for text, place in zip(texts, groundings, strict=True)]
        )
        sentences: list[dict[str, Any]] = []
        units: list[Supported] = []
        for number, (text, start, check) in enumerate(zip(texts, starts, checks, strict=False)):
            moved = [_moved(unit, start) for unit in check["entities"]]
            units += [Supported(**unit) for unit in moved]
            place = {"summary_start": start, "summary_end": start + len(text)}
            row = {"sentence": number, "text": text, **place, **check, "entities": moved}
            sentences.append(row)
        if texts:
            support = {"support_score": support_score(units), **unsupported(units)}
        else:
            support = unchecked_support()
        return {
            "summary": " ".join(texts) or None,
            "status": "ok" if texts else "no_answer",
            "cut": None,
            "dropped": [],
            **support,
            "sentences": sentences,
            "rounds": 0,
            "n_tries": 1,
        }

    def _candidates(self, doc: Doc) -> list[SummarySentence]:
        """The most salient sentences, in their order; they are found anew whenever asked for."""
        sentences = summary_sentences(doc)
        if len(sentences) <= self.n_sentences:
            return sentences
        best = sorted(sentences, key=lambda s: (-s.salience, s.number))
        return sorted(best[: CANDIDATES * self.n_sentences], key=lambda s: s.number)


def _chunk_of(chunks: Sequence[Chunk], sentence: SummarySentence) -> int:
    """The first chunk that holds a sentence; where none holds all of it, its beginning."""
    holders = [c.chunk_id for c in chunks if c.start_char <= sentence.start_char < c.end_char]
    whole = [n for n in holders if chunks[n].end_char >= sentence.end_char]
    return next(iter([*whole, *holders]), 0)


def _opening(text: str) -> str:
    """The first words of a sentence, as they stand."""
    words = text.split(maxsplit=OPENING_WORDS)
    rest = words[OPENING_WORDS] if len(words) > OPENING_WORDS else ""
    return text[: len(text) - len(rest)].rstrip()


def _mean_logprob(completion: Completion | None) -> float | None:
    """Per token, without that of the end: the sentence goes on."""
    return fmean(completion.logprobs) if completion and completion.logprobs else None


def _standardized(values: Sequence[float | None]) -> list[float]:
    """Values in standard deviations from their mean; 0 for one that is missing."""
    present = [value for value in values if value is not None]
    deviation = pstdev(present) if len(present) > 1 else 0.0
    mean = fmean(present) if present else 0.0
    if not deviation or not math.isfinite(deviation):
        return [0.0] * len(values)
    return [0.0 if value is None else (value - mean) / deviation for value in values]


def _grounding(doc: Doc, sentence: SummarySentence) -> Grounding:
    start, end = sentence.start_char, sentence.end_char
    span = doc.char_span(start, end, alignment_mode="expand")
    assert span is not None
    tokens = {"start_token": span.start, "end_token": span.end}
    return Grounding("exact", start, end, **tokens, alignment_score=1.0)


def _moved(unit: Mapping[str, Any], shift: int) -> dict[str, Any]:
    """A unit with its offsets in the summary instead of in its sentence."""
    offsets = {name: unit[name] + shift for name in ("answer_start", "answer_end")}
    return {**unit, **offsets}
