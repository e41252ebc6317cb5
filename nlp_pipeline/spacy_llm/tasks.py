"""The tasks of spacy-llm, and the component that does each of them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.spacy_llm import (
    TASK_SETTINGS,
    LabelsMissing,
    entities_elsewhere,
    none_of_the_labels,
    scores_are_probabilities,
    words_are_sentences,
)
from nlp_pipeline.spacy_llm.config_section import ConfigSection
from nlp_pipeline.spacy_llm.few_shot import few_shot_examples

_WORDS_PER_SENTENCE = 20


@dataclass(frozen=True)
class ConvertedTask:
    """A task as a component.

    Attributes:
        settings: The component's, without its generator.
        samples: Whether it takes sampling settings.
        examples: Worked examples, which become a file beside the config.
    """

    settings: dict[str, Any]
    samples: bool = True
    examples: list[dict[str, str]] = field(default_factory=list)


def convert_categories(component: str, task: ConfigSection, folder: Path) -> ConvertedTask:
    """`spacy.TextCat`: a `llama_classifier`.

    Raises:
        LabelsMissing: It has none.
    """
    labels, definitions = _labels(component, "spacy.TextCat", task)
    exclusive = task.take_flag("exclusive_classes", default=False) and len(labels) > 1
    allows_none = task.take_flag("allow_none", default=True)
    settings: dict[str, Any] = {
        "factory": "llama_classifier",
        "labels": {label: definitions.get(label, "") for label in labels}
        if definitions
        else labels,
        "multi_label": not exclusive,
    }
    if exclusive and allows_none:
        settings["threshold"] = 0.5
        task.remarks.append(none_of_the_labels(task.place))
    task.remarks.append(scores_are_probabilities(task.place))
    task.leave(TASK_SETTINGS)
    return ConvertedTask(settings, samples=False)


def convert_entities(
    component: str, task: ConfigSection, folder: Path, *, where: str = "doc.ents"
) -> ConvertedTask:
    """`spacy.NER` and `spacy.SpanCat`: a `llama_extractor` with a list of texts for each label.

    Args:
        component: Its name.
        task: Its section.
        folder: Where the config lies.
        where: Where spacy-llm has the spans.

    Raises:
        LabelsMissing: It has none.
    """
    labels, definitions = _labels(component, "The task", task)
    properties = {
        label: {
            **({"description": definitions[label]} if label in definitions else {}),
            "type": "array",
            "items": {"type": "string"},
        }
        for label in labels
    }
    schema = {"type": "object", "properties": properties, "required": labels}
    task.remarks.append(entities_elsewhere(task.place, where))
    task.leave(TASK_SETTINGS)
    return ConvertedTask({"factory": "llama_extractor", "schema": schema, "substrings": labels})


def convert_summary(component: str, task: ConfigSection, folder: Path) -> ConvertedTask:
    """`spacy.Summarization`: a `llama_summarizer` that writes."""
    settings: dict[str, Any] = {"factory": "llama_summarizer", "mode": "free"}
    if "max_n_words" in task:
        n_words = task.take_count("max_n_words")
        settings["max_sentences"] = max(1, round(n_words / _WORDS_PER_SENTENCE))
        remark = words_are_sentences(task.place, n_words, settings["max_sentences"])
        task.remarks.append(remark)
    examples = few_shot_examples(task, folder, ("text", "summary"))
    if task.take("field", "summary") != "summary":
        task.remarks.append(f"{task.place}.field: {TASK_SETTINGS['field']}.")
    task.leave(TASK_SETTINGS)
    return ConvertedTask(settings, examples=examples)


def convert_raw(component: str, task: ConfigSection, folder: Path) -> ConvertedTask:
    """`spacy.Raw`: a `llama_prompt` whose prompt is the document, after the examples.

    `llama_prompt` has no turns of its own for examples; they stand above the document.
    """
    examples = few_shot_examples(task, folder, ("text", "reply"))
    texts = [f"{item['text']}\n{item['reply']}" for item in examples]
    prompt = "\n\n".join([*map(_literal, texts), "{{ text }}"])
    attribute = str(task.take("field", "reply"))
    task.leave(TASK_SETTINGS)
    return ConvertedTask({"factory": "llama_prompt", "prompt": prompt, "attribute": attribute})


def _literal(text: str) -> str:
    """A text as Jinja that renders as it."""
    return "{% raw %}" + text.replace("{% endraw", "{ % endraw") + "{% endraw %}"


def _labels(
    component: str, task_name: str, task: ConfigSection
) -> tuple[list[str], dict[str, str]]:
    """The labels of a task and what is said of each."""
    labels = list(dict.fromkeys(task.take_labels()))
    definitions = task.take_texts("label_definitions")
    if not labels:
        raise LabelsMissing(component, task_name)
    return labels, definitions


Converter = Callable[[str, ConfigSection, Path], ConvertedTask]

CONVERTERS: dict[str, tuple[tuple[int, ...], Converter]] = {
    "NER": ((1, 2, 3), convert_entities),
    "SpanCat": ((1, 2, 3), partial(convert_entities, where="doc.spans")),
    "TextCat": ((1, 2, 3), convert_categories),
    "Summarization": ((1,), convert_summary),
    "Raw": ((1,), convert_raw),
}
"""Tasks that have a counterpart, with the versions that spacy-llm documents."""

TASK_FACTORIES = {
    "llm_ner": "spacy.NER.v3",
    "llm_spancat": "spacy.SpanCat.v3",
    "llm_textcat": "spacy.TextCat.v3",
    "llm_summarization": "spacy.Summarization.v1",
    "llm_raw": "spacy.Raw.v1",
    "llm_rel": "spacy.REL.v1",
    "llm_lemma": "spacy.Lemma.v1",
    "llm_sentiment": "spacy.Sentiment.v1",
    "llm_entitylinker": "spacy.EntityLinker.v1",
    "llm_entity_linker": "spacy.EntityLinker.v1",
    "llm_translation": "spacy.Translation.v1",
}
"""Factories that stand for a task, to the one they have where the config names none."""
