"""No document ends a run: each stage of the way raises by turns, about one document of three."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline import read_run
from nlp_pipeline.grounding import answer_checker
from nlp_pipeline.grounding.text import TextIndex

TEXTS = ("Graz is an old town.", "CULPRIT knows Graz very well.", "Wels is a wet town.")

PIPELINE = """\
[nlp]
lang = "xx"
pipeline = ["sentencizer", "llama_qa", "llama_summarizer", "llama_prompt", "behind"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
questions = ["Which town?"]

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"

[components.llama_summarizer]
factory = "llama_summarizer"

[components.llama_summarizer.generator]
@llama_generators = "nlp_pipeline.echo.v1"

[components.llama_prompt]
factory = "llama_prompt"
prompt = "Say {{ text }}"
attribute = "said_again"

[components.llama_prompt.generator]
@llama_generators = "nlp_pipeline.echo.v1"

[components.behind]
factory = "behind"
"""

STAGES = [
    "nlp_pipeline.components.llama_qa.LlamaQA.asks",
    "nlp_pipeline.components.llama_qa.LlamaQA.follow_ups",
    "nlp_pipeline.components.llama_qa.LlamaQA.review",
    "nlp_pipeline.components.llama_qa.LlamaQA.predict",
    "nlp_pipeline.components.llama_qa.LlamaQA.set_annotations",
    "nlp_pipeline.components.llama_summarizer.LlamaSummarizer.asks",
    "nlp_pipeline.components.llama_summarizer.LlamaSummarizer.follow_ups",
    "nlp_pipeline.components.llama_summarizer.LlamaSummarizer.predict",
    "nlp_pipeline.components.llama_summarizer.LlamaSummarizer.set_annotations",
    "nlp_pipeline.components.llama_prompt.LlamaPrompt.asks",
    "nlp_pipeline.components.llama_prompt.LlamaPrompt.predict",
    "nlp_pipeline.components.llama_prompt.LlamaPrompt.set_annotations",
    "nlp_pipeline.components.long_documents.LongDocuments.plan",
    "nlp_pipeline.prompts.template.PromptTemplate.render",
    "nlp_pipeline.generation.backends.echo._EchoSession.submit",
    "nlp_pipeline.grounding.answer_checker.Checker.check_answers",
    "nlp_pipeline.grounding.answer_checker.Checker.check_summary",
    "nlp_pipeline.grounding.answer_checker.ground",
    "nlp_pipeline.grounding.answer_checker.rank_evidence",
    "nlp_pipeline.grounding.support.find_units",
    "nlp_pipeline.tables.linguistic_rows._place",
    "nlp_pipeline.tables.linguistic_rows.vector",
    "nlp_pipeline.tables.linguistic_rows.stored_spans",
    "nlp_pipeline.tables.rows.DocView.sentences_at",
    "nlp_pipeline.tables.rows.checked_row",
    "nlp_pipeline.tables.rows.DocView.annotations",
    "spacy.pipeline.sentencizer.Sentencizer.predict",
    f"{__name__}.Behind.__call__",
]


class Behind:
    """A pipe behind the Llama components."""

    def __call__(self, doc: Doc) -> Doc:
        return doc


@Language.factory("behind")
def make_behind(nlp: Language, name: str) -> Behind:
    return Behind()


def names_the_culprit(value: Any) -> bool:
    """Whether an argument is of the document that is to fail."""
    if isinstance(value, str):
        return "CULPRIT" in value
    if isinstance(value, Mapping):
        return any(map(names_the_culprit, value.values()))
    if isinstance(value, list | tuple):
        return any(map(names_the_culprit, value))
    if isinstance(value, Doc | Span | TextIndex):
        return "CULPRIT" in value.text
    inner = [
        getattr(value, name, None)
        for name in ("doc", "text", "prompt", "chat", "messages", "content")
    ]
    return any(part is not None and part is not value and names_the_culprit(part) for part in inner)


def struck(call: Any) -> Any:
    def raising(*arguments: Any, **options: Any) -> Any:
        if names_the_culprit([*arguments[-4:], options]):
            raise ZeroDivisionError("struck")
        return call(*arguments, **options)

    return raising


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "pipeline.cfg"
    path.write_text(PIPELINE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_raises_costs_one_document(
    stage: str, config: str, corpus, cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, out, log = corpus(*TEXTS), tmp_path / "out", tmp_path / "debug.log"
    owner, _, name = stage.rpartition(".")
    monkeypatch.setattr(stage, struck(getattr(locate(owner), name)))
    command = ("run", texts, "-p", config, "-o", out, "--debug-log", log)
    for _ in range(2):  # the second goes on with what failed
        done = cli(*command)
        assert done.code == 3, done.err
        assert "Traceback" not in done.err
        tables = read_run(out)
        assert tables["documents"].status.tolist() == ["ok", "error", "ok"]
        assert tables["documents"].text.tolist() == list(TEXTS)
        assert set(tables["errors"].document_id) == {"corpus:2"}
        assert tables["errors"].message.str.contains("struck").all()
        for table in ("answers", "summaries", "generations"):
            ids = tables[table].document_id.tolist()
            assert [ids.count(f"corpus:{n}") for n in (1, 3)] == [1, 1], table
    assert 'raise ZeroDivisionError("struck")' in log.read_text(encoding="utf-8")
    monkeypatch.undo()
    assert cli(*command).code == 0
    assert read_run(out)["documents"].status.tolist() == ["ok", "ok", "ok"]


def test_failed_documents_keep_a_row_for_each_question(
    config: str, corpus, cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = "nlp_pipeline.grounding.answer_checker.ground"
    monkeypatch.setattr(stage, struck(answer_checker.ground))
    cli("run", corpus(*TEXTS), "-p", config, "-o", tmp_path / "out")
    tables = read_run(tmp_path / "out")
    assert tables["answers"].status.tolist() == ["ok", "error", "ok"]
    error = tables["errors"].iloc[0]
    assert (error.stage, error.component, error.type) == (
        "generate",
        "llama_qa",
        "component_failed",
    )
    assert error.message == (
        "The component 'llama_qa' failed on document 'corpus:2': ZeroDivisionError: struck. "
        "--debug-log FILE keeps the traceback; other documents are not touched."
    )


def test_a_failure_that_cannot_even_be_written_is_said_too(
    config: str, corpus, cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("predict", "failed"):
        stage = f"nlp_pipeline.components.llama_qa.LlamaQA.{name}"
        monkeypatch.setattr(stage, struck(getattr(locate(stage.rpartition(".")[0]), name)))
    assert cli("run", corpus(*TEXTS), "-p", config, "-o", tmp_path / "out").code == 3
    tables = read_run(tmp_path / "out")
    assert tables["documents"].status.tolist() == ["ok", "error", "ok"]
    assert tables["errors"].component.tolist() == ["llama_qa", "llama_qa"]
    assert tables["summaries"].status.tolist() == ["ok", "ok", "ok"]


def test_a_debug_log_that_cannot_be_written_to(config: str, corpus, cli, tmp_path: Path) -> None:
    log = tmp_path / "no" / "debug.log"
    done = cli("run", corpus(*TEXTS), "-p", config, "-o", tmp_path / "o", "--debug-log", log)
    assert done.code == 1
    assert f"--debug-log {log} cannot be written to (No such file or directory)" in done.err
