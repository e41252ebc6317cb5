"""A document that takes long: the others pass it, and are safe as soon as they are finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.doc_flow import MAX_PENDING
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams, Session
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.request import RunResult
from nlp_pipeline.runner.run import run


class Pool:
    """Answers the requests of all its sessions, one a step, as one Llama does.

    Args:
        choose: Which of the waiting requests is answered next.
        room: Requests that may wait.
    """

    def __init__(self, choose: Callable[[list[GenerationRequest]], int], room: int = 40) -> None:
        self.choose, self.room = choose, room
        self.waiting: list[tuple[GenerationRequest, PoolSession]] = []
        self.generator = EchoGenerator()

    def step(self) -> None:
        request, owner = self.waiting.pop(self.choose([request for request, _ in self.waiting]))
        owner.outbox.append(self.generator.complete(request))


class PoolSession:
    """A session of a pool; see `interface.Session`."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.outbox: list[Completion] = []

    @property
    def running(self) -> int:
        return len(self.outbox) + sum(owner is self for _, owner in self.pool.waiting)

    @property
    def room(self) -> int:
        return max(self.pool.room - len(self.pool.waiting), 0 if self.running else 1)

    def submit(self, request: GenerationRequest) -> None:
        self.pool.waiting.append((request, self))

    def step(self) -> list[Completion]:
        if not self.outbox and self.running:
            self.pool.step()
        completions, self.outbox = self.outbox, []
        return completions

    def close(self) -> None:
        self.pool.waiting = [pair for pair in self.pool.waiting if pair[1] is not self]


class PoolGenerator(EchoGenerator):
    """The echo, one answer a step."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def session(self) -> Session:
        return PoolSession(self.pool)


def quick_first(requests: list[GenerationRequest]) -> int:
    """The first that is not slow; a slow one where all are."""
    return next((n for n, r in enumerate(requests) if "SLOW" not in str(r.prompt)), 0)


def interrupted(requests: list[GenerationRequest]) -> int:
    """The first that is not slow; where all are, the user loses patience."""
    number = quick_first(requests)
    if "SLOW" in str(requests[number].prompt):
        raise KeyboardInterrupt
    return number


class Rounds(LlamaComponent):
    """Asks as often as the text says: `"d7 2"` twice, one round after the other."""

    def asks(self, doc: Doc) -> list[Ask]:
        return [Ask(str(n), Chat((Message("user", doc.text),))) for n in range(_rounds(doc) > 0)]

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        more = range(len(completions), min(len(completions) + 1, _rounds(doc)))
        return [Ask(str(n), Chat((Message("user", doc.text),))) for n in more]

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> str:
        return " | ".join(completions[str(n)].text for n in range(_rounds(doc)))

    def set_annotations(self, doc: Doc, result: str) -> None:
        doc._.summary = result


def _rounds(doc: Doc) -> int:
    return int(doc.text.split()[1])


@lru_cache
def blank() -> Language:
    return spacy.blank("en")


@settings(deadline=None, max_examples=60)
@given(
    rounds=st.lists(st.integers(0, 4), max_size=12),
    order=st.lists(st.integers(0, 99), max_size=40),
    room=st.integers(1, 6),
)
def test_whatever_the_order_of_the_answers(rounds: list[int], order: list[int], room: int) -> None:
    """Every document comes once, with what it has by itself; with `pipe` in its order."""
    nlp, drawn = blank(), iter(order)
    pool = Pool(lambda requests: next(drawn, 0) % len(requests), room)
    texts = [f"d{number} {n}" for number, n in enumerate(rounds)]
    alone = [Rounds("r", EchoGenerator(), SamplingParams())(nlp(text)) for text in texts]
    expected = {doc.text: doc._.summary for doc in alone}
    pipe = Rounds("r", PoolGenerator(pool), SamplingParams())
    assert [(d.text, d._.summary) for d in pipe.pipe(map(nlp, texts))] == [*expected.items()]
    second = Rounds("s", PoolGenerator(pool), SamplingParams())
    both = [d for d in second.as_completed(pipe.as_completed(map(nlp, texts))) if d is not None]
    assert len(both) == len(texts)
    assert {d.text: d._.summary for d in both} == expected


def test_a_slow_document_is_passed_by_so_many_at_most() -> None:
    pipe = Rounds("r", PoolGenerator(Pool(quick_first)), SamplingParams())
    texts = ["SLOW 1", *(f"d{n} 1" for n in range(2 * MAX_PENDING))]
    order = [doc.text for doc in pipe.as_completed(map(blank(), texts)) if doc is not None]
    assert order.index("SLOW 1") == MAX_PENDING - 1
    assert sorted(order) == sorted(texts)


@pytest.fixture
def slow_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: Callable[..., str]
) -> Callable[..., RunResult]:
    """Runs two components over eleven documents, three a part; two of them are slow."""
    corpus, pipeline = tmp_path / "corpus.jsonl", quick()
    text = Path(pipeline).read_text(encoding="utf-8")
    summarizer = text[text.index("[components.llama_qa]") :].replace("llama_qa", "llama_summarizer")
    summarizer = "".join(line for line in summarizer.splitlines(True) if "questions" not in line)
    text = text.replace('"llama_qa"]', '"llama_qa", "llama_summarizer"]') + "\n" + summarizer
    Path(pipeline).write_text(text, encoding="utf-8")
    records = [
        {"id": f"d{n}", "text": f"{'SLOW' if n in (0, 5) else 'Ada'} {n}."} for n in range(11)
    ]
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")

    def go(out: str, choose: Callable[[list[GenerationRequest]], int]) -> RunResult:
        pool = Pool(choose)
        monkeypatch.setattr(EchoGenerator, "session", lambda _: PoolSession(pool))
        return run(corpus, tmp_path / out, pipeline=pipeline, part_size=3)

    return go


def test_what_is_finished_behind_a_slow_document_is_safe(
    tmp_path: Path, slow_run: Callable[..., RunResult]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        slow_run("out", interrupted)
    assert run_status(tmp_path / "out").done == 9
    result = slow_run("out", quick_first)
    assert (result.documents, result.resumed, result.failed) == (11, 9, 0)
    slow_run("whole", quick_first)
    assert _tables(tmp_path / "out") == _tables(tmp_path / "whole")


def _tables(out: Path) -> dict[str, bytes]:
    """Every byte that a run promises to be the same."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    names = {str(path.relative_to(out)): path for path in files}
    return {n: p.read_bytes() for n, p in names.items() if n not in ("manifest.json", ".lock")}
