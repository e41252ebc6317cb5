"""Whether a GGUF file, unpacked, fits the memory; where it does not, llama.cpp runs it packed."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch

from nlp_pipeline.errors.generation import ModelError, UnpackedModelTooLarge
from nlp_pipeline.generation.backends.llama_cpp.packed_generator import LlamaCppGenerator
from nlp_pipeline.generation.backends.llama_cpp.packed_server import library_version
from nlp_pipeline.generation.backends.llama_cpp.packed_settings import LlamaCppSettings
from nlp_pipeline.generation.devices import resolve_device, resolve_dtype
from nlp_pipeline.generation.engine.kv_cache.memory import total_memory
from nlp_pipeline.generation.loading.gguf_header import read_header
from nlp_pipeline.generation.settings import LlamaSettings
from nlp_pipeline.models import KNOWN_MODELS, resolve

logger = logging.getLogger(__name__)

MOST_OF_MEMORY = 0.9
"""The share of the memory that weights may take: the rest of the program needs some too."""


_IN_PROCESS = ("adapter", "quantization", "tokenizer", "device_map")
"""Settings that change answers, or ask for more than one device, and that llama.cpp has none of."""


def packed_instead(settings: LlamaSettings) -> LlamaCppGenerator | None:
    """llama.cpp in place of the in-process Llama, where that has too little memory on the CPU.

    The whole memory is what counts, not what is free of it: a run that is resumed has to get the
    same generator again.

    Args:
        settings: Of the in-process Llama.

    Returns:
        None where the model fits, is no GGUF file, or runs elsewhere than on the CPU.

    Raises:
        UnpackedModelTooLarge: It does not fit and xllamacpp is not installed, or a setting needs
            the in-process Llama.
    """
    path = _gguf_file(settings)
    if path is None:
        return None
    needed, there = _unpacked_bytes(path, settings), total_memory()
    if needed <= there * MOST_OF_MEMORY:
        return None
    in_process = [name for name in _IN_PROCESS if getattr(settings, name)]
    in_process += ["tensor_parallel_size"] * ((settings.tensor_parallel_size or 1) > 1)
    if in_process or not library_version():
        raise UnpackedModelTooLarge(settings.model, needed, there, settings=in_process)
    logger.warning(
        "%s takes %.1f GB of memory unpacked, and this machine has %.1f GB: llama.cpp runs it "
        "packed (nlp_pipeline.llama_cpp.v1), with answers that may differ a little",
        settings.model,
        needed / 1e9,
        there / 1e9,
    )
    return LlamaCppGenerator(
        LlamaCppSettings(
            model=settings.model,
            max_seq_len=settings.max_seq_len,
            threads=settings.threads,
            chat_template_kwargs=settings.chat_template_kwargs,
        )
    )


def _gguf_file(settings: LlamaSettings) -> Path | None:
    """The model's file, if it is one that would be unpacked in main memory."""
    path = Path(settings.model).expanduser()
    named = settings.model not in KNOWN_MODELS and (path.suffix == ".gguf" or path.is_dir())
    try:
        if not named or resolve_device(settings.device).type != "cpu":
            return None
        resolved = resolve(settings.model)
    except ModelError:
        return None  # it is told when the model is loaded
    return resolved.path if resolved.kind == "gguf" else None


def _unpacked_bytes(path: Path, settings: LlamaSettings) -> int:
    """Bytes of all weights in the number format that they are unpacked to."""
    try:
        shapes = read_header(path).tensors.values()
        width = resolve_dtype(settings.dtype, torch.device("cpu")).itemsize
    except ModelError:
        return 0
    return sum(math.prod(shape) for shape in shapes) * width
