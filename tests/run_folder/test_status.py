"""How a run stands: finished, going on, or interrupted."""

from __future__ import annotations

import json
import threading

import pytest

from nlp_pipeline.errors.run_folder import RunNotFound
from nlp_pipeline.run_folder.folder import MANIFEST
from nlp_pipeline.run_folder.lock import locked
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner import run as runner


@pytest.fixture
def out(tmp_path, quick, corpus):
    """A finished run of three records, one of which failed."""
    source = corpus("Ada met Charles.", {"id": "b"}, "Grace wrote it.")
    runner.run(source, tmp_path / "out", pipeline=quick(), part_size=2)
    return tmp_path / "out"


def _unfinish(out) -> None:
    """What a kill between the two parts would have left."""
    manifest = json.loads((out / MANIFEST).read_text())
    manifest.update(state="running")
    (out / MANIFEST).write_text(json.dumps(manifest))
    (out / "_receipts" / "part-00001.json").unlink()


def test_a_finished_run(out) -> None:
    found = run_status(out)
    assert (found.state, found.total, found.done) == ("finished", 3, 3)
    assert (found.ok, found.failed, found.left) == (2, 1, 0)
    assert found.output_tokens > 0
    assert found.seconds is not None


def test_a_run_that_was_killed(out) -> None:
    _unfinish(out)
    found = run_status(out)
    assert (found.state, found.total, found.done, found.left) == ("interrupted", 3, 2, 1)


def test_a_run_that_is_going_on(out) -> None:
    _unfinish(out)
    with locked(out):
        assert run_status(out).state == "running"
    assert run_status(out).state == "interrupted"


def test_looking_takes_no_lock(out, monkeypatch) -> None:
    """A run that begins just then would fail with 75."""
    _unfinish(out)
    refused = []

    def watched(file, flags) -> None:
        refused.append(flags)
        raise AssertionError("the look took a lock")

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", watched)
        assert run_status(out).state == "interrupted"
    with locked(out), monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", watched)
        assert run_status(out).state == "running"
    assert refused == []


def test_a_run_can_begin_while_others_look_at_it(out) -> None:
    _unfinish(out)
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            run_status(out)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(100):
            with locked(out):
                assert run_status(out).state == "running"
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_no_run(tmp_path) -> None:
    with pytest.raises(RunNotFound, match=r"holds no run \(there is no manifest.json\)"):
        run_status(tmp_path)


def test_a_journal_beside_a_damaged_ledger_takes_nothing_away(out) -> None:
    (out / "_wip").mkdir(exist_ok=True)
    (out / "_wip" / "part-00000.jsonl").write_bytes(b"torn")
    for harm in ("{", ""):
        (out / "_ledger" / "part-00000.jsonl").write_text(harm)
        found = run_status(out)
        assert (found.done, found.failed) == (3, 1)


def test_rates_count_what_the_latest_process_computed(tmp_path, out, quick, corpus) -> None:
    first = run_status(out)
    assert first.seconds is not None
    assert first.documents_per_second == pytest.approx(3 / first.seconds)
    assert first.tokens_per_second == pytest.approx(first.output_tokens / first.seconds)
    corpus("Ada met Charles.", {"id": "b"}, "Grace wrote it.", "New.")
    runner.run(tmp_path / "corpus.jsonl", out, pipeline=quick(), part_size=2)
    found = run_status(out)
    assert found.seconds is not None
    assert found.documents_per_second == pytest.approx(1 / found.seconds)
    assert found.tokens_per_second is None
