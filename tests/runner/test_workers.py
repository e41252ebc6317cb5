"""Worker processes: the same tables as without, and a dead one costs one document."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fresh
import pandas as pd
import pytest
from spacy.language import Language

from nlp_pipeline import read_run, run
from nlp_pipeline.errors.run import (
    InvalidTimeout,
    TimeoutNeedsWorkers,
    WorkersFailed,
    WorkersUnsupported,
)
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.runner import workers
from nlp_pipeline.runner.request import RunRequest

POISON = """\
import os
from spacy.language import Language
from spacy.tokens import Doc

Doc.set_extension("bad", default=None, force=True)

@Language.component("deadly")
def deadly(doc):
    if "KILL" in doc.text:
        os._exit(9)
    if "BOOM" in doc.text:
        raise RuntimeError("boom")
    if "STUCK" in doc.text:
        doc._.bad = {object()}
    return doc
"""


@pytest.fixture
def quick_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that need not import everything again; the other tests start them as a user does."""
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda _: fresh.CONTEXT)


def same_tables(left: Path, right: Path) -> None:
    one, other = read_run(left), read_run(right)
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], obj=name)


def test_two_processes_give_the_tables_of_one(tmp_path, corpus) -> None:
    source = corpus(
        *(f"Ada Lovelace met {i} people in London. They talked." for i in range(9)),
        "",
        {"text": "東京 👩‍👩‍👧 e\u0301.", "questions": ["Where?"], "meta": {"k": 1}},
    )
    options: dict[str, Any] = {"pipeline": "en_qa_summary", "echo": True, "batch_size": 2}
    run(source, tmp_path / "one", **options)
    run(source, tmp_path / "two", n_process=2, **options)
    same_tables(tmp_path / "one", tmp_path / "two")
    assert len(read_run(tmp_path / "two")["entities"]) > 9


@pytest.mark.timeout(120)
def test_a_document_that_kills_its_worker_costs_only_itself(
    tmp_path, quick, corpus, register, quick_workers
) -> None:
    register("poison_of_a_test", POISON)
    source = corpus("a", "b", "", "KILL", "c", "BOOM", "d", {"text": "STUCK", "id": "s"}, "e")
    result = run(source, tmp_path / "out", pipeline=quick("deadly"), n_process=2, batch_size=3)
    assert (result.documents, result.failed) == (9, 4)
    frames = read_run(tmp_path / "out")
    assert frames["documents"].text.fillna("").tolist() == [
        *("a", "b", "", "KILL", "c", "BOOM", "d", "STUCK", "e")
    ]
    errors = frames["errors"]
    assert errors.document_id.tolist() == ["corpus:3", "corpus:4", "corpus:6", "s"]
    assert errors.type.tolist() == [
        *("empty_text", "worker_died", "annotation_failed", "annotation_failed")
    ]
    assert errors.message[1].startswith("The worker process died on document 'corpus:4' (out of")
    assert "cannot be sent from a worker process" in errors.message[3]
    assert frames["answers"].status.tolist() == [
        "error" if i in (2, 3, 5, 7) else "ok" for i in range(9)
    ]


def test_no_process_of_a_broken_pool_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that was being started when another died: the pool itself forgets to end it."""
    process = fresh.CONTEXT.Process(target=time.sleep, args=(60,))
    process.start()
    broken = SimpleNamespace(_processes={process.pid: process}, shutdown=lambda **_: None)
    monkeypatch.setattr(workers._Workers, "_new", lambda _: broken)
    workers._Workers(PipelineSpec("en_qa"), [], n_process=2, limit=None)._restart()
    process.join(30)
    assert process.exitcode == -signal.SIGTERM


ENDLESS = """\
from spacy.language import Language

@Language.component("endless")
def endless(doc):
    while "FOREVER" in doc.text:
        pass
    return doc
"""


@pytest.mark.timeout(200)
def test_a_document_that_goes_on_for_ever_costs_only_itself(
    tmp_path, quick, corpus, register, quick_workers
) -> None:
    register("endless_of_a_test", ENDLESS)
    source = corpus("a", "b", "FOREVER", "c", "d")
    result = run(
        source,
        tmp_path / "out",
        pipeline=quick("endless"),
        n_process=2,
        batch_size=3,
        document_timeout=2,
    )
    assert (result.documents, result.failed) == (5, 1)
    frames = read_run(tmp_path / "out")
    assert frames["documents"].status.tolist() == ["ok", "ok", "error", "ok", "ok"]
    assert frames["errors"].type.tolist() == ["document_timed_out"]
    assert frames["errors"].retryable.tolist() == [True]
    said = "spaCy was not done with document 'corpus:3' in 2 seconds, and its worker process"
    assert frames["errors"].message[0].startswith(said)


def test_a_time_limit_needs_workers(tmp_path, quick, corpus) -> None:
    with pytest.raises(TimeoutNeedsWorkers, match=r"--document-timeout 2 .*--n-process 2"):
        run(corpus("a"), tmp_path / "out", pipeline=quick(), document_timeout=2)
    values: tuple[Any, ...] = (0, -1, True, "2", float("nan"))
    for wrong in values:
        with pytest.raises(InvalidTimeout, match="give seconds above 0"):
            run(corpus("a"), tmp_path / "out", pipeline=quick(), document_timeout=wrong)
    assert not (tmp_path / "out").exists()


def test_a_component_that_the_processes_do_not_know(tmp_path, quick, corpus, quick_workers) -> None:
    """Registered in this process alone: said once, not blamed on every document."""
    Language.component("known_here_alone", func=lambda doc: doc)
    started = time.monotonic()
    with pytest.raises(WorkersFailed) as error:
        run(corpus("a"), tmp_path / "out", pipeline=quick("known_here_alone"), n_process=2)
    assert time.monotonic() - started < 100
    assert "known_here_alone" in str(error.value)
    assert str(error.value).isprintable()
    assert "Run without --n-process" in str(error.value)


def test_worker_processes_are_refused_on_windows(
    corpus: Any, quick: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_pipeline.runner.request.sys.platform", "win32")
    request = RunRequest(
        corpus("Ada."), tmp_path / "out", PipelineSpec(quick(), echo=True), n_process=2
    )
    with pytest.raises(WorkersUnsupported) as error:
        request.check_limits()
    assert str(error.value) == (
        "--n-process 2 is not possible on Windows, where an interrupt cannot be kept from the "
        "worker processes. Leave it out: one process annotates in a thread."
    )
    replace(request, n_process=1).check_limits()
