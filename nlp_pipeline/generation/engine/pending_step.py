"""A step on its way: queued on the device, its results not read by the host yet."""

from __future__ import annotations

from torch import Tensor

from nlp_pipeline.generation.engine.sampling.choices import Choice, Choices
from nlp_pipeline.generation.engine.sampling.sampler import looks_back
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import HostCopy, upload


class PendingStep:
    """What was launched, and what comes of it. Its rows know of it from `mark_launched` on.

    Args:
        chunks: What is computed.
        rows: Those that get their next token, one per choice.
        choices: The tokens; None where no row gets one.
        scores: Of prompt tokens, where `echo` asks for them, with the row they are of.
    """

    def __init__(
        self,
        chunks: list[ScheduledTokens],
        rows: list[SequenceState],
        choices: Choices | None,
        scores: list[tuple[SequenceState, Tensor]],
    ) -> None:
        self._chunks = chunks
        self._rows = rows
        self._choices = choices
        self._scores = [(row, HostCopy(tensor)) for row, tensor in scores]
        self._places = {row: place for place, row in enumerate(rows)}
        self._dropped: set[SequenceState] = set()
        self._read: list[Choice] = []

    @property
    def looks_back(self) -> bool:
        """Whether the next choice of one of its rows needs this one's token on the host."""
        return any(looks_back(row.sampler) for row in self._rows)

    def fill_in(self, ids: Tensor, unread: dict[int, SequenceState]) -> None:
        """Puts tokens chosen here where the next step needs them, without reading them.

        Args:
            ids: Shape (T,). Written to.
            unread: Places in it, and the rows whose last token belongs there.
        """
        if unread and self._choices is not None:
            places = [list(unread), [self._places[row] for row in unread.values()]]
            to, source = upload(places, ids.device)
            ids.index_copy_(0, to, self._choices.tokens[source].to(ids.dtype))

    def place_of(self, row: SequenceState) -> int:
        """Which of the chosen tokens is a row's."""
        return self._places[row]

    def mark_launched(self) -> None:
        """Tells the rows: their tokens count as computed, and the next ones as chosen."""
        for chunk in self._chunks:
            chunk.row.slot.computed += chunk.length
        for row in self._rows:
            row.sequence.unread += 1

    def drop_ended(self) -> None:
        """Leaves out rows that have ended with the step before: they were computed for nothing."""
        for chunk in self._chunks:
            row = chunk.row
            if row.finished:
                row.slot.computed = max(0, row.slot.computed - chunk.length)
                row.sequence.unread = 0
                self._dropped.add(row)

    def read(self) -> None:
        """Waits until the results have come over. Raises what the device has to complain of."""
        self._read = self._choices.read() if self._choices is not None else []
        for _, scores in self._scores:
            scores.read()

    def append_tokens(self) -> None:
        """Writes what was read to the rows and their sequences."""
        for row, scores in self._scores:
            if row not in self._dropped:
                row.sequence.prompt_logprobs += scores.read().tolist()
        for row, choice in zip(self._rows, self._read, strict=True):
            if row not in self._dropped:
                row.sequence.unread -= 1
                row.append_token(choice.token, choice.logprob, choice.top)


def no_step() -> PendingStep:
    """What is on its way before the first step."""
    return PendingStep([], [], None, [])
