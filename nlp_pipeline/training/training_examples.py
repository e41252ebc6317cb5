"""Examples from a corpus: the prompts that the pipeline's components would ask, with the answers.

The components themselves make the prompts and the generator's own encoder the tokens, so that
what is trained is what is asked, whatever a component shows the model of a document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlp_pipeline.components.base import LlamaComponent
from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.training import NotTrainable
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.settings import LlamaSettings
from nlp_pipeline.pipeline import split
from nlp_pipeline.runner.annotate import annotate
from nlp_pipeline.training.answer_tokens import AnswerTokens
from nlp_pipeline.training.shared_sequences import TrainingExample
from nlp_pipeline.training.targets import LeftOut, documents_with_references, targets

if TYPE_CHECKING:
    from spacy.language import Language

_BATCH = 64


def trainable_pipes(
    nlp: Language, records: Sequence[Record], references: References
) -> dict[str, set[str]]:
    """The documents that each component of a pipeline could learn from, where there are any."""
    llamas = {name: pipe for name, pipe in nlp.pipeline if isinstance(pipe, LlamaComponent)}
    documents = {
        name: documents_with_references(pipe, records, references) for name, pipe in llamas.items()
    }
    return {name: ids for name, ids in documents.items() if ids}


def shared_settings(pipes: Iterable[LlamaComponent]) -> LlamaSettings:
    """How the one Llama of some components is loaded.

    Raises:
        NotTrainable: They use several, or one whose weights are not on this machine as numbers
            that can be changed.
    """
    settings: list[LlamaSettings] = []
    for pipe in pipes:
        generator: Any = pipe.generator
        if not isinstance(generator, LlamaGenerator):
            name = type(generator).__name__
            reason = (
                f"the component '{pipe.name}' is answered by {name}, whose weights are not here"
            )
            raise NotTrainable(name, reason, "Take a pipeline with an in-process Llama.")
        settings.append(generator.settings)
    first = settings[0]
    if any(setting.model != first.model for setting in settings):
        names = sorted({setting.model for setting in settings})
        reason = f"the components use several models ({', '.join(names)})"
        raise NotTrainable(first.model, reason, "Name one with --model.")
    forbidden = {
        "quantization": "its weights are rounded. Leave --quantization out",
        "device_map": "its layers are spread over several devices. Leave --device-map out",
        "tensor_parallel_size": "each process that torchrun starts trains a whole model. Leave "
        "--tensor-parallel-size out",
    }
    for name, text in forbidden.items():
        if getattr(first, name) is not None:
            reason, _, advice = text.partition(". ")
            raise NotTrainable(first.model, reason, f"{advice}.")
    return first


@dataclass(frozen=True)
class ExampleMaker:
    """Makes examples of records.

    Attributes:
        nlp: The pipeline.
        pipes: Its components that are trained.
        references: What is right.
        spelling: Of the model.
        encode: A chat to the ids that the generator would be given.
        max_seq_len: Of the model; longer examples are left out.
    """

    nlp: Language
    pipes: dict[str, LlamaComponent]
    references: References
    spelling: AnswerTokens
    encode: Any
    max_seq_len: int

    @classmethod
    def of(
        cls, nlp: Language, pipes: dict[str, LlamaComponent], references: References
    ) -> ExampleMaker:
        """With the Llama of the components, which is loaded for it."""
        generator: Any = next(iter(pipes.values())).generator
        llama = generator.llama
        ends = llama.loaded.eos_token_ids
        own = llama.loaded.tokenizer.eos_token_id
        if not ends:
            reason = "no token of its vocabulary ends an answer"
            raise NotTrainable(llama.loaded.name, reason, "Train a model with a chat template.")
        spelling = AnswerTokens(Vocabulary(llama.encoder, ends), own if own in ends else min(ends))
        return cls(
            nlp,
            pipes,
            references,
            spelling=spelling,
            encode=llama.encoder.encode,
            max_seq_len=llama.max_seq_len,
        )

    def examples(self, records: Sequence[Record], left_out: LeftOut) -> list[TrainingExample]:
        """The examples of some records, each prompt of a document once.

        Args:
            records: With references.
            left_out: Gets what cannot be trained on.
        """
        linguistic, _ = split(self.nlp)
        by_id = {record.id: record for record in records}
        examples: list[TrainingExample] = []
        for item in annotate(self.nlp, records, pipes=linguistic, batch_size=_BATCH):
            record = by_id[item.origin.document_id]
            prompts = set()
            for name, pipe in self.pipes.items():
                for target in targets(pipe, item.doc, record, self.references, left_out):
                    ask, text = target
                    ids = tuple(self.encode(ask.chat, answers_at_once=ask.constraint is not None))
                    if ids in prompts:
                        continue
                    prompts.add(ids)
                    answer_ids = self.spelling.target_ids(ask, text)
                    if answer_ids is None:
                        left_out.not_in_text.append((record.id, text))
                    elif len(ids) + len(answer_ids) > self.max_seq_len:
                        left_out.too_long.append(record.id)
                    else:
                        key = f"{name}: {pipe.question_id(ask.key)}"
                        examples.append(TrainingExample(record.id, key, ids, target_ids=answer_ids))
        return examples


def examples_digest(examples: Iterable[TrainingExample]) -> str:
    """SHA-256 of all prompts and answers, in their order."""
    value = hashlib.sha256()
    for example in examples:
        value.update(repr((example.prompt_ids, example.target_ids)).encode())
    return value.hexdigest()
