"""The prompts of `generation.py`: chats about a corpus; random ids where no tokenizer is."""

from __future__ import annotations

import json
import random
from pathlib import Path

from ways import Prompt

from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.prompt_encoder import PromptEncoder

QUESTIONS = (
    "What is this text about?",
    "Which people are named, and what do they do?",
    "When and where does it take place?",
    "Which numbers are given, and what do they count?",
    "Summarize the text in one sentence.",
)


class ChatPrompts:
    """Questions about the texts of a corpus, as chats.

    Args:
        encoder: Of the model.
        corpus: Records with a `text`, one JSON object a line.
    """

    def __init__(self, encoder: PromptEncoder, corpus: Path) -> None:
        self._encoder = encoder
        lines = corpus.read_text(encoding="utf-8").splitlines()
        self._texts = [json.loads(line)["text"] for line in lines if line.strip()]

    def many(self, count: int) -> list[Prompt]:
        """Different documents and questions; 100 to 300 tokens with the chat's own."""
        size = len(self._texts)
        return [
            self._about(i, i * 7 + 1, QUESTIONS[(i + i // size) % 5], 60 + (i * 61) % 191)
            for i in range(count)
        ]

    def shared(self, documents: int, tokens: int) -> list[Prompt]:
        """Five questions about each of some documents of so many tokens."""
        return [self._about(i, i + 1, q, tokens) for i in range(documents) for q in QUESTIONS]

    def _about(self, index: int, more: int, question: str, tokens: int) -> Prompt:
        """The first `tokens` tokens of two texts, then a question."""
        size = len(self._texts)
        text = f"{self._texts[index % size]}\n\n{self._texts[more % size]}"
        document = self._encoder.decode(self._encoder.encode(text)[:tokens])
        system = Message("system", "You answer questions about a text. Use only the text.")
        user = Message("user", f"{document}\n\n{question}")
        return Prompt(list(self._encoder.encode(Chat((system, user)))), str(index))


class RandomPrompts:
    """Random ids of the same lengths, for weights that are random too.

    Args:
        vocabulary: Ids are below this.
    """

    def __init__(self, vocabulary: int) -> None:
        self._numbers = random.Random(7)
        self._vocabulary = vocabulary

    def many(self, count: int) -> list[Prompt]:
        """Of 100 to 300 tokens."""
        return [Prompt(self._ids(100 + (i * 61) % 201), str(i)) for i in range(count)]

    def shared(self, documents: int, tokens: int) -> list[Prompt]:
        """Five that begin alike, for each of some documents of so many tokens."""
        beginnings = [self._ids(tokens) for _ in range(documents)]
        return [
            Prompt(b + self._ids(20), str(i)) for i, b in enumerate(beginnings) for _ in "12345"
        ]

    def _ids(self, count: int) -> list[int]:
        return [self._numbers.randrange(3, self._vocabulary) for _ in range(count)]
