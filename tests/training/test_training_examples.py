"""What is trained is what is asked: the prompts of the components, the answers that they allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.training import LabelUnknown, NothingWritten, NotTrainable, TooFewDocuments
from nlp_pipeline.evaluation.references import read_references
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.pipeline import PipelineSpec, resolve_config
from nlp_pipeline.training.materials import (
    Examples,
    make_examples,
    read_materials,
    suiting_settings,
)
from nlp_pipeline.training.training_corpus import (
    split_documents,
    with_unanswerable,
    write_corpus,
)
from nlp_pipeline.training.training_settings import TrainingSettings

ALL = TrainingSettings(held_out=0.0, early_stopping=0.0, unanswerable=0.0)


def made(corpus: str, pipeline: str, *settings: str) -> Examples:
    materials = read_materials(corpus, PipelineSpec(pipeline, settings=settings), {}, ALL)
    return make_examples(materials, ALL)


def document(text: str, *questions: tuple[str, list[str]], **meta: Any) -> dict[str, Any]:
    asked = [
        {"id": f"q{n}", "text": f"Question {n}: {text}?", "answers": answers}
        for n, (text, answers) in enumerate(questions)
    ]
    return {"id": "d", "text": text, "questions": asked, **meta}


class TestQuestions:
    def decoded(self, examples: Examples, llama: Any) -> list[str]:
        return [llama.encoder.written(e.target_ids) for e in examples.training]

    def test_the_answer_as_the_document_spells_it(
        self, labelled: Callable[..., str], pipeline: str, llama: Any
    ) -> None:
        text = "Anna Berg's boat (the Aurora)\nwas sold in Oslo."
        corpus = labelled(
            [document(text, ("a", ["Aurora"]), ("b", ["sold in Oslo"]), ("c", []), ("d", ["nna"]))]
        )
        examples = made(corpus, pipeline)
        assert sorted(self.decoded(examples, llama)) == [
            " Anna<|im_end|>",  # the shortest piece of whole tokens that holds it
            " Aurora<|im_end|>",
            " not in the document<|im_end|>",
            " sold in Oslo<|im_end|>",
        ]

    def test_the_generator_may_write_every_answer(
        self, labelled: Callable[..., str], pipeline: str, llama: Any
    ) -> None:
        """Each token of a target is allowed where it stands, by the very constraint of the ask."""
        materials = read_materials(labelled(6), PipelineSpec(pipeline), {}, ALL)
        pipe: Any = materials.nlp.get_pipe("llama_qa")
        by_prompt = {e.prompt_ids: e.target_ids for e in make_examples(materials, ALL).training}
        vocabulary = Vocabulary(llama.encoder, llama.loaded.eos_token_ids)
        spelled = set()
        for record in materials.split.training:
            doc = materials.nlp.make_doc(record.text)
            doc._.questions = [{"id": q.id, "text": q.text} for q in record.questions]
            for ask in pipe.asks(doc):
                prompt = tuple(llama.encoder.encode(ask.chat, answers_at_once=True))
                target, bound = by_prompt[prompt], ask.constraint.bind(vocabulary)
                if all(token in bound.allowed(target[:n]) for n, token in enumerate(target)):
                    spelled.add(prompt)
        assert spelled == set(by_prompt)

    def test_an_answer_that_is_not_in_the_text_is_left_out(
        self, labelled: Callable[..., str], pipeline: str
    ) -> None:
        corpus = labelled([document("Anna sold it.", ("a", ["Anna"]), ("b", ["Berta"]))])
        examples = made(corpus, pipeline)
        assert len(examples.training) == 1
        assert examples.left_out.not_in_text == [("d", "Berta")]

    def test_the_free_mode_takes_any_answer(
        self, labelled: Callable[..., str], pipeline: str, llama: Any
    ) -> None:
        corpus = labelled([document("Anna sold it.", ("a", ["Anna"]), ("b", ["Berta"]))])
        examples = made(corpus, pipeline, "components.llama_qa.mode=free")
        assert sorted(self.decoded(examples, llama)) == [" Anna<|im_end|>", " Berta<|im_end|>"]

    def test_a_prompt_stands_there_once(self, labelled: Callable[..., str], pipeline: str) -> None:
        examples = made(labelled(6), pipeline).training
        assert len({e.prompt_ids for e in examples}) == len(examples) == 14


@pytest.mark.parametrize(
    ("settings", "suits"),
    [
        ((), {"evidence_sentences": "all"}),  # as the adapter that ships has it
        (("generator.adapter=null",), {}),
        (("components.llama_qa.evidence_sentences=2",), {"evidence_sentences": 2}),
        (("components.llama_qa.mode=free",), None),
    ],
)
def test_what_suits_a_model_of_the_default_pipeline(
    settings: tuple[str, ...], suits: dict[str, Any] | None
) -> None:
    config = resolve_config(PipelineSpec("en_qa", settings=settings))
    of_training = {"candidate_weights": {"logprob": 0.5}, "answerable_threshold": 0.2}
    right = {} if suits is None else {"llama_qa": {**of_training, **suits}}
    assert suiting_settings(config, ["llama_qa"]) == right


class TestOtherComponents:
    def config(self, tmp_path: Any, tiny_llama: str, component: str) -> str:
        path = tmp_path / "other.cfg"
        name = component.partition('"')[2].partition('"')[0]
        path.write_text(
            f'[nlp]\nlang = "en"\npipeline = ["sentencizer", "{name}"]\n[components]\n'
            f'[components.sentencizer]\nfactory = "sentencizer"\n[components.{name}]\n{component}\n'
            f'[components.{name}.generator]\n@llama_generators = "nlp_pipeline.Llama.v1"\n'
            f'model = "{tiny_llama}"\n'
        )
        return str(path)

    def targets(self, examples: Examples, llama: Any) -> list[str]:
        return [llama.encoder.written(e.target_ids) for e in examples.training]

    def test_summaries(
        self, tmp_path: Any, tiny_llama: str, labelled: Callable[..., str], llama: Any
    ) -> None:
        config = self.config(tmp_path, tiny_llama, 'factory = "llama_summarizer"')
        corpus = labelled([{"text": "Anna sold it.", "summary": "A sale  by Anna."}])
        assert self.targets(made(corpus, config), llama) == ["A sale by Anna.<|im_end|>"]

    def test_summaries_that_are_chosen_are_not_trained(
        self, tmp_path: Any, tiny_llama: str, labelled: Callable[..., str]
    ) -> None:
        config = self.config(
            tmp_path, tiny_llama, 'factory = "llama_summarizer"\nmode = "extractive"'
        )
        text = "Anna sold the boat in Oslo. Berta bought it there. Nobody saw them."
        corpus = labelled([{"text": text, "summary": "A sale."}])
        with pytest.raises(NothingWritten) as error:
            made(corpus, config)
        assert str(error.value) == (
            f"{corpus} has no other references than summaries. llama_summarizer chooses sentences "
            "of the document and writes no summary that could be trained. To train the mode that "
            "writes, type --set components.llama_summarizer.mode=free."
        )

    def test_labels(
        self, tmp_path: Any, tiny_llama: str, labelled: Callable[..., str], llama: Any
    ) -> None:
        factory = 'factory = "llama_classifier"\nlabels = ["sport", "trade"]\n'
        config = self.config(tmp_path, tiny_llama, factory + 'calibration = "none"')
        corpus = labelled([{"text": "Anna sold it.", "label": "trade"}])
        assert self.targets(made(corpus, config), llama) == [" trade<|im_end|>"]
        both = self.config(
            tmp_path, tiny_llama, factory + 'calibration = "none"\nmulti_label = true'
        )
        assert sorted(self.targets(made(corpus, both), llama)) == [
            " no<|im_end|>",
            " yes<|im_end|>",
        ]
        wrong = labelled([{"id": "d7", "text": "Anna sold it.", "label": "trades"}])
        with pytest.raises(LabelUnknown) as error:
            made(wrong, config)
        assert str(error.value) == (
            "Document 'd7' has the label 'trades', which the component 'llama_classifier' does "
            "not know; it knows: sport, trade. Did you mean 'trade'? Correct the label, or set "
            "components.llama_classifier.labels."
        )

    def test_objects(
        self, tmp_path: Any, tiny_llama: str, labelled: Callable[..., str], llama: Any
    ) -> None:
        pytest.importorskip("llguidance", reason="the extra `structured` is not installed")
        schema = '{"type":"object","properties":{"who":{"type":"string"}},"required":["who"]}'
        factory = f'factory = "llama_extractor"\nschema = {schema}'
        config = self.config(tmp_path, tiny_llama, factory)
        corpus = labelled([{"text": "Anna sold it.", "extraction": {"who": "Anna"}}])
        assert self.targets(made(corpus, config), llama) == ['{"who": "Anna"}<|im_end|>']


class TestSplit:
    """By document, never by question; the same text is on one side only."""

    def records(self, n: int) -> list[Record]:
        return [Record(i, f"d{i}", f"Text {i // 2}.") for i in range(n)]

    def test_no_text_is_in_two_parts(self) -> None:
        parts = split_documents("c", self.records(40), TrainingSettings(early_stopping=0.25))
        texts = [{r.text for r in p} for p in (parts.training, parts.stopping, parts.held_out)]
        assert [len(part) for part in texts] == [12, 4, 4]
        assert len(set().union(*texts)) == 20
        assert sum(map(len, (parts.training, parts.stopping, parts.held_out))) == 40

    def test_the_seed_decides(self) -> None:
        def held_out(seed: int) -> set[str]:
            records = self.records(40)
            parts = split_documents("c", records, TrainingSettings(seed=seed))
            assert split_documents("c", records[::-1], TrainingSettings(seed=seed)) is not None
            return {record.text for record in parts.held_out}

        assert held_out(1) == held_out(1) != held_out(2)

    def test_two_documents_prove_and_one_does_not(self) -> None:
        parts = split_documents("c", self.records(4), TrainingSettings())
        assert [len(p) for p in (parts.training, parts.stopping, parts.held_out)] == [2, 0, 2]
        with pytest.raises(TooFewDocuments) as error:
            split_documents("my.jsonl", self.records(2), TrainingSettings())
        assert str(error.value) == (
            "my.jsonl holds references for 1 document only, and a training is proved on "
            "documents that it has not seen. Add documents, or type --held-out 0 "
            "--early-stopping 0 to train without a proof."
        )


class TestUnanswerable:
    def records(self, *answers: tuple[str, ...]) -> list[Record]:
        return [
            Record(
                n, f"d{n}", f"Only {a[0] if a else n} is here.", {}, (Question("q", f"Q{n}?", a),)
            )
            for n, a in enumerate(answers)
        ]

    def test_questions_of_other_documents_are_added(self) -> None:
        records = self.records(*(((f"name{n}",)) for n in range(16)))
        settings = TrainingSettings(unanswerable=0.2)
        more = with_unanswerable(records, settings)
        added = [(r, q) for r in more for q in r.questions if q.answers == ()]
        assert len(added) == 4  # of twenty
        for record, question in added:
            number = question.text[1:-1]
            assert f"name{number}" not in record.text.split()
            assert question.id.startswith("other-")
        assert with_unanswerable(records, settings) == more

    def test_none_are_added_where_there_are_enough(self) -> None:
        records = self.records(("a",), ("b",), ("c",), ())
        assert with_unanswerable(records, TrainingSettings(unanswerable=0.2)) == records

    def test_no_document_gets_a_question_that_it_answers(self) -> None:
        records = self.records(("one",), ("one",), ("one",))
        assert with_unanswerable(records, TrainingSettings(unanswerable=0.5)) == records


def test_a_written_corpus_reads_the_same(labelled: Callable[..., str], tmp_path: Any) -> None:
    records = [r for r in read_corpus(labelled(4)) if isinstance(r, Record)]
    write_corpus(records, tmp_path / "again.jsonl")
    again = [r for r in read_corpus(tmp_path / "again.jsonl") if isinstance(r, Record)]
    assert [(r.id, r.text, r.questions) for r in again] == [
        (r.id, r.text, r.questions) for r in records
    ]
    assert read_references(again) == read_references(records)


class TestModelsThatCannot:
    @pytest.mark.parametrize(
        ("setting", "reason"),
        [
            (
                'components.llama_qa.generator.quantization="int8"',
                "its weights are rounded. Leave --quantization out.",
            ),
            (
                'components.llama_qa.generator={"@llama_generators":"nlp_pipeline.echo.v1"}',
                "the component 'llama_qa' is answered by EchoGenerator, whose weights are not "
                "here. Take a pipeline with an in-process Llama.",
            ),
        ],
    )
    def test_they_are_named(
        self, labelled: Callable[..., str], pipeline: str, setting: str, reason: str
    ) -> None:
        with pytest.raises(NotTrainable) as error:
            read_materials(labelled(6), PipelineSpec(pipeline, settings=(setting,)), {}, ALL)
        assert str(error.value).endswith(f" cannot be trained: {reason}")
