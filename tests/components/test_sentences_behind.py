"""`llama_qa` before the sentence boundaries: said once, and evidence from the later sentences."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import spacy
from spacy.language import Language

from nlp_pipeline.tables import to_frames

ECHO = {"generator": {"@llama_generators": "nlp_pipeline.echo.v1"}}


@pytest.fixture
def build(tmp_path):
    path = tmp_path / "qa.jinja"
    path.write_text("{% block user %}{{ question }} {{ text }}{% endblock %}")

    def make(*pipes: str) -> Language:
        nlp = spacy.blank("en")
        for pipe in pipes:
            config: dict[str, Any] = {}
            if pipe == "llama_qa":
                config = {**ECHO, "template": str(path), "questions": ["Who?"], "max_new_tokens": 2}
            nlp.add_pipe(pipe, config=config)
        return nlp

    return make


@pytest.mark.parametrize("later", ["sentencizer", "senter", "parser"])
def test_it_is_said_once_by_name(build, later: str, caplog: pytest.LogCaptureFixture) -> None:
    nlp = build("llama_qa", later)
    with caplog.at_level(logging.WARNING), nlp.select_pipes(disable=[later]):
        pass
    with caplog.at_level(logging.WARNING):
        for text in ("", "Ada left. Bo slept.", "Bo left."):
            nlp.get_pipe("llama_qa")(nlp.make_doc(text))
    assert [record.getMessage() for record in caplog.records] == [
        f"[llama_qa] stands before '{later}', which sets the sentences: evidence is only the "
        "sentence that holds the answer, and long documents are split without regard to "
        f"sentences. Add llama_qa after '{later}'."
    ]


@pytest.mark.parametrize("pipes", [("sentencizer", "llama_qa"), ("llama_qa",)])
def test_nothing_is_said_where_none_comes_later(build, pipes, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        build(*pipes)("Ada left. Bo slept.")
    assert caplog.records == []


def test_the_table_has_the_sentence_that_came_later(build) -> None:
    before, behind = build("sentencizer", "llama_qa"), build("llama_qa", "sentencizer")
    text = "Ada left. It was Bo. Nobody slept"
    rows = [to_frames([nlp(text)])["answers"].iloc[0] for nlp in (before, behind)]
    assert rows[0].answer == rows[1].answer == "Nobody slept"
    assert list(rows[0].evidence) == list(rows[1].evidence) == [2]
