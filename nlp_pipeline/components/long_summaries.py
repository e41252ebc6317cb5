"""Summaries of documents in chunks: map, and reduce until one prompt holds what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.long_documents import (
    LongDocuments,
    Plan,
    Render,
    chunk_key,
    chunk_text,
)
from nlp_pipeline.components.whole_sentences import WholeSentences
from nlp_pipeline.errors.generation import SummariesTooLong
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion

JOINT = "\n\n"


@dataclass(frozen=True)
class LongSummaries:
    """Summarizes every chunk, then the summaries, in as many rounds as it takes.

    Attributes:
        key: Of the last request, whose completion is the summary.
        long: Knows what fits.
        render: Makes the prompt from a text.
        whole: The whole sentences of what was written about a piece of a document.
    """

    key: str
    long: LongDocuments
    render: Render
    whole: Callable[[Doc, Completion], WholeSentences]

    def asks(self, doc: Doc, plan: Plan) -> list[Ask]:
        """The first round: one request per chunk."""
        return [
            Ask(self._key(0, chunk.chunk_id), self.render(chunk_text(doc, chunk)))
            for chunk in plan.chunks
        ]

    def follow_ups(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> list[Ask]:
        """The next round; none once the summary is there or something has failed."""
        if self.key in completions or _failure(completions) is not None:
            return []
        level = self.rounds(completions) - 1
        texts = [text for text in self._texts(doc, level, completions) if text]
        if len(texts) < 2:
            return []
        groups = self._groups(plan, texts)
        if len(groups) == 1:
            return [Ask(self.key, self.render(groups[0]))]
        if len(groups) == len(texts):
            error = SummariesTooLong(len(plan.chunks), plan.room or 0)
            return [Ask(self.key, self.render(""), error=error)]
        return [
            Ask(self._key(level + 1, number), self.render(text))
            for number, text in enumerate(groups)
        ]

    def result(self, completions: Mapping[str, Completion]) -> Completion:
        """The summary; the first failure where any part of it failed, for then a part is missing.

        Where only one chunk had anything to say, that is the summary.
        """
        failed = _failure(completions)
        if failed is not None:
            return failed
        if self.key in completions:
            return completions[self.key]
        last = self._level(self.rounds(completions) - 1, completions)
        return next((completion for completion in last if completion.text.strip()), last[0])

    def rounds(self, completions: Mapping[str, Completion]) -> int:
        """How many rounds of requests there were before the last one."""
        return next(level for level in count() if self._key(level, 0) not in completions)

    def _groups(self, plan: Plan, texts: list[str]) -> list[str]:
        """Neighbouring texts, joined as long as the prompt has room for them."""
        groups: list[str] = []
        for text in texts:
            joined = groups[-1] + JOINT + text if groups else ""
            if joined and self.long.fits(plan.room, joined):
                groups[-1] = joined
            else:
                groups.append(text)
        return groups

    def final_prompt(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> Chat:
        """The prompt of the summary itself, once that was asked for."""
        texts = self._texts(doc, self.rounds(completions) - 1, completions)
        (joined,) = self._groups(plan, [text for text in texts if text])
        return self.render(joined)

    def _texts(self, doc: Doc, level: int, completions: Mapping[str, Completion]) -> list[str]:
        """What a round wrote, without half sentences: they would be taken for the document's."""
        return [self.whole(doc, completion).text for completion in self._level(level, completions)]

    def _level(self, level: int, completions: Mapping[str, Completion]) -> list[Completion]:
        """The completions of a round, in the order of the document."""
        level_completions: list[Completion] = []
        while (key := self._key(level, len(level_completions))) in completions:
            level_completions.append(completions[key])
        return level_completions

    def _key(self, level: int, number: int) -> str:
        return chunk_key(self.key, level, number)


def _failure(completions: Mapping[str, Completion]) -> Completion | None:
    return next(
        (completion for completion in completions.values() if completion.error is not None), None
    )
