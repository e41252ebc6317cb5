"""The free mode of `llama_summarizer`: the Llama writes the summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.long_documents import NOTHING_ASKED, LongDocuments, Plan, Render
from nlp_pipeline.components.long_summaries import LongSummaries
from nlp_pipeline.components.summary_revision import SummaryRevision
from nlp_pipeline.generation.interface import Completion, SamplingParams


@dataclass(frozen=True)
class FreeSummaries:
    """Asks for one summary; of a document in chunks for one of each, and one of these.

    Attributes:
        key: Of the request whose completion is the summary.
        render: Makes the prompt of a summary from a text.
        params: How it is written.
        long: Knows what fits.
        revision: Knows what of it may stay.
    """

    key: str
    render: Render
    params: SamplingParams
    long: LongDocuments
    revision: SummaryRevision

    def asks(self, doc: Doc, plan: Plan) -> list[Ask]:
        """One request for the document, or one for each of its chunks."""
        if plan.chunks:
            return self._pieces.asks(doc, plan)
        return [Ask(self.key, self.render(doc.text))]

    def follow_ups(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> list[Ask]:
        """Summaries of the chunks' summaries; then the summary anew where that is wanted."""
        asks = self._pieces.follow_ups(doc, plan, completions) if plan.chunks else []
        first = completions.get(self.key)
        if asks or first is None or first.error is not None or not self.revision.writes_anew:
            return asks
        chat = (
            self._pieces.final_prompt(doc, plan, completions)
            if plan.chunks
            else self.render(doc.text)
        )
        return self.revision.retry(doc, chat, completions, self.params)

    def texts(self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]) -> list[str]:
        """The summaries, which the pipeline has to read before `predict`."""
        tries = self._tries(plan, completions)
        return [text for completion in tries if (text := self.revision.whole(doc, completion).text)]

    def result(
        self, doc: Doc, plan: Plan, completions: Mapping[str, Completion]
    ) -> tuple[Completion, dict[str, Any]]:
        """The completion that was taken, and the columns of the summary."""
        tries = self._tries(plan, completions)
        best = self.revision.best(doc, tries)
        rounds = self._pieces.rounds(completions) if plan.chunks else 0
        columns = self.revision.columns(doc, best)
        return best, {**columns, "rounds": rounds, "n_tries": len(tries)}

    def _tries(self, plan: Plan, completions: Mapping[str, Completion]) -> list[Completion]:
        """The summary in all the ways in which it was written; of no text there is one of none."""
        if plan.chunks:
            first = self._pieces.result(completions)
        else:
            first = completions.get(self.key, NOTHING_ASKED)
        return self.revision.tries(completions, first)

    @property
    def _pieces(self) -> LongSummaries:
        return LongSummaries(self.key, self.long, self.render, whole=self.revision.whole)
