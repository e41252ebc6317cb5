"""A run that goes on: what failed is tried again, what changed is computed, the rest is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nlp_pipeline import read_run, retry
from nlp_pipeline.errors.run import (
    CorpusNeeded,
    InvalidMaxErrors,
    TimeoutNeedsWorkers,
    TooManyErrors,
)
from nlp_pipeline.errors.run_folder import DifferentRun, RunNotFound
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder import staging
from nlp_pipeline.run_folder.error_limit import ErrorLimit
from nlp_pipeline.run_folder.folder import MANIFEST
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner import run as runner
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.tables.schemas import TABLES

MOODY = """\
import os
from spacy.language import Language

@Language.component("moody")
def moody(doc):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(doc.text + "\\\\n")
    if "MOODY" in doc.text and os.path.exists(os.environ["SEEN"] + ".mood"):
        raise RuntimeError("not today")
    return doc
"""
"""Fails while a file is there, and writes down what it was given."""


def bytes_of(out: Path) -> dict[str, bytes]:
    """What a run promises to be the same."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


class Mood:
    """Whether the component fails, and what it has seen since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._path, self._switch = path, path.with_name(path.name + ".mood")
        self.good()

    def bad(self) -> None:
        self._switch.touch()

    def good(self) -> None:
        self._switch.unlink(missing_ok=True)

    def seen(self) -> list[str]:
        found = self._path.read_text().splitlines() if self._path.exists() else []
        self._path.unlink(missing_ok=True)
        return found


@pytest.fixture
def mood(tmp_path, monkeypatch, register) -> Mood:
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    register("moody_of_a_test", MOODY.replace("\\\\n", "\\n"))
    return Mood(tmp_path / "seen")


@pytest.fixture
def go(tmp_path, quick, mood):
    """Runs, in parts of three, into a folder."""
    name = quick("moody")

    def run(source: str, out: str = "out", **options):
        return runner.run(source, tmp_path / out, pipeline=name, part_size=3, **options)

    return run


def texts(number: int, *moody: int) -> list[dict]:
    return [
        {"id": f"d{i}", "text": f"MOODY {i}." if i in moody else f"Text {i}.", "z": 1, "a": [i]}
        for i in range(number)
    ]


class Stop(runner.Silent):
    """Ctrl-C after so many documents."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def document(self, **_: object) -> None:
        self.patience -= 1
        if not self.patience:
            raise KeyboardInterrupt


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl"])
def test_what_failed_is_tried_again_and_nothing_else(tmp_path, go, mood, corpus, format_) -> None:
    source = corpus(*texts(8, 1, 4, 7), {"id": "bad"})
    mood.bad()
    assert go(source, format=format_).failed == 4
    mood.good()
    mood.seen()
    result = go(source, format=format_)
    assert (result.documents, result.failed, result.resumed) == (9, 1, 6)
    assert mood.seen() == ["MOODY 1.", "MOODY 4.", "MOODY 7."]
    go(source, "whole", format=format_)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_attempts_are_counted_and_rows_never_change_in_number(tmp_path, go, mood, corpus) -> None:
    source = corpus(*texts(4, 1, 3))
    mood.bad()
    for attempt in (1, 2, 3):
        assert go(source).failed == 2
        errors = read_run(tmp_path / "out")["errors"]
        assert errors.attempt.tolist() == [attempt] * 2
        lines = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
        assert [json.loads(line)["attempt"] for line in lines] == [attempt] * 2
        assert len(read_run(tmp_path / "out")["answers"]) == 4


def test_no_retry_keeps_what_failed(tmp_path, go, mood, corpus) -> None:
    source = corpus(*texts(4, 1))
    mood.bad()
    go(source)
    before = bytes_of(tmp_path / "out")
    mood.good()
    mood.seen()
    assert go(source, retry=False).failed == 1
    assert mood.seen() == []
    assert bytes_of(tmp_path / "out") == before


@pytest.mark.parametrize("number", [3, 4, 6, 8])
def test_a_corpus_that_grew_costs_the_new_records_alone(tmp_path, go, mood, corpus, number) -> None:
    go(corpus(*texts(number)))
    mood.seen()
    source = corpus(*texts(9))
    assert go(source).resumed == number
    assert mood.seen() == [f"Text {i}." for i in range(number, 9)]
    go(source, "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize(
    "change", [{"text": "New."}, {"a": "new"}, {"questions": ["When?"]}, {"meta": {"k": 1}}]
)
def test_a_changed_record_is_computed_and_only_it(tmp_path, go, mood, corpus, change) -> None:
    records = texts(7)
    go(corpus(*records))
    mood.seen()
    records[4] |= change
    source = corpus(*records)
    assert go(source).resumed == 6
    assert mood.seen() == [records[4]["text"]]
    go(source, "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_mended_record_and_one_that_broke(tmp_path, go, mood, corpus) -> None:
    records = texts(5)
    go(corpus(*records[:2], {"id": "d2"}, *records[3:]))
    mood.seen()
    source = corpus({"id": "d0", "text": ""}, *records[1:])
    assert go(source).failed == 1
    assert mood.seen() == ["Text 2."]
    go(source, "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_line_put_in_front_moves_the_rows_and_computes_none(tmp_path, go, mood, corpus) -> None:
    source = corpus(*texts(5))
    go(source)
    mood.seen()
    Path(source).write_text("\n" + Path(source).read_text())
    assert go(source).resumed == 5
    assert mood.seen() == []
    go(source, "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([0, 1, 3, 4], "\n  corpus, record 3 ({0}:3): id d2 → id d3\n"),
        ([1, 0, 2, 3, 4], "\n  corpus, record 1 ({0}:1): id d0 → id d1\n"),
        ([0, 1, 2, 9, 3, 4], "\n  corpus, record 4 ({0}:4): id d3 → id d9\n"),
        ([0, 1, 2], "\n  corpus: 5 records → 3 records\n"),
    ],
)
def test_removed_and_reordered_records_are_refused(tmp_path, go, corpus, order, said) -> None:
    records = texts(10)
    go(corpus(*records[:5]))
    before = bytes_of(tmp_path / "out")
    source = corpus(*(records[i] for i in order))
    with pytest.raises(DifferentRun) as error:
        go(source)
    assert said.format(source) in str(error.value)
    assert bytes_of(tmp_path / "out") == before
    assert go(source, fresh=True).documents == len(order)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_an_interrupted_going_on_goes_on(tmp_path, quick, go, mood, corpus, patience) -> None:
    """A changed, a failed and new records, stopped after each of the first documents."""
    records = texts(9, 4)
    mood.bad()
    go(corpus(*records[:7]))
    mood.good()
    mood.seen()
    records[1]["text"] = "New."
    source = corpus(*records)
    request = RunRequest(source, tmp_path / "out", PipelineSpec(quick("moody")), part_size=3)
    with pytest.raises(KeyboardInterrupt):
        runner.execute(request, Stop(patience))
    stands = run_status(tmp_path / "out")
    assert (stands.state, stands.total) == ("interrupted", 9)
    assert (stands.done, stands.failed) == [(7, 1), (7, 0), (8, 0)][patience - 1]
    mood.seen()
    assert go(source).resumed == 5 + patience
    assert mood.seen() == ["New.", "MOODY 4.", "Text 7.", "Text 8."][patience:]
    go(source, "whole")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_a_kill_at_any_file_of_a_swap_loses_nothing(tmp_path, go, mood, corpus, monkeypatch):
    source = corpus(*texts(3, 1))
    mood.bad()
    go(source, "before")
    mood.good()
    go(source, "whole")
    whole = bytes_of(tmp_path / "whole")
    real = staging.rename_durably
    for moves in (0, 1, 6, len(TABLES), len(TABLES) + 1):  # tables, then ledger, then receipt
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "out")
        done: list[Path] = []

        def rename(source_, target, done=done, moves=moves) -> None:
            if len(done) == moves:
                raise KeyboardInterrupt
            done.append(target)
            real(source_, target)

        monkeypatch.setattr(staging, "rename_durably", rename)
        with pytest.raises(KeyboardInterrupt):
            go(source)
        assert len(read_run(tmp_path / "out")["documents"]) == 3
        assert run_status(tmp_path / "out").failed == 0
        monkeypatch.setattr(staging, "rename_durably", real)
        mood.seen()
        go(source)
        assert mood.seen() == []
        assert bytes_of(tmp_path / "out") == whole


@pytest.mark.parametrize("harm", [None, "", "{\n", '{"id": 1}\n'])
def test_a_damaged_ledger_costs_its_part(tmp_path, go, mood, corpus, harm) -> None:
    source = corpus(*texts(5))
    go(source)
    whole = bytes_of(tmp_path / "out")
    ledger = tmp_path / "out" / "_ledger" / "part-00000.jsonl"
    ledger.unlink() if harm is None else ledger.write_text(harm)
    mood.seen()
    go(source)
    assert mood.seen() == ["Text 0.", "Text 1.", "Text 2."]
    assert bytes_of(tmp_path / "out") == whole


class TestRetry:
    @pytest.fixture
    def failed(self, tmp_path, go, mood, corpus):
        """A run with three failed documents and a reject; the mood is good again."""
        records = texts(7, 1, 4, 5)
        records[4]["questions"] = ["When?", {"id": "w", "text": "Where?"}]
        source = corpus(*records, {"id": "bad"})
        mood.bad()
        go(source)
        mood.good()
        go(source, "whole")
        mood.seen()
        Path(source).unlink()
        return tmp_path / "out"

    def test_needs_no_corpus(self, tmp_path, failed, mood) -> None:
        result = retry(failed)
        assert (result.documents, result.failed, result.resumed) == (8, 1, 5)
        assert mood.seen() == ["MOODY 1.", "MOODY 4.", "MOODY 5."]
        assert bytes_of(failed) == bytes_of(tmp_path / "whole")
        assert run_status(failed).state == "finished"
        assert retry(failed).resumed == 8

    def test_some_of_them(self, failed, mood) -> None:
        assert retry(failed, types=["generation_failed"]).failed == 4
        assert retry(failed, ids=["d4", "bad"]).failed == 3
        assert mood.seen() == ["MOODY 4."]
        assert retry(failed, types=["annotation_failed"]).failed == 1

    def test_a_time_limit_without_workers_is_refused(self, failed) -> None:
        with pytest.raises(TimeoutNeedsWorkers, match=r"^--document-timeout 5 needs worker"):
            retry(failed, document_timeout=5)

    def test_a_text_that_does_not_come_back_is_never_taken_for_it(self, failed) -> None:
        ledger = failed / "_ledger" / "part-00000.jsonl"
        ledger.write_text(ledger.read_text().replace('"z": 1', '"z": 2'))
        before = bytes_of(failed)
        with pytest.raises(CorpusNeeded, match=r"'d1' cannot be read back.*corpus\.jsonl"):
            retry(failed)
        assert bytes_of(failed) == before

    def test_damaged_books_and_no_run(self, failed, tmp_path) -> None:
        (failed / "_ledger" / "part-00001.jsonl").unlink()
        with pytest.raises(CorpusNeeded, match="its books are damaged"):
            retry(failed)
        with pytest.raises(RunNotFound):
            retry(tmp_path / "nowhere")

    def test_a_changed_setting_is_refused(self, failed) -> None:
        config = failed / "config.cfg"
        config.write_text(config.read_text().replace("max_new_tokens = ", "max_new_tokens = 1"))
        with pytest.raises(DifferentRun, match="max_new_tokens"):
            retry(failed)


class TestLimits:
    def test_stop_at_the_first_failure_and_go_on(self, tmp_path, go, mood, corpus) -> None:
        source = corpus(*texts(8, 2, 5))
        mood.bad()
        with pytest.raises(TooManyErrors, match=r"Stopped: 1 of 3 documents failed \(--on-error"):
            go(source, on_error="stop", batch_size=1)
        assert run_status(tmp_path / "out").done == 3
        mood.good()
        assert go(source, on_error="stop").resumed == 2
        go(source, "whole")
        assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")

    def test_a_number(self, go, mood, corpus) -> None:
        source = corpus(*texts(8, 2, 5, 6))
        mood.bad()
        assert go(source, max_errors="3").failed == 3
        with pytest.raises(TooManyErrors, match=r"3 of 3 documents failed \(--max-errors 2\)"):
            go(source, max_errors="2")

    def test_a_share_counts_from_the_hundredth_document(self) -> None:
        limit = ErrorLimit("10%")
        for _ in range(99):
            limit.count(failed=True)
        with pytest.raises(TooManyErrors, match="100 of 100"):
            limit.count(failed=True)
        limit = ErrorLimit("10%")
        for number in range(1000):
            limit.count(failed=number % 10 == 9)

    @pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "101%", "%", "nan%"])
    def test_what_is_no_limit(self, go, corpus, value) -> None:
        with pytest.raises(InvalidMaxErrors, match="such as 5%, which counts from the 100th"):
            go(corpus("a"), max_errors=value)


def test_the_manifest_says_running_while_it_goes_on(tmp_path, go, mood, corpus) -> None:
    source = corpus(*texts(2, 1))
    mood.bad()
    go(source)
    with pytest.raises(TooManyErrors):
        go(source, on_error="stop")
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["state"] == "running"
    assert run_status(tmp_path / "out").state == "interrupted"


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_an_interrupted_retry_is_finished_by_the_next(
    tmp_path, go, mood, corpus, patience: int
) -> None:
    source = corpus(*texts(8, 1, 4, 7))
    mood.bad()
    go(source)
    mood.good()
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        retry(out, progress=Stop(patience))
    assert run_status(out).state == "interrupted"
    result = retry(out)
    assert (result.documents, result.failed) == (8, 0)
    assert run_status(out).state == "finished"
    assert retry(out).resumed == 8
    go(source, "whole")
    assert bytes_of(out) == bytes_of(tmp_path / "whole")


@pytest.mark.parametrize("heal", ["retry", "run"])
def test_a_retry_killed_before_it_closed_the_books(
    tmp_path, go, mood, corpus, monkeypatch, heal
) -> None:
    source = corpus(*texts(5, 1, 4))
    mood.bad()
    go(source)
    mood.good()
    out = tmp_path / "out"
    written = RunFolder.write_manifest

    def killed(folder: RunFolder, manifest: dict) -> None:
        if manifest["state"] == "finished":
            raise KeyboardInterrupt
        written(folder, manifest)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            retry(out)
    found = run_status(out)
    assert (found.state, found.failed) == ("interrupted", 0)
    mood.seen()
    result = retry(out) if heal == "retry" else go(source)
    assert (result.documents, result.failed) == (5, 0)
    assert mood.seen() == []
    assert run_status(out).state == "finished"


def test_a_retry_of_an_interrupted_run_leaves_it_so(tmp_path, go, mood, corpus) -> None:
    source = corpus(*texts(8, 1))
    mood.bad()
    with pytest.raises(KeyboardInterrupt):
        go(source, progress=Stop(5))
    mood.good()
    retry(tmp_path / "out")
    assert run_status(tmp_path / "out").state == "interrupted"
    assert go(source).failed == 0
    assert run_status(tmp_path / "out").state == "finished"


def write_file(folder: Path, name: str, *texts: str) -> None:
    folder.mkdir(exist_ok=True)
    rows = [{"text": text, "id": 1} if n == 0 else {"text": text} for n, text in enumerate(texts)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_folder_may_grow_anywhere(tmp_path, go, mood) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_file(folder, "b.jsonl", "b1.", "b2.")
    write_file(folder, "d.jsonl", "d1.", "d2.")
    with pytest.raises(KeyboardInterrupt):
        go(str(folder), progress=Stop(2))
    mood.seen()
    for name in "ac":
        write_file(folder, f"{name}.jsonl", f"{name}1.", f"{name}2.")
    assert go(str(folder)).documents == 8
    assert not {"b1.", "b2."} & set(mood.seen())
    documents = read_run(out)["documents"]
    assert documents["text"].tolist() == [f"{name}{n}." for name in "bdac" for n in (1, 2)]
    assert documents["document_id"].tolist()[::2] == ["1", *(f"{n}.jsonl#1" for n in "dac")]
    write_file(folder, "aa.jsonl", "aa1.")
    assert (go(str(folder)).resumed, mood.seen()) == (8, ["aa1."])
    assert list(read_run(out)["documents"]["source"].str[-8:])[-2:] == ["/c.jsonl", "aa.jsonl"]
    assert (go(str(folder)).resumed, mood.seen()) == (9, [])


def test_files_that_are_in_the_way_of_going_on_are_named(tmp_path, go) -> None:
    folder = tmp_path / "in"
    for name in "abc":
        write_file(folder, f"{name}.jsonl", f"{name}1.", f"{name}2.")
    go(str(folder))
    (folder / "a.jsonl").unlink()
    write_file(folder, "b.jsonl", "b0.", "b1.", "b2.")
    write_file(folder, "d.jsonl", "d1.")
    with pytest.raises(DifferentRun) as error:
        go(str(folder))
    lines = str(error.value).splitlines()
    assert lines[-4:] == [
        f"Missing files: {folder}/a.jsonl. Put them back.",
        f"Changed files: {folder}/b.jsonl. Records may change in their places; further ones go "
        "into a file of their own.",
        f"New files: {folder}/d.jsonl. They are read after the others and are not what is in the "
        "way.",
        "Name another folder with --out, or start over in this one with --fresh.",
    ]
    write_file(folder, "a.jsonl", "a1.", "a2.")
    write_file(folder, "b.jsonl", "b1.", "b0.")
    assert go(str(folder)).resumed == 5
