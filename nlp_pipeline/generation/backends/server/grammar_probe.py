"""How a server is told a grammar: each has a field of its own, and one request says if it obeys."""

from __future__ import annotations

from collections.abc import Callable

from nlp_pipeline.errors.server_abilities import (
    GrammarsNotObeyed,
    TextScoresMissing,
)
from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.probe import (
    PROBE_TEXT,
    Body,
    Probe,
    probe_body,
    reply_text,
)
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.constraints.span_grammar import text_grammar

GrammarField = Callable[[str], Body]
"""Makes of a grammar the part of a request's body that holds it."""

GRAMMAR_FIELDS: dict[str, tuple[GrammarField, ...]] = {
    "llamacpp": (lambda grammar: {"grammar": grammar},),
    # vLLM before 0.11 has the second; each version passes over the other's field.
    "vllm": (
        lambda grammar: {"structured_outputs": {"grammar": grammar}},
        lambda grammar: {"guided_grammar": grammar},
    ),
    "sglang": (lambda grammar: {"ebnf": grammar},),
}
"""The fields that may hold a grammar in GBNF, by server; the newest first."""

SCORES_UNDER_GRAMMAR = ("llamacpp",)
"""Servers whose log-probabilities are the model's own though a grammar rules the output: the
others take out of the distribution what it forbids before they look at it."""


class GrammarProbe(Probe[GrammarField]):
    """Finds out how a server takes a grammar, and that it says how likely a given text is."""

    async def _attempt(self) -> GrammarField:
        needed = missing_setting(self._served, self._settings)
        if needed:
            raise TextScoresMissing(self._settings.base_url, self._served.server, needed)
        replies: list[str] = []
        for field in GRAMMAR_FIELDS.get(self._served.server, ()):
            grammar = field(text_grammar(PROBE_TEXT, after_space=False))
            body = probe_body(self._served.name, **grammar)
            replies.append(reply_text(await self._ask("/chat/completions", body)))
            if replies[-1].strip() == PROBE_TEXT:
                return field
        url, server = self._settings.base_url, self._served.server
        raise GrammarsNotObeyed(url, server, expected=PROBE_TEXT, replies=replies)


def missing_setting(served: ServedModel, settings: ServerSettings) -> str:
    """What has to be set before a server says how likely a given text is; empty for nothing."""
    if not settings.logprobs:
        return "logprobs = true"
    needs_ids = served.server in GRAMMAR_FIELDS and served.server not in SCORES_UNDER_GRAMMAR
    if needs_ids and settings.tokenizer is None:
        return "tokenizer to a folder or hub name with the model's own tokenizer"
    return ""
