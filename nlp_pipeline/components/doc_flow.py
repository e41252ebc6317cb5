"""The way of Docs through a component's generator: asked, answered, read and written to."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from spacy.tokens import Doc

from nlp_pipeline.components.completion_replay import CompletionReplay
from nlp_pipeline.components.extensions import record_id
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.generation import ModelError
from nlp_pipeline.errors.run import ComponentFailed, DocumentFailed
from nlp_pipeline.generation.interface import Completion, Session

if TYPE_CHECKING:
    from nlp_pipeline.components.base import Ask, LlamaComponent

logger = logging.getLogger(__name__)

_READ_TOGETHER = 64
"""Docs whose answers are read together at most."""

MAX_PENDING = 512
"""So many Docs at most are taken from a stream while the first of them is still being answered."""

_END: Any = object()
"""What follows the last Doc of a stream."""


@dataclass(eq=False)
class _Pending:
    """A Doc on its way: yielded once every completion is there."""

    doc: Doc
    position: int
    replay: CompletionReplay
    group: str = ""
    sent: int = 0
    missing: int = 0
    completions: dict[str, Completion] = field(default_factory=dict)
    error: NlpPipelineError | None = None
    reported: bool = False


class DocFlow:
    """Takes one stream of Docs through a component's generator.

    Whatever is raised while a Doc is asked about, read or written to becomes a failure of that
    Doc alone.

    Args:
        component: Says what to ask of a Doc and what the completions mean.
        in_order: Whether the Docs come out in their order, or each as soon as it is annotated.
    """

    def __init__(self, component: LlamaComponent, *, in_order: bool) -> None:
        self._component = component
        self._in_order = in_order
        self._session: Session
        self._owners: dict[str, tuple[_Pending, str]] = {}

    def docs(self, stream: Iterable[Doc | None]) -> Iterator[Doc | None]:
        """Yields the Docs of a stream annotated.

        Args:
            stream: Docs; None where there is none at the moment.

        Yields:
            The Docs; where these need not come in their order None as well, when the generator
            has worked and no Doc is complete.
        """
        session = self._session = self._component.generator.session()
        pending: deque[_Pending] = deque()
        source, exhausted, n_taken = iter(stream), False, 0
        try:
            while not exhausted or pending:
                while not exhausted and session.room > 0:
                    if pending and n_taken - pending[0].position >= MAX_PENDING:
                        break
                    doc = next(source, _END)
                    exhausted = doc is _END
                    if exhausted or doc is None:
                        break
                    pending.append(self._submit(doc, n_taken))
                    n_taken += 1
                    if pending[0 if self._in_order else -1].missing == 0:
                        break
                ready = _take_ready(pending, in_order=self._in_order)
                if pending and not ready:
                    for completion in session.step():
                        self._collect(completion)
                    ready = _take_ready(pending, in_order=self._in_order)
                yield from self._finish_all(ready)
                if not ready and not self._in_order:
                    yield None
        finally:
            session.close()

    def _submit(self, doc: Doc, position: int) -> _Pending:
        """Submits a Doc's requests to the session."""
        item = _Pending(doc, position, CompletionReplay(doc, self._component.generator_identity))
        failure = _earlier_failure(doc)
        if failure is not None:
            item.error, item.reported = failure, True
            return item
        item.group = self._component.next_group()
        try:
            self._send(item, self._component.asks(doc))
            self._go_on(item)
        except ModelError:  # of what generates: it would be the same with every Doc
            raise
        except Exception as error:  # a template, a hook or a library may raise anything
            item.error = self._failure(doc, error)
        return item

    def _send(self, item: _Pending, asks: list[Ask]) -> None:
        """Sends requests off; one that cannot be sent is complete at once."""
        for ask in asks:
            if ask.error is not None:
                item.completions[ask.key] = Completion.failed("", ask.error)
                continue
            request = self._component.request(
                f"{item.group}-{item.sent}", ask, item.group + ask.piece
            )
            item.sent += 1
            completion = item.replay.find(request)
            if completion is not None:
                self._complete(item, ask.key, completion)
                continue
            self._session.submit(replace(request, position=item.position))
            # Only now: what could not be sent is not waited for.
            self._owners[request.id] = (item, ask.key)
            item.missing += 1

    def _go_on(self, item: _Pending) -> None:
        """Asks what follows from the answers, as long as something does and is new."""
        while item.missing == 0:
            asks = self._component.follow_ups(item.doc, item.completions)
            asks = [ask for ask in asks if ask.key not in item.completions]
            if not asks:
                return
            self._send(item, asks)

    def _collect(self, completion: Completion) -> None:
        """Hands each finished completion to the Doc that asked for it."""
        item, key = self._owners.pop(completion.request_id)
        item.missing -= 1
        try:
            self._complete(item, key, completion)
            if item.error is None:
                self._go_on(item)
        except Exception as error:
            item.error = self._failure(item.doc, error)

    def _complete(self, item: _Pending, key: str, completion: Completion) -> None:
        """Keeps what a component's own look at it makes of a completion."""
        wrong = None if completion.error else self._component.review(completion)
        if wrong is not None:
            completion = replace(completion, error=wrong)
        item.replay.note(completion)
        item.completions[key] = completion

    def _finish_all(self, items: list[_Pending]) -> Iterator[Doc]:
        """Finishes Docs whose answers are all there."""
        for begin in range(0, len(items), _READ_TOGETHER):
            batch = items[begin : begin + _READ_TOGETHER]
            try:
                self._component.read_ahead(
                    [(i.doc, i.completions) for i in batch if i.error is None]
                )
            except Exception as error:  # whose fault it is shows when each is read by itself
                logger.debug(
                    "[%s] cannot read answers together", self._component.name, exc_info=error
                )
            try:
                for item in batch[:-1]:
                    yield self._finish(item)
                last = self._finish(batch[-1])
            finally:
                # Before the last Doc is handed on: whoever takes it may end its memory zone.
                self._component.read_ahead([])
            yield last

    def _finish(self, item: _Pending) -> Doc:
        """Writes a Doc's results, then says what failed."""
        failures: list[tuple[str | None, NlpPipelineError]] = []
        if item.error is None:
            try:
                self._component.set_annotations(
                    item.doc, self._component.predict(item.doc, item.completions)
                )
                completed = item.completions.items()
                failures = [
                    (key, completion.error)
                    for key, completion in completed
                    if completion.error is not None
                ]
            except Exception as error:
                item.error = self._failure(item.doc, error)
        if item.error is not None:
            failures = [] if item.reported else [(None, item.error)]
            failures += self._write_failure(item.doc, item.error)
        # A Doc that comes through a second time keeps nothing of the first.
        item.doc._.errors = self._component.of_others(item.doc._.errors)
        for key, failure in failures:
            self._component.report_failure(item.doc, key, failure)
        return item.doc

    def _write_failure(
        self, doc: Doc, error: NlpPipelineError
    ) -> list[tuple[str | None, NlpPipelineError]]:
        """Writes that a Doc failed; returns what keeps even that from being written."""
        try:
            self._component.set_annotations(doc, self._component.failed(doc, error))
        except Exception as further:
            return [(None, self._failure(doc, further))]
        return []

    def _failure(self, doc: Doc, error: Exception) -> NlpPipelineError:
        """What was raised about a Doc, as an error that knows its message.

        The traceback of anything that is none of the package's own goes to the debug log.
        """
        if isinstance(error, NlpPipelineError):
            return error
        failed = ComponentFailed(self._component.name, record_id(doc), error)
        logger.debug("%s", failed, exc_info=error)
        return failed


def _take_ready(pending: deque[_Pending], *, in_order: bool) -> list[_Pending]:
    """Takes out the complete ones: all, or those before the first that is not."""
    if in_order:
        ready = list(takewhile(_is_complete, pending))
    else:
        ready = list(filter(_is_complete, pending))
    for item in ready:
        pending.remove(item)
    return ready


def _is_complete(item: _Pending) -> bool:
    return item.missing == 0


def _earlier_failure(doc: Doc) -> NlpPipelineError | None:
    """What went wrong with a Doc before a language model could see its text, if anything."""
    errors = doc._.errors
    for error in errors if isinstance(errors, list | tuple) else ():
        if isinstance(error, Mapping) and error.get("stage") in ("read", "annotate"):
            return DocumentFailed(str(error.get("message")))
    return None
