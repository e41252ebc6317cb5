"""`llama_summarizer`: one summary of each Doc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask, LlamaComponent, token_figures
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.grounding.checking import Checker
from nlp_pipeline.prompts import PromptTemplate, load_template

_KEY = "summary"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "template": "summary.v1",
    "max_sentences": 2,
    "max_new_tokens": 96,
    "generator": DEFAULT_GENERATOR,
}


@Language.factory(
    "llama_summarizer",
    assigns=["doc._.summary", "doc._.summary_details"],
    default_config=_DEFAULTS,
)
@takes_sampling
def make_llama_summarizer(
    nlp: Language,
    name: str,
    template: str,
    max_sentences: int,
    generator: Any,
    params: SamplingParams,
) -> LlamaSummarizer:
    """Makes a `LlamaSummarizer`; the settings are described there and in `SamplingParams`."""
    return LlamaSummarizer(
        name,
        generator,
        params,
        template=load_template(template),
        max_sentences=max_sentences,
        nlp=nlp,
    )


class LlamaSummarizer(LlamaComponent):
    """Summarizes each Doc into `doc._.summary`, with figures in `doc._.summary_details`.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.
        template: Is given `text` and `max_sentences`.
        max_sentences: What the model is asked for; at least 1.
        nlp: The pipeline it is part of, whose pipes read the summary (`grounding.reading`).

    Raises:
        InvalidSetting: `max_sentences` is no integer of at least 1.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        template: PromptTemplate,
        max_sentences: int,
        nlp: Language | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "max_sentences"))
        if not isinstance(max_sentences, int) or max_sentences < 1:
            raise InvalidSetting(name, "max_sentences", max_sentences, "an integer of at least 1")
        self.template = template
        self.max_sentences = max_sentences
        self.checker = Checker(nlp, name)

    def asks(self, doc: Doc) -> list[Ask]:
        """One request."""
        values = {"text": doc.text, "max_sentences": self.max_sentences}
        return [Ask(_KEY, self.template.render(values))]

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> dict[str, Any]:
        """The summary and its figures."""
        completion = completions[_KEY]
        said = completion.text.strip()
        status = "error" if completion.error else "ok" if said else "no_answer"
        summary = said if status == "ok" else None
        return {
            "component": self.name,
            "summary": summary,
            "status": status,
            **self.checker.check_summary(doc, summary),
            **token_figures(completion, self.model_name(completion)),
        }

    def set_annotations(self, doc: Doc, result: dict[str, Any]) -> None:
        """Writes the summary and its details."""
        doc._.summary = result["summary"]
        doc._.summary_details = result
