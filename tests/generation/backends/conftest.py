"""A stub server for a test, generators that are closed at its end, and a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stub_server import StubServer
from tiny_gguf import write_gguf

from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings, failures

if TYPE_CHECKING:
    from nlp_pipeline.generation.loading.load import LoadedModel


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once, and no key of the developer's goes anywhere."""
    monkeypatch.setattr(failures, "FIRST_WAIT_S", 0.001)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture(scope="session")
def gguf(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.F32.gguf"
    write_gguf(tiny.model, tiny.tokenizer, path, add_bos=False)
    return path


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
