"""Small things around transformers: its keywords, its errors and its talk."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from packaging.version import Version

from nlp_pipeline import models
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelNotFound


def dtype_keyword(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """`from_pretrained`'s keyword for the dtype: renamed in transformers 4.56."""
    import transformers

    return {
        "dtype" if Version(transformers.__version__) >= Version("4.56") else "torch_dtype": dtype
    }


def model_and_report(folder: Path, **options: Any) -> tuple[Any, Any]:
    """A causal language model, and transformers' report of what did not match its config.

    No code of the folder is run, and sizes that disagree raise nothing: the report tells them all.

    Args:
        folder: Where it lies.
        options: Of `from_pretrained`.
    """
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM  # the types of transformers 5 know no report
    model, report = loader.from_pretrained(
        folder,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **options,
    )
    return model, report


def unreadable(name: str, folder: Path | None, error: Exception) -> Exception:
    """What transformers said, as an error that a user can act on.

    Args:
        name: The model's name, which stands in the place of the folder's.
        folder: Where it was read; None where the hub was asked for it.
        error: What was raised.
    """
    if folder is None:
        return ModelNotFound(name, models.KNOWN_MODELS, one_line(error))
    return CheckpointUnreadable(name, one_line(error).replace(str(folder), name))


def one_line(error: BaseException) -> str:
    """One line, without the full stop that the message around it brings."""
    text = " ".join(str(error).split())
    if "couldn't connect to" in text or "outgoing traffic has been disabled" in text:
        return "the Hugging Face hub cannot be reached and has left nothing in its cache"
    if (
        "ignore_mismatched_sizes" in text or "size mismatch" in text
    ):  # the version decides whether it says more than that
        return "its weights have other sizes than its config.json says"
    return escaped(text, 300).rstrip(".") or type(error).__name__


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
