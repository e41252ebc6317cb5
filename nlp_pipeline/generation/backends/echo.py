"""The echo generator: answers at once with words of its prompt. For tests and `--echo`."""

from __future__ import annotations

from zlib import crc32

from nlp_pipeline.errors.generation import EmptyPrompt, GenerationFailed
from nlp_pipeline.generation.chat import Chat, Prompt
from nlp_pipeline.generation.interface import Completion, GenerationRequest, GeneratorInfo, Session

ROOM = 64


class EchoGenerator:
    """Completes a prompt with its own last words, one "token" a word; no model, no randomness.

    Args:
        fail_on: Prompts that hold this text fail, as a model would: for trying out what a
            run does with failures.
    """

    obeys_constraints = True

    def __init__(self, fail_on: str | None = None) -> None:
        self._fail_on = fail_on

    @property
    def info(self) -> GeneratorInfo:
        """The model is called `echo`; any length fits."""
        return GeneratorInfo("echo", "echo", None, details={"fail_on": self._fail_on})

    def count_tokens(self, prompt: Prompt) -> int:
        """Counts the words of the prompt, which stand in for tokens."""
        return len(_words(prompt))

    def session(self) -> Session:
        """Opens a stream of requests."""
        return _EchoSession(self)

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        """The last `max_new_tokens` words of the prompt; the same for every sample.

        Under a constraint its example instead.
        """
        words = _words(request.prompt)
        if not words:
            return Completion.failed(request.id, EmptyPrompt(), sample=sample)
        if self._fail_on and self._fail_on in " ".join(words):
            error = GenerationFailed(f"the prompt holds '{self._fail_on}'")
            return Completion.failed(request.id, error, len(words), sample)
        reply = words[-request.params.max_new_tokens :]
        if request.constraint is not None:
            reply = [request.constraint.example]
        return Completion(
            request_id=request.id,
            text=" ".join(reply),
            token_ids=tuple(crc32(word.encode()) for word in reply),
            logprobs=(0.0,) * len(reply),
            finish_reason="stop",
            prompt_tokens=len(words),
            output_tokens=len(reply),
            sample=sample,
        )

    def close(self) -> None:
        """The echo holds nothing that could be freed."""


class _EchoSession:
    """Completes at `submit`, hands out at `step`."""

    def __init__(self, generator: EchoGenerator) -> None:
        self._generator = generator
        self._outbox: list[Completion] = []

    @property
    def room(self) -> int:
        return max(0, ROOM - len(self._outbox))

    @property
    def running(self) -> int:
        return len(self._outbox)

    def submit(self, request: GenerationRequest) -> None:
        self._outbox += [self._generator.complete(request, i) for i in range(request.params.n)]

    def step(self) -> list[Completion]:
        completions, self._outbox = self._outbox, []
        return completions

    def close(self) -> None:
        self._outbox = []


def _words(prompt: Prompt) -> list[str]:
    """The words of the last turn of a chat, of a text, or the ids as words."""
    if isinstance(prompt, str):
        return prompt.split()
    if isinstance(prompt, Chat):
        return prompt.messages[-1].content.split() if prompt.messages else []
    return [str(token) for token in prompt]
