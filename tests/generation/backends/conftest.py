"""A stub server for a test, and generators that are closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stub_server import StubServer

from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings, failures


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once, and no key of the developer's goes anywhere."""
    monkeypatch.setattr(failures, "FIRST_WAIT_S", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    server = StubServer()
    yield server
    server.end()


@pytest.fixture
def connect(stub: StubServer) -> Iterator[Callable[..., ServerGenerator]]:
    """Makes a generator for the stub."""
    made: list[ServerGenerator] = []

    def make(**settings: Any) -> ServerGenerator:
        made.append(ServerGenerator(ServerSettings(**{"base_url": stub.url, **settings})))
        return made[-1]

    yield make
    for generator in made:
        generator.close()
