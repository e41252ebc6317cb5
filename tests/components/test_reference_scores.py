"""`nlp.evaluate`: the Llama components are scored, and asked only where there is a reference."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from nlp_pipeline.components.llama_classifier import LlamaClassifier
from nlp_pipeline.generation.backends.echo import EchoGenerator

TEXT = "Mara Quill knows Graz"


@pytest.fixture
def nlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Language:
    """The echo answers with the last words of the prompt: the document's."""
    qa, summary = tmp_path / "qa.jinja", tmp_path / "summary.jinja"
    qa.write_text("{% block user %}{{ question }} {{ text }}{% endblock %}")
    summary.write_text("{% block user %}{{ text }}{% endblock %}")
    echo = {"generator": {"@llama_generators": "nlp_pipeline.echo.v1"}}
    nlp = spacy.blank("en")
    config = {**echo, "template": str(qa), "questions": [{"id": "t", "text": "Which town?"}]}
    nlp.add_pipe("llama_qa", config={**config, "max_new_tokens": 2})
    nlp.add_pipe("llama_summarizer", config={**echo, "template": str(summary)})
    nlp.add_pipe("llama_classifier", config={**echo, "labels": ["town", "sea"]})
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    nlp.add_pipe("llama_extractor", config={**echo, "schema": schema})
    nlp.add_pipe("llama_prompt", config={**echo, "prompt": "{{ text }}", "attribute": "echo_said"})
    return nlp


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    prompts: list[str] = []
    complete = EchoGenerator.complete

    def counted(self: Any, request: Any, *rest: Any) -> Any:
        prompts.append(request.id)
        return complete(self, request, *rest)

    monkeypatch.setattr(EchoGenerator, "complete", counted)
    return prompts


def example(nlp: Language, **references: Any) -> Example:
    reference = nlp.make_doc(TEXT)
    for name, value in references.items():
        setattr(reference._, name, value)
    return Example(nlp.make_doc(TEXT), reference)


def test_answers_are_compared_by_id_or_question(nlp: Language) -> None:
    right = [{"question_id": "t", "answer": "Knows Graz."}]
    scores = nlp.evaluate([example(nlp, answers=right)])
    assert (scores["answers_em"], scores["answers_f1"]) == (1.0, 1.0)
    half = [{"question": "Which town?", "answers": ["Wels", "Graz"]}]
    scores = nlp.evaluate([example(nlp, answers=half)])
    assert (scores["answers_em"], scores["answers_f1"]) == (0.0, pytest.approx(2 / 3))
    none = [{"question_id": "t", "answer": None}]
    assert nlp.evaluate([example(nlp, answers=none)])["answers_em"] == 0.0


def test_spans_are_scored_as_spacy_scores_spans(nlp: Language) -> None:
    one = example(nlp)
    one.reference.spans["answers"] = [Span(one.reference, 2, 4, "ANSWER", span_id="t")]
    scores = nlp.evaluate([one])
    assert (scores["spans_answers_p"], scores["spans_answers_r"]) == (1.0, 1.0)
    one.reference.spans["answers"] = [Span(one.reference, 3, 4, "ANSWER")]
    assert nlp.evaluate([one])["spans_answers_f"] == 0.0


def test_other_components(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(self: Any, doc: Doc, completions: Any) -> dict[str, Any]:
        return self._result("ok", {"town": 0.9, "sea": 0.1}, {}, [], None)

    monkeypatch.setattr(LlamaClassifier, "predict", chosen)
    one = example(nlp, summary=TEXT, extraction={"n": 1})
    one.reference.cats = {"town": 1.0, "sea": 0.0}
    scores = nlp.evaluate([one])
    assert scores["summary_f1"] == 1.0
    assert scores["cats_micro_f"] == 1.0
    assert scores["extraction_em"] in (0.0, 1.0)


def test_nothing_is_generated_where_nothing_is_compared(nlp: Language, asked: list[str]) -> None:
    scores = nlp.evaluate([example(nlp), example(nlp)])
    assert asked == []
    assert scores["token_acc"] == 1.0
    assert not any(key.startswith(("answers", "summary", "spans", "extraction")) for key in scores)
    nlp.evaluate([example(nlp), example(nlp, summary="x")])
    assert {request.rpartition("-")[0].rpartition("-")[0] for request in asked} == {
        "llama_summarizer"
    }
    assert nlp.pipe_names == [
        *("llama_qa", "llama_summarizer", "llama_classifier", "llama_extractor", "llama_prompt")
    ]


def test_questions_of_a_reference_are_asked(nlp: Language) -> None:
    questions = [{"id": "own", "text": "Who?"}]
    right = [{"question_id": "own", "answer": "knows Graz"}]
    scores = nlp.evaluate([example(nlp, questions=questions, answers=right)])
    assert scores["answers_em"] == 1.0


def test_score_alone_generates_nothing(nlp: Language, asked: list[str]) -> None:
    examples = [example(nlp, answers=[{"question_id": "t", "answer": "Graz"}])]
    qa: Any = nlp.get_pipe("llama_qa")
    assert qa.score(examples) == {"answers_em": 0.0, "answers_f1": 0.0}
    assert asked == []


def test_it_survives_pickling_and_the_disk(nlp: Language, tmp_path: Path) -> None:
    nlp.to_disk(tmp_path / "pipe")
    again = spacy.load(tmp_path / "pipe")
    right = [{"question_id": "t", "answer": "knows Graz"}]
    assert again.evaluate([example(again, answers=right)])["answers_em"] == 1.0
    hook = pickle.loads(pickle.dumps(vars(spacy.blank("en")).get("evaluate")))
    assert hook is None


def test_the_command_line_of_spacy(nlp: Language, tmp_path: Path) -> None:
    from spacy.cli.evaluate import evaluate
    from spacy.tokens import DocBin

    nlp.to_disk(tmp_path / "pipe")
    reference = example(nlp, answers=[{"question_id": "t", "answer": "knows Graz"}]).reference
    DocBin(docs=[reference], store_user_data=True).to_disk(tmp_path / "dev.spacy")
    scores = evaluate(str(tmp_path / "pipe"), tmp_path / "dev.spacy", silent=True)
    assert scores["answers_em"] == 1.0
