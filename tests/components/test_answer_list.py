from __future__ import annotations

from pathlib import Path

import spacy
from spacy.tokens import DocBin

from nlp_pipeline.runner.request import RunResult

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}
MARKUP = "<script>alert(1)</script>"


def test_answers_show_themselves_escaped() -> None:
    nlp = spacy.blank("en")
    questions = [f"Who? {MARKUP}", "Say UNSPEAKABLE"]
    nlp.add_pipe("llama_qa", config={"generator": ECHO, "questions": questions})
    doc = nlp(f"Ada. {MARKUP}")
    shown = doc._.answers._repr_html_()
    assert shown.count("<tr>") == 3
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "Generation failed: the prompt holds" in shown
    (back,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
    assert [a["answer"] for a in back._.answers] == [a["answer"] for a in doc._.answers]


def test_a_run_shows_itself() -> None:
    shown = RunResult(Path("a<b"), 12_000, 3, 5, 1.25, 0)._repr_html_()
    assert "a&lt;b" in shown
    assert "12,000" in shown
    assert "resumed" not in shown
