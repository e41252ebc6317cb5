"""Asynchronous scheduling: the next step is launched before the last one's tokens are read."""

from __future__ import annotations

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.model_runner import ModelRunner
from nlp_pipeline.generation.engine.pending_step import PendingStep, no_step
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens


class AsyncRunner:
    """Runs steps through a `ModelRunner`, one ahead of what the host knows.

    The tokens of a step stay on the device and feed the next one; the host reads and appends
    them while that one runs, so that the device never waits for it. A sequence that turns out to
    have ended was computed once for nothing, which is dropped. Where a choice needs the tokens
    before it on the host (constraints, repetition penalty, beams), the step is read at once.

    The completions are those of the `ModelRunner` alone.
    """

    def __init__(self, model_runner: ModelRunner) -> None:
        self._model_runner = model_runner
        self._pending = no_step()

    def run(self, chunks: list[ScheduledTokens]) -> None:
        """Launches the chunks, and books the step before."""
        step = self._launched(chunks)
        self.settle()
        step.drop_ended()
        self._pending = step
        if step.looks_back:
            self.settle()

    def settle(self) -> None:
        """Reads and books what is on its way."""
        step, self._pending = self._pending, no_step()
        step.read()
        step.append_tokens()

    def _launched(self, chunks: list[ScheduledTokens]) -> PendingStep:
        """The chunks on their way; those that fail together are run one step at a time."""
        try:
            step = self._model_runner.launch(chunks, self._pending)
        except RankLost:  # nothing can be computed any more
            raise
        except Exception:  # `ModelRunner.run` finds the culprit
            step = None
        if step is not None:
            step.mark_launched()
            return step
        self.settle()
        self._model_runner.run([chunk for chunk in chunks if not chunk.state.finished])
        return no_step()
