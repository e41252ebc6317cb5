"""Streams of requests on one executor: texts in, completions out, batches shared."""

from __future__ import annotations

from itertools import accumulate, islice
from typing import TYPE_CHECKING

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import EmptyPrompt, PromptNotEncoded, PromptTooLong
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.interface import Completion, GenerationRequest, TokenAlternative
from nlp_pipeline.generation.sequence import Executor, Sequence

if TYPE_CHECKING:
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder


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
            self._pool.step()
        done, self._outbox = self._outbox, []
        return done

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

    def step(self) -> None:
        """Advances the executor and hands out what finished."""
        for sequence in self.executor.step():
            self._owners.pop(sequence).deliver(sequence, self._completion(sequence))

    def sequences(self, request: GenerationRequest) -> list[Sequence]:
        """The samples of a request, encoded.

        Raises:
            EmptyPrompt: The prompt encodes to no token.
            PromptTooLong: It leaves no room for a new token.
            NlpPipelineError: Its constraint cannot be satisfied.
        """
        ids = self.encoder.encode(request.prompt)
        if not ids:
            raise EmptyPrompt
        if len(ids) >= self.max_seq_len:
            raise PromptTooLong(len(ids), self.max_seq_len)
        constraint = request.constraint
        return [
            Sequence(
                request.id,
                ids,
                request.params,
                sample=sample,
                group=request.group,
                constraint=None if constraint is None else constraint.bind(self.vocabulary),
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
        kept, text = self._cut(sequence)
        return Completion(
            request_id=sequence.request_id,
            text=text,
            token_ids=tuple(sequence.output_ids[:kept]),
            logprobs=tuple(sequence.logprobs[:kept]),
            finish_reason=sequence.finish_reason or "stop",
            prompt_tokens=len(sequence.prompt_ids),
            reused_tokens=sequence.reused_tokens,
            output_tokens=len(sequence.output_ids),
            top_logprobs=tuple(map(self._alternatives, sequence.top[:kept])),
            prompt_token_ids=tuple(sequence.prompt_ids) if params.echo else (),
            prompt_logprobs=tuple(sequence.prompt_logprobs),
            sample=sequence.sample,
            stop_logprob=sequence.logprobs[-1] if sequence.stopped_by_token else None,
            masked_logprob=sequence.masked_logprob,
        )

    def _cut(self, sequence: Sequence) -> tuple[int, str]:
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
        kept = sum(start < end for start in islice(starts, len(pieces)))
        return kept, self.encoder.decode(ids[:kept], end)

    def _alternatives(self, pairs: list[tuple[int, float]]) -> tuple[TokenAlternative, ...]:
        return tuple(TokenAlternative(i, self.encoder.decode([i]), p) for i, p in pairs)
