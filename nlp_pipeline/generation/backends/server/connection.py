"""One server, shared by the sessions of all components that name it with the same settings."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import (
    GenerationFailed,
    ModelError,
    NoAnswerAfterReasoning,
)
from nlp_pipeline.errors.server import ServerGone
from nlp_pipeline.generation.backends.server.client import Reply, ServerClient
from nlp_pipeline.generation.backends.server.constrained_requests import ConstrainedRequests
from nlp_pipeline.generation.backends.server.discovery import served_model, unusable
from nlp_pipeline.generation.backends.server.failures import Failure, wait_before
from nlp_pipeline.generation.backends.server.loop import LoopThread, cancel
from nlp_pipeline.generation.backends.server.refusal_trial import RefusalTrial
from nlp_pipeline.generation.backends.server.replies import completion_of
from nlp_pipeline.generation.backends.server.requests import Body, RequestWriter, SentPrompt
from nlp_pipeline.generation.backends.server.schema_probe import SchemaProbe, needs_pieces
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.backends.server.token_counts import count_tokens
from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.interface import Completion, GenerationRequest

if TYPE_CHECKING:
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = 8
"""So many requests in a row without any answer: the server is gone, and the run ends, to be
resumed, before the failure is written into every row that is left."""

CLOSE_S = 5.0
"""The longest wait for sockets to close; then they are left to the operating system."""


class Connection:
    """The client, its loop, and what the server said of itself.

    Args:
        settings: Where to.

    Raises:
        ModelError: The server cannot be used; says why and what to do.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.failure: ModelError | None = None
        self._failures = 0
        self._answered = False
        self._client = ServerClient(settings)
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.loop = LoopThread("nlp-pipeline-server")
        try:
            answer = self.loop.run(self._ask("/models", None, at_start=True))
            self.served = served_model(answer, settings, has_key=self._client.has_key)
            self._slots = asyncio.Semaphore(self._concurrency())
        except BaseException:
            self.close()
            raise
        self.encoder = _encoder(settings)
        self.writer = RequestWriter(self.served, settings, self.encoder)
        self._trial = RefusalTrial(self._ask, self.served, settings)
        self._schema_probe = SchemaProbe(self._ask_tried, self.served, settings)
        self._constrained = ConstrainedRequests(
            self._ask_tried, self.writer, self.served, settings=settings, encoder=self.encoder
        )

    @property
    def open(self) -> bool:
        """Whether requests can be sent."""
        return self.loop.alive

    async def complete(self, request: GenerationRequest, sample: int) -> Completion:
        """One sample of a request, whatever becomes of it. Runs on the loop.

        llama.cpp reads a prompt anew in every slot, and goes on from what a slot has read last:
        requests that share a prefix take turns there, so that it is read once.
        """
        if self.served.server != "llamacpp" or request.group is None:
            return await self._completion(request, sample)
        turn = self._turns.setdefault(request.group, asyncio.Lock())
        async with turn:
            return await self._completion(request, sample)

    async def _completion(self, request: GenerationRequest, sample: int) -> Completion:
        error: NlpPipelineError
        try:
            if self._constrained.serves(request):
                return await self._constrained.complete(request, sample)
            if needs_pieces(request.constraint):
                await self._schema_probe.outcome()
            body = self.writer.write(request, sample)
            answer = await self._ask_tried(body.path, body.body)
            if not isinstance(answer, Failure):
                completion = completion_of(answer, request, sample, body)
                if completion.reasoning or isinstance(completion.error, NoAnswerAfterReasoning):
                    self.writer.sends_stop = False
                if not _stopped_in_reasoning(completion, body):
                    return completion
                return await self._completion(request, sample)
            error = answer.error()
        except ModelError as refused:  # it would be the same with every request
            self.failure = error = refused
        except NlpPipelineError as refused:
            error = refused
        except Exception as unforeseen:  # every request completes exactly once
            error = GenerationFailed(f"{type(unforeseen).__name__}: {unforeseen}")
        return Completion.failed(request.id, error, sample=sample)

    async def _ask_tried(self, path: str, body: Body) -> Reply | Failure:
        """As `_ask`, for a request about a document.

        Raises:
            RequestsRefused: It is refused, and would be about any other document.
        """
        answer = await self._ask(path, body)
        if isinstance(answer, Failure) and answer.is_refusal:
            await self._trial.check(path, body)
        return answer

    async def _ask(
        self, path: str, body: Body | None, *, at_start: bool = False
    ) -> Reply | Failure:
        """Attempts until one succeeds, may not be repeated, or is the last that is allowed.

        The slot is kept while waiting: a server that is overloaded gets fewer requests.
        """
        async with self._slots:
            for attempt in range(self.settings.max_retries + 1):
                answer = await self._client.call(path, body)
                if not isinstance(answer, Failure):
                    break
                answer = replace(answer, attempts=attempt + 1)
                # An address with nobody behind it is more likely wrong than late.
                wrong = at_start and answer.kind == "unreachable"
                if wrong or not answer.is_retryable or attempt == self.settings.max_retries:
                    break
                wait = wait_before(attempt, answer)
                logger.debug("%s; next attempt in %.1f s", answer.reason, wait)
                await asyncio.sleep(wait)
        self._book(answer, at_start=at_start)
        return answer

    def _book(self, answer: Reply | Failure, *, at_start: bool) -> None:
        """Counts the failures in a row that say something about the server.

        Some servers (llama.cpp) list their models to everybody: a key that is wrong from the
        start shows at the first request.
        """
        if isinstance(answer, Failure) and answer.status == 401 and not self._answered:
            self.failure = unusable(answer, self.settings, has_key=self._client.has_key)
        elif isinstance(answer, Failure) and (answer.is_retryable or answer.key_refused):
            self._failures += 1
            if self._failures == GIVE_UP_AFTER:
                self.failure = ServerGone(self.settings.base_url, self._failures, answer.reason)
        else:
            self._failures = 0
            self._answered = not at_start

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of a prompt; see `counting.count_tokens`."""
        if self.encoder is not None and self.encoder.renders(prompt):
            return len(self.encoder.encode(prompt))
        counting = count_tokens(prompt, self.writer, self.served, self.settings, self._ask)
        return self.loop.run(counting)

    def _concurrency(self) -> int:
        """Requests under way at a time: no more than llama.cpp has slots.

        It reads the others only when a slot is free, and they would wait there against their time
        limit, where they can be neither shed nor told from those that are served.
        """
        most = self.settings.max_concurrency
        if self.served.server != "llamacpp":
            return most
        answer = self.loop.run(self._client.call(f"{self.settings.root_url}/props"))
        slots = None if isinstance(answer, Failure) else answer.get("total_slots")
        return min(most, slots) if isinstance(slots, int) and slots > 0 else most

    async def _shut_down(self) -> None:
        await cancel(asyncio.all_tasks())
        await asyncio.wait_for(self._client.close(), CLOSE_S)

    def close(self) -> None:
        """Cancels what is running, closes the sockets, ends the thread. Safe to call twice."""
        if not self.loop.alive:
            return
        try:
            self.loop.run(self._shut_down())
        except Exception as error:  # it is the end; nobody could do anything about it
            logger.debug("closing the connection failed: %s", type(error).__name__)
        finally:
            self.loop.close()


def _stopped_in_reasoning(completion: Completion, body: SentPrompt) -> bool:
    """Whether a stop text, which means the answer, has ended the reasoning before it."""
    error = completion.error
    return isinstance(error, NoAnswerAfterReasoning) and not error.full and "stop" in body.body


def _encoder(settings: ServerSettings) -> PromptEncoder | None:
    """The model's own tokenizer, where the settings name one."""
    if settings.tokenizer is None:
        return None
    from nlp_pipeline.generation.loading.tokenizers import named_tokenizer
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder

    tokenizer = named_tokenizer(settings.tokenizer)
    return PromptEncoder(tokenizer, settings.tokenizer, settings.chat_template_kwargs)
