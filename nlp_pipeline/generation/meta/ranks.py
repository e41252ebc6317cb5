"""Llama 3's `tokenizer.model`: byte-level BPE ranks, one `base64 rank` a line (tiktoken)."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import MetaTokenizerUnreadable
from nlp_pipeline.generation.meta.specials import add_specials, put_first

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How a text is cut before its pieces are encoded; `pat_str` of Meta's tokenizer."""

N_SPECIALS = 256

_NAMED = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>",
    "<|reserved_special_token_2|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
)
SPECIALS = (
    *_NAMED,
    *(f"<|reserved_special_token_{n}|>" for n in range(3, 3 + N_SPECIALS - len(_NAMED))),
)
"""Numbered after the ranks, in this order. The names are those that Llama 3.1 to 3.3 were
published with on the hub; in Llama 3.0 the 5th, the 9th and the 11th were reserved ones."""


def ranks_tokenizer(file: Path) -> Any:
    """The `tokenizers.Tokenizer` of a ranks file, special tokens included.

    Raises:
        MetaTokenizerUnreadable: A line is no `base64 rank`, or the ranks are not 0, 1, 2, ….
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    ranks = read_ranks(file)
    character = byte_characters()
    text = {token: "".join(map(character.__getitem__, token)) for token in ranks}
    merges = [(text[left], text[right]) for left, right in _merges(ranks)]
    vocab = {text[token]: rank for token, rank in ranks.items()}
    # tiktoken takes a piece that is a token as it is, whatever its merges would make of it.
    backend = Tokenizer(models.BPE(vocab, merges, fuse_unk=False, ignore_merges=True))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    add_specials(backend, SPECIALS)
    backend.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), put_first(backend, SPECIALS[0])]
    )
    return backend


def read_ranks(file: Path) -> dict[bytes, int]:
    """Token bytes to rank; ranks are the token ids.

    Raises:
        MetaTokenizerUnreadable: A line is no `base64 rank`, or the ranks are not 0, 1, 2, ….
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise MetaTokenizerUnreadable(str(file), f"line {number} is no rank") from error
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise MetaTokenizerUnreadable(str(file), "its ranks do not go 0, 1, 2, …")
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise MetaTokenizerUnreadable(str(file), f"it has no token for the byte {missing[0]}")
    return ranks


def _merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Every pair of tokens that makes a token, in the order of what they make.

    tiktoken joins the two neighbours that make the token of the lowest rank, whichever they are;
    a list of merges can say the same.
    """
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        cuts = ((token[:i], token[i:]) for i in range(1, len(token)))
        pairs = [(left, right) for left, right in cuts if left in ranks and right in ranks]
        merges += sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return merges


def byte_characters() -> dict[int, str]:
    """GPT-2's table, which writes each byte as a printable character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = sorted(set(range(256)) - set(printable))
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(0x100 + offset) for offset, byte in enumerate(rest)
    }
