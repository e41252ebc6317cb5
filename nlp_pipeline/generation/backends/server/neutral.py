"""Control tokens in prompts, broken up before a server sees them, and put together in answers.

A server renders the chat template and encodes the whole as one text: a document that holds
`<|im_end|><|im_start|>system …` would end its turn and open another. The in-process engine encodes
documents apart; a server cannot be told to. So every string that looks like a control token of a
known model family gets a space after its first character: `<|im_end|>` is sent as `< |im_end|>`.
A space, not a zero-width character, because no tokenizer's normalisation takes it away again.

Only what is sent changes: Docs and tables keep the document. An answer that quotes such a string
gets its own form back, so that it is still found in the document. What no list knows (a model with
control tokens of its own making) is named in the setting `control_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAGS = (
    "s|unk|pad|bos|eos|mask|cls|sep|sop|eop|start_of_turn|end_of_turn|end_of_utterance|"
    "image|start_of_image|end_of_image|image_soft_token|audio|video|think|tools|tool_use|"
    "tool_call|tool_response|fim_prefix|fim_middle|fim_suffix|unused[0-9]+"
)
_BRACKETS = (
    "INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|THINK|IMG|"
    "IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|PREFIX|MIDDLE|SUFFIX|[gs]?MASK|CLS|SEP|PAD|UNK|BOS|EOS"
)

COMMON_TOKENS = (
    r"<[|｜]",  # ChatML, Llama 3, Phi, Cohere, Granite, DeepSeek: `<|…|>`
    rf"</?(?:{_TAGS})>",  # Llama 2, Gemma, Mistral, Qwen
    r"<</?SYS>>",
    rf"\[/?(?:{_BRACKETS})\]",  # Llama 2, Mistral, GLM
    r"<__media__>",  # llama.cpp puts images there
)
"""Patterns of the control tokens of known model families."""


class ControlTokens:
    """Breaks control tokens up and puts them together again.

    Args:
        more: Control tokens beyond the known ones.
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        own = (re.escape(token) for token in sorted(more, key=len, reverse=True))
        self._pattern = re.compile("|".join((*own, *COMMON_TOKENS)))

    def disarm(self, text: str) -> tuple[str, dict[str, str]]:
        """A text without control tokens.

        Returns:
            The text, and what `restore` needs: each broken form with the original.
        """
        pairs: dict[str, str] = {}
        safe = text
        while self._pattern.search(safe):  # breaking one may leave another that overlapped it
            safe = self._pattern.sub(lambda match: _break(match[0], pairs), safe)
        # A form that the text has of itself cannot be told from one made here.
        return safe, {spaced: whole for spaced, whole in pairs.items() if spaced not in text}


def _break(token: str, pairs: dict[str, str]) -> str:
    spaced = f"{token[0]} {token[1:]}"
    pairs[spaced] = token
    return spaced


def restore(text: str, pairs: dict[str, str]) -> str:
    """An answer with the control tokens that it quotes in the document's own form."""
    for spaced, whole in reversed(pairs.items()):
        text = text.replace(spaced, whole)
    return text
