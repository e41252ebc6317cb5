"""What a training is made of: the documents, the components and the examples they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.components.answer_features import TRAINED_WEIGHTS
from nlp_pipeline.components.answer_judge import TRAINED_THRESHOLD
from nlp_pipeline.components.question_answering import LlamaQA
from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.errors.training import (
    AnswersNotInText,
    NothingToTrainOn,
    NothingWritten,
    PromptsDoNotFit,
    answers_left_out,
    nothing_written,
    prompts_left_out,
    questions_altered,
)
from nlp_pipeline.evaluation.references import read_references
from nlp_pipeline.pipeline import PipelineSpec, build, is_llama, resolve_config
from nlp_pipeline.reviews.reviewed_records import reviewed_records
from nlp_pipeline.run_folder.read import is_run
from nlp_pipeline.training.altered_questions import with_altered_questions
from nlp_pipeline.training.opposite_forms import LANGUAGES
from nlp_pipeline.training.proof import reduced_config
from nlp_pipeline.training.shared_sequences import TrainingExample
from nlp_pipeline.training.targets import LeftOut
from nlp_pipeline.training.training_corpus import (
    DocumentSplit,
    split_documents,
    with_unanswerable,
)
from nlp_pipeline.training.training_examples import ExampleMaker, shared_settings, trainable_pipes
from nlp_pipeline.training.training_settings import TrainingSettings

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language

    from nlp_pipeline.generation.settings import LlamaSettings


@dataclass(frozen=True)
class Materials:
    """What can be trained, and what on.

    Attributes:
        corpus: As the user named it.
        pipeline: As the user named it.
        nlp: The pipeline, with the trained Llama components only.
        config: Its config.
        trained: Names of these components.
        llama: How their Llama is loaded.
        split: The documents.
    """

    corpus: str
    pipeline: str
    nlp: Language
    config: Config
    trained: tuple[str, ...]
    llama: LlamaSettings
    split: DocumentSplit


def read_materials(
    corpus: str, spec: PipelineSpec, reading: Mapping[str, Any], settings: TrainingSettings
) -> Materials:
    """Reads the corpus and finds what of the pipeline can learn from it. Loads no model.

    Args:
        corpus: With references; or a run with reviews, which are the references then.
        spec: The pipeline.
        reading: Keyword arguments of `read_corpus`.
        settings: How documents are split.

    Raises:
        NothingToTrainOn: No component can.
        TooFewDocuments: There are too few for a proof.
        NotTrainable: The model cannot be trained.
    """
    config = resolve_config(spec)
    nlp = build(config, spec.name)
    if is_run(corpus):
        pipes: list[Any] = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, LlamaQA)]
        asked_ids = {question["id"] for pipe in pipes for question in pipe.questions}
        items: list[Any] = reviewed_records(Path(corpus), asked_ids)
    else:
        items = list(read_corpus(corpus, **reading, on_warning=lambda _: None))
    references = read_references(items)
    records = [item for item in items if isinstance(item, Record)]
    documents = trainable_pipes(nlp, records, references)
    if not documents:
        llamas = [name for name, pipe in nlp.pipeline if is_llama(pipe)]
        raise NothingToTrainOn(corpus, spec.name, llamas)
    pipes = [nlp.get_pipe(name) for name in documents]
    llama = shared_settings(pipes)
    with_references = [r for r in records if any(r.id in ids for ids in documents.values())]
    parts = split_documents(corpus, with_references, settings)
    reduced = reduced_config(config, nlp, documents, references)
    nlp = build(reduced, spec.name)
    return Materials(
        corpus, spec.name, nlp, config=reduced, trained=tuple(documents), llama=llama, split=parts
    )


@dataclass(frozen=True)
class Examples:
    """What is trained on, and what says when to stop.

    Attributes:
        training: Of the documents that are trained on.
        stopping: Of those that are not.
        left_out: References that neither can be.
        n_altered: Questions that are asked a second time, altered.
    """

    training: list[TrainingExample]
    stopping: list[TrainingExample]
    left_out: LeftOut
    n_altered: int = 0


def make_examples(materials: Materials, settings: TrainingSettings) -> Examples:
    """The prompts of the components in the model's tokens. Loads the model for it, and frees it.

    Raises:
        AnswersNotInText: No reference can be generated.
        NothingWritten: The components choose sentences and write none.
        PromptsDoNotFit: No prompt fits into the model's context.
        LabelUnknown: A classifier does not have a label.
    """
    parts = (materials.split.training, materials.split.stopping)
    altered = [with_altered_questions(part, materials.nlp, settings) for part in parts]
    training, stopping = (with_unanswerable(part, settings) for part in altered)
    references = read_references([*training, *stopping])
    pipes: dict[str, Any] = {name: materials.nlp.get_pipe(name) for name in materials.trained}
    maker = ExampleMaker.of(materials.nlp, pipes, references)
    left_out = LeftOut()
    try:
        examples = Examples(
            maker.examples(training, left_out),
            maker.examples(stopping, left_out),
            left_out,
            n_altered=sum(map(_n_questions, altered)) - sum(map(_n_questions, parts)),
        )
    finally:
        for pipe in pipes.values():
            pipe.generator.close()
    if not examples.training:
        _refuse_nothing(materials, left_out)
    return examples


def _n_questions(records: Iterable[Record]) -> int:
    return sum(len(record.questions) for record in records)


def _refuse_nothing(materials: Materials, left_out: LeftOut) -> None:
    if left_out.choosers and not left_out.not_in_text and not left_out.too_long:
        raise NothingWritten(materials.corpus, left_out.choosers)
    if left_out.not_in_text:
        n = len(left_out.not_in_text)
        raise AnswersNotInText(materials.corpus, n, *left_out.not_in_text[0])
    raise PromptsDoNotFit(materials.corpus, materials.llama.model, left_out.too_long)


def suiting_settings(config: Config, trained: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What will suit the trained model, by the factory of the components that were trained.

    Questions are asked as in the training; and a model that knows its trade is believed more than
    an untrained one where candidate answers are ranked.

    Args:
        config: Of the pipeline that it is trained with.
        trained: Names of the components.
    """
    suits: dict[str, dict[str, Any]] = {}
    for name in trained:
        component = config["components"][name]
        # A Llama that can be trained obeys constraints: its mode "auto" is the extractive one.
        if component["factory"] == "llama_qa" and component["mode"] in ("extractive", "auto"):
            evidence = component["evidence_sentences"]
            suits["llama_qa"] = {
                **({} if evidence is None else {"evidence_sentences": evidence}),
                "candidate_weights": dict(TRAINED_WEIGHTS),
                "answerable_threshold": TRAINED_THRESHOLD,
            }
    return suits


def data_facts(materials: Materials, examples: Examples) -> dict[str, Any]:
    """How much there is of everything, for the report."""
    parts = materials.split
    return {
        "documents": {
            "training": len(parts.training),
            "early_stopping": len(parts.stopping),
            "held_out": len(parts.held_out),
        },
        "answers": {
            "training": len(examples.training),
            "early_stopping": len(examples.stopping),
        },
        "altered_questions": examples.n_altered,
        "components": list(materials.trained),
        "left_out": {
            "not_in_text": len(examples.left_out.not_in_text),
            "too_long": len(examples.left_out.too_long),
        },
    }


def data_notes(
    materials: Materials, examples: Examples, settings: TrainingSettings
) -> Iterable[str]:
    """What was added and what was left out, in words, each kind with its first case."""
    left_out = examples.left_out
    if settings.altered_questions:
        yield questions_altered(examples.n_altered, str(materials.nlp.lang), LANGUAGES)
    if left_out.choosers:
        yield nothing_written(left_out.choosers)
    if left_out.not_in_text:
        yield answers_left_out(len(left_out.not_in_text), *left_out.not_in_text[0])
    if left_out.too_long:
        yield prompts_left_out(len(left_out.too_long), left_out.too_long[0])
