"""A generator that counts the tokens of each document, and passes everything on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    GeneratorInfo,
    Session,
)
from nlp_pipeline.pipeline import is_llama

if TYPE_CHECKING:
    from spacy.language import Language

TokenCounts = dict[int, Counter[str]]
"""By the place of a document in its stream: `prompt`, `shared`, `output` tokens."""


@contextmanager
def metered(nlp: Language) -> Iterator[TokenCounts]:
    """Counts what the Llama components of a pipeline ask for, until the end of the block.

    The documents must pass each component in one order (`in_order` of `chain`).
    """
    counts: TokenCounts = defaultdict(Counter)
    pipes: list[Any] = [pipe for _, pipe in nlp.pipeline if is_llama(pipe)]
    generators = [pipe.generator for pipe in pipes]
    try:
        for pipe in pipes:
            pipe.generator = MeteredGenerator(pipe.generator, counts)
        yield counts
    finally:
        for pipe, generator in zip(pipes, generators, strict=True):
            pipe.generator = generator


class MeteredGenerator:
    """See the module; whatever else a generator has, it has.

    Args:
        generator: Does the work.
        counts: Where the tokens of a document are added up.
    """

    def __init__(self, generator: Generator, counts: TokenCounts) -> None:
        self._generator = generator
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    @property
    def info(self) -> GeneratorInfo:
        """See `Generator.info`."""
        return self._generator.info

    def count_tokens(self, prompt: Prompt) -> int:
        """See `Generator.count_tokens`."""
        return self._generator.count_tokens(prompt)

    def session(self) -> Session:
        """See `Generator.session`."""
        return _MeteredSession(self._generator.session(), self._counts)

    def close(self) -> None:
        """See `Generator.close`."""
        self._generator.close()


class _MeteredSession:
    def __init__(self, session: Session, counts: TokenCounts) -> None:
        self._session = session
        self._counts = counts
        self._positions: dict[str, int] = {}

    @property
    def room(self) -> int:
        return self._session.room

    @property
    def running(self) -> int:
        return self._session.running

    def submit(self, request: GenerationRequest) -> None:
        self._positions[request.id] = request.position
        self._session.submit(request)

    def step(self) -> list[Completion]:
        completions = self._session.step()
        for completion in completions:
            counts = self._counts[self._positions[completion.request_id]]
            counts["output"] += completion.output_tokens
            if completion.sample == 0:  # further samples have the same prompt
                counts["prompt"] += completion.prompt_tokens
                counts["shared"] += completion.reused_tokens
        return completions

    def close(self) -> None:
        self._session.close()
