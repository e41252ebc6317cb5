"""What runs ahead comes out the same, in order, and ends with whoever takes it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run, run
from nlp_pipeline.runner import run as runner
from nlp_pipeline.runner import stream
from nlp_pipeline.runner.prefetch import prefetch

PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


class Source:
    """Counts, and remembers where and how far it ran."""

    def __init__(self, stop: int, fail: bool = False) -> None:
        self.stop, self.fail, self.made, self.closed = stop, fail, 0, False
        self.threads: set[str] = set()

    def items(self) -> Generator[int, None, None]:
        try:
            for number in range(self.stop):
                self.threads.add(threading.current_thread().name)
                self.made = number + 1
                yield number
            if self.fail:
                raise OSError("the disk is gone")
        finally:
            self.closed = True


def running() -> int:
    return sum(thread.name == "annotate" for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 2, 7, 100])
@pytest.mark.parametrize("stop", [0, 1, 30])
def test_the_same_in_the_same_order(depth: int, stop: int) -> None:
    source = Source(stop)
    assert list(prefetch(source.items(), depth)) == list(range(stop))
    assert source.closed
    assert source.threads == ({"annotate"} if stop else set())
    assert running() == 0


def test_it_runs_ahead_and_no_further_than_the_line_is_long() -> None:
    source, reached = Source(100), threading.Event()

    def watched() -> Generator[int, None, None]:
        for number in source.items():
            if number == 6:
                reached.set()
            yield number

    with closing(prefetch(watched(), 5)) as stream:
        assert next(stream) == 0
        assert reached.wait(20)  # 1 to 5 stand in the line, 6 is in the making
        assert source.made == 7
    assert source.made <= 8
    assert running() == 0


def test_what_it_raises_comes_after_what_was_before() -> None:
    stream = prefetch(Source(5, fail=True).items(), 2)
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)
    assert running() == 0


def test_who_stops_early_ends_it() -> None:
    source = Source(1000)
    with closing(prefetch(source.items(), 3)) as stream:
        next(stream)
    assert source.closed
    assert source.made < 10
    assert running() == 0


def test_the_context_goes_along() -> None:
    def places() -> Generator[str, None, None]:
        yield PLACE.get()

    PLACE.set("on the device")
    assert list(prefetch(places(), 1)) == ["on the device"]


def inline(items: Generator[Any, None, None], depth: int) -> Iterator[Any]:
    """What the run would be without running ahead."""
    yield from items


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_run_is_the_plain_run(
    tmp_path: Path, quick: Any, corpus: Any, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    texts = [f"Ada {n} met Charles in London. They talked {'long ' * n}." for n in range(23)]
    source = corpus(*texts, "", {"text": "UNSPEAKABLE", "questions": ["Who?"]}, "東京 é.")
    options = {"pipeline": quick(), "batch_size": batch_size, "part_size": 7}
    run(source, tmp_path / "ahead", **options)
    monkeypatch.setattr(stream, "prefetch", inline)
    run(source, tmp_path / "plain", **options)
    found, plain = read_run(tmp_path / "ahead"), read_run(tmp_path / "plain")
    assert len(found["documents"]) == 26
    for name in plain:
        assert found[name].equals(plain[name]), name


def test_an_interrupt_ends_the_thread(
    tmp_path: Path, quick: Any, corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(runner.Silent):
        def document(self, *, failed: bool, output_tokens: int) -> None:
            raise KeyboardInterrupt

    spec = runner.PipelineSpec(quick())
    request = runner.RunRequest(
        corpus(*(f"text {n}" for n in range(50))), tmp_path / "out", spec, batch_size=2
    )
    with pytest.raises(KeyboardInterrupt):
        runner.execute(request, Interrupting())
    assert running() == 0
    assert runner.execute(request).resumed == 1
