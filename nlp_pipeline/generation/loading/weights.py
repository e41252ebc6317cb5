"""The weights of a model, read whole or, where several processes share them, in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.generation.loading.adapter import Adapter
from nlp_pipeline.generation.loading.assembly import Checkpoint, Placement, assemble
from nlp_pipeline.generation.loading.checks import check_vocabulary
from nlp_pipeline.generation.loading.hf_compat import dtype_keyword, model_and_report, unreadable
from nlp_pipeline.generation.loading.model_view import weight_files
from nlp_pipeline.generation.loading.safetensors_folder import FolderCheckpoint
from nlp_pipeline.generation.loading.tensor_check import (
    check_extent,
    check_index,
    check_loaded,
    check_tied_head,
    config_sizes,
    count_tensors,
)
from nlp_pipeline.generation.meta import MetaCheckpoint, end_token_ids


def load_model(
    name: str, folder: Path, tokens: Any, place: Placement, adapter: Adapter | None = None
) -> tuple[Any, int]:
    """The model, or this rank's part of it, and the number of parameters of the whole.

    Args:
        name: The model's name, for messages.
        folder: A folder that holds nothing but what may be loaded, or one of Meta's.
        tokens: The model's tokenizer.
        place: Number format, device and ranks.
        adapter: Is added to the weights.

    Raises:
        AdapterForOtherBase: The model has not the adapter's layers.
        CheckpointUnreadable: There is no model there, a damaged one, or one whose weights are not
            those of its configuration.
        NoSplitPlan: Several processes cannot share it.
        CannotSplit: So many processes cannot share it.
    """
    if not (folder / "config.json").is_file():
        return _load_meta(name, folder, tokens, place, adapter)
    config = _config(name, folder)
    checkpoint = FolderCheckpoint(folder, name) if place.world.size > 1 else None
    check_index(folder, name)
    tensors = count_tensors(folder, name)
    size = sum((folder / file).stat().st_size for file in weight_files(folder, name))
    check_extent(name, config_sizes(config), size, tensors)
    check_tied_head(folder, config, name)
    if checkpoint is not None:
        model, total = assemble(_adapted(checkpoint, adapter, place), name, place)
        model.generation_config = checkpoint.generation_config() or model.generation_config
        return model, total
    model = _from_pretrained(name, folder, config, place)
    if adapter is not None:
        adapter.add_to(model)
    return model, sum(p.numel() for p in model.parameters())


def _config(name: str, folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parsers happen to raise
        raise unreadable(name, folder, error) from error


def _adapted(checkpoint: Checkpoint, adapter: Adapter | None, place: Placement) -> Checkpoint:
    return checkpoint if adapter is None else adapter.added_to(checkpoint, place.dtype)


def _load_meta(
    name: str, folder: Path, tokens: Any, place: Placement, adapter: Adapter | None
) -> tuple[Any, int]:
    checkpoint = MetaCheckpoint(folder)
    check_vocabulary(name, len(tokens), checkpoint.vocab_size)
    model, total = assemble(_adapted(checkpoint, adapter, place), name, place)
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = tokens.bos_token_id, end_token_ids(tokens)
        config.pad_token_id = tokens.pad_token_id
    return model, total


def _from_pretrained(name: str, folder: Path, config: Any, place: Placement) -> Any:
    options = {"device_map": place.device_map, **dtype_keyword(place.dtype)}
    try:
        model, info = model_and_report(folder, **options)
    except Exception as error:
        raise unreadable(name, folder, error) from error
    check_loaded(name, model, info, part_of_larger=config.get_text_config() is not config)
    return model
