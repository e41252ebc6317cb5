"""Documents that do not fit the model's context: what is sent whole, and what in chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

from spacy.tokens import Doc

from nlp_pipeline.chunking import Chunk, Passage, split
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.errors.generation import QuestionTooLong
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.interface import Completion, Generator
from nlp_pipeline.grounding.align import Grounding

Render = Callable[[str], Chat]

LEAST_ROOM = 16
"""Model tokens of text that a prompt must have room for, or it cannot be sent at all."""

SLACK = 8
"""Allowed for where the text meets the prompt: there the tokens may be others."""

_TURN, _TEMPLATE = 16, 64
"""Tokens that a chat template writes around a turn, and of itself, at most."""

NOTHING_ASKED = Completion("", "", token_ids=(), logprobs=(), finish_reason="stop", prompt_tokens=0)
"""What becomes of a document without a word: nothing is asked about it."""

_SEPARATOR = "\x1f"


@dataclass(frozen=True)
class ChunkSettings:
    """How a document is split.

    Attributes:
        tokens: The most model tokens of a chunk; None for as many as the context holds beside
            the prompt and the answer.
        overlap: Sentences that a chunk repeats of the one before.
        first: A question is asked of so many of the likeliest chunks, and then, while none of
            them answers it, of as many more.
    """

    tokens: int | None
    overlap: int
    first: int = 1

    @classmethod
    def checked(cls, component: str, tokens: Any, overlap: Any, first: Any = 1) -> ChunkSettings:
        """The settings of a component.

        Raises:
            InvalidSetting: One is of the wrong type or out of its range.
        """
        if tokens is not None:
            _least(component, "chunk_tokens", tokens, LEAST_ROOM)
        _least(component, "chunk_overlap", overlap, 0)
        _least(component, "chunks_first", first, 1)
        return cls(tokens, overlap, first)


def _least(component: str, name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidSetting(component, name, value, allowed=f"an integer of at least {least}")


@dataclass(frozen=True)
class Plan:
    """How a document is asked about.

    Attributes:
        chunks: Its chunks; none where it is sent whole.
        refused: Keys of the prompts that leave no room for any text, and why.
        room: Model tokens of text that fit into every other prompt; None for any number.
        budget: The most model tokens of a piece; None where the whole document may be one.
        rounds: Per key the passages that are asked about, in rounds; filled when first asked for.
    """

    chunks: tuple[Chunk, ...] = ()
    refused: Mapping[str, QuestionTooLong] = field(default_factory=dict)
    room: int | None = None
    budget: int | None = None
    rounds: dict[str, list[list[Passage]]] = field(default_factory=dict)


class LongDocuments:
    """Decides for each Doc whether it is sent whole, and remembers the chunks until it is done.

    Args:
        generator: Counts tokens and knows the context.
        max_new_tokens: Kept free for what is generated, up to half of the context.
        settings: How a document is split.
    """

    def __init__(self, generator: Generator, max_new_tokens: int, settings: ChunkSettings) -> None:
        self.settings = settings
        self._generator = generator
        self._max_new_tokens = max_new_tokens
        self._plans: WeakKeyDictionary[Doc, Plan] = WeakKeyDictionary()

    def plan(self, doc: Doc, prompts: Mapping[str, Render]) -> Plan:
        """Makes the plan of a Doc.

        A document whose prompts all fit is sent whole, as it stands.

        Args:
            doc: The document.
            prompts: Per key, what makes the prompt from a text.
        """
        plan = self._plans[doc] = self._make(doc, prompts)
        return plan

    def recall(self, doc: Doc) -> Plan:
        """The plan that was made of a Doc."""
        return self._plans.get(doc, Plan())

    def forget(self, doc: Doc) -> None:
        """Drops the plan of a Doc that is done."""
        self._plans.pop(doc, None)

    def __reduce__(self) -> tuple[Any, ...]:
        # A weak dictionary cannot be sent to another process, and need not.
        return LongDocuments, (self._generator, self._max_new_tokens, self.settings)

    def fits(self, room: int | None, text: str) -> bool:
        """Whether a text of the model's own making fits into a prompt."""
        return room is None or self._count(text) <= room

    def _make(self, doc: Doc, prompts: Mapping[str, Render]) -> Plan:
        limit = self._generator.info.max_seq_len
        room, refused = None, {}
        if limit is not None:
            free = limit - min(self._max_new_tokens, limit // 2)
            tight = {k: r for k, r in prompts.items() if not self._surely(r(doc.text), free)}
            tight = {k: r for k, r in tight.items() if self._count(r(doc.text)) > free}
            frames = {key: self._count(prompts[key]("")) for key in tight}
            rooms = {key: free - SLACK - frame for key, frame in frames.items()}
            refused = {
                key: QuestionTooLong(frames[key], limit - free, limit)
                for key in rooms
                if rooms[key] < LEAST_ROOM
            }
            room = min((rooms[key] for key in rooms if key not in refused), default=None)
        budget = min((size for size in (room, self.settings.tokens) if size), default=None)
        if budget is None or self._short(doc.text, budget, split_anyway=room is not None):
            return Plan((), refused)
        chunks = split(doc, self._count, budget, overlap=self.settings.overlap)
        rendered = [render for key, render in prompts.items() if key not in refused]
        context = room if room is not None or limit is None else self._context(rendered, limit)
        return Plan(tuple(chunks), refused, context, budget=budget)

    def _context(self, prompts: Sequence[Render], limit: int) -> int:
        """The room for text in the longest prompt, whatever `chunk_tokens` says."""
        longest = max((self._count(render("")) for render in prompts), default=0)
        return limit - min(self._max_new_tokens, limit // 2) - SLACK - longest

    def _short(self, text: str, budget: int, *, split_anyway: bool) -> bool:
        """Whether a text is within the budget; bytes first, which need no tokenizer."""
        if split_anyway:
            return False
        return len(text.encode("utf-8", "replace")) <= budget or self._count(text) <= budget

    @staticmethod
    def _surely(chat: Chat, free: int) -> bool:
        """Whether a prompt fits beyond doubt: no token stands for less than one byte."""
        texts = [message.content for message in chat.messages] + [chat.answer_prefix]
        size = sum(len(text.encode("utf-8", "replace")) for text in texts)
        return size + _TURN * len(texts) + _TEMPLATE <= free

    def _count(self, prompt: str | Chat) -> int:
        return self._generator.count_tokens(prompt)


def chunk_text(doc: Doc, chunk: Chunk) -> str:
    """The text of a chunk."""
    return doc.text[chunk.start_char : chunk.end_char]


def chunk_key(key: str, *numbers: int) -> str:
    """The key of a request about a piece: no question id holds the separator."""
    return _SEPARATOR.join((key, *map(str, numbers)))


def piece_key(key: str, name: str) -> str:
    """The key of a request about a passage, by its name; of one about the whole document `key`."""
    return _SEPARATOR.join((key, name)) if name else key


def without_chunk(key: str) -> str:
    """The key that `chunk_key` or `piece_key` was given."""
    return key.partition(_SEPARATOR)[0]


def chunk_rows(component: str, plan: Plan) -> list[dict[str, Any]]:
    """The chunks of a plan as `doc._.chunks` has them."""
    return [{"component": component, **chunk.as_dict()} for chunk in plan.chunks]


def token_sums(completions: Sequence[Completion]) -> dict[str, int | None]:
    """What all requests for one value cost together."""
    names = ("prompt_tokens", "reused_tokens", "output_tokens")
    sums = {name: sum(getattr(completion, name) for completion in completions) for name in names}
    return {**sums, "reasoning_tokens": sum(c.reasoning_tokens for c in completions) or None}


def checked_threshold(component: str, value: Any) -> float | None:
    """A log-probability, or None.

    Raises:
        InvalidSetting: It is none.
    """
    if value is None or (isinstance(value, int | float) and value <= 0):
        return value
    raise InvalidSetting(
        component, "no_answer_threshold", value, allowed="a number of at most 0, or null"
    )


def ground_within(
    doc: Doc, start: int, end: int, ground: Callable[[Doc], Grounding]
) -> Grounding | None:
    """Grounds in a part alone, where the answer was read, with offsets in the whole Doc.

    Args:
        doc: The document.
        start: First token of the part.
        end: One past its last token.
        ground: Aligns in a Doc.

    Returns:
        None where the part does not hold it.
    """
    grounding = ground(doc[start:end].as_doc())
    if grounding.alignment == "none":
        return None
    moved = {
        "start_char": doc[start].idx,
        "end_char": doc[start].idx,
        "start_token": start,
        "end_token": start,
    }
    places = {name: getattr(grounding, name) for name in moved}
    return replace(grounding, **{n: v + moved[n] for n, v in places.items() if v is not None})
