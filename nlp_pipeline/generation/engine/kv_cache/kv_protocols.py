"""What the engine needs of memory for keys and values, whatever it is made of.

Two kinds stand behind it: slots of slabs on a CPU (`slot_cache`), whose neighbours are attended to
in one matrix product, and pages on CUDA (`paged_cache`), which one kernel reads wherever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import Tensor

from nlp_pipeline.generation.sequence import Sequence

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
    from nlp_pipeline.generation.engine.sequence_state import SequenceState


class PrefixMatch(NamedTuple):
    """What the cache holds of a prompt.

    Attributes:
        shared: Tokens whose keys and values can be shared now.
        promised: How many it would be if running sequences were waited for.
        source: Where they are, as the cache itself needs to know.
    """

    shared: int = 0
    promised: int = 0
    source: Any = None


class KVSlot(Protocol):
    """Where the keys and values of one sequence are.

    Attributes:
        computed: How many of its tokens have theirs there, counted when a step is launched.
    """

    computed: int

    def fork(self, parent: Any) -> None:
        """Becomes what another slot of the same sequence is: a beam goes on from another one."""
        ...

    def zero(self) -> None:
        """Forgets everything, for instance because the sequence was cancelled."""
        ...

    def mark_suspect(self) -> None:
        """Nobody else may begin with what is here: it may have made its sequence fail."""
        ...


class StepBatch(Protocol):
    """The tokens of one forward pass, one after the other; see `hf_attention.PackedAttention`.

    Attributes:
        chunks: What is computed, in the order in which it was packed.
        ids: Token ids, shape (1, T).
        positions: Shape (1, T).
        ends: Where each chunk's last token is in the batch.
        unread: Places whose token only the device knows; `ids` has 0 there.
    """

    chunks: list[ScheduledTokens]
    ids: Tensor
    positions: Tensor
    ends: list[int]
    unread: dict[int, SequenceState]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `hf_attention.PackedAttention.attend`."""
        ...


class KVCache(Protocol):
    """Gives sequences their slots, and finds what several of them share."""

    def match(self, sequence: Sequence) -> PrefixMatch:
        """What there is of a prompt, whose last token is always computed.

        Where `echo` asks for scores of the prompt, all of it is.
        """
        ...

    def allocate(
        self,
        sequence: Sequence,
        match: PrefixMatch,
        beams: int,
        running: list[SequenceState],
        waiting: list[Sequence],
    ) -> list[Any] | None:
        """The sequence's slot and one for each further beam; None where not all can be had now.

        Args:
            sequence: What starts.
            match: What there is of it.
            beams: How many it is searched with, or 0.
            running: What runs.
            waiting: What else is to start.
        """
        ...

    def release(self, slot: Any, tokens: list[int]) -> None:
        """Leaves a slot; what was computed of these tokens may be shared until it is needed."""
        ...

    def pack(self, chunks: list[ScheduledTokens]) -> Any:
        """The batch of one step, a `StepBatch`."""
        ...

    def close(self) -> None:
        """Gives the memory back."""
        ...
