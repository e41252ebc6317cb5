"""A further question over the documents of a run: part of it from then on, by whatever way."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import ask, read_run, retry, run
from nlp_pipeline.errors.ask import (
    EmptyQuestion,
    NoDocumentMatches,
    NoQuestionComponent,
    QuestionIdTaken,
    RunTooOld,
    RunUnfinished,
    WhereNotReadable,
)
from nlp_pipeline.errors.run_folder import RunLocked, RunNotFound
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.runner.document_filter import matching_documents

RECORDS: list[dict[str, Any]] = [
    {"id": "one", "text": "Ada wrote.", "year": 2021},
    {"id": "two", "text": "Grace spoke at length of compilers.", "questions": ["Of what?"]},
    {"id": "three"},
    {"id": "four", "text": "Nobody came.", "year": 1999},
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, quick_text: str) -> Path:
    """A run of three documents and a reject, in parts of two. Shared: copy it."""
    folder = tmp_path_factory.mktemp("ask")
    (folder / "quick.cfg").write_text(quick_text, encoding="utf-8")
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, RECORDS)), encoding="utf-8")
    run(folder / "corpus.jsonl", folder / "out", pipeline=str(folder / "quick.cfg"), part_size=2)
    return folder


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished / "out", tmp_path / "out")
    return tmp_path / "out"


def again(finished: Path, out: Path, **options: Any) -> Any:
    """The command of the run."""
    pipeline = str(finished / "quick.cfg")
    return run(finished / "corpus.jsonl", out, pipeline=pipeline, part_size=2, **options)


def asked(out: Path, question_id: str) -> list[str]:
    answers = read_run(out, "answers")["answers"]
    return answers[answers.question_id == question_id].document_id.tolist()


def test_the_answers_become_part_of_the_run_without_its_corpus(out: Path, finished: Path) -> None:
    before = read_run(out)
    result = ask(out, "Who  signed it?")
    after = read_run(out)
    assert asked(out, "f1") == ["one", "two", "four"]
    assert set(after["answers"].question) - set(before["answers"].question) == {"Who signed it?"}
    assert (result.documents, result.resumed) == (4, 1)  # the reject stays as it is
    others = after["answers"][after["answers"].question_id != "f1"].reset_index(drop=True)
    assert others.equals(before["answers"])
    for name in ("documents", "tokens", "sentences", "errors"):
        assert after[name].equals(before[name])


def test_whatever_goes_on_with_the_run_keeps_the_question(out: Path, finished: Path) -> None:
    ask(out, "Who signed it?")
    assert again(finished, out, limit=None).resumed == 4
    retry(out)
    assert asked(out, "f1") == ["one", "two", "four"]
    again(finished, out, questions=["Where?"])
    assert asked(out, "f1") == ["one", "two", "four"]
    assert set(read_run(out)["answers"].question) == {"Where?", "Of what?", "Who signed it?"}
    again(finished, out, fresh=True)
    assert asked(out, "f1") == []


def test_only_some_documents_and_then_more(out: Path) -> None:
    ask(out, "Who signed it?", where="n_chars < 12 -- short ones")
    assert asked(out, "f1") == ["one"]
    ask(out, "Who signed it?", where="meta->>'$.year' = '1999'")
    assert asked(out, "f1") == ["one", "four"]
    ask(out, "Who signed it?")
    assert asked(out, "f1") == ["one", "two", "four"]


def test_a_question_that_the_run_has_costs_nothing(out: Path, cli: Any) -> None:
    done = cli("ask", out, "Who is named?")
    assert (done.code, done.out) == (0, "")
    assert done.err == "The run has this question already, as 'who': nothing is asked.\n"
    cli("ask", out, "Who signed it?")
    before = (out / "manifest.json").read_bytes()
    assert ask(out, "Who signed it?").resumed == 4
    assert (out / "manifest.json").read_bytes() == before


def test_a_kill_on_the_way_loses_nothing(out: Path, finished: Path) -> None:
    class Killer:
        def start(self, total: int | None, done: int) -> None: ...
        def warn(self, message: str) -> None: ...
        def document(self, *, failed: bool, output_tokens: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(out, "Who signed it?", progress=Killer())
    again(finished, out)
    assert asked(out, "f1") == ["one", "two", "four"]


def test_what_is_asked_in_the_terminal(
    out: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cli("ask", out, "Who signed it?", "--where", "document_id = 'one'", "--id", "signed")
    assert done.code == 0
    assert done.out.split("\t")[0] == "one"
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where?\n \nWhen?\n"))
    done = cli("ask", out, "-i", "--json")
    assert [json.loads(line)["question_id"] for line in done.out.splitlines()] == ["f1"] * 3
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where?\nWho is here?\n"))
    done = cli("ask", out, "--interactive", "--where", "nope = 1")
    assert done.code == 0
    assert done.err.count("Error: --where nope = 1: ") == 2
    assert cli("ask", out).code == 2


def test_a_document_that_fails_is_said(out: Path, cli: Any) -> None:
    done = cli("ask", out, "Is it UNSPEAKABLE?")
    assert done.code == 3
    assert "failed: " in done.out


@pytest.mark.parametrize(
    "expression",
    [
        "document_id IN (SELECT content FROM read_text('/etc/passwd'))",
        "document_id IN (SELECT * FROM '/etc/passwd')",
        "document_id IN (SELECT * FROM read_csv('corpus.jsonl'))",
        "EXISTS (SELECT * FROM glob('/*'))",
        "EXISTS (SELECT * FROM documents_elsewhere)",
        "true); COPY documents TO 'stolen.csv'; SELECT (true",
        "true); ATTACH 'stolen.db'; SELECT (true",
        "true); SET enable_external_access = true; SELECT (true",
        "true); INSTALL httpfs; SELECT (true",
        "getenv('HOME') = ''",
    ],
)
def test_no_expression_reads_a_file(out: Path, expression: str, tmp_path: Path) -> None:
    documents_elsewhere = read_run(out, "documents")["documents"]  # noqa: F841
    with pytest.raises(WhereNotReadable):
        matching_documents(out, expression)
    assert not list(tmp_path.rglob("stolen*"))


def test_what_cannot_be_asked(out: Path, tmp_path: Path) -> None:
    with pytest.raises(WhereNotReadable) as where:
        ask(out, "Who?", where="yeer = 2021")
    assert str(where.value).startswith("--where yeer = 2021: Binder Error: Referenced column ")
    assert "the columns are: document_id, position, source, line, status, text," in str(where.value)
    with pytest.raises(NoDocumentMatches, match=r"fits none of the 4 documents of the run"):
        ask(out, "Who?", where="n_chars > 99")
    with pytest.raises(EmptyQuestion):
        ask(out, " \n")
    with pytest.raises(QuestionIdTaken) as taken:
        ask(out, "Who?", id="who")
    assert str(taken.value) == (
        "The id 'who' is that of the question 'Who is named?'. Give another with --id, or leave "
        "it out."
    )
    with pytest.raises(QuestionIdTaken, match="is that of a record's own question"):
        ask(out, "Who?", id="r1")
    with pytest.raises(NoQuestionComponent, match=r"has no llama_qa 'other'.*: llama_qa\."):
        ask(out, "Who?", component="other")
    with pytest.raises(RunNotFound):
        ask(tmp_path / "nowhere", "Who?")


def test_a_run_that_is_not_finished_or_too_old_or_held(out: Path) -> None:
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    mark = manifest["fingerprint"]
    with open_run(out, mark, "parquet"), pytest.raises(RunLocked):
        ask(out, "Who?")
    unfinished = {k: v for k, v in manifest.items() if k != "counts"} | {"state": "running"}
    (out / "manifest.json").write_text(json.dumps(unfinished), encoding="utf-8")
    with pytest.raises(RunUnfinished, match=r"is not finished\. Let it end, or type its command"):
        ask(out, "Who?")
    old = {name: value for name, value in manifest.items() if name != "settings"}
    (out / "manifest.json").write_text(json.dumps(old), encoding="utf-8")
    with pytest.raises(RunTooOld, match="before answers and questions were kept"):
        ask(out, "Who?")
    assert not (out / "further_questions.json").exists()
