"""The models of spacy-llm's registry, and the generator that takes the place of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.spacy_llm import MODEL_SETTINGS, api_replaced, model_assumed
from nlp_pipeline.generation.backends.inprocess import BACKEND as LLAMA
from nlp_pipeline.generation.backends.server import BACKEND as SERVER
from nlp_pipeline.models import DEFAULT_MODEL
from nlp_pipeline.spacy_llm.config_section import ConfigSection

HUB_OWNERS = {
    "dolly": "databricks",
    "falcon": "tiiuae",
    "llama2": "meta-llama",
    "mistral": "mistralai",
    "mixtral": "mistralai",
    "openllama": "openlm-research",
    "phi-2": "microsoft",
    "stablelm": "stabilityai",
    "yi": "01-ai",
    "zephyr": "HuggingFaceH4",
    "huggingface": "",
}
"""Families that run on the user's machine, to the owners of their models on the hub."""

PROVIDERS = {
    **dict.fromkeys(
        (
            *("gpt-4", "gpt-3-5", "davinci", "text-davinci", "code-davinci", "curie"),
            *("text-curie", "babbage", "text-babbage", "ada", "text-ada", "openai"),
        ),
        "OpenAI",
    ),
    "azure": "Microsoft Azure",
    "command": "Cohere",
    "claude": "Anthropic",
    "palm": "Google",
    "bedrock": "Amazon",
    "titan": "Amazon",
    "groq": "Groq",
}
"""Families that are APIs, to who would be sent the texts."""

_FAMILY = re.compile(r"(?P<package>spacy|langchain)\.(?P<family>[\w-]+)\.v\d+", re.IGNORECASE)
_SAMPLING = {
    "max_new_tokens": "max_new_tokens",
    "max_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
    "stop": "stop",
}
"""Settings of a completion: as APIs and transformers call them, to what they are called here."""


@dataclass(frozen=True)
class Successors:
    """What takes the place of a model that is an API.

    Attributes:
        model: A model on this machine; None for the default one.
        server: The address of an OpenAI-compatible server; None for none.
    """

    model: str | None = None
    server: str | None = None


def generator_of(model: ConfigSection, successors: Successors) -> tuple[dict[str, Any], Any]:
    """The generator of a model of spacy-llm, and the sampling settings that stood with it.

    Args:
        model: The component's section `model`.
        successors: What takes the place of an API.
    """
    name = str(model.take("@llm_models", ""))
    family = _FAMILY.fullmatch(name)
    key = family["family"].lower() if family else ""
    if family and family["package"] == "spacy" and key in HUB_OWNERS and "name" in model:
        return _local(model, HUB_OWNERS[key])
    provider = _provider(key)
    variant = str(model.take("name", ""))
    if provider and successors.server:
        generator = {"@llama_generators": SERVER, "base_url": successors.server, "model": variant}
    else:
        generator = {"@llama_generators": LLAMA, "model": successors.model or DEFAULT_MODEL}
    successor = " ".join(str(value) for value in generator.values() if value)
    if provider:
        model.remarks.append(api_replaced(model.place, name, provider, successor))
    else:
        model.remarks.append(model_assumed(model.place, successor))
    sampling = _sampling(model.take_section("config"))
    model.leave(MODEL_SETTINGS)
    return generator, sampling


def _provider(family: str) -> str | None:
    """Who is behind an API; None for what is none that is known."""
    key = "claude" if family.startswith("claude") else family
    return PROVIDERS.get(key)


def _local(model: ConfigSection, owner: str) -> tuple[dict[str, Any], Any]:
    """A model of the hub, as the in-process generator loads it."""
    name = str(model.take("name"))
    known = f"{owner}/{name}" if owner and "/" not in name else name
    generator: dict[str, Any] = {"@llama_generators": LLAMA, "model": known}
    init = model.take_section("config_init")
    if "device" in init:
        generator["device"] = init.take("device")
    if init.holds("device_map", "auto"):
        generator["device_map"] = init.take("device_map")
    if "torch_dtype" in init:
        generator["dtype"] = str(init.take("torch_dtype")).removeprefix("torch.")
    for setting, own in (("load_in_8bit", "int8"), ("load_in_4bit", "int4")):
        if setting in init and init.take_flag(setting, default=False):
            generator["quantization"] = own
    init.leave({})
    sampling = _sampling(model.take_section("config_run"))
    model.leave(MODEL_SETTINGS)
    return generator, sampling


def _sampling(config: ConfigSection) -> Mapping[str, Any]:
    """The settings of a completion that there are here too; the others are said."""
    greedy = "do_sample" in config and not config.take_flag("do_sample", default=True)
    sampling = {own: config.take(name) for name, own in _SAMPLING.items() if name in config}
    if isinstance(sampling.get("stop"), str):
        sampling["stop"] = [sampling["stop"]]
    config.leave({})
    return {**sampling, **({"temperature": 0.0} if greedy else {})}
