"""Forms whose texts have to stand in the document, over a server that holds texts to a pattern."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from nlp_pipeline.errors.generation import NoSpanPossible
from nlp_pipeline.errors.server_abilities import (
    FormTextTooLong,
    PatternsNotObeyed,
)
from nlp_pipeline.generation.backends.server.probe import (
    PROBE_TEXT,
    Body,
    Probe,
    probe_body,
    reply_text,
)
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.grammar import Grammar

MAX_FORM_CHARACTERS = {"llamacpp": 10_000}
"""A longer text is no pattern for a server (`benchmarks/span_grammars.py`)."""

MAX_FORM_CHARACTERS_ELSEWHERE = 2000
"""xgrammar, which vLLM and SGLang use by default, takes longer than llama.cpp."""

_PROBE_SCHEMA = {
    "type": "object",
    "properties": {"text": {"$ref": "#/$defs/piece"}},
    "required": ["text"],
    "additionalProperties": False,
    "$defs": {"piece": {"type": "string", "pattern": f"^(({PROBE_TEXT})?{PROBE_TEXT})$"}},
}


def response_format(schema: Mapping[str, Any]) -> Body:
    """The part of a request's body that asks for an object of a schema."""
    form = {"name": "answer", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def needs_pieces(constraint: Constraint | None) -> TypeGuard[Grammar]:
    """Whether a constraint is a form whose texts have to stand in the document."""
    return isinstance(constraint, Grammar) and constraint.needs_pieces


class SchemaProbe(Probe[None]):
    """Finds out whether a server obeys the patterns of a schema."""

    async def _attempt(self) -> None:
        body = probe_body(self._served.name, **response_format(_PROBE_SCHEMA))
        body["max_tokens"] = 256  # much of a form can be white space
        text = reply_text(await self._ask("/chat/completions", body))
        if not _is_piece(text):
            url, server = self._settings.base_url, self._served.server
            raise PatternsNotObeyed(url, server, expected=PROBE_TEXT, reply=text)


def form_of_pieces(form: Grammar, server: str) -> Mapping[str, Any]:
    """The schema of one document's form, with patterns.

    Raises:
        FormTextTooLong: The document is too long for that.
        NoSpanPossible: It has no piece.
    """
    limit = MAX_FORM_CHARACTERS.get(server, MAX_FORM_CHARACTERS_ELSEWHERE)
    if form.n_characters > limit:
        raise FormTextTooLong(form.n_characters, limit)
    schema = form.schema_with_pieces()
    if schema is None:
        raise NoSpanPossible(form.n_characters)
    return schema


def _is_piece(reply: str) -> bool:
    try:
        value = json.loads(reply)
    except ValueError:
        return False
    texts = (PROBE_TEXT, 2 * PROBE_TEXT)
    return isinstance(value, dict) and value.get("text") in texts
