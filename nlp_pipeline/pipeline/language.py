"""A resolved config to a `Language`, and its two halves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from confection import Config
from spacy.language import Language
from spacy.util import load_model_from_config

from nlp_pipeline.components.base import LlamaComponent
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import PipelineInvalid
from nlp_pipeline.pipeline import blank_tokenizer as blank_tokenizer  # registers it
from nlp_pipeline.pipeline.configs import PipelineSpec, resolve_config
from nlp_pipeline.pipeline.spacy_sources import base_of, locate_sources

_TRAINING = ("corpora", "initialize", "pretraining", "training")
"""Sections that say how a pipeline was made. They may name callbacks and files that are not here;
nothing of them is needed to run it."""


def load_pipeline(spec: PipelineSpec) -> Language:
    """Builds the pipeline. Models are not loaded yet.

    Raises:
        ConfigError: The pipeline, a setting or a package that it needs cannot be used; the
            message says which and what to type.
    """
    return build(resolve_config(spec), spec.name)


def build(config: Config, name: str) -> Language:
    """A `Language` from a resolved config.

    Args:
        config: As `resolve_config` gives it.
        name: What messages call the pipeline.

    Raises:
        ConfigError: As in `load_pipeline`.
    """
    try:
        located = locate_sources(config, name)
        for section in _TRAINING:
            located.pop(section, None)
        base = base_of(located)
        nlp = load_model_from_config(located, vocab=base.vocab if base else True, auto_fill=True)
    except NlpPipelineError:
        raise
    except Exception as error:  # spaCy, and whatever component somebody has written
        raise PipelineInvalid(name, str(error) or type(error).__name__) from error
    if base is not None and located["nlp"].get("tokenizer") in (
        None,
        base.config["nlp"]["tokenizer"],
    ):
        nlp.tokenizer = base.tokenizer
    # How long a text may be is said where texts are read (`max_length` of a run).
    nlp.max_length = sys.maxsize
    return nlp


def split(nlp: Language) -> tuple[list[str], list[str]]:
    """Pipe names before the first Llama component, and from it on.

    The first half may run in worker processes; the second runs where the model is.
    """
    names = list(nlp.pipe_names)
    llamas = [i for i, (_, pipe) in enumerate(nlp.pipeline) if is_llama(pipe)]
    first = llamas[0] if llamas else len(names)
    return names[:first], names[first:]


def is_llama(pipe: object) -> bool:
    """Whether a pipe is one of our components."""
    return isinstance(pipe, LlamaComponent)


def generators(nlp: Language) -> Sequence[Any]:
    """The generators of a pipeline's Llama components, each once."""
    all_generators = [
        pipe.generator for _, pipe in nlp.pipeline if isinstance(pipe, LlamaComponent)
    ]
    return list({id(generator): generator for generator in all_generators}.values())
