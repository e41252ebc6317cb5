"""Requests whose answer can only be a piece of a document or a given text, over a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.server import (
    ServerRefused,
    ServerReplyInvalid,
)
from nlp_pipeline.errors.server_abilities import (
    SpanGrammarTooLarge,
)
from nlp_pipeline.generation.backends.server.discovery import ServedModel
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.grammar_probe import (
    SCORES_UNDER_GRAMMAR,
    GrammarField,
    GrammarProbe,
)
from nlp_pipeline.generation.backends.server.probe import Ask, Body
from nlp_pipeline.generation.backends.server.replies import completion_of
from nlp_pipeline.generation.backends.server.requests import RequestWriter, SentPrompt
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.backends.server.text_scores import scored_ids, scoring_request
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.span_grammar import (
    span_grammar,
    text_grammar,
    token_grammar,
)
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import Completion, GenerationRequest

if TYPE_CHECKING:
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder

MAX_SPAN_CHARACTERS = {"llamacpp": 40_000, "vllm": 4000, "sglang": 4000}
"""Of a longer text no grammar is made: llama.cpp takes seconds for one of 30,000 characters,
xgrammar, which the others use by default, much longer (`benchmarks/span_grammars.py`)."""


MAX_TOKENIZED_TEXTS = 1024
"""Labels and the reply that there is no answer come again and again; other texts do not."""


class ConstrainedRequests:
    """Serves requests with a `DocumentSpans` or a `Forced` as constraint.

    llama.cpp gets a grammar for both, and says the model's own log-probabilities of what came
    out. vLLM and SGLang get a grammar for the pieces of a document; how likely a text is they are
    asked apart, with the text at the end of the prompt, all in token ids.

    Args:
        ask: Sends a request.
        writer: Writes requests.
        served: The model.
        settings: Of the backend.
        encoder: The model's own tokenizer, where it is known.
    """

    def __init__(
        self,
        ask: Ask,
        writer: RequestWriter,
        served: ServedModel,
        settings: ServerSettings,
        encoder: PromptEncoder | None,
    ) -> None:
        self._ask = ask
        self._writer = writer
        self._served = served
        self._settings = settings
        self._encoder = encoder
        self._probe = GrammarProbe(ask, served, settings)
        self._takes_tokens = True
        self._token_ids: dict[str, list[int]] = {}

    @staticmethod
    def serves(request: GenerationRequest) -> bool:
        """Whether a request is one for here."""
        return isinstance(request.constraint, DocumentSpans | Forced)

    async def complete(self, request: GenerationRequest, sample: int) -> Completion:
        """The completion of one sample of a request, or that of its failure.

        Raises:
            ModelError: The server cannot do it, for no request.
            NlpPipelineError: This request cannot be served.
        """
        field = await self._probe.outcome()
        text = _only_text(request.constraint)
        if self._served.server in SCORES_UNDER_GRAMMAR or self._encoder is None:
            if text is not None:
                return await self._given_text(request, sample, text, field)
            grammar = self._grammar(request.constraint, after_space=self._writer.sends_prefix)
            body = self._writer.write(replace(request, constraint=None), sample)
            return await self._generated(request, sample, body, field(grammar))
        prompt_ids = self._encoder.encode(request.prompt, answers_at_once=True)
        if text is not None:
            whole = (
                request.constraint.text if isinstance(request.constraint, Forced) else f" {text}"
            )
            completion = _given(request, sample, whole, len(prompt_ids))
        else:
            body = self._writer.write(replace(request, prompt="", constraint=None), sample)
            body = replace(body, prompt_tokens=len(prompt_ids))
            body.body["prompt"] = prompt_ids
            grammar = self._grammar(request.constraint, after_space=True)
            completion = await self._generated(request, sample, body, field(grammar))
            if completion.error:
                return completion
        return await self._scored(completion, prompt_ids, self._encoder)

    async def _given_text(
        self, request: GenerationRequest, sample: int, text: str, field: GrammarField
    ) -> Completion:
        """A text that a grammar leaves no choice of, with llama.cpp's scores of it.

        In the tokenizer's own tokens where the server takes these in a grammar: left to itself it
        would begin with whichever piece of the text is likeliest, such as a lone space.
        """
        after_space = self._writer.sends_prefix and _follows_space(request.constraint)
        grammars = [self._grammar(request.constraint, after_space=after_space)]
        token_ids = await self._tokens(f" {text}" if after_space else text)
        if token_ids:
            may_break = isinstance(request.constraint, DocumentSpans)
            grammars.insert(0, token_grammar(token_ids, may_break=may_break))
        for grammar in grammars:
            body = self._writer.write(replace(request, constraint=None), sample)
            completion = await self._generated(request, sample, body, field(grammar))
            if not isinstance(completion.error, ServerRefused):
                break
            self._takes_tokens = False
        if not completion.error and completion.text.strip() != text:
            raise ServerReplyInvalid(f"it says '{completion.text}' where '{text}' was given")
        return completion

    async def _tokens(self, text: str) -> list[int]:
        """The tokens of a text by llama.cpp's word, asked once a text; none where it has none.

        None either where one of them is part of a character: its grammars cannot hold these.
        """
        if not self._takes_tokens:
            return []
        if text not in self._token_ids:
            if len(self._token_ids) >= MAX_TOKENIZED_TEXTS:
                self._token_ids.clear()
            body = {"content": text, "add_special": False, "parse_special": False}
            body["with_pieces"] = True
            answer = await self._ask(f"{self._settings.root_url}/tokenize", body)
            tokens = None if isinstance(answer, Failure) else answer.get("tokens")
            self._token_ids[text] = _whole_characters(tokens)
        return self._token_ids[text]

    def _grammar(self, constraint: Constraint | None, *, after_space: bool) -> str:
        """The grammar of a constraint.

        Raises:
            SpanGrammarTooLarge: Its document is too long.
        """
        if isinstance(constraint, Forced):
            return text_grammar(constraint.text.strip(), after_space=after_space)
        assert isinstance(constraint, DocumentSpans)
        limit = MAX_SPAN_CHARACTERS[self._served.server]
        if len(constraint.text) > limit:
            raise SpanGrammarTooLarge(len(constraint.text), limit)
        return span_grammar(constraint, after_space=after_space)

    async def _generated(
        self, request: GenerationRequest, sample: int, prompt: SentPrompt, grammar: Body
    ) -> Completion:
        """What is generated under a grammar, up to the line break that ends a piece."""
        prompt.body.pop("stop", None)  # llama.cpp takes a stop text's tokens out of the scores
        prompt.body.update(grammar)
        answer = await self._ask(prompt.path, prompt.body)
        if isinstance(answer, Failure):
            return Completion.failed(request.id, answer.error(), sample=sample)
        # A given text may have line breaks of its own; nothing follows it.
        stop = () if isinstance(request.constraint, Forced) else ("\n",)
        line = replace(request, params=replace(request.params, stop=stop))
        return completion_of(answer, line, sample, prompt, partial(_whole, request.constraint))

    async def _scored(
        self, completion: Completion, prompt_ids: Sequence[int], encoder: PromptEncoder
    ) -> Completion:
        """A completion with the model's own log-probabilities of its text and of an end after it.

        Those it came with are of what the grammar left.
        """
        ids = encoder.encode_text(completion.text)
        end = encoder.tokenizer.eos_token_id
        asked = ids if end is None else [*ids, end]
        path, body = scoring_request(
            self._served.server, self._served.name, self._settings, prompt_ids, asked
        )
        answer = await self._ask(path, body)
        if isinstance(answer, Failure):
            raise answer.error()
        scores = scored_ids(self._served.server, answer, asked)
        return replace(
            completion,
            token_ids=tuple(ids),
            logprobs=tuple(scores[: len(ids)]),
            stop_logprob=scores[len(ids)] if end is not None else None,
            masked_logprob=sum(completion.logprobs) if completion.logprobs else None,
            top_logprobs=(),
            output_tokens=completion.output_tokens or len(asked),
        )


def _whole_characters(tokens: Any) -> list[int]:
    """The ids of tokens that llama.cpp names; none where one is part of a character only."""
    ids: list[int] = []
    for token in tokens if isinstance(tokens, list) else []:
        is_whole = isinstance(token, dict) and isinstance(token.get("piece"), str)
        token_id = token.get("id") if is_whole else token  # former versions name the ids alone
        if not isinstance(token_id, int):
            return []
        ids.append(token_id)
    return ids


def _only_text(constraint: Constraint | None) -> str | None:
    """The text that a constraint leaves no choice of; None for one that does."""
    if isinstance(constraint, Forced):
        return constraint.text.strip()
    if isinstance(constraint, DocumentSpans) and constraint.no_answer and not constraint.starts:
        return constraint.no_answer
    return None


def _follows_space(constraint: Constraint | None) -> bool:
    """Whether a given text comes after an answer's beginning, and so after a space."""
    return not isinstance(constraint, Forced) or constraint.text.startswith(" ")


def _given(request: GenerationRequest, sample: int, text: str, prompt_tokens: int) -> Completion:
    """The completion of a text that nobody has to generate; without its scores."""
    return Completion(
        request_id=request.id,
        text=text,
        token_ids=(),
        logprobs=(),
        finish_reason="stop",
        prompt_tokens=prompt_tokens,
        sample=sample,
    )


def _whole(constraint: Constraint | None, text: str) -> int:
    """The length of a piece that was cut off up to the last place where one may end."""
    if not isinstance(constraint, DocumentSpans):
        return len(text)
    lengths = range(len(text), 0, -1)
    return next((n for n in lengths if constraint.occurrences(text[:n])), len(text))
