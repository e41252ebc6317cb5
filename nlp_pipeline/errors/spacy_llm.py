"""Errors and remarks of `convert spacy-llm`: what of a config has no counterpart."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import did_you_mean, listing
from nlp_pipeline.errors.config import ConfigError
from nlp_pipeline.errors.escapes import escaped


class ConfigUnreadable(ConfigError):
    """A config of spacy-llm that cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        short = escaped(" ".join(reason.split()), 300).rstrip(".")
        super().__init__(
            f"The config '{escaped(path, 200)}' cannot be read: {short}. Give the path of a config "
            "of spacy-llm; a value that it leaves open is set by --paths.examples=FILE and such."
        )


class NotASpacyLlmConfig(ConfigError):
    """A config without a component of spacy-llm."""

    def __init__(self, path: str, factories: Iterable[str]) -> None:
        super().__init__(
            f"The config '{escaped(path, 200)}' has no component of spacy-llm (its factories are: "
            f"{listing(factories)}; looked for are llm and llm_ner, llm_textcat, …). A config of "
            "spaCy of another kind needs no conversion: give it to `nlp-pipeline run -p`."
        )


class UnknownTaskVersion(ConfigError):
    """A version of a task that spacy-llm does not document."""

    def __init__(self, component: str, task: str, versions: Iterable[str]) -> None:
        names = list(versions)
        super().__init__(
            f"components.{component}.task: there is no {escaped(task, 60)}. There are: "
            f"{listing(names)}.{did_you_mean(task, names)}"
        )


class LabelsMissing(ConfigError):
    """A task that needs labels and names none."""

    def __init__(self, component: str, task: str) -> None:
        super().__init__(
            f"components.{component}.task.labels: {task} names no labels. spacy-llm would take "
            "them from examples when the pipeline is initialized; write them into the config."
        )


class SettingUnreadable(ConfigError):
    """A setting of a task or a model that has a value of another type."""

    def __init__(self, place: str, value: object, allowed: str) -> None:
        super().__init__(f"{place} is {escaped(repr(value), 80)} and must be {allowed}.")


class FewShotUnreadable(ConfigError):
    """A file of examples that a task names."""

    def __init__(self, place: str, path: str, reason: str) -> None:
        short = escaped(" ".join(reason.split()), 200).rstrip(".")
        super().__init__(
            f"{place}.examples: the file '{escaped(path, 200)}' cannot be used: {short}. Give one "
            "that is there by --paths.examples=FILE, or examples = null."
        )


class NothingToConvert(ConfigError):
    """A config of which nothing has a counterpart."""

    def __init__(self, path: str, remarks: Iterable[str]) -> None:
        lines = "".join(f"\n  {line}" for line in remarks)
        super().__init__(
            f"Of the config '{escaped(path, 200)}' nothing can be converted:{lines}\n"
            "docs/spacy_llm.md lists what can."
        )


class TargetExists(ConfigError):
    """A file that would be written over."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{escaped(path, 200)}' is there already. Name another file with -o, or add --force "
            "to write over it."
        )


class ServerAndModel(ConfigError):
    """Two things that could take the place of an API."""

    def __init__(self) -> None:
        super().__init__(
            "--server and --model both say what takes the place of a model behind an API: the name "
            "of a server's model stands in the config. Leave one out."
        )


WITHOUT_COUNTERPART = {
    "REL": "a schema of llama_extractor can have relations, as objects of two texts and a label",
    "Lemma": "a spaCy pipeline has a lemmatizer",
    "Sentiment": "llama_classifier with the labels positive and negative gives a probability",
    "EntityLinker": "spaCy's own entity_linker does that",
    "Translation": "llama_prompt with a prompt that asks for one writes it",
    "NoOp": "it does nothing",
}
"""Tasks of spacy-llm that are left out, with what does the like here."""

SECTIONS = {
    "paths": "its values stand where they are used",
    "vars": "its values stand where they are used",
    "initialize": "there is nothing to initialize",
    "training": "spaCy's training is not converted",
    "corpora": "the corpus is an argument of `nlp-pipeline run`",
    "system": "the seed is a setting of each component",
    "pretraining": "spaCy's training is not converted",
}
"""Sections beside those of the pipeline."""

TASK_SETTINGS = {
    "template": "prompts of spacy-llm name other values; `template` takes one of your own",
    "normalizer": "labels are decoded as they stand, so none has to be normalized",
    "parse_responses": "nothing else than what the schema allows is decoded",
    "prompt_example_type": "examples have one form",
    "fewshot_example_type": "examples have one form",
    "scorer": "`nlp-pipeline evaluate` scores a run",
    "verbose": "no reply can be invalid",
    "alignment_mode": "values begin and end with tokens of the document",
    "case_sensitive_matching": "values are pieces of the document as it stands",
    "single_match": "each value has its place in the table extraction_fields",
    "description": "say it in the label_definitions",
    "spans_key": "the spans stand in the table extraction_fields, not in doc.spans",
    "examples": "this component takes no examples; say it in the label_definitions",
    "field": "the summary stands in doc._.summary",
}
"""Settings of a task."""

MODEL_SETTINGS = {
    "strict": "a reply that fails is an error row",
    "max_tries": "max_retries of nlp_pipeline.server.v1 is that",
    "max_request_time": "timeout_s of nlp_pipeline.server.v1 is that",
    "interval": "a server is asked again with growing pauses",
    "endpoint": "base_url of nlp_pipeline.server.v1 is that",
    "base_url": "base_url of nlp_pipeline.server.v1 is that: give it by --server",
    "api_version": "an OpenAI-compatible server needs none",
    "model_type": "an OpenAI-compatible server needs none",
    "query": "prompts are sent in batches",
    "context_length": "max_seq_len of the generator is that",
}
"""Settings of a model."""

COMPONENT_SETTINGS = {
    "cache": "a run that goes on computes nothing twice",
    "save_io": "the tables have every reply with its tokens",
    "validate_types": "types are always checked",
}
"""Settings of a component."""


def no_counterpart(place: str, reason: str | None) -> str:
    """A remark about a setting, a section or a task that is left out.

    Args:
        place: Its name with that of its section.
        reason: Why, or what does the like here.
    """
    return f"{place}: left out" + (f"; {reason}." if reason else ": it has no counterpart here.")


def api_replaced(place: str, model: str, provider: str, successor: str) -> str:
    """A remark about a model that is somebody's API.

    Args:
        place: The model's section.
        model: As spacy-llm names it.
        provider: Who would be sent the texts.
        successor: What stands in its place.
    """
    return (
        f"{place}: {escaped(model, 60)} sends the texts to {provider}; {successor} stands in its "
        "place. --model takes another one, --server the address of an OpenAI-compatible server."
    )


def model_assumed(place: str, successor: str) -> str:
    """A remark about a component whose model is spacy-llm's default, or one of the user's own."""
    return f"{place}: no model that is known here; {successor} stands in its place (--model)."


def entities_elsewhere(place: str, where: str) -> str:
    """A remark about where spans stand.

    Args:
        place: The task's section.
        where: Where spacy-llm has them.
    """
    return (
        f"{place}: the spans stand in doc._.extraction and, with their places in the text, in the "
        f"table extraction_fields, not in {where}."
    )


def scores_are_probabilities(place: str) -> str:
    """A remark about `doc.cats`."""
    return f"{place}: doc.cats has probabilities; the table classifications names what is chosen."


def none_of_the_labels(place: str) -> str:
    """A remark about `allow_none` where labels exclude each other."""
    return (
        f"{place}.allow_none: threshold = 0.5 stands for it: a label is chosen where it is "
        "likelier than all others together."
    )


def words_are_sentences(place: str, n_words: int, n_sentences: int) -> str:
    """A remark about the length of a summary."""
    return (
        f"{place}.max_n_words: {n_words} words are max_sentences = {n_sentences} here, at about 20 "
        "words a sentence."
    )
