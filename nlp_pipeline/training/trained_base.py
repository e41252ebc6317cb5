"""The model that a training begins with, and the adapter that it goes on from."""

from __future__ import annotations

from typing import Any

from nlp_pipeline.generation.loading.adapter import Adapter
from nlp_pipeline.generation.loading.adapter_files import AdapterFiles
from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.generation.settings import LlamaSettings
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.training_settings import TrainingSettings


def load_base(
    llama: LlamaSettings, training: TrainingSettings
) -> tuple[LoadedModel, TrainedWeights]:
    """The model and its weights, ready to be trained.

    LoRA's matrices begin with those of the model's adapter, where it has one: what comes out is an
    adapter for the bare model again. Where all weights are trained, the adapter is added to them.

    Args:
        llama: How the pipeline loads it.
        training: How it is trained.

    Raises:
        ModelError: The model or its adapter cannot be used.
        NotTrainable: It cannot be trained so.
    """
    is_full = training.method == "full"
    loaded = load(
        llama.model,
        device=llama.device,
        dtype=llama.dtype,
        tokenizer=llama.tokenizer,
        adapter=llama.adapter if is_full else None,
    )
    adapter = None
    if llama.adapter is not None and not is_full:
        adapter = Adapter(llama.adapter, loaded.name, loaded.details["digest"]).files
    return loaded, TrainedWeights(loaded.model, loaded.name, training, adapter=adapter)


def adapter_facts(llama: LlamaSettings) -> dict[str, Any]:
    """For a fingerprint: the digest of the adapter that is begun with, where there is one."""
    return {} if llama.adapter is None else {"adapter": AdapterFiles.read(llama.adapter).digest}
