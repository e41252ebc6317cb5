"""`llama_qa`: one answer per question about each Doc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.components.base import Ask, LlamaComponent, token_figures
from nlp_pipeline.components.factories import SAMPLING, takes_sampling
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.questions import parse_questions, questions_of
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams
from nlp_pipeline.grounding.checking import Checker
from nlp_pipeline.prompts import PromptTemplate, load_template

SPANS_KEY = "answers"
SPAN_LABEL = "ANSWER"

_DEFAULTS: dict[str, Any] = {
    **SAMPLING,
    "questions": [],
    "template": "qa.v1",
    "no_answer": "not in the document",
    "max_new_tokens": 32,
    "stop": ["\n"],
    "generator": DEFAULT_GENERATOR,
}


@Language.factory("llama_qa", assigns=["doc._.answers", "doc.spans"], default_config=_DEFAULTS)
@takes_sampling
def make_llama_qa(
    nlp: Language,
    name: str,
    questions: list[Any],
    template: str,
    no_answer: str,
    generator: Any,
    params: SamplingParams,
) -> LlamaQA:
    """Makes a `LlamaQA`; the settings are described there and in `SamplingParams`."""
    return LlamaQA(
        name,
        generator,
        params,
        questions=questions,
        template=load_template(template),
        no_answer=no_answer,
        nlp=nlp,
    )


class LlamaQA(LlamaComponent):
    """Answers questions about each Doc into `doc._.answers` and `doc.spans["answers"]`.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.
        questions: Asked of every Doc; texts, or objects with `id` and `text`. A Doc's own, in
            `doc._.questions`, come after them.
        template: Is given `text`, `question` and `no_answer`.
        no_answer: The reply that means that the document holds no answer. Such an answer, or
            an empty one, has the status `no_answer`.
        nlp: The pipeline it is part of, whose pipes read the answers (`grounding.reading`).

    Raises:
        QuestionsInvalid: The questions are not what they should be.
        DuplicateQuestion: Two questions have one id.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        params: SamplingParams,
        *,
        questions: list[Any],
        template: PromptTemplate,
        no_answer: str,
        nlp: Language | None = None,
    ) -> None:
        super().__init__(name, generator, params)
        template.check(("text", "question", "no_answer"))
        self.questions = parse_questions(name, questions)
        self.template = template
        self.no_answer = no_answer
        self.checker = Checker(nlp, name)

    def asks(self, doc: Doc) -> list[Ask]:
        """One request per question."""
        return [Ask(q["id"], self._chat(doc, q["text"])) for q in self._questions(doc)]

    def _questions(self, doc: Doc) -> list[dict[str, str]]:
        return questions_of(self.name, self.questions, doc)

    def _chat(self, doc: Doc, question: str) -> Any:
        values = {"text": doc.text, "question": question, "no_answer": self.no_answer}
        return self.template.render(values)

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> list[dict[str, Any]]:
        """One answer, as a plain dict, per question."""
        questions = self._questions(doc)
        return self._checked(doc, [self._answer(q, completions[q["id"]]) for q in questions])

    def failed(self, doc: Doc, error: NlpPipelineError) -> list[dict[str, Any]]:
        """An error for each question; without the Doc's own where these are the cause."""
        completion = Completion.failed("", error)
        try:
            questions = self._questions(doc)
        except NlpPipelineError:
            questions = self.questions
        return self._checked(doc, [self._answer(q, completion) for q in questions])

    def _checked(self, doc: Doc, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers with what can be checked about them."""
        said = [(answer["question"], answer["answer"], None) for answer in answers]
        found = self.checker.check_answers(doc, said)
        return [{**answer, **more} for answer, more in zip(answers, found, strict=True)]

    def _answer(self, question: dict[str, str], completion: Completion) -> dict[str, Any]:
        said = completion.text.strip()
        status = "error" if completion.error else "no_answer" if self._is_none(said) else "ok"
        return {
            "component": self.name,
            "question_id": question["id"],
            "question": question["text"],
            "answer": said if status == "ok" else None,
            "status": status,
            "no_answer_prob": None,
            **token_figures(completion, self.model_name(completion)),
        }

    def _is_none(self, said: str) -> bool:
        """Whether a reply means that there is no answer."""
        return _bare(said) in ("", _bare(self.no_answer))

    def set_annotations(self, doc: Doc, result: list[dict[str, Any]]) -> None:
        """Adds the answers to those of others, and a Span for each that stands in the text.

        What this component wrote to the Doc before is replaced.
        """
        doc._.answers = [*self.of_others(doc._.answers), *result]
        spans = [span for span in doc.spans.get(SPANS_KEY, ()) if span.label_ != SPAN_LABEL]
        for answer in doc._.answers:
            if answer["start_token"] is not None:
                start, end = answer["start_token"], answer["end_token"]
                spans.append(Span(doc, start, end, label=SPAN_LABEL, span_id=answer["question_id"]))
        doc.spans[SPANS_KEY] = spans


def _bare(text: str) -> str:
    """A reply without case and without the punctuation around it."""
    return text.casefold().strip(" .!\"'")
