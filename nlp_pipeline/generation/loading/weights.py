"""The weights of a model, read whole or, where several processes share them, in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.generation.loading.assembly import Placement, assemble
from nlp_pipeline.generation.loading.checks import check_vocabulary
from nlp_pipeline.generation.loading.hf_compat import dtype_keyword, unreadable
from nlp_pipeline.generation.loading.safetensors_folder import FolderCheckpoint
from nlp_pipeline.generation.meta import MetaCheckpoint, end_token_ids


def load_model(name: str, source: str | Path, tokens: Any, place: Placement) -> tuple[Any, int]:
    """The model, or this rank's part of it, and the number of parameters of the whole.

    Args:
        name: The model's name, for messages.
        source: A folder, or a name of the hub.
        tokens: The model's tokenizer.
        place: Number format, device and ranks.

    Raises:
        CheckpointUnreadable: There is no model there, or a damaged one.
        ModelNotFound: The hub has no such model.
        NoSplitPlan: Several processes cannot share it.
        CannotSplit: So many processes cannot share it.
    """
    if isinstance(source, Path) and not (source / "config.json").is_file():
        return _load_meta(name, source, tokens, place)
    if place.world.size > 1:
        checkpoint = FolderCheckpoint(source if isinstance(source, Path) else _snapshot(source))
        model, total = assemble(checkpoint, name, place)
        model.generation_config = checkpoint.generation_config() or model.generation_config
        return model, total
    model = _from_pretrained(name, source, place)
    return model, sum(p.numel() for p in model.parameters())


def _load_meta(name: str, folder: Path, tokens: Any, place: Placement) -> tuple[Any, int]:
    checkpoint = MetaCheckpoint(folder)
    check_vocabulary(name, len(tokens), checkpoint.vocab_size)
    model, total = assemble(checkpoint, name, place)
    for config in (model.config, model.generation_config):
        config.bos_token_id, config.eos_token_id = tokens.bos_token_id, end_token_ids(tokens)
        config.pad_token_id = tokens.pad_token_id
    return model, total


def _from_pretrained(name: str, source: str | Path, place: Placement) -> Any:
    from transformers import AutoModelForCausalLM

    options = {"device_map": place.device_map, **dtype_keyword(place.dtype)}
    try:
        return AutoModelForCausalLM.from_pretrained(source, trust_remote_code=False, **options)
    except Exception as error:  # transformers raises what its parsers happen to raise
        raise unreadable(name, source, error) from error


def _snapshot(name: str) -> Path:
    """The folder of a hub model in the hub's own cache."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:
        raise unreadable(name, name, error) from error
