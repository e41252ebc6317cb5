"""`tokenizer.model` of a Meta checkpoint as a fast tokenizer of transformers.

Up to Llama 2 the file is a SentencePiece model, since Llama 3 a list of byte-level BPE ranks in
tiktoken's format. Both are byte-pair encodings, so both become one of the `tokenizers` library,
built here from the pieces: transformers' own converters differ between its versions, and need
protobuf.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import MetaTokenizerMissing, MetaTokenizerUnreadable
from nlp_pipeline.generation.meta.chat_templates import LLAMA_2, LLAMA_3

FILE = "tokenizer.model"
_RANK_LINE = re.compile(rb"[A-Za-z0-9+/=]+ \d+\r?\n")

END_TOKENS = ("</s>", "<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")
"""What ends a completion, in Meta's reference code: end of text, of message and of turn."""


def load_meta_tokenizer(place: Path) -> Any:
    """The fast tokenizer of a `tokenizer.model`.

    Args:
        place: The file, or the folder that holds it.

    Raises:
        MetaTokenizerMissing: It is not there.
        MetaTokenizerUnreadable: It is neither of the two formats, or cannot be used exactly.
        PackageMissing: It is a SentencePiece model and sentencepiece is not installed.
    """
    from transformers import PreTrainedTokenizerFast

    file = place / FILE if place.is_dir() else place
    if not file.is_file():
        raise MetaTokenizerMissing(str(place))
    with file.open("rb") as stream:
        has_ranks = bool(_RANK_LINE.fullmatch(stream.readline(4096)))
    if has_ranks:
        from nlp_pipeline.generation.meta.ranks import SPECIALS, ranks_tokenizer

        backend, template = ranks_tokenizer(file), LLAMA_3
        named = {"bos_token": SPECIALS[0], "eos_token": SPECIALS[1], "pad_token": SPECIALS[4]}
    else:
        from nlp_pipeline.generation.meta.pieces import pieces_tokenizer

        backend, template = pieces_tokenizer(file), LLAMA_2
        named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        chat_template=_own_template(file) or template,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        **named,
    )


def holds_meta_tokenizer(place: Path) -> bool:
    """Whether a file, or a folder without a Hugging Face model, brings Meta's tokenizer."""
    if place.is_file():
        return place.suffix == ".model"
    if any((place / name).is_file() for name in ("tokenizer.json", "config.json")):
        return False
    return any((place / name).is_file() for name in (FILE, "params.json"))


def end_token_ids(tokenizer: Any) -> list[int]:
    """Every token of a tokenizer that ends a completion of a Llama."""
    specials = {str(t): i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    return sorted({specials[t] for t in (*END_TOKENS, tokenizer.eos_token) if t in specials})


def _own_template(file: Path) -> str | None:
    """The chat template beside the tokenizer, as Hugging Face keeps it, if there is one."""
    template, config = (
        file.with_name("chat_template.jinja"),
        file.with_name("tokenizer_config.json"),
    )
    try:
        if template.is_file():
            return template.read_text(encoding="utf-8")
        if config.is_file():
            value = json.loads(config.read_bytes()).get("chat_template")
            return value if isinstance(value, str) else None
    except (OSError, ValueError, AttributeError) as error:
        raise MetaTokenizerUnreadable(str(file), f"the template beside it: {error}") from error
    return None
