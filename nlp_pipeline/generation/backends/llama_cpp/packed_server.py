"""llama.cpp's server in this process, with one GGUF file loaded."""

from __future__ import annotations

import os
import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nlp_pipeline import models
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.backends.llama_cpp.packed_settings import LlamaCppSettings
from nlp_pipeline.generation.backends.server import ServerSettings
from nlp_pipeline.generation.loading.gguf_header import read_header

KEY_VARIABLE = "NLP_PIPELINE_LLAMA_CPP_API_KEY"
"""Holds the key of the servers of this process, so that no other user's program can ask them."""

LONGEST_CONTEXT = 4096
"""Tokens of a sequence, where `max_seq_len` does not say: a model may allow so many that the
keys and values alone would fill the memory."""

LONGEST_REQUEST_S = 3600.0
"""A slow machine may take long, and nothing gets lost on the way."""


class PackedServer:
    """Loads the model and serves it until `close`.

    Args:
        settings: What and how.

    Raises:
        PackageMissing: xllamacpp is not installed.
        CheckpointUnreadable: The model is no GGUF file, or one that llama.cpp cannot load.
    """

    def __init__(self, settings: LlamaCppSettings) -> None:
        xllamacpp = _library()
        self.path = gguf_path(settings.model)
        self.max_seq_len = settings.max_seq_len or _context_length(self.path)
        os.environ.setdefault(KEY_VARIABLE, secrets.token_hex(32))
        params = xllamacpp.CommonParams()
        params.model.path = str(self.path)
        params.n_parallel = settings.max_batch_size
        params.n_ctx = settings.max_batch_size * self.max_seq_len
        if settings.threads is not None:
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
        params.n_gpu_layers = 0
        params.port = 0  # any that is free, on 127.0.0.1
        params.api_keys = [os.environ[KEY_VARIABLE]]
        params.warmup, params.verbosity = False, -1
        params.cache_ram_mib = 0  # by default it keeps up to 8 GiB of former prompts
        try:
            self._server: Any = xllamacpp.Server(params)
        except (RuntimeError, ValueError, MemoryError) as error:
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise CheckpointUnreadable(str(self.path), f"llama.cpp says: {reason}") from error
        self.connection_settings = ServerSettings(
            base_url=str(self._server.listening_address),
            api_key_env=KEY_VARIABLE,
            max_concurrency=settings.max_batch_size,
            timeout_s=LONGEST_REQUEST_S,
            max_seq_len=self.max_seq_len,
            chat_template_kwargs=settings.chat_template_kwargs,
        )

    def close(self) -> None:
        """Frees the model's memory. Safe to call twice."""
        self._server = None


def gguf_path(model: str) -> Path:
    """The GGUF file that a model's name stands for.

    Raises:
        ModelError: There is no such model.
        CheckpointUnreadable: It is of another format.
    """
    resolved = models.resolve(model)
    if resolved.kind != "gguf" or resolved.path is None:
        raise CheckpointUnreadable(model, "llama.cpp runs GGUF files only; name one")
    return resolved.path


def library_version() -> str:
    """The version of xllamacpp, which is that of its llama.cpp; empty where it is missing."""
    try:
        return version("xllamacpp")
    except PackageNotFoundError:
        return ""


def _context_length(path: Path) -> int:
    """Tokens that the model was trained for, within `LONGEST_CONTEXT`."""
    values = read_header(path).values
    own = values.get(f"{values.get('general.architecture')}.context_length")
    return min(own, LONGEST_CONTEXT) if isinstance(own, int) and own > 1 else LONGEST_CONTEXT


def _library() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise PackageMissing("nlp_pipeline.llama_cpp.v1", "xllamacpp", "llama-cpp") from error
    return xllamacpp
