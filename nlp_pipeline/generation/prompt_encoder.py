"""Prompts to token ids and token ids back to text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from functools import cached_property
from typing import Any

from nlp_pipeline.errors.generation import (
    ChatNotRendered,
    InvalidToken,
    NoChatTemplate,
    TemplateUnbounded,
)
from nlp_pipeline.generation.chat import Chat, Prompt
from nlp_pipeline.generation.reasoning import closing_mark, opened_block
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.generation.template_limits import check_template, rendered_within_limits

_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


class PromptEncoder:
    """Encodes prompts so that no text in them can become a control token.

    Chats are rendered by the model's own chat template (Hugging Face runs it in a sandbox).
    A document that holds, say, `<|im_end|>` would end its turn there if the rendered text were
    encoded as it stands; so special tokens are honoured only where the template wrote them.

    Args:
        tokenizer: A fast tokenizer of transformers.
        model: The model's name, for messages.
        template_kwargs: Variables for the chat template, such as `enable_thinking`.
    """

    def __init__(
        self, tokenizer: Any, model: str, template_kwargs: Mapping[str, Any] = TemplateKwargs()
    ) -> None:
        self.tokenizer = tokenizer
        self._model = model
        self._template_kwargs = template_kwargs
        self._checked: Any = None
        # A token of one character cannot be broken by a mark inside it, and none is known.
        specials = [token for token in _special_tokens(tokenizer) if len(token) > 1]
        specials.sort(key=len, reverse=True)
        self._specials = re.compile("|".join(map(re.escape, specials))) if specials else None

    def encode(self, prompt: Prompt, *, answers_at_once: bool = False) -> list[int]:
        """Token ids of a prompt.

        A text gets what the tokenizer adds by itself (a begin-of-sequence token, if any), a
        chat what its template writes, ids stay as they are. A block of reasoning that the
        template opens is closed before an answer's beginning.

        Args:
            prompt: What to encode.
            answers_at_once: Close such a block in any case, for an answer that a constraint
                rules.

        Raises:
            NoChatTemplate: A chat, and the tokenizer has no template.
            ChatNotRendered: The template refuses the chat.
            InvalidToken: Something among the ids is no token of this tokenizer.
        """
        if isinstance(prompt, Chat):
            return self._encode_chat(prompt, answers_at_once)
        if isinstance(prompt, str):
            return list(self.tokenizer(prompt, split_special_tokens=True).input_ids)
        size = self._vocabulary
        for token in prompt:
            if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < size:
                raise InvalidToken(token, size)
        return list(prompt)

    def renders(self, prompt: Prompt) -> bool:
        """Whether a prompt can be encoded: a chat needs a chat template."""
        return bool(self.tokenizer.chat_template) or not isinstance(prompt, Chat)

    def _encode_chat(self, chat: Chat, answers_at_once: bool) -> list[int]:
        if not self.tokenizer.chat_template:
            raise NoChatTemplate(self._model)
        mark = _unused_character(chat)
        messages = [
            {"role": message.role, "content": self._disarm(message.content, mark)}
            for message in chat.messages
        ]
        self._check_template()
        length = sum(len(message["content"]) for message in messages)
        try:
            rendered = rendered_within_limits(lambda: self._rendered(messages), length)
        except TemplateUnbounded:
            raise
        except Exception as error:  # the template is code of whoever made the model
            raise ChatNotRendered(self._model, str(error).rstrip(".")) from error
        if (chat.answer_prefix or answers_at_once) and (block := opened_block(rendered)):
            rendered = rendered.rstrip("\n") + f"\n\n{closing_mark(block)}\n\n"
        return self._encode_rendered(rendered + self._disarm(chat.answer_prefix, mark), mark)

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self._template_kwargs
        )
        return str(text)

    def _check_template(self) -> None:
        """Looks at a template once, before transformers compiles it."""
        template = self.tokenizer.chat_template
        if template == self._checked:
            return
        for source in template.values() if isinstance(template, dict) else (template,):
            check_template(source)
        self._checked = template

    def _disarm(self, content: str, mark: str) -> str:
        """Breaks every special token in a text by a mark after its first character."""
        if self._specials is None:
            return content
        previous = None
        while previous != content:  # disarming one may uncover another that overlaps it
            previous = content
            content = self._specials.sub(lambda m: m[0][0] + mark + m[0][1:], content)
        return content

    def _encode_rendered(self, rendered: str, mark: str) -> list[int]:
        """Token ids of a rendered chat: special tokens where the template wrote them, only there.

        The whole is encoded at once, as the model saw it in training; where that finds a special
        token in a content, what stands between the template's own is encoded piece by piece.
        """
        matches = list(self._specials.finditer(rendered)) if self._specials else []
        controls = self.tokenizer.convert_tokens_to_ids([match[0] for match in matches])
        ids = self.encode_text(rendered.replace(mark, ""), split=False)
        if [token for token in ids if token in self.special_ids] == controls:
            return ids
        ids, start = [], 0
        for match, control in zip(matches, controls, strict=True):
            piece = rendered[start : match.start()].replace(mark, "")
            ids += [*self.encode_text(piece, split=True), control]
            start = match.end()
        return ids + self.encode_text(rendered[start:].replace(mark, ""), split=True)

    def encode_text(self, text: str, *, split: bool = True) -> list[int]:
        """Token ids of a piece; with `split` no special token can come of the text."""
        if not text:
            return []
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=split)
        return list(encoded.input_ids)

    def decode(self, token_ids: SequenceOf[int], end: int | None = None) -> str:
        """Text of token ids, special tokens left out, every byte as it is.

        `tokenizer.decode` may tidy spaces (" , " becomes ", "), after which an answer is no
        longer a piece of its document; joining the tokens' bytes never does.

        Args:
            token_ids: What to decode.
            end: Bytes of all tokens, special ones included, after which the text is cut.
        """
        pieces: list[bytes] = []
        for token in token_ids:
            piece = self.token_bytes(token)[:end]
            end = None if end is None else end - len(piece)
            if token not in self.special_ids:
                pieces.append(piece)
        text = b"".join(pieces).decode("utf-8", errors="replace")
        if not self._byte_level and text.startswith(" "):
            return text[1:]  # SentencePiece writes a space before the first word
        return text

    def written(self, token_ids: SequenceOf[int]) -> str:
        """Text of token ids with special tokens; `surrogateescape` stands for broken characters."""
        joined = b"".join(map(self.token_bytes, token_ids))
        return joined.decode("utf-8", errors="surrogateescape")

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes that a token stands for; empty for an id outside the vocabulary."""
        token = self.tokenizer.convert_ids_to_tokens(token_id)
        if token is None:
            return b""
        if token_id in self._added_ids:
            return bytes(token, "utf-8")
        if self._byte_level and set(token) <= _BYTES:
            return bytes(map(_BYTE_OF.__getitem__, token))
        if match := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(match[1], 16)])
        return bytes(token.replace("▁", " "), "utf-8")

    @cached_property
    def _byte_level(self) -> bool:
        backend = self.tokenizer.backend_tokenizer
        return "ByteLevel" in f"{backend.pre_tokenizer} {backend.decoder}"

    @cached_property
    def _vocabulary(self) -> int:
        return len(self.tokenizer)

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        """Tokens that are written as they are, not in the letters of the byte table."""
        return self.special_ids | frozenset(self.tokenizer.added_tokens_decoder)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The token ids of the tokenizer's control tokens."""
        ids = self.tokenizer.convert_tokens_to_ids(list(_special_tokens(self.tokenizer)))
        return frozenset(ids)


def _special_tokens(tokenizer: Any) -> list[str]:
    """Every token that the tokenizer matches before anything else and treats as a control."""
    added = tokenizer.added_tokens_decoder.values()
    return list(dict.fromkeys([str(t) for t in added if t.special] + tokenizer.all_special_tokens))


def _unused_character(chat: Chat) -> str:
    """A Unicode noncharacter that no content holds, to mark disarmed special tokens with."""
    text = "".join(message.content for message in chat.messages) + chat.answer_prefix
    for code in (*range(0xFDD0, 0xFDF0), *(plane * 0x10000 + 0xFFFE for plane in range(1, 17))):
        if chr(code) not in text:
            return chr(code)
    # All 48 used: such a text is not prose. A private-use character does as well.
    return next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)


def _byte_of_character() -> dict[str, int]:
    """The inverse of GPT-2's table, which writes each byte as a printable character."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    rest = [byte for byte in range(256) if byte not in set(printable)]
    table.update({chr(0x100 + offset): byte for offset, byte in enumerate(rest)})
    return table


_BYTE_OF = _byte_of_character()
_BYTES = set(_BYTE_OF)
