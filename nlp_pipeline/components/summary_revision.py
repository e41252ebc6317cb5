"""What becomes of a summary that the model wrote: whole sentences, and only those that may stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask
from nlp_pipeline.components.long_documents import chunk_key
from nlp_pipeline.components.whole_sentences import WholeSentences, whole_sentences
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion, SamplingParams
from nlp_pipeline.grounding.answer_checker import Checker

ON_UNSUPPORTED = ("mark", "drop", "retry")

N_RETRIES = 2
"""A summary is written so many times more at most."""
_RETRY_TEMPERATURE = 0.7
"""Where the setting is greedy: the same prompt would give the same summary again."""


@dataclass(frozen=True)
class SummaryRevision:
    """Cuts what the model wrote, and looks after names and numbers that the document lacks.

    Attributes:
        key: Of the request whose completion is the summary.
        checker: Looks names and numbers up.
        max_sentences: How many the summary may have.
        on_unsupported: What is done about a sentence with a name or a number that the document
            lacks: it is marked, dropped, or the summary is written anew.
    """

    key: str
    checker: Checker
    max_sentences: int
    on_unsupported: str

    def whole(self, doc: Doc, completion: Completion) -> WholeSentences:
        """What was written, cut back to its whole sentences."""
        text = completion.text.strip()
        if not text:
            return WholeSentences("", None)
        tokens = self.checker.reader.tokens(text, doc.lang_)
        is_complete = completion.finish_reason != "length"
        return whole_sentences(tokens, is_complete=is_complete, at_most=self.max_sentences)

    def columns(self, doc: Doc, completion: Completion) -> dict[str, Any]:
        """The summary, why its end is missing, what was dropped, and the support of the rest."""
        text, cut = self.whole(doc, completion)
        checks = self.checker.check_summary(doc, text or None)
        dropped: list[str] = []
        if self.on_unsupported == "drop":
            dropped = [s["text"].strip() for s in checks["sentences"] if _lacks_support(s)]
        if dropped:
            sentences = [s["text"].strip() for s in checks["sentences"] if not _lacks_support(s)]
            text = " ".join(sentences)
            checks = self.checker.check_summary(doc, text or None)
        status = "error" if completion.error else "ok" if text else "no_answer"
        summary = text if status == "ok" else None
        return {"summary": summary, "status": status, "cut": cut, "dropped": dropped, **checks}

    @property
    def writes_anew(self) -> bool:
        """Whether a summary that lacks support is written again."""
        return self.on_unsupported == "retry"

    def retry(
        self,
        doc: Doc,
        chat: Chat,
        completions: Mapping[str, Completion],
        params: SamplingParams,
    ) -> list[Ask]:
        """Asks for the summary again where the last one lacks support.

        Args:
            doc: The document.
            chat: The prompt of the summary.
            completions: By key, of all requests so far.
            params: How the summary was first written.
        """
        tries = self.tries(completions, completions[self.key])
        last = tries[-1]
        if len(tries) > N_RETRIES or last.error is not None or not self._n_unsupported(doc, last):
            return []
        again = replace(
            params,
            seed=params.seed + len(tries),
            temperature=params.temperature or _RETRY_TEMPERATURE,
            num_beams=1,
        )
        return [Ask(chunk_key(self.key, len(tries)), chat, params=again)]

    def tries(self, completions: Mapping[str, Completion], first: Completion) -> list[Completion]:
        """A summary in all the ways in which it was written, in their order."""
        keys = [chunk_key(self.key, number + 1) for number in range(N_RETRIES)]
        return [first, *(completions[key] for key in keys if key in completions)]

    def best(self, doc: Doc, tries: list[Completion]) -> Completion:
        """The first that has the fewest names and numbers without support."""
        if len(tries) == 1:
            return tries[0]
        written = [one for one in tries if one.error is None and self.whole(doc, one).text]
        return min(written or tries[:1], key=lambda one: self._n_unsupported(doc, one))

    def _n_unsupported(self, doc: Doc, completion: Completion) -> int:
        checks = self.checker.check_summary(doc, self.whole(doc, completion).text or None)
        return sum(not unit["supported"] for s in checks["sentences"] for unit in s["entities"])


def _lacks_support(sentence: Mapping[str, Any]) -> bool:
    return bool(sentence["unsupported_entities"] or sentence["unsupported_numbers"])
