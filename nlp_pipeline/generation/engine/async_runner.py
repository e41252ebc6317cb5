"""Asynchronous scheduling: the next step is launched before the last one's tokens are read."""

from __future__ import annotations

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.model_runner import ModelRunner
from nlp_pipeline.generation.engine.pending_step import PendingStep, no_step
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens


class AsyncRunner:
    """Runs steps through a `ModelRunner`, one ahead of what the host knows.

    The tokens of a step stay on the device and feed the next one; the host reads and books them
    while that one runs, so that the device never waits for it. A row that turns out to have ended
    was computed once for nothing, which is dropped. Where a choice needs the tokens before it on
    the host (constraints, repetition penalty, beams), the step is read at once.

    The completions are those of the `ModelRunner` alone.
    """

    def __init__(self, forward: ModelRunner) -> None:
        self._forward = forward
        self._flight = no_step()

    def run(self, chunks: list[ScheduledTokens]) -> None:
        """Launches the chunks, and books the step before."""
        flight = self._launched(chunks)
        self.settle()
        flight.drop_ended()
        self._flight = flight
        if flight.looks_back:
            self.settle()

    def settle(self) -> None:
        """Reads and books what is on its way."""
        flight, self._flight = self._flight, no_step()
        flight.read()
        flight.append_tokens()

    def _launched(self, chunks: list[ScheduledTokens]) -> PendingStep:
        """The chunks on their way; those that fail together are run one step at a time."""
        try:
            flight = self._forward.launch(chunks, self._flight)
        except RankLost:  # nothing can be computed any more
            raise
        except Exception:  # `ModelRunner.run` finds the culprit
            flight = None
        if flight is not None:
            flight.mark_launched()
            return flight
        self.settle()
        self._forward.run([chunk for chunk in chunks if not chunk.row.finished])
        return no_step()
