"""The driver and its actors without Ray: actors are threads here, and die when theirs does."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nlp_pipeline import read_run, run
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.cluster import (
    ActorsMissing,
    FolderNotShared,
    NodeFailed,
    NodesDiffer,
    ObjectStorePath,
    OptionNeedsRay,
    UnknownExecutor,
)
from nlp_pipeline.errors.run import TooManyErrors
from nlp_pipeline.errors.run_folder import DiskFull
from nlp_pipeline.run_folder import staging
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.executors import actor_pool, part_actor, ray, ray_driver
from nlp_pipeline.runner.executors.actor_pool import ActorSlot
from nlp_pipeline.runner.executors.part_actor import PartActor
from nlp_pipeline.runner.executors.placement import ActorPlacement, Machine
from nlp_pipeline.runner.executors.unit import ActorJob, WorkUnit
from nlp_pipeline.runner.request import ClusterOptions

HARM = """\
import threading
from spacy.language import Language

stalls = threading.Semaphore(0)

@Language.component("harm_here")
def harm_here(doc):
    if "POISON" in doc.text:
        raise SystemExit
    if "ENDLESS" in doc.text:
        stalls.release()
        threading.Event().wait()
    if "BOOM" in doc.text:
        raise RuntimeError("boom")
    return doc
"""


class Handle:
    """What Ray gives of an actor."""

    def __init__(self, job: ActorJob, node: str) -> None:
        self.job, self.node = job, node
        self.restart()

    def restart(self) -> None:
        self.actor = PartActor(self.job, self.node)

    def __getattr__(self, name: str) -> Any:
        return Call(self, name)


class Call:
    """A method of an actor."""

    def __init__(self, handle: Handle, name: str) -> None:
        self.handle, self.name = handle, name

    def remote(self, *arguments: Any) -> Reply:
        reply = Reply(self.handle)
        method = getattr(reply.actor, self.name)

        def call() -> None:
            reply.set_result(method(*arguments))

        threading.Thread(target=call, daemon=True).start()
        return reply


class Reply(Future[Any]):
    """What a call will give, if its actor lives so long."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle, self.actor = handle, handle.actor

    @property
    def ready(self) -> bool:
        return self.done() or not self.actor.thread.is_alive()


clock = SimpleNamespace(jumps=0, stalled=0)
"""Jumps by an hour, as often as nobody has anything to say, while a document stalls.

Once would not do: what an actor had counted before may come in after it, and count as a move.
"""
clock.monotonic = lambda: time.monotonic() + 3600 * clock.jumps


class Pool:
    """An `ActorPool` of threads."""

    def __init__(self, job: ActorJob, placement: ActorPlacement) -> None:
        handles = [Handle(job, f"node{i % 2}") for i in range(placement.actors)]
        self.slots = [ActorSlot(handle) for handle in handles]

    def wait(self, seconds: float) -> list[tuple[ActorSlot, Any]]:
        end = time.monotonic() + seconds
        while True:
            clock.stalled += sys.modules["harm_of_this_test"].stalls.acquire(blocking=False)
            refs = [(slot, ref) for slot in self.slots for ref in (*slot.units, slot.answer)]
            ready = [pair for pair in refs if pair[1] is not None and pair[1].ready]
            if ready or time.monotonic() > end:
                clock.jumps += bool(clock.stalled and not ready)
                return ready
            time.sleep(0.005)

    def message(self, ref: Reply, safe: int) -> Any:
        if ref.done():
            return ref.result()
        if ref.handle.actor is ref.actor:
            ref.handle.restart()
        return None

    def give(self, slot: ActorSlot, unit: WorkUnit, safe: int, *, alone: bool = False) -> None:
        slot.give(unit, alone=alone)

    def end(self, slot: ActorSlot) -> None:
        clock.stalled = 0
        slot.handle.restart()

    def last_counts(self, slot: ActorSlot) -> Any:
        return slot.handle.actor.counts()

    def close(self) -> None:
        """They end with the process."""


Go = Callable[..., Any]
Corpus = Callable[..., str]


@contextmanager
def two_machines(options: ClusterOptions) -> Iterator[list[Machine]]:
    yield [Machine(4, 0), Machine(4, 0)]


@pytest.fixture
def go(
    tmp_path: Path,
    quick: Callable[..., str],
    register: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Go:
    """Runs, in parts of four, by threads that pass for a cluster."""
    register("harm_of_this_test", HARM)
    name = quick("harm_here")
    monkeypatch.setattr(ray, "ActorPool", Pool)
    monkeypatch.setattr(ray, "connected", two_machines)
    monkeypatch.setattr(ray_driver, "WAIT_S", 0.01)
    monkeypatch.setattr(actor_pool, "ASK_EVERY_S", 0.02)
    for module in (ray_driver, actor_pool):
        monkeypatch.setattr(module, "time", clock)

    def run_it(source: str, out: str = "out", executor: str = "ray", **options: Any) -> Any:
        kind: Any = executor
        return run(source, tmp_path / out, pipeline=name, part_size=4, executor=kind, **options)

    return run_it


def texts(number: int, **others: str) -> list[dict[str, Any]]:
    records = [{"id": f"d{i}", "text": f"Ada met Charles, number {i}."} for i in range(number)]
    for name, text in others.items():
        records[int(name.removeprefix("d"))]["text"] = text
    return records


def tree(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name not in ("manifest.json", ".lock")
    }


def test_the_folder_is_that_of_a_local_run(tmp_path: Path, go: Go, corpus: Corpus) -> None:
    source = corpus(*texts(18, d7="BOOM", d9=""), {"id": "d3", "text": "Again."})
    local = go(source, "local", "local")
    result = go(source, actors=5)
    assert (result.documents, result.failed) == (local.documents, local.failed) == (19, 3)
    assert tree(tmp_path / "out") == tree(tmp_path / "local")
    nodes = json.loads((tmp_path / "out" / "manifest.json").read_text())["nodes"]
    assert sum(node["documents"] for node in nodes.values()) == 19
    rates = run_status(tmp_path / "out").nodes
    assert rates == {name: node["documents_per_second"] for name, node in nodes.items()}


def test_an_empty_corpus(tmp_path: Path, go: Go, corpus: Corpus) -> None:
    source = corpus()
    go(source, "local", "local")
    assert go(source).documents == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "local")


def test_what_failed_is_tried_again_and_what_changed_computed(
    tmp_path: Path, go: Go, corpus: Corpus
) -> None:
    go(corpus(*texts(10, d7="BOOM")))
    source = corpus(*texts(11, d8="Another text."))
    result = go(source)
    assert (result.documents, result.failed, result.resumed) == (11, 0, 8)
    go(source, "clean", "local")
    assert tree(tmp_path / "out") == tree(tmp_path / "clean")
    assert go(source).resumed == 11


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_documents_that_end_their_actor_are_recorded(
    tmp_path: Path, go: Go, corpus: Corpus
) -> None:
    records = texts(10, d2="POISON", d6="POISON")
    result = go(corpus(*records))
    assert (result.documents, result.failed) == (10, 2)
    frames = read_run(tmp_path / "out")
    assert frames["documents"].document_id.tolist() == [f"d{i}" for i in range(10)]
    assert frames["documents"].text.tolist() == [record["text"] for record in records]
    assert frames["answers"].document_id.tolist() == [f"d{i}" for i in range(10)]
    errors = frames["errors"]
    assert list(zip(errors.document_id, errors.type, strict=True)) == [
        ("d2", "actor_died"),
        ("d6", "actor_died"),
    ]
    assert errors.message[0] == (
        "The actor died on document 'd2', tried by itself (out of memory, or a crash in a "
        "library). Its text may be too long for the pipeline."
    )


def test_a_document_that_never_ends_is_recorded(tmp_path: Path, go: Go, corpus: Corpus) -> None:
    result = go(corpus(*texts(5, d4="ENDLESS")), unit_timeout=1800, actors=1)
    assert (result.documents, result.failed) == (5, 1)
    (message,) = read_run(tmp_path / "out")["errors"].message
    assert message == (
        "The actor was not done with document 'd4' in 1800 seconds and was ended. Give it more "
        "with --unit-timeout, or find the component that goes on for ever."
    )


def test_too_many_errors_end_the_run_and_the_next_goes_on(
    tmp_path: Path, go: Go, corpus: Corpus
) -> None:
    source = corpus(*texts(14, d3="BOOM", d5="BOOM"))
    with pytest.raises(TooManyErrors):
        go(source, on_error="stop")
    assert run_status(tmp_path / "out").state == "interrupted"
    assert not list((tmp_path / "out").glob(".driver*"))
    go(source, "local", "local")
    assert go(source, "out", "local", retry=False).documents == 14
    assert tree(tmp_path / "out") == tree(tmp_path / "local")


def test_the_disk_of_an_actor_is_full(
    tmp_path: Path, go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_parts = threading.Barrier(2)

    def full(*_: object) -> None:
        both_parts.wait(60)  # the documents of the other are in its journal too
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "write_table", full)
        with pytest.raises(DiskFull):
            go(corpus(*texts(8)))
    assert go(corpus(*texts(8))).resumed == 8  # all of them lay in the journals


def test_nodes_that_would_make_other_rows(
    go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = part_actor.fingerprint

    def other(*arguments: Any) -> dict[str, Any]:
        mark = real(*arguments)
        return {
            **mark,
            "prompts": {**mark["prompts"], "llama_qa": threading.current_thread().ident},
        }

    monkeypatch.setattr(part_actor, "fingerprint", other)
    with pytest.raises(NodesDiffer) as raised:
        go(corpus("One."))
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("The nodes do not have the same: node")
    assert lines[1].startswith("  prompts.llama_qa: ")
    assert lines[2] == "Install the same packages and models on all of them."
    assert raised.value.exit_code == 65


def test_versions_that_are_not_those_of_the_driver(
    go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "versions", lambda: {"spacy": "2.0"})
    with pytest.raises(NodesDiffer, match=r"this machine → node[01]:\n  versions.spacy: 2.0 → 3"):
        go(corpus("One."))


def test_a_folder_that_a_node_does_not_see(
    tmp_path: Path, go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda p: ".driver" not in p.name and is_file(p))
    with pytest.raises(FolderNotShared, match="does not see the run folder"):
        go(corpus("One."))
    assert not (tmp_path / "out").exists()


def test_actors_that_never_load(go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "START_TIMEOUT_S", -1.0)
    with pytest.raises(ActorsMissing, match="Only 0 of 2 actors could be started"):
        go(corpus("One."))


def test_a_node_that_cannot_load_its_pipeline(
    go: Go, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no model here")

    monkeypatch.setattr(part_actor, "build", broken)
    with pytest.raises(NodeFailed, match=r"On the node node[01]: .*no model here"):
        go(corpus("One."))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"executor": "spark"},
            UnknownExecutor,
            "executor (--executor) is 'spark'; the executors are: local, ray.",
        ),
        (
            {"executor": "local", "gpus_per_actor": 2},
            OptionNeedsRay,
            "gpus_per_actor (--gpus-per-actor) means nothing without Ray: add --executor ray, or "
            "leave it out.",
        ),
    ],
)
def test_options_that_do_not_go_together(
    go: Go, corpus: Corpus, options: dict[str, Any], error: type[NlpPipelineError], message: str
) -> None:
    with pytest.raises(error) as raised:
        go(corpus("One."), **options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("actors", 0, "actors (--actors) is 0; give an integer from 1 to 100,000."),
        (
            "unit_timeout",
            float("nan"),
            "unit_timeout (--unit-timeout) is nan; give seconds above 0 and up to 10,000,000, or "
            "None.",
        ),
    ],
)
def test_numbers_that_no_cluster_could_have(
    go: Go, corpus: Corpus, name: str, value: float, message: str
) -> None:
    with pytest.raises(NlpPipelineError) as raised:
        go(corpus("One."), **{name: value})
    assert str(raised.value) == message


def test_an_object_store_is_no_run_folder(corpus: Corpus, quick: Callable[..., str]) -> None:
    with pytest.raises(ObjectStorePath) as raised:
        run(corpus("One."), "s3://bucket/run", pipeline=quick())
    assert str(raised.value) == (
        "'s3://bucket/run' is an object store, in which no file can be locked, renamed or appended "
        "to. Name with --out a folder of a file system, for several machines one that they share "
        "(NFS, Lustre), and copy the finished run."
    )
