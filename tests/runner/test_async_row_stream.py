"""Rows in an event loop: as they are ready, with the loop free, against a server of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nlp_pipeline import astream
from nlp_pipeline.errors.config import UnknownKeyword

sys.path.append(str(Path(__file__).parents[1] / "generation" / "backends"))
from stub_server import StubServer, reply, said

WAIT_S = 60

Value = TypeVar("Value")


def completed(work: Coroutine[Any, Any, Value]) -> Value:
    """What a coroutine gives, in a thread: in this one the browser's tests keep a loop running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asyncio.wait_for(work, WAIT_S)).result()


@pytest.fixture
def stub() -> Iterator[StubServer]:
    server = StubServer()
    yield server
    server.end()


@pytest.fixture
def served(stub: StubServer, quick: Any) -> str:
    """The quick pipeline, whose questions the stub answers."""
    path = Path(quick())
    block = '@llama_generators = "nlp_pipeline.echo.v1"\nfail_on = "UNSPEAKABLE"\n'
    server = f'@llama_generators = "nlp_pipeline.server.v1"\nbase_url = "{stub.url}"\n'
    path.write_text(path.read_text().replace(block, server))
    return str(path)


def test_a_row_comes_while_the_next_is_waited_for(stub: StubServer, served: str) -> None:
    first_is_there = threading.Event()

    def second(handler: Any, body: Any) -> None:
        assert first_is_there.wait(WAIT_S)
        reply(said("Karl"))(handler, body)

    def answer(handler: Any, body: Any) -> None:
        is_second = "Karl" in str(body["messages"])
        (second if is_second else reply(said("Ada")))(handler, body)

    stub.otherwise = answer

    async def collect() -> tuple[list[str], int]:
        answers, ticks = [], 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async for rows in astream(["Ada left.", "Karl came."], served):
            answers.append(rows["answers"][0]["answer"])
            first_is_there.set()
        ticking.cancel()
        return answers, ticks

    answers, ticks = completed(collect())
    assert answers == ["Ada", "Karl"]
    assert ticks > 10, "the loop was free meanwhile"


def test_whoever_stops_ends_the_work(served: str) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "Ada left."

    async def take(n_rows: int) -> int:
        n_taken = 0
        async with aclosing(astream(endless(), served)) as documents:
            async for _ in documents:
                n_taken += 1
                if n_taken == n_rows:
                    break
        return n_taken

    assert completed(take(2)) == 2
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("nlp-pipeline-stream") for name in names)


def test_several_streams_in_one_loop(quick: Any) -> None:
    pipeline = quick()

    async def ids(*texts: str) -> list[str]:
        records = [{"id": text[:3], "text": text} for text in texts]
        return [rows["documents"][0]["document_id"] async for rows in astream(records, pipeline)]

    async def both() -> list[list[str]]:
        return list(await asyncio.gather(ids("Ada left.", "Eva."), ids("Karl came.")))

    assert completed(both()) == [["Ada", "Eva"], ["Kar"]]


def test_a_wrong_option_is_said_with_the_first_row(quick: Any) -> None:
    async def first() -> Any:
        return await anext(astream(["Ada."], quick(), asks=["Who?"]))

    with pytest.raises(UnknownKeyword):
        completed(first())
