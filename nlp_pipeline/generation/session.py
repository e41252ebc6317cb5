"""Streams of requests on one executor: texts in, completions out, batches shared."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import (
    EmptyPrompt,
    NoAnswerAfterReasoning,
    PromptNotEncoded,
    PromptTooLong,
)
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.interface import (
    Completion,
    EndedHypothesis,
    GenerationRequest,
    TokenAlternative,
)
from nlp_pipeline.generation.reasoning import may_reason, opened_block, split_reasoning
from nlp_pipeline.generation.sequence import Executor, Sequence
from nlp_pipeline.generation.stopping import stop_token_ids

if TYPE_CHECKING:
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder


LONGEST_MARK = 32
"""Tokens at the end of a prompt in which a block of reasoning may be opened."""


class ExecutorSession:
    """One stream of requests; see `interface.Session`. Made by `SessionPool.open`."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool
        self._outbox: list[Completion] = []
        self._in_flight: set[Sequence] = set()

    @property
    def room(self) -> int:
        """Places in the shared waiting line; at least one for a stream that has nothing in it.

        Another stream may have filled the line, and wait for this one to go on.
        """
        return max(self._pool.executor.room, 0 if self.running else 1)

    @property
    def running(self) -> int:
        """Completions still to come."""
        return len(self._in_flight) + len(self._outbox)

    def submit(self, request: GenerationRequest) -> None:
        """Encodes the prompt and puts its samples in the waiting line."""
        try:
            sequences = self._pool.sequences(request)
        except Exception as error:
            failure = error if isinstance(error, NlpPipelineError) else PromptNotEncoded(str(error))
            samples = range(request.params.n)
            self._outbox += [Completion.failed(request.id, failure, sample=i) for i in samples]
            return
        for sequence in sequences:
            self._in_flight.add(sequence)
            self._pool.add(sequence, self)

    def step(self) -> list[Completion]:
        """Advances the executor, unless other sessions' steps finished something of ours."""
        if not self._outbox and self._in_flight:
            self._pool.hand_out(self._pool.executor.step())
        completions, self._outbox = self._outbox, []
        return completions

    def deliver(self, sequence: Sequence, completion: Completion) -> None:
        """Called by the pool when a sequence of this session has finished."""
        self._in_flight.discard(sequence)
        self._outbox.append(completion)

    def close(self) -> None:
        """Takes what is still running out of the executor."""
        self._pool.cancel(self._in_flight)
        self._in_flight, self._outbox = set(), []


class SessionPool:
    """Lets several streams share one executor, so that their sequences share its batches.

    spaCy chains components by pulling: the summarizer asks `llama_qa` for the next Doc while
    its own requests are still running. Both streams add to the same waiting line; whoever
    drives the executor advances both, and each finished sequence goes to the stream it is of.

    Args:
        executor: Advances the sequences.
        encoder: Turns prompts into ids and ids into text.
        max_seq_len: Tokens of prompt and completion together that fit.
        eos_token_ids: Tokens that end a completion, for constraints.
    """

    def __init__(
        self,
        executor: Executor,
        encoder: PromptEncoder,
        max_seq_len: int,
        eos_token_ids: frozenset[int] = frozenset(),
    ) -> None:
        self.executor = executor
        self.encoder = encoder
        self.max_seq_len = max_seq_len
        self.vocabulary = Vocabulary(encoder, eos_token_ids)
        self._owners: dict[Sequence, ExecutorSession] = {}

    def open(self) -> ExecutorSession:
        """A new stream."""
        return ExecutorSession(self)

    def add(self, sequence: Sequence, owner: ExecutorSession) -> None:
        """Puts a sequence in the waiting line on behalf of a session."""
        self._owners[sequence] = owner
        self.executor.add(sequence)

    def cancel(self, sequences: set[Sequence]) -> None:
        """Forgets sequences of a closed session."""
        if sequences:
            self.executor.cancel(list(sequences))
        for sequence in sequences:
            del self._owners[sequence]

    def hand_out(self, finished: Iterable[Sequence]) -> None:
        """Gives the completions of finished sequences to the streams that asked for them."""
        for sequence in finished:
            completion = self._completion(sequence)
            if sequence.opened or completion.reasoning_tokens:
                completion = _answered(completion, sequence)
            self._owners.pop(sequence).deliver(sequence, completion)

    def sequences(self, request: GenerationRequest) -> list[Sequence]:
        """The samples of a request, encoded.

        Raises:
            EmptyPrompt: The prompt encodes to no token.
            PromptTooLong: It leaves no room for a new token.
            NlpPipelineError: Its constraint cannot be satisfied.
        """
        constraint = request.constraint
        ids = self.encoder.encode(request.prompt, answers_at_once=constraint is not None)
        if not ids:
            raise EmptyPrompt
        if len(ids) >= self.max_seq_len:
            raise PromptTooLong(len(ids), self.max_seq_len)
        params, stop = request.params, request.params.stop
        chat = isinstance(request.prompt, Chat) and constraint is None
        opened = chat and bool(opened_block(self.encoder.written(ids[-LONGEST_MARK:])))
        if opened:
            params = replace(params, stop=())
        return [
            Sequence(
                request.id,
                ids,
                params,
                sample=sample,
                group=request.group,
                constraint=None if constraint is None else constraint.bind(self.vocabulary),
                position=request.position,
                chat=chat,
                answer_stop=stop if opened else (),
                opened=opened,
            )
            for sample in range(request.params.n)
        ]

    def _completion(self, sequence: Sequence) -> Completion:
        """What a finished sequence says in texts."""
        if sequence.error is not None:
            return Completion.failed(
                sequence.request_id, sequence.error, len(sequence.prompt_ids), sequence.sample
            )
        params = sequence.params
        first, last, text, reasoning = self._reasoned(sequence) or (
            0,
            *self._cut_at_stop(sequence),
            None,
        )
        return Completion(
            request_id=sequence.request_id,
            text=text,
            token_ids=tuple(sequence.output_ids[first:last]),
            logprobs=tuple(sequence.logprobs[first:last]),
            finish_reason=sequence.finish_reason or "stop",
            prompt_tokens=len(sequence.prompt_ids),
            reused_tokens=sequence.reused_tokens,
            output_tokens=len(sequence.output_ids),
            top_logprobs=tuple(map(self._alternatives, sequence.top[first:last])),
            prompt_token_ids=tuple(sequence.prompt_ids) if params.echo else (),
            prompt_logprobs=tuple(sequence.prompt_logprobs),
            sample=sequence.sample,
            stop_logprob=sequence.logprobs[-1] if sequence.stopped_by_token else None,
            masked_logprob=sequence.masked_logprob,
            reasoning=reasoning or "",
            reasoning_tokens=first,
            hypotheses=self._hypotheses(sequence) if params.num_hypotheses > 1 else (),
        )

    def _hypotheses(self, sequence: Sequence) -> tuple[EndedHypothesis, ...]:
        """What a search has ended, in texts."""
        stops = self.vocabulary.eos_token_ids | stop_token_ids(sequence.constraint)
        ended: list[EndedHypothesis] = []
        for hypothesis in sequence.hypotheses:
            length = len(hypothesis.output_ids) - (hypothesis.output_ids[-1] in stops)
            ids = hypothesis.output_ids[:length]
            stop_logprob = (
                hypothesis.logprobs[length] if length < len(hypothesis.logprobs) else None
            )
            text = self.encoder.decode(list(ids))
            logprobs = hypothesis.logprobs[:length]
            ended.append(
                EndedHypothesis(
                    text,
                    ids,
                    logprobs,
                    stop_logprob=stop_logprob,
                    masked_logprob=hypothesis.masked,
                )
            )
        return tuple(ended)

    def _reasoned(self, sequence: Sequence) -> tuple[int, int, str, str] | None:
        """The answer after a reasoning; None where there is none.

        Returns:
            The first token of the answer and one past its last, its text, and the reasoning.
        """
        if not sequence.chat:
            return None
        ids = sequence.output_ids[: len(sequence.output_ids) - sequence.stopped_by_token]
        pieces = [self.encoder.token_bytes(token) for token in ids]
        text = b"".join(pieces).decode("utf-8", errors="surrogateescape")
        if not sequence.opened and not may_reason(text):
            return None
        prompt = self.encoder.written(sequence.prompt_ids)
        parts = split_reasoning(text, opened=sequence.opened, prompt=prompt)
        if not parts.reasons:
            return None
        stops = sequence.params.stop or sequence.answer_stop
        places = [text.find(word, parts.start, parts.end) for word in stops]
        end = min((place for place in places if place >= 0), default=parts.end)
        ends = list(accumulate(map(len, pieces)))
        start, stop = (len(text[:n].encode("utf-8", "surrogateescape")) for n in (parts.start, end))
        first = bisect_right(ends, start)
        last = bisect_left(ends, stop) + 1 if stop > start else first
        answer = text[parts.start : end].encode("utf-8", "surrogateescape")
        reasoning = parts.reasoning.encode("utf-8", "surrogateescape")
        return first, last, _readable(answer), _readable(reasoning)

    def _cut_at_stop(self, sequence: Sequence) -> tuple[int, str]:
        """How many tokens are of the completion, and its text up to the first stop string.

        A token that a stop string begins inside of is kept: part of the text comes from it.
        What the budget cut off, its constraint may cut back to a complete text.
        """
        ids = sequence.output_ids[: len(sequence.output_ids) - sequence.stopped_by_token]
        keep = getattr(sequence.constraint, "keep", None)
        if keep is not None and not sequence.stopped_by_token:
            ids = ids[: keep(ids)]
        pieces = [self.encoder.token_bytes(token) for token in ids] if sequence.params.stop else []
        joined = b"".join(pieces)
        places = [joined.find(word.encode()) for word in sequence.params.stop]
        end = min((place for place in places if place >= 0), default=None)
        if end is None:
            return len(ids), self.encoder.decode(ids)
        starts = accumulate(map(len, pieces), initial=0)
        n_tokens = sum(start < end for start in islice(starts, len(pieces)))
        return n_tokens, self.encoder.decode(ids[:n_tokens], end)

    def _alternatives(self, pairs: list[tuple[int, float]]) -> tuple[TokenAlternative, ...]:
        return tuple(TokenAlternative(i, self.encoder.decode([i]), p) for i, p in pairs)


def _answered(completion: Completion, sequence: Sequence) -> Completion:
    """A completion with reasoning, which has failed where no answer followed."""
    if completion.error or completion.text.strip():
        return completion
    finish = completion.finish_reason
    budget = sequence.params.max_new_tokens
    error = NoAnswerAfterReasoning(completion.reasoning_tokens, budget, finish)
    return replace(completion, text="", finish_reason="error", error=error)


def _readable(written: bytes) -> str:
    return written.decode("utf-8", errors="replace")
