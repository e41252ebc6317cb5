"""`llama_prompt`: any prompt about each Doc, its completion into any attribute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import token_figures
from nlp_pipeline.components.extensions import EXTENSIONS, register_extension
from nlp_pipeline.components.extraction_schema import ExtractionSchema, parse_schema
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.reference_scores import evaluate_with_references
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.prompts import PromptTemplate, inline_template, load_template

_KEY = "prompt"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "template": "",
    "prompt": "",
    "attribute": "generated",
    "schema": None,
    "generator": DEFAULT_GENERATOR,
}


@Language.factory("llama_prompt", assigns=["doc._.generations"], default_config=_DEFAULTS)
@takes_sampling
def make_llama_prompt(
    nlp: Language,
    name: str,
    template: str,
    prompt: str,
    attribute: str,
    schema: Any,
    generator: Any,
    params: SamplingParams,
) -> LlamaPrompt:
    """Makes a `LlamaPrompt`; the settings are described there and in `SamplingParams`."""
    evaluate_with_references(nlp)
    if bool(template) == bool(prompt):
        allowed = "given where 'prompt' is not: one of the two, and not both"
        raise InvalidSetting(name, "template", template, allowed=allowed)
    loaded = load_template(template) if template else inline_template(name, prompt)
    parsed = None if schema is None else parse_schema(name, schema, [])
    return LlamaPrompt(name, generator, params, template=loaded, attribute=attribute, schema=parsed)


class LlamaPrompt(LlamaComponent):
    """Writes the completion of any prompt into `doc._.NAME`.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.
        template: Is given `text`, `doc_id`, `meta` (the record's other fields), `entities` (each
            with `text` and `label`) and `sentences` (texts). In a config: `template` names a
            file, `prompt` is the text of the user's turn itself.
        attribute: Name of the Doc extension; registered where it is missing.
        schema: The completion is an object of this JSON schema; None for any text.

    Raises:
        InvalidSetting: `attribute` is no name, or one that the package itself writes to.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        template: PromptTemplate,
        attribute: str,
        schema: ExtractionSchema | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "doc_id", "meta", "entities", "sentences"))
        if not attribute.isidentifier() or attribute in EXTENSIONS:
            reserved_names = ", ".join(sorted(EXTENSIONS))
            allowed = f"a Python name that is none of: {reserved_names}"
            raise InvalidSetting(name, "attribute", attribute, allowed=allowed)
        register_extension(attribute)
        self.template = template
        self.attribute = attribute
        self.schema = schema

    def asks(self, doc: Doc) -> list[Ask]:
        """One request for each document."""
        has_sentences = doc.has_annotation("SENT_START")
        values = {
            "text": doc.text,
            "doc_id": doc._.record_id or "",
            "meta": doc._.meta,
            "entities": [{"text": ent.text, "label": ent.label_} for ent in doc.ents],
            "sentences": [sent.text for sent in doc.sents] if has_sentences else [doc.text],
        }
        constraint = None if self.schema is None else self.schema.constraint([])
        return [Ask(_KEY, self.template.render(values), constraint)]

    def review(self, completion: Completion) -> NlpPipelineError | None:
        """Refuses what is no object of the schema."""
        return None if self.schema is None else self.schema.review(completion)

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> dict[str, Any]:
        """The text (or with a schema its JSON) and the figures."""
        completion = completions[_KEY]
        text = completion.text.strip()
        status = "error" if completion.error else "ok" if text else "no_answer"
        return {
            "component": self.name,
            "attribute": self.attribute,
            "text": text if status == "ok" else None,
            "status": status,
            **token_figures(completion, self.model_name(completion)),
        }

    def set_annotations(self, doc: Doc, result: dict[str, Any]) -> None:
        """Writes the value; what this component wrote to the Doc before is replaced."""
        doc._.generations = [*self.of_others(doc._.generations), result]
        text = result["text"]
        value = text if text is None or self.schema is None else json.loads(text)
        doc._.set(self.attribute, value)
