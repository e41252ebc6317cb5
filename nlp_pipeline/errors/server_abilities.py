"""Errors of what a server cannot do: a setting, a grammar, a form, a text that is too long."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import ModelError, RequestError
from nlp_pipeline.errors.server import quoted_reason


class NotOfferedByServer(RequestError):
    """Something that a request may ask of the in-process engine only."""

    def __init__(self, feature: str, instead: str) -> None:
        super().__init__(f"The server backend takes no {feature}. {instead}")


class SettingPassedOver(ModelError):
    """A setting that Ollama takes in no request: it would answer as if it were not there."""

    def __init__(self, name: str, value: object, parameter: str = "") -> None:
        place = f" (PARAMETER {parameter} {value} in its Modelfile)" if parameter else ""
        super().__init__(
            f"{name} is {value!r}, and Ollama passes over that in a request. Leave {name} out, and "
            f"set it in the model itself{place} if it is needed, or serve the model by llama.cpp, "
            "vLLM or SGLang."
        )


class RequestsRefused(ModelError):
    """A server that refuses every request of a kind, whatever document it is about."""

    def __init__(
        self, base_url: str, server: str, reason: str, *, fields: Sequence[str], step: str
    ) -> None:
        culprit = (
            f"The cause is what it is sent as {listing(fields)}: {step}."
            if fields
            else "No single setting is the cause: see what the server itself writes."
        )
        super().__init__(
            f"The server at {base_url} ({escaped(server)}) refuses all that it is asked in this "
            f"way, without any document too: {quoted_reason(reason)}. {culprit}"
        )


class GrammarsNotObeyed(ModelError):
    """A server that generates what a grammar forbids, or takes none."""

    def __init__(self, base_url: str, server: str, expected: str, replies: Sequence[str]) -> None:
        said = listing(f"'{quoted_reason(reply)}'" for reply in replies)
        probe = f"; asked for '{expected}' alone it said: {said}" if replies else ""
        super().__init__(
            f"The server at {base_url} ({escaped(server)}) obeys no grammar{probe}. Answers as "
            'pieces of the document (mode = "extractive") and the scores of labels need one: serve '
            "the model by llama.cpp, vLLM or SGLang, take the in-process Llama, or set mode = "
            '"free".'
        )


class PatternsNotObeyed(ModelError):
    """A server that fills in a form with texts that its schema forbids, or takes no schema."""

    def __init__(self, base_url: str, server: str, expected: str, reply: str) -> None:
        super().__init__(
            f"The server at {base_url} ({escaped(server)}) does not obey the patterns of a JSON "
            f"schema: asked for a form with the text '{expected}' alone it said: "
            f"'{quoted_reason(reply)}'. Texts that have to stand in the document (substrings) "
            "need that: serve the model by llama.cpp, vLLM or SGLang, take the in-process Llama, "
            "or leave substrings out; the table extraction_fields says of each value where it "
            "stands."
        )


class TextScoresMissing(ModelError):
    """A setting is missing without which a server does not say how likely a given text is."""

    def __init__(self, base_url: str, server: str, needed: str) -> None:
        super().__init__(
            f"The server at {base_url} ({escaped(server)}) cannot say how likely a given text is, "
            "which answers as pieces of the document and labels are chosen by, unless the "
            f'generator\'s settings help: set {needed}. Or set mode = "free".'
        )


class SpanGrammarTooLarge(RequestError):
    """A text that is too long for a grammar of its pieces."""

    def __init__(self, characters: int, limit: int) -> None:
        super().__init__(
            f"The text has {characters} characters, and a server is sent the pieces of at most "
            f"{limit} as a grammar. Ask about less of the document at a time: set chunk_tokens, "
            f"such as {limit // 8}."
        )


class FormTextTooLong(RequestError):
    """A text that is too long for a form whose texts have to stand in it."""

    def __init__(self, characters: int, limit: int) -> None:
        super().__init__(
            f"The text has {characters} characters, and a server is sent the pieces of at most "
            f"{limit} with a form. Divide the documents before, leave substrings out of the "
            "component's settings, or take the in-process Llama."
        )
