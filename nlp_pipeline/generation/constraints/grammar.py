"""What a grammar allows, token by token, through llguidance (Earley parser over token bytes).

llguidance was chosen by trial: wheels for every platform, no dependencies, one matcher a row. It
never raises on a grammar error or a limit, so every call is followed by a look at `is_error()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.generation import ConstraintImpossible
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.constraints.piece_pattern import schema_with_pieces
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Grammar:
    """Lets only what a grammar describes be generated, and the end only where it is complete.

    Attributes:
        source: In llguidance's dialect of Lark; it has JSON schemas as `%json {…}`.
        example: A text that satisfies it; see `Constraint.example`.
        schema: See `Constraint.schema`.
    """

    source: str
    example: str = ""
    schema: Mapping[str, Any] | None = None
    # What a completion is asked for is in `source` already: these are no part of its record.
    _substrings: frozenset[str] = field(default=frozenset(), repr=False)
    _pieces: tuple[str, ...] = field(default=(), repr=False)

    @property
    def needs_pieces(self) -> bool:
        """Whether some texts of the schema have to stand in a document, which it does not say."""
        return bool(self._substrings)

    @property
    def n_characters(self) -> int:
        """Code points of that document."""
        return sum(map(len, self._pieces))

    def schema_with_pieces(self) -> Mapping[str, Any] | None:
        """The schema that says it, by patterns; None where the document has no piece."""
        return schema_with_pieces(self.schema or {}, self._substrings, self._pieces)

    def bind(self, vocabulary: Vocabulary) -> GrammarWalk:
        """See `Constraint.bind`.

        Raises:
            PackageMissing: llguidance is not installed.
            ConstraintImpossible: The grammar is none, or no text of these tokens satisfies it.
        """
        llguidance = _llguidance()
        matcher = llguidance.LLMatcher(_tokenizer(vocabulary), self.source, log_level=0)
        walk = GrammarWalk(matcher)
        walk.allowed(())  # a grammar that nothing satisfies is known at its first token
        return walk


class GrammarWalk:
    """One matcher beside one sequence: as far as the sequence is, or taken back there."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher
        self._consumed: list[int] = []

    def allowed(self, output_ids: Sequence[int]) -> Tensor:
        """A mask over the tokens, True where allowed. Shape: (vocabulary,).

        Raises:
            ConstraintImpossible: The grammar allows no token, or needs more than its limits.
        """
        import torch

        n_common = 0
        for consumed, theirs in zip(self._consumed, output_ids, strict=False):
            if consumed != theirs:
                break
            n_common += 1
        if n_common < len(self._consumed):  # a sequence that began again
            self._matcher.rollback(len(self._consumed) - n_common)
        self._consumed[n_common:] = output_ids[n_common:]
        if self._consumed[n_common:]:
            self._matcher.consume_tokens(self._consumed[n_common:])
        self._check()
        mask = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.bool)
        self._check()
        return mask

    def _check(self) -> None:
        if self._matcher.is_error():
            raise ConstraintImpossible(_first_line(self._matcher.get_error()))


def check_grammar(source: str) -> None:
    """Refuses a grammar that is none, before any model is loaded.

    Raises:
        PackageMissing: llguidance is not installed.
        ConstraintImpossible: It is no grammar, or one that no text satisfies.
    """
    message = _llguidance().LLMatcher.validate_grammar(source)
    if message and not message.startswith("WARNING"):
        raise ConstraintImpossible(_first_line(message))


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0].rstrip(".") if message.strip() else "no reason given"


def _llguidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise PackageMissing("An answer that obeys a schema", "llguidance", "structured") from error
    return llguidance


def _tokenizer(vocabulary: Vocabulary) -> Any:
    """The vocabulary as llguidance knows it; made once per model.

    It is given the bytes of every token as our encoder has them: what it would read out of a
    tokenizer's file itself is wrong for GGUF files (their decoder looks like SentencePiece's).
    """
    if "llguidance" not in vocabulary.compiled:
        from llguidance import LLTokenizer
        from llguidance._tokenizer import TokenizerWrapper

        ends = sorted(vocabulary.eos_token_ids)
        if not ends:
            raise ConstraintImpossible("the model has no token that ends an answer")
        wrapper = TokenizerWrapper(_Tokens(vocabulary, ends[0]))
        vocabulary.compiled["llguidance"] = LLTokenizer(wrapper, eos_token=ends)
    return vocabulary.compiled["llguidance"]


class _Tokens:
    """The attributes of a tokenizer that llguidance's `TokenizerWrapper` reads."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary, end: int) -> None:
        self.eos_token_id = end
        pieces = vocabulary.token_bytes
        self.special_token_ids = [i for i, piece in enumerate(pieces) if not piece]
        # A control token has no bytes; llguidance wants a name that no text can be.
        self.tokens = [piece or f"<|{i}|>".encode() for i, piece in enumerate(pieces)]
        self._vocabulary = vocabulary

    def __call__(self, text: str) -> list[int]:
        return self._vocabulary.encode(text)  # raises for bytes: that is how it is found out
