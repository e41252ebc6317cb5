from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import fresh
import pytest
import spacy
from confection import ConfigValidationError
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from nlp_pipeline.components.doc_flow import MAX_PENDING
from nlp_pipeline.components.llama_qa import LlamaQA
from nlp_pipeline.errors import InvalidSamplingParams, NlpPipelineError
from nlp_pipeline.errors.config import (
    DuplicateQuestion,
    InvalidSetting,
    PromptTemplateInvalid,
    PromptTemplateNotFound,
    QuestionsInvalid,
)
from nlp_pipeline.errors.generation import GenerationFailed, InvalidModelSetting

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}
KEYS = [
    "component",
    "question_id",
    "question",
    "answer",
    "status",
    "no_answer_prob",
    "masked_logprob",
    "candidate_score",
    "answerable",
    "confidence",
    "log_share",
    "coverage",
    "opposites",
    "negation",
    "missing_numbers",
    "n_chunks",
    "asked_chunks",
    "chunk_id",
    "asked_sentences",
    "finish_reason",
    "mean_logprob",
    "min_logprob",
    "first_token_prob",
    "sum_logprob",
    "prompt_tokens",
    "reused_tokens",
    "output_tokens",
    "reasoning",
    "reasoning_tokens",
    "model",
    "error",
    "alignment",
    "start_char",
    "end_char",
    "start_token",
    "end_token",
    "alignment_score",
    "evidence",
    "evidence_starts",
    "support_score",
    "unsupported_entities",
    "unsupported_numbers",
    "entities",
]
TEMPLATE = "{% block user %}{{ question }} {{ text }}{% endblock %}"


@pytest.fixture
def parrot(tmp_path: Path) -> str:
    """A template with which the echo answers with the document's last words."""
    path = tmp_path / "parrot.jinja"
    path.write_text(TEMPLATE)
    return str(path)


def build(**config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("llama_qa", config={"questions": ["Who?"], "generator": ECHO, **config})
    return nlp


def answers(doc: Doc) -> list[tuple[str, str | None, str]]:
    return [(a["question_id"], a["answer"], a["status"]) for a in doc._.answers]


class TestAnswers:
    def test_one_per_question_in_their_order(self, parrot: str) -> None:
        questions = ["Who?", {"id": "when", "text": "When? "}, "What?"]
        doc = build(questions=questions, template=parrot, max_new_tokens=1)("Anna left Oslo")
        assert answers(doc) == [("q1", "Oslo", "ok"), ("when", "Oslo", "ok"), ("q3", "Oslo", "ok")]
        first = doc._.answers[0]
        assert list(first) == KEYS
        assert doc._.answers[1]["question"] == "When?"
        assert (first["alignment"], first["start_char"], first["end_char"]) == ("exact", 10, 14)
        assert (first["start_token"], first["end_token"], first["model"]) == (2, 3, "echo")
        assert [(s.text, s.label_, s.id_) for s in doc.spans["answers"]] == [
            ("Oslo", "ANSWER", "q1"),
            ("Oslo", "ANSWER", "when"),
            ("Oslo", "ANSWER", "q3"),
        ]

    def test_are_plain_json(self, parrot: str) -> None:
        nlp = build(template=parrot)
        for doc in (nlp("Anna left"), nlp("UNSPEAKABLE"), nlp("")):
            assert json.loads(json.dumps(doc._.answers)) == doc._.answers
            assert json.loads(json.dumps(doc._.errors)) == doc._.errors

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            ("not in the document", "no_answer"),
            ("Not in the document.", "no_answer"),
            ("not in the documents", "ok"),
        ],
    )
    def test_no_answer_is_not_an_answer(self, parrot: str, said: str, status: str) -> None:
        for no_answer in ("not in the document", "Not in the document."):
            words = len(said.split())
            doc = build(template=parrot, no_answer=no_answer, max_new_tokens=words)(f"x {said}")
            assert doc._.answers[0]["status"] == status
            assert (doc._.answers[0]["answer"] is None) == (status == "no_answer")
            assert doc._.answers[0]["error"] is None

    def test_what_is_not_in_the_document_is_not_grounded(self) -> None:
        doc = build()("Anna left Oslo")
        assert doc._.answers[0]["status"] == "ok"
        assert doc._.answers[0]["alignment"] == "none"
        assert doc._.answers[0]["start_char"] is None
        assert list(doc.spans["answers"]) == []

    def test_a_second_pass_replaces_the_first(self, parrot: str) -> None:
        nlp = build(template=parrot, max_new_tokens=1)
        doc = nlp(nlp("Anna left"))
        assert len(doc._.answers) == len(doc.spans["answers"]) == 1
        doc = nlp(nlp("UNSPEAKABLE"))
        assert len(doc._.answers) == len(doc._.errors) == 1

    def test_spans_of_others_in_the_group_stay(self, parrot: str) -> None:
        nlp = build(template=parrot, max_new_tokens=1)
        doc = nlp.make_doc("Anna left Oslo")
        doc.spans["answers"] = [Span(doc, 0, 1, label="GOLD")]
        assert [(s.text, s.label_) for s in nlp(doc).spans["answers"]] == [
            ("Anna", "GOLD"),
            ("Oslo", "ANSWER"),
        ]

    @pytest.mark.parametrize("text", ["", " ", "\n\n"])
    def test_a_text_without_words(self, text: str) -> None:
        doc = build()(text)
        assert doc._.answers[0]["status"] == "no_answer"
        assert doc._.answers[0]["prompt_tokens"] == 0, "nothing was asked"
        assert doc._.errors == []
        assert doc.text == text


class TestQuestions:
    def test_those_of_a_doc_come_after_the_pipelines(self, parrot: str) -> None:
        nlp = build(template=parrot)
        asked, plain = nlp.make_doc("Anna left"), nlp.make_doc("Omar left")
        asked._.questions = ["Where?", {"id": "why", "text": "Why?"}]
        first, second = nlp.pipe([asked, plain])
        assert [a["question_id"] for a in first._.answers] == ["q1", "r1", "why"]
        assert [a["question_id"] for a in second._.answers] == ["q1"]

    def test_no_questions_at_all(self) -> None:
        doc = build(questions=[])("Anna left")
        assert doc._.answers == []
        assert list(doc.spans["answers"]) == []

    @pytest.mark.parametrize(
        "questions", [[{"id": "q1", "text": "Again?"}], ["a", {"id": "r1", "text": "b"}], [3], 7]
    )
    def test_bad_ones_of_a_doc_cost_only_that_doc(self, questions: Any) -> None:
        nlp = build()
        docs = [nlp.make_doc(text) for text in "abc"]
        docs[1]._.questions = questions
        docs[1]._.record_id = "doc-b"
        done = list(nlp.pipe(docs))
        assert [doc._.answers[0]["status"] for doc in done] == ["ok", "error", "ok"]
        assert [len(doc._.answers) for doc in done] == [1, 1, 1]
        assert [len(doc._.errors) for doc in done] == [0, 1, 0]
        assert done[1]._.errors[0]["message"] == done[1]._.answers[0]["error"]


class TestFailures:
    TEXTS = ("a", "b", "UNSPEAKABLE", "d", "UNSPEAKABLE too", "f")

    def test_only_the_culprits_fail_and_the_order_stays(self) -> None:
        docs = list(build().pipe(self.TEXTS))
        assert [doc.text for doc in docs] == list(self.TEXTS)
        assert [doc._.answers[0]["status"] for doc in docs] == [
            "ok",
            "ok",
            "error",
            "ok",
            "error",
            "ok",
        ]
        assert docs[2]._.errors == [
            {
                "stage": "generate",
                "component": "llama_qa",
                "question_id": "q1",
                "type": "generation_failed",
                "message": "Generation failed: the prompt holds 'UNSPEAKABLE'",
                "retryable": True,
            }
        ]
        assert docs[2]._.answers[0]["error"] == docs[2]._.errors[0]["message"]
        assert docs[2]._.answers[0]["finish_reason"] == "error"
        assert docs[2]._.answers[0]["model"] is None

    @pytest.mark.issue(2)
    def test_contexts_are_not_shifted(self) -> None:
        """spaCy#9032: a component that drops a Doc gives the next one its context."""
        pairs = [(text, f"context of {text}") for text in self.TEXTS]
        done = [(doc.text, context) for doc, context in build().pipe(pairs, as_tuples=True)]
        assert done == pairs

    @pytest.mark.issue(2)
    def test_the_error_handler_gets_the_culprit_alone(self) -> None:
        """spaCy#8004: a component hands over the whole batch for one bad document."""
        nlp, calls = build(questions=["Who?", "When?"]), list[Any]()
        handler: Any = lambda *arguments: calls.append(arguments)  # noqa: E731
        nlp.set_error_handler(handler)
        docs = list(nlp.pipe(self.TEXTS, batch_size=6))
        assert len(docs) == 6
        assert [[doc.text for doc in culprits] for _, _, culprits, _ in calls] == [
            ["UNSPEAKABLE"],
            ["UNSPEAKABLE"],
            ["UNSPEAKABLE too"],
            ["UNSPEAKABLE too"],
        ]
        name, pipe, _, error = calls[0]
        assert (name, pipe) == ("llama_qa", nlp.get_pipe("llama_qa"))
        assert isinstance(error, GenerationFailed)

    def test_one_question_of_a_document_may_fail(self) -> None:
        doc = build(questions=["Who?", "UNSPEAKABLE?"])("a")
        assert [a["status"] for a in doc._.answers] == ["ok", "error"]
        assert [e["question_id"] for e in doc._.errors] == ["q2"]

    def test_without_a_handler_a_failure_is_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        nlp = build()
        doc = nlp.make_doc("UNSPEAKABLE")
        doc._.record_id = "doc-7"
        nlp(doc)
        assert caplog.messages == [
            "[llama_qa] document doc-7: Generation failed: the prompt holds 'UNSPEAKABLE'"
        ]

    def test_a_doc_that_failed_before_is_not_asked_about(self) -> None:
        nlp = build()
        doc = nlp.make_doc("UNSPEAKABLE")
        doc._.questions = ["Where?"]
        failure = {"stage": "annotate", "component": "ner", "message": "The parser broke."}
        doc._.errors = [failure]
        nlp(doc)
        assert doc._.errors == [failure], "it is reported already"
        assert [(a["question_id"], a["status"]) for a in doc._.answers] == [
            ("q1", "error"),
            ("r1", "error"),
        ]
        assert "The parser broke." in doc._.answers[0]["error"]


@pytest.mark.timeout(60)
class TestStreams:
    def test_no_documents(self) -> None:
        assert list(build().pipe([])) == []

    def test_an_endless_stream(self) -> None:
        texts = (f"document {number}" for number in count())
        found = [doc.text for doc in islice(build().pipe(texts, batch_size=4), 200)]
        assert found == [f"document {number}" for number in range(200)]

    def test_documents_without_questions_are_not_held_back(self) -> None:
        nlp, taken = build(questions=[]), 0

        def docs() -> Iterator[Doc]:
            nonlocal taken
            for number in count():
                taken += 1
                yield nlp.make_doc(f"document {number}")

        qa: Any = nlp.get_pipe("llama_qa")
        stream = qa.pipe(docs())
        for number in range(2000):
            assert next(stream).text == f"document {number}"
            assert taken <= number + 1

    def test_behind_a_question_only_so_many_wait(self) -> None:
        nlp, taken = build(questions=[]), 0

        def docs() -> Iterator[Doc]:
            nonlocal taken
            for number in count():
                taken += 1
                doc = nlp.make_doc(f"document {number}")
                doc._.questions = ["Who?"] * (number % 1000 == 0)
                yield doc

        qa: Any = nlp.get_pipe("llama_qa")
        stream = qa.pipe(docs())
        for number in range(3000):
            assert next(stream).text == f"document {number}"
            assert taken <= number + 1 + MAX_PENDING

    def test_many_questions_about_one_document(self) -> None:
        doc = build(questions=[f"Who is {number}?" for number in range(500)])("Anna")
        assert [a["question_id"] for a in doc._.answers] == [f"q{n}" for n in range(1, 501)]

    def test_a_stream_that_is_left_early(self) -> None:
        nlp = build()
        stream: Any = nlp.pipe(f"document {number}" for number in count())
        next(stream)
        stream.close()
        assert nlp("again")._.answers[0]["status"] == "ok"

    def test_two_components_one_after_the_other(self, parrot: str) -> None:
        nlp = build(template=parrot, max_new_tokens=1)
        config = {"questions": [f"{n}?" for n in range(200)], "generator": ECHO}
        nlp.add_pipe("llama_qa", name="second", config=config)
        docs = list(nlp.pipe(["Anna left", "UNSPEAKABLE", "Omar stayed"]))
        assert [len(doc._.answers) for doc in docs] == [201] * 3
        assert [doc._.answers[0]["answer"] for doc in docs] == ["left", None, "stayed"]
        assert {a["component"] for a in docs[0]._.answers} == {"llama_qa", "second"}
        assert [len(doc._.errors) for doc in docs] == [0, 201, 0]
        assert [e["component"] for e in docs[1]._.errors[:2]] == ["llama_qa", "second"]

    def test_worker_processes(self) -> None:
        docs = list(build().pipe(["a", "UNSPEAKABLE", "c"], n_process=2))
        assert [doc._.answers[0]["status"] for doc in docs] == ["ok", "error", "ok"]

    def test_can_be_sent_to_a_worker_process(self) -> None:
        pipe = build(questions=["Who?", "When?"]).get_pipe("llama_qa")
        sent = pickle.loads(pickle.dumps(pipe))
        assert isinstance(sent, LlamaQA)
        assert sent(spacy.blank("en").make_doc("a"))._.answers[1]["status"] == "ok"


class TestKeeping:
    def test_bytes(self, parrot: str) -> None:
        nlp = build(template=parrot)
        doc = nlp("Anna left")
        copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        assert copy._.answers == doc._.answers
        assert copy._.errors == doc._.errors
        assert [s.text for s in copy.spans["answers"]] == [s.text for s in doc.spans["answers"]]

    def test_doc_bin(self, parrot: str) -> None:
        nlp = build(template=parrot)
        docs = list(nlp.pipe(["Anna left", "UNSPEAKABLE", "日本 🚢"]))
        data = DocBin(docs=docs, store_user_data=True).to_bytes()
        copies = list(DocBin().from_bytes(data).get_docs(nlp.vocab))
        for copy, doc in zip(copies, docs, strict=True):
            # DocBin turns every list into a tuple (srsly's msgpack with use_list=False).
            assert json.dumps(copy._.answers) == json.dumps(doc._.answers)
            assert list(copy._.errors) == doc._.errors
            assert nlp(copy)._.answers == doc._.answers, "it goes through a pipeline again"

    def test_a_fresh_process_needs_no_import_of_ours(self, tmp_path: Path) -> None:
        """`add_pipe`, `to_disk`, `spacy.load` and `DocBin` by name alone, in two processes."""
        first = f"""
import spacy
from spacy.tokens import DocBin
nlp = spacy.blank("en")
nlp.add_pipe("llama_qa", config={{"questions": ["Who?"], "generator": {ECHO!r}}})
nlp.add_pipe("llama_summarizer", config={{"generator": {ECHO!r}}})
nlp.to_disk("saved")
DocBin(docs=nlp.pipe(["Anna left.", "UNSPEAKABLE"]), store_user_data=True).to_disk("d.spacy")
"""
        second = """
import json
import spacy
from spacy.tokens import DocBin
nlp = spacy.load("saved")
kept = list(DocBin().from_disk("d.spacy").get_docs(nlp.vocab))
made = list(nlp.pipe(["Anna left.", "UNSPEAKABLE"]))
for docs in (kept, made):
    print(json.dumps([[d._.answers, d._.summary, d._.summary_details, d._.errors] for d in docs]))
"""
        for code in (first, second):
            done = fresh.run(code, tmp_path, strict=True)
            assert done.returncode == 0, done.stderr
        kept, made = map(json.loads, done.stdout.splitlines())
        assert kept == made
        (answered, summary, _, errors), (failed, none, details, failures) = kept
        assert (answered[0]["status"], failed[0]["status"]) == ("ok", "error")
        assert summary.endswith("2 sentences.")
        assert (none, details["status"], errors, len(failures)) == (None, "error", [], 2)

    def test_to_disk_keeps_every_setting(self, tmp_path: Path) -> None:
        build(max_new_tokens=3, temperature=0.5, stop=["x"], seed=7).to_disk(tmp_path)
        pipe: Any = spacy.load(tmp_path).get_pipe("llama_qa")
        assert (pipe.params.max_new_tokens, pipe.params.seed) == (3, 7)
        assert pipe.params.stop == ("x",)
        assert pipe.generator.info.details == {"fail_on": "UNSPEAKABLE"}


LLAMA = "nlp_pipeline.Llama.v1"


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"questions": "Who?"}, ConfigValidationError, "questions"),
        ({"questions": [3]}, QuestionsInvalid, "components.llama_qa.questions: 3 is no question."),
        ({"questions": ["a", {"id": "q1", "text": "b"}]}, DuplicateQuestion, "id 'q1' is used twi"),
        (
            {"template": "qa.v9"},
            PromptTemplateNotFound,
            "extract.v1, extractive_qa.v1, extractive_qa_fr.v1, qa.v1, qa_fr.v1 (and 1 more).",
        ),
        ({"template": 3}, ConfigValidationError, "template"),
        ({"no_answer": 3}, ConfigValidationError, "no_answer"),
        ({"max_new_tokens": "2"}, InvalidSamplingParams, "max_new_tokens='2' is not possible"),
        ({"max_new_tokens": 2.5}, ConfigValidationError, "max_new_tokens"),
        ({"temperature": -1}, InvalidSamplingParams, "temperature=-1"),
        ({"stop": "\n"}, ConfigValidationError, "stop"),
        ({"stop": [""]}, InvalidSamplingParams, "stop"),
        ({"nonsense": 1}, ConfigValidationError, "nonsense"),
        ({"generator": "echo"}, InvalidSetting, "components.llama_qa.generator is 'echo' and must"),
        ({"generator": None}, InvalidSetting, "components.llama_qa.generator is None and must"),
        ({"generator": {"@llama_generators": "x"}}, Exception, "Could not find function 'x'"),
        (
            {"generator": {"@llama_generators": LLAMA, "max_batch_size": 0}},
            InvalidModelSetting,
            "max_batch_size=0 is not possible: it must be an integer of at least 1.",
        ),
        (
            {"generator": {"@llama_generators": LLAMA, "model_name": "x"}},
            ConfigValidationError,
            "model_name",
        ),
    ],
)
def test_a_setting_that_cannot_be(
    config: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        build(**config)
    assert message in str(caught.value)
    if isinstance(caught.value, NlpPipelineError):
        assert "\n" not in str(caught.value)
        assert caught.value.stage == "config"


def test_a_template_that_uses_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "typo.jinja"
    path.write_text("{% block user %}{{ txet }}{% endblock %}")
    with pytest.raises(PromptTemplateInvalid) as caught:
        build(template=str(path))
    assert str(caught.value) == (
        f"The prompt template '{path}' cannot be used: it uses 'txet', and there is: meta, "
        "no_answer, question, text."
    )


def test_a_document_is_never_a_template(parrot: str) -> None:
    text = "{{ 7*7 }} {% block user %} {{ text.__class__ }} {# #} ${x}"
    doc = build(template=parrot, max_new_tokens=99, questions=["{{ 6*6 }}?"])(text)
    assert doc._.answers[0]["answer"] == "{{ 6*6 }}? " + " ".join(text.split())


def test_a_template_sees_the_meta_of_the_record(tmp_path: Path) -> None:
    path = tmp_path / "titled.jinja"
    path.write_text("{% block user %}{{ text }} {{ question }} {{ meta.title }}{% endblock %}")
    nlp = build(template=str(path), max_new_tokens=1)
    doc = nlp.make_doc("Ada left.")
    doc._.meta = {"title": "Farewell"}
    assert nlp(doc)._.answers[0]["answer"] == "Farewell"
