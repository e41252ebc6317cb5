"""`llama_extractor`: an object that obeys a JSON schema, out of each Doc."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import token_figures
from nlp_pipeline.components.extraction_schema import ExtractionSchema, parse_schema
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.first_pipeline import checked_first_threshold
from nlp_pipeline.components.first_values import FirstValues
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.long_documents import NOTHING_ASKED
from nlp_pipeline.components.reference_scores import evaluate_with_references, mean
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.grounding.align import Grounding, ground
from nlp_pipeline.prompts import PromptTemplate, load_template

_KEY = "extraction"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "schema": {},
    "substrings": [],
    "template": "extract.v1",
    "max_new_tokens": 256,
    "first": None,
    "first_threshold": None,
    "generator": DEFAULT_GENERATOR,
}


@Language.factory(
    "llama_extractor",
    assigns=["doc._.extraction", "doc._.extractions"],
    default_config=_DEFAULTS,
)
@takes_sampling
def make_llama_extractor(
    nlp: Language,
    name: str,
    schema: Any,
    substrings: list[str],
    template: str,
    first: str | None,
    first_threshold: float | None,
    generator: Any,
    params: SamplingParams,
) -> LlamaExtractor:
    """Makes a `LlamaExtractor`; the settings are described there and in `SamplingParams`."""
    evaluate_with_references(nlp)
    parsed = parse_schema(name, schema, substrings)
    return LlamaExtractor(
        name,
        generator,
        params,
        schema=parsed,
        template=load_template(template),
        first=first,
        first_threshold=first_threshold,
    )


class LlamaExtractor(LlamaComponent):
    """Fills in a form about each Doc: an object into `doc._.extraction` that obeys a schema.

    Decoding can produce nothing else than what the schema allows, so there is nothing to parse
    and repair; strings and arrays that the schema leaves endless are bounded. A completion that
    `max_new_tokens` cut off is an error, never half an object.

    `doc._.extractions` has a plain dict per extractor: the object, its status (`ok`,
    `no_answer` where every value is empty, `error`), the place of each string in the text, and
    the figures of the completion.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts; it has to obey constraints.
        params: How.
        schema: What the object looks like.
        template: Is given `text` and `fields` (each with `name` and `description`).
        first: A spaCy pipeline with a `spancat` whose labels are the properties of the schema, by
            its folder or package. It answers alone, as `model` says in the tables, where it is
            sure of every value and they obey the schema.
        first_threshold: How sure it has to be, from 0 to 1; None for 0.9.

    Raises:
        ConfigError: `first` cannot be used.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        schema: ExtractionSchema,
        template: PromptTemplate,
        first: str | None = None,
        first_threshold: float | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "fields"))
        self.schema = schema
        self.template = template
        self._first_threshold = checked_first_threshold(name, first_threshold)
        self._first: FirstValues | None = None
        if first is not None:
            self._first = FirstValues(f"components.{name}.first", first, schema.schema)

    def asks(self, doc: Doc) -> list[Ask]:
        """One request; none about a text without words, and none where `first` is sure."""
        if not doc.text.strip() or self._first_extraction(doc) is not None:
            return []
        pieces = [piece for token in doc for piece in (token.text, token.whitespace_)]
        chat = self.template.render({"text": doc.text, "fields": self.schema.fields()})
        return [Ask(_KEY, chat, self.schema.constraint(pieces))]

    def review(self, completion: Completion) -> NlpPipelineError | None:
        """Refuses a completion that is no valid object of the schema."""
        return self.schema.review(completion)

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> dict[str, Any]:
        """The object, where its strings stand, and the figures."""
        if not completions:
            value = self._first_extraction(doc)
            if value is None or self._first is None:
                return self._result(doc, None, "no_answer", NOTHING_ASKED)
            result = self._result(doc, value, _status(value), NOTHING_ASKED)
            return {**result, "model": self._first.path}
        completion = completions[_KEY]
        value = None if completion.error else _stripped(json.loads(completion.text))
        status = "error" if completion.error else _status(value)
        return self._result(doc, value, status, completion)

    def _first_extraction(self, doc: Doc) -> Any:
        """What the component that is asked first fills in; None where it is not sure enough."""
        if self._first is None or not doc.text.strip():
            return None
        value, certainty = self._first.extraction(doc.text)
        is_sure = certainty >= self._first_threshold and self.schema.problem(value) is None
        return value if is_sure else None

    def failed(self, doc: Doc, error: NlpPipelineError) -> dict[str, Any]:
        """A result without an object, with the reason."""
        return self._result(doc, None, "error", Completion.failed("", error))

    def has_reference(self, doc: Doc) -> bool:
        """Whether a reference Doc has an object."""
        return doc._.extraction is not None

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        """The share of objects that are the reference's, as `extraction_em`."""
        matches = [
            float(extraction["extraction"] == example.reference._.extraction)
            for example in examples
            if self.has_reference(example.reference)
            for extraction in example.predicted._.extractions
            if extraction["component"] == self.name
        ]
        return {"extraction_em": mean(matches)} if matches else {}

    def _result(self, doc: Doc, value: Any, status: str, completion: Completion) -> dict[str, Any]:
        return {
            "component": self.name,
            "extraction": value,
            "status": status,
            "fields": [_field(doc, path, leaf) for path, leaf in _leaves(value)],
            **token_figures(completion, self.model_name(completion)),
        }

    def set_annotations(self, doc: Doc, result: dict[str, Any]) -> None:
        """Writes the object; what this component wrote to the Doc before is replaced."""
        doc._.extractions = [*self.of_others(doc._.extractions), result]
        doc._.extraction = result["extraction"]


def _status(value: Any) -> str:
    """`no_answer` of an object all of whose values are empty."""
    is_filled = any(leaf not in (None, "") for _, leaf in _leaves(value))
    return "ok" if is_filled else "no_answer"


def _stripped(value: Any) -> Any:
    """Without the spaces around texts, which a piece of a document may begin and end with."""
    if isinstance(value, dict):
        return {key: _stripped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_stripped(child) for child in value]
    return value.strip() if isinstance(value, str) else value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is neither object nor array, by its JSON pointer (RFC 6901)."""
    if isinstance(value, dict):
        for key, child in value.items():
            escaped = str(key).replace("~", "~0").replace("/", "~1")
            yield from _leaves(child, f"{path}/{escaped}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _leaves(child, f"{path}/{number}")
    elif path:
        yield path, value


def _field(doc: Doc, path: str, value: Any) -> dict[str, Any]:
    """A leaf and where it stands in the text."""
    text = value if isinstance(value, str) else None if value is None else json.dumps(value)
    grounding = ground(doc, text) if text else Grounding.nowhere()
    return {"field": path, "value": text, **grounding.as_dict()}
