"""Checkpoints to a model and a tokenizer: Hugging Face folders, hub names and GGUF files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from nlp_pipeline import models
from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelNotFound
from nlp_pipeline.generation.devices import resolve_device, resolve_dtype
from nlp_pipeline.generation.gguf import converted_folder


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
    """

    name: str
    model: Any
    tokenizer: Any
    eos_token_ids: frozenset[int]
    max_seq_len: int
    details: Mapping[str, Any]


def dtype_keyword(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """`from_pretrained`'s keyword for the dtype: renamed in transformers 4.56."""
    import transformers

    return {
        "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype": dtype
    }


def load(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    tokenizer: str | None = None,
    fetch_missing: bool = True,
) -> LoadedModel:
    """Loads a model by known name, folder, GGUF file or hub name; weights are only ever read.

    Args:
        name: What `nlp_pipeline.models.resolve` understands.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto`, `float32`, `bfloat16`, `float16` or `float64`.
        tokenizer: Another folder or hub name to take the tokenizer from.
        fetch_missing: Fetch a known model that is not in the cache yet.

    Raises:
        ModelNotFound: Nothing goes by this name.
        CheckpointUnreadable: It is there and cannot be read.
        DeviceUnavailable: The device is not there.
        InvalidDtype: The dtype is not known.
    """
    where = resolve_device(device)
    kind = resolve_dtype(dtype, where)
    found = models.resolve(name, fetch_missing=fetch_missing)
    digest = models.digest(found.path) if found.path is not None else None
    source: str | Path = found.path if found.path is not None else found.name
    if found.gguf_file is not None and found.path is not None and digest is not None:
        with quiet_transformers():
            source = converted_folder(found.path, digest, models.cache_dir())
    with quiet_transformers():
        model = _load_model(name, source, kind)
        tokens = _load_tokenizer(name, tokenizer or source)
    model = model.to(where).eval()
    model.requires_grad_(False)
    details = {
        "digest": digest or getattr(model.config, "_commit_hash", None),
        "device": str(where),
        "dtype": str(kind).removeprefix("torch."),
        "parameters": sum(p.numel() for p in model.parameters()),
        "architecture": type(model).__name__,
    }
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokens,
        eos_token_ids=_eos_token_ids(model, tokens),
        max_seq_len=int(model.config.max_position_embeddings),
        details=details,
    )


def _load_model(name: str, source: str | Path, dtype: torch.dtype) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            source, trust_remote_code=False, **dtype_keyword(dtype)
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise _unreadable(name, source, error) from error


def _load_tokenizer(name: str, source: str | Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise _unreadable(name, source, error) from error
    if not tokenizer.is_fast:
        raise CheckpointUnreadable(str(source), "its tokenizer has no fast form (tokenizer.json)")
    return tokenizer


def _unreadable(name: str, source: str | Path, error: Exception) -> Exception:
    """One line of what transformers said, as an error that a user can act on."""
    reason = " ".join(str(error).split())[:300]
    if isinstance(source, Path):
        return CheckpointUnreadable(str(source), reason)
    return ModelNotFound(name, models.KNOWN_MODELS, f"the hub gave: {reason}")


def _eos_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The generation config's list: a GGUF's tokenizer is known to name the wrong token."""
    ids = model.generation_config.eos_token_id
    if ids is None:
        ids = model.config.eos_token_id
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return frozenset()
    return frozenset(ids if isinstance(ids, list) else [ids])


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers' progress bars and notices off the terminal while a model loads."""
    from transformers.utils import logging as hf_logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(logging.ERROR)
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
