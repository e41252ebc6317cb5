"""Checkpoints to a model and a tokenizer: Hugging Face, GGUF and Meta, whole or in parts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nlp_pipeline import models
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.generation.devices import (
    emulates_bfloat16,
    fitting,
    resolve_device,
    resolve_dtype,
)
from nlp_pipeline.generation.distributed import process_group
from nlp_pipeline.generation.distributed.process_group import ALONE, World
from nlp_pipeline.generation.loading.adapter import Adapter
from nlp_pipeline.generation.loading.assembly import Placement
from nlp_pipeline.generation.loading.checks import check_folder
from nlp_pipeline.generation.loading.device_map import check_device_map, spread
from nlp_pipeline.generation.loading.dynamic_int8 import activation_bits
from nlp_pipeline.generation.loading.gguf import converted_folder
from nlp_pipeline.generation.loading.hf_compat import quiet_transformers
from nlp_pipeline.generation.loading.hub import hub_folder
from nlp_pipeline.generation.loading.model_view import model_view
from nlp_pipeline.generation.loading.plain_chat import give_plain_template
from nlp_pipeline.generation.loading.quantization import DYNAMIC, check_quantization, quantize
from nlp_pipeline.generation.loading.tokenizers import load_tokenizer, named_tokenizer
from nlp_pipeline.generation.loading.weights import load_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes:
        name: As the user named it.
        model: A `transformers` causal language model in evaluation mode, on its device.
        tokenizer: Its fast tokenizer.
        eos_token_ids: Every token that ends a completion.
        max_seq_len: Positions that the model was made for.
        details: Digest, device, dtype: JSON values.
        world: The processes that share the model.
    """

    name: str
    model: Any
    tokenizer: Any
    eos_token_ids: frozenset[int]
    max_seq_len: int
    details: Mapping[str, Any]
    world: World = ALONE


def load(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    tokenizer: str | None = None,
    tensor_parallel_size: int | None = None,
    device_map: str | None = None,
    quantization: str | None = None,
    adapter: str | None = None,
    fetch_missing: bool = True,
) -> LoadedModel:
    """Loads a model by known name, folder, GGUF file or hub name; weights are only ever read.

    Args:
        name: What `nlp_pipeline.models.resolve` understands.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto`, `float32`, `bfloat16`, `float16` or `float64`.
        tokenizer: Another folder, hub name or `tokenizer.model` to take the tokenizer from.
        tensor_parallel_size: Processes that share the model; None takes all that torchrun
            started.
        device_map: `auto` spreads the layers over all GPUs of this process, and over main memory
            where they do not suffice.
        quantization: `int8` or `int4` weights, or `int8_dynamic` products on the CPU; None leaves
            them as they are.
        adapter: Folder or name of a LoRA adapter whose products are added to the weights; `auto`
            is what ships for the model, if anything does.
        fetch_missing: Fetch a known model that is not in the cache yet.

    Raises:
        ModelNotFound: Nothing goes by this name.
        CheckpointUnreadable: It is there and cannot be read.
        TokenizerNotFound: The tokenizer named apart is not there.
        DeviceUnavailable: The device is not there.
        ModelDoesNotFit: The device has too little memory.
        AdapterUnreadable: The adapter's folder holds none that can be used.
        AdapterForOtherBase: The adapter was trained on another model.
        InvalidDtype: The dtype is not known.
        InvalidModelSetting: Another setting is not possible, or not together with the rest.
        PackageMissing: An optional package is needed.
        WorldSizeDisagrees: `tensor_parallel_size` processes were not started.
        CannotSplit: The model does not divide by their number.
    """
    world = process_group.join(tensor_parallel_size, device)
    where = world.device or resolve_device(device)
    kind = resolve_dtype(dtype, where)
    if kind == torch.bfloat16 and emulates_bfloat16(where):
        logger.warning(
            "This processor does not multiply bfloat16 itself: dtype bfloat16 takes half of "
            "float32's memory on it, and twice as long or longer. To be fast leave dtype out."
        )
    check_quantization(quantization, where)
    check_device_map(device_map, device, world, quantization)
    with world.main_first():
        source = _find(name, tokenizer, fetch_missing)
        adapter = models.adapter_name(adapter, name)
        added = None if adapter is None else Adapter(adapter, name, source.digest)
    load_device = torch.device("cpu") if quantization or device_map else where
    place = Placement(kind, load_device, world, device_map=device_map)
    with quiet_transformers(), source.opened() as folder:
        own = tokenizer is None
        tokens = load_tokenizer(source.name, folder) if own else named_tokenizer(str(tokenizer))
        with fitting(source.name, where):
            model, parameters = load_model(source.name, folder, tokens, place, added)
        model.config.name_or_path = model.name_or_path = source.name
        plain = give_plain_template(tokens, source.name)
    with fitting(source.name, where):
        if quantization is not None:
            quantize(model, quantization, where)
        model = spread(model) if device_map else model.to(where)
    model.eval().requires_grad_(False)
    details = model_details(
        model, device=where, dtype=kind, parameters=parameters, digest=source.digest
    )
    extra = {"device_map": device_map, "quantization": quantization, "chat_template": plain}
    extra["adapter"] = None if added is None else added.files.digest
    details |= {option: value for option, value in extra.items() if value is not None}
    if quantization == DYNAMIC:
        details["activation_bits"] = activation_bits()
    if world.size > 1:
        details["tensor_parallel_size"] = world.size
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokens,
        eos_token_ids=eos_token_ids(model, tokens),
        max_seq_len=max_positions(model, name),
        details=details,
        world=world,
    )


def model_details(
    model: Any, *, device: torch.device, dtype: torch.dtype, parameters: int, digest: str | None
) -> dict[str, Any]:
    """What every loaded model says of itself: JSON values for the manifest.

    Args:
        model: The model.
        device: Where it runs.
        dtype: In which it was asked to run.
        parameters: How many it has, over all ranks.
        digest: Of its files; None where there are none.
    """
    return {
        "digest": digest,
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "parameters": parameters,
        "architecture": type(model).__name__,
    }


@dataclass(frozen=True)
class _Source:
    """What a model is loaded from.

    Attributes:
        name: As messages call it.
        folder: Where it lies.
        digest: Of what the user named; a hub model's commit.
    """

    name: str
    folder: Path
    digest: str

    def opened(self) -> AbstractContextManager[Path]:
        """The folder as it may be read; Meta's is read by this package alone."""
        if (self.folder / "config.json").is_file():
            return model_view(self.folder, self.name)
        return nullcontext(self.folder)


def _find(name: str, tokenizer: str | None, fetch_missing: bool) -> _Source:
    """What to load, looked at as far as that goes without loading it."""
    resolved = models.resolve(name, fetch_missing=fetch_missing)
    needs_tokenizer = tokenizer is None
    if resolved.path is None:
        folder = hub_folder(resolved.name, weights=True)
        check_folder(folder, name, needs_tokenizer=needs_tokenizer)
        return _Source(name, folder, folder.name)
    if resolved.kind == "hf-folder":
        check_folder(resolved.path, str(resolved.path), needs_tokenizer=needs_tokenizer)
    digest, folder = models.digest(resolved.path), resolved.path
    if resolved.gguf_file is not None:
        with quiet_transformers():
            folder = converted_folder(resolved.path, digest, models.cache_dir())
    return _Source(str(resolved.path), folder, digest)


def max_positions(model: Any, name: str) -> int:
    """The number of positions that a model was made for.

    Raises:
        CheckpointUnreadable: Its configuration names none.
    """
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int):
        raise CheckpointUnreadable(name, "its config.json names no max_position_embeddings")
    return positions


def eos_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The generation config's list: a GGUF's tokenizer is known to name the wrong token."""
    ids = model.generation_config.eos_token_id
    if ids is None:
        ids = model.config.eos_token_id
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return frozenset()
    return frozenset(ids if isinstance(ids, list) else [ids])
