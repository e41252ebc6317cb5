"""GGUF files, converted once to a Hugging Face folder in the model cache.

Reading a GGUF through transformers takes about 30 seconds for a model of 135 million parameters
(the file's vocabulary is parsed three times, in Python), and the tokenizer it builds names the
wrong end-of-sequence token and decodes as if it were SentencePiece. So a GGUF is read once, its
tokenizer mended, and the result kept under the file's digest; every later load takes about a
second.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.models import ModelCacheUnusable
from nlp_pipeline.generation.loading.gguf_header import GgufHeader, read_header
from nlp_pipeline.generation.loading.gguf_names import check_gguf_names
from nlp_pipeline.generation.loading.gguf_rope import restore_rope_scaling
from nlp_pipeline.generation.loading.tensor_check import check_extent, check_loaded

logger = logging.getLogger(__name__)

FORMAT = "2"
"""Part of the folder's name: raised when the conversion changes, so that old ones are not used."""


def converted_folder(gguf: Path, digest: str, cache: Path) -> Path:
    """The Hugging Face folder for a GGUF file, converted on first use.

    Args:
        gguf: The model file.
        digest: Its SHA-256 in hexadecimal.
        cache: The model cache; the folder takes 4 bytes a parameter there.

    Raises:
        CheckpointUnreadable: The file is no GGUF that transformers can read.
        ModelCacheUnusable: The cache cannot be written.
    """
    folder = cache / "converted" / f"{gguf.stem}-{digest[:16]}-v{FORMAT}"
    if folder.is_dir():
        return folder
    logger.info("Preparing %s for fast loading (once; about half a minute)", gguf.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
    except OSError as error:
        raise ModelCacheUnusable(str(cache), error.strerror or str(error)) from error
    try:
        header = read_header(gguf)
        _check_sizes(gguf, header)
        _convert(gguf, header, work)
        try:
            os.replace(work, folder)
        except OSError:  # another process was faster: its result is the same
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _check_sizes(gguf: Path, header: GgufHeader) -> None:
    values, kind = header.values, header.values.get("general.architecture")
    keys = {"layers": "block_count", "width": "embedding_length", "vocabulary": "vocab_size"}
    sizes = {name: values.get(f"{kind}.{key}") for name, key in keys.items()}
    sizes["inner"] = values.get(f"{kind}.feed_forward_length")
    check_extent(str(gguf), sizes, gguf.stat().st_size, len(header.tensors))


def _convert(gguf: Path, header: GgufHeader, folder: Path) -> None:
    """Writes config, weights (float32, as dequantized) and the mended tokenizer to `folder`."""
    import torch
    from transformers import AutoTokenizer

    from nlp_pipeline.generation.loading.hf_compat import dtype_keyword, model_and_report

    try:
        # Its progress bar obeys no switch of transformers and no terminal.
        with redirect_stderr(StringIO()):
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            model, info = model_and_report(
                gguf.parent, gguf_file=gguf.name, **dtype_keyword(torch.float32)
            )
    except Exception as error:  # transformers raises what its parser happens to raise
        reason = f"transformers cannot read it ({escaped(error, 300)})"
        raise CheckpointUnreadable(str(gguf), reason) from error
    check_loaded(str(gguf), model, info)
    check_gguf_names(gguf, header, model)
    restore_rope_scaling(gguf, header, model.config)
    # Texts begin with the begin-of-sequence token where the file says nothing: transformers 4.53
    # ignores the field, 5 takes a missing one for a no.
    _set_bos(tokenizer, bool(header.values.get("tokenizer.ggml.add_bos_token", True)))
    _forget_the_file(model)
    model.save_pretrained(folder)
    _save_tokenizer(tokenizer, model.generation_config, folder)
    folder.chmod(0o755)  # a temporary folder is made for its owner alone


def _forget_the_file(model: Any) -> None:
    """Transformers 5 takes dequantized weights for quantized ones, and refuses to save them."""
    model.hf_quantizer = None
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config


def _set_bos(tokenizer: Any, adds: bool) -> None:
    """Texts begin with the begin-of-sequence token, or not: whatever transformers made of it."""
    from tokenizers import processors

    backend, bos = tokenizer.backend_tokenizer, tokenizer.bos_token
    if not adds or bos is None:
        backend.post_processor = processors.Sequence([])
    elif tokenizer.bos_token_id not in tokenizer("").input_ids:
        backend.post_processor = processors.TemplateProcessing(
            single=[bos, "$A"],
            pair=[bos, "$A", bos, "$B:1"],
            special_tokens=[(bos, tokenizer.bos_token_id)],
        )


def _save_tokenizer(tokenizer: Any, generation_config: Any, folder: Path) -> None:
    """Saves the tokenizer with the end-of-sequence token and the decoder that it should have."""
    from tokenizers import decoders

    backend = tokenizer.backend_tokenizer
    if "ByteLevel" in str(backend.pre_tokenizer):
        backend.decoder = decoders.ByteLevel()
    backend.save(str(folder / "tokenizer.json"))
    ends = generation_config.eos_token_id
    end = tokenizer.convert_ids_to_tokens(ends[0] if isinstance(ends, list) else ends)
    config = {
        # The generic class: the Llama class would rebuild parts of tokenizer.json on loading.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer.bos_token,
        "eos_token": end,
        "pad_token": end,
        "unk_token": tokenizer.unk_token,
        "chat_template": tokenizer.chat_template,
        "clean_up_tokenization_spaces": False,
        "model_max_length": tokenizer.model_max_length,
    }
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
