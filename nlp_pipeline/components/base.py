"""What all Llama components share: the stream through the generator, and what failures do."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import raise_error

from nlp_pipeline.components.completion_replay import CompletionReplay
from nlp_pipeline.components.extensions import new_error, record_id
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.run import ComponentFailed, DocumentFailed
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.completion_record import generator_identity
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
    Session,
)

logger = logging.getLogger(__name__)

_READ_TOGETHER = 64
"""Docs whose answers are read together at most."""

MAX_PENDING = 512
"""So many Docs at most are taken from a stream while the first of them is still being answered."""

_END: Any = object()
"""What follows the last Doc of a stream."""

_GENERATOR = 'a block such as {"@llama_generators": "nlp_pipeline.Llama.v1", "model": "…"}'

ErrorHandler = Callable[[str, Any, list[Doc], Exception], Any]


@dataclass(frozen=True)
class Ask:
    """One request a component makes for a Doc.

    Attributes:
        key: Names it within the Doc.
        chat: The prompt.
        constraint: What may be answered; None allows all.
        params: How to sample where it is not as the component's other asks.
        piece: Names the piece of the Doc that the prompt holds: asks about one piece share
            their prefix.
        error: Why it cannot be sent; it then completes as failed.
    """

    key: str
    chat: Chat
    constraint: Constraint | None = None
    params: SamplingParams | None = None
    piece: str = ""
    error: NlpPipelineError | None = None


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


class LlamaComponent(ABC):
    """A spaCy component that asks a generator about each Doc.

    Subclasses say what to ask (`asks`), what the completions mean (`predict`, which only reads)
    and where it goes (`set_annotations`, the only method that writes to the Doc).

    A request that fails marks its own result with the status `error` and adds a line to
    `doc._.errors`; the Doc is always yielded and no other Doc is touched, whatever is raised while
    it is asked about, read or written to. An error handler set with `nlp.set_error_handler` is
    called with that Doc alone.

    Args:
        name: The component's name in the pipeline.
        generator: Completes the prompts.
        params: How.

    Raises:
        InvalidSetting: `generator` is no generator.
    """

    def __init__(self, name: str, generator: Generator, params: SamplingParams) -> None:
        if not callable(getattr(generator, "session", None)):
            raise InvalidSetting(name, "generator", generator, allowed=_GENERATOR)
        self.name = name
        self.generator = generator
        self.params = params
        self._error_handler: ErrorHandler | None = None
        self._groups = 0
        self._identity: tuple[Generator | None, str] = (None, "")

    @abstractmethod
    def asks(self, doc: Doc) -> list[Ask]:
        """What to ask of a Doc, in the order of the results. May be empty."""

    def follow_ups(self, doc: Doc, completions: Mapping[str, Completion]) -> list[Ask]:
        """What to ask beside, now that all asked so far is answered; none ends the asking.

        Called once for every round, so that a component can look at some pieces of a document
        before it asks about others. Meanwhile other Docs go on. Keys must be new.

        Args:
            doc: The Doc.
            completions: By `Ask.key`, of all rounds so far.
        """
        return []

    def question_id(self, key: str) -> str:
        """What the table of errors calls an `Ask.key`."""
        return key

    @abstractmethod
    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> Any:
        """What the completions (by `Ask.key`) mean for a Doc. Writes nothing."""

    def review(self, completion: Completion) -> NlpPipelineError | None:
        """What is wrong with a completion that the generator was content with; None if nothing."""
        return None

    @abstractmethod
    def set_annotations(self, doc: Doc, result: Any) -> None:
        """Writes a result to its Doc."""

    def failed(self, doc: Doc, error: NlpPipelineError) -> Any:
        """The result of a Doc whose asks could not even be made."""
        completion = Completion.failed("", error)
        return self.predict(doc, _Always(completion))

    def __call__(self, doc: Doc) -> Doc:
        """Annotates one Doc."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], **_: Any) -> Iterator[Doc]:
        """Annotates a stream of Docs and yields them in its order.

        Docs are taken from the stream as the generator has room for their requests; there is
        no barrier between batches, so spaCy's `batch_size` has no meaning here.
        """
        for doc in self._flow(stream, in_order=True):
            if doc is not None:
                yield doc

    def as_completed(self, stream: Iterable[Doc | None]) -> Iterator[Doc | None]:
        """Annotates a stream of Docs and yields each as soon as it is annotated.

        A Doc that takes long holds back none of those behind it, up to `MAX_PENDING`.

        Args:
            stream: Docs; None where there is none at the moment.

        Yields:
            The Docs; None where the generator has worked and no Doc is complete, so that whoever
            takes the Docs can look after work of its own meanwhile.
        """
        return self._flow(stream, in_order=False)

    def _flow(self, stream: Iterable[Doc | None], *, in_order: bool) -> Iterator[Doc | None]:
        """Yields the Docs of a stream annotated: in their order, or as they are done."""
        session = self.generator.session()
        pending: deque[_Pending] = deque()
        owners: dict[str, tuple[_Pending, str]] = {}
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
                    pending.append(self._submit(doc, n_taken, session, owners))
                    n_taken += 1
                    if pending[0 if in_order else -1].missing == 0:
                        break
                ready = _take_ready(pending, in_order=in_order)
                if pending and not ready:
                    for completion in session.step():
                        self._collect(completion, session, owners)
                    ready = _take_ready(pending, in_order=in_order)
                yield from self._finish_all(ready)
                if not ready and not in_order:
                    yield None
        finally:
            session.close()

    def _submit(
        self, doc: Doc, position: int, session: Session, owners: dict[str, tuple[_Pending, str]]
    ) -> _Pending:
        """Submits a Doc's requests to the session."""
        item = _Pending(doc, position, CompletionReplay(doc, self._generator_identity))
        failure = _earlier_failure(doc)
        if failure is not None:
            item.error, item.reported = failure, True
            return item
        self._groups += 1
        item.group = f"{self.name}-{self._groups}"
        try:
            self._send(item, self.asks(doc), session, owners)
            self._go_on(item, session, owners)
        except Exception as error:  # a template, a hook or a library may raise anything
            item.error = self._failure(doc, error)
        return item

    def _send(
        self,
        item: _Pending,
        asks: list[Ask],
        session: Session,
        owners: dict[str, tuple[_Pending, str]],
    ) -> None:
        """Sends requests off; one that cannot be sent is complete at once."""
        for ask in asks:
            if ask.error is not None:
                item.completions[ask.key] = Completion.failed("", ask.error)
                continue
            request = self.request(f"{item.group}-{item.sent}", ask, item.group + ask.piece)
            item.sent += 1
            completion = item.replay.find(request)
            if completion is not None:
                self._complete(item, ask.key, completion)
                continue
            session.submit(replace(request, position=item.position))
            # Only now: what could not be sent is not waited for.
            owners[request.id] = (item, ask.key)
            item.missing += 1

    def _go_on(
        self, item: _Pending, session: Session, owners: dict[str, tuple[_Pending, str]]
    ) -> None:
        """Asks what follows from the answers, as long as something does and is new."""
        while item.missing == 0:
            asks = self.follow_ups(item.doc, item.completions)
            asks = [ask for ask in asks if ask.key not in item.completions]
            if not asks:
                return
            self._send(item, asks, session, owners)

    def request(self, id: str, ask: Ask, group: str) -> GenerationRequest:
        """An ask as a generator takes it; those of one group share a prefix."""
        return GenerationRequest(
            id, ask.chat, params=ask.params or self.params, group=group, constraint=ask.constraint
        )

    def of_others(self, annotations: Any) -> list[Any]:
        """Of the values that components have appended to a Doc extension, those of others.

        A foreign pipe may have put anything there; what is no list is not kept.
        """
        items = annotations if isinstance(annotations, list | tuple) else ()
        return [item for item in items if _component_of(item) != self.name]

    def _collect(
        self,
        completion: Completion,
        session: Session,
        owners: dict[str, tuple[_Pending, str]],
    ) -> None:
        """Hands each finished completion to the Doc that asked for it."""
        item, key = owners.pop(completion.request_id)
        item.missing -= 1
        try:
            self._complete(item, key, completion)
            if item.error is None:
                self._go_on(item, session, owners)
        except Exception as error:
            item.error = self._failure(item.doc, error)

    def _complete(self, item: _Pending, key: str, completion: Completion) -> None:
        """Keeps what a component's own look at it makes of a completion."""
        wrong = None if completion.error else self.review(completion)
        if wrong is not None:
            completion = replace(completion, error=wrong)
        item.replay.note(completion)
        item.completions[key] = completion

    def _generator_identity(self) -> str:
        """A digest of what generates, made once a generator."""
        if self._identity[0] is not self.generator:
            self._identity = (self.generator, generator_identity(self.generator.info))
        return self._identity[1]

    def read_ahead(self, answered: Sequence[tuple[Doc, Mapping[str, Completion]]]) -> None:
        """May read what several Docs' completions say, together, before `predict` does.

        Args:
            answered: Docs with their completions; none where all that was read is to be forgotten.
        """
        del answered

    def _finish_all(self, items: list[_Pending]) -> Iterator[Doc]:
        """Finishes Docs whose answers are all there."""
        for begin in range(0, len(items), _READ_TOGETHER):
            batch = items[begin : begin + _READ_TOGETHER]
            try:
                self.read_ahead([(i.doc, i.completions) for i in batch if i.error is None])
            except Exception as error:  # whose fault it is shows when each is read by itself
                logger.debug("[%s] cannot read answers together", self.name, exc_info=error)
            try:
                for item in batch[:-1]:
                    yield self._finish(item)
                last = self._finish(batch[-1])
            finally:
                # Before the last Doc is handed on: whoever takes it may end its memory zone.
                self.read_ahead([])
            yield last

    def _finish(self, item: _Pending) -> Doc:
        """Writes a Doc's results, then says what failed."""
        failures: list[tuple[str | None, NlpPipelineError]] = []
        if item.error is None:
            try:
                self.set_annotations(item.doc, self.predict(item.doc, item.completions))
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
        item.doc._.errors = self.of_others(item.doc._.errors)
        for key, failure in failures:
            self._report(item.doc, key, failure)
        return item.doc

    def _write_failure(
        self, doc: Doc, error: NlpPipelineError
    ) -> list[tuple[str | None, NlpPipelineError]]:
        """Writes that a Doc failed; returns what keeps even that from being written."""
        try:
            self.set_annotations(doc, self.failed(doc, error))
        except Exception as further:
            return [(None, self._failure(doc, further))]
        return []

    def _failure(self, doc: Doc, error: Exception) -> NlpPipelineError:
        """What was raised about a Doc, as an error that knows its message.

        The traceback of anything that is none of the package's own goes to the debug log.
        """
        if isinstance(error, NlpPipelineError):
            return error
        failed = ComponentFailed(self.name, record_id(doc), error)
        logger.debug("%s", failed, exc_info=error)
        return failed

    def _report(self, doc: Doc, key: str | None, error: NlpPipelineError) -> None:
        """Keeps a failure on its Doc, and tells the error handler that the user has set."""
        doc._.errors = [
            *doc._.errors,
            new_error(
                error.stage,
                self.name,
                error.kind,
                str(error),
                retryable=error.retryable,
                question_id=key and self.question_id(key),
            ),
        ]
        handler = self.get_error_handler()
        if handler is raise_error:
            # spaCy's default would end the whole stream for one Doc.
            name, message = escaped(record_id(doc) or "?"), escaped(error, limit=500)
            logger.warning("[%s] document %s: %s", self.name, name, message)
        else:
            handler(self.name, self, [doc], error)

    def has_reference(self, doc: Doc) -> bool:
        """Whether a reference Doc holds anything that `score` would compare a result with."""
        return False

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        """Scores of the results against references, for `nlp.evaluate`; none without references.

        Generates nothing: the results are those on the Docs.

        Args:
            examples: Docs with results beside Docs with references.
        """
        return {}

    def model_name(self, completion: Completion) -> str | None:
        """The model's name; None for a failure, which must not load a model to name it."""
        return None if completion.error else self.generator.info.model

    def set_error_handler(self, error_handler: ErrorHandler) -> None:
        """Sets the handler of failures; spaCy calls this from `nlp.set_error_handler`."""
        self._error_handler = error_handler

    def get_error_handler(self) -> ErrorHandler:
        """The handler that was set, else spaCy's `raise_error`."""
        return self._error_handler or raise_error


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


def _component_of(item: Any) -> Any:
    return item.get("component") if isinstance(item, Mapping) else None


class _Always(dict[str, Completion]):
    """Every key has the same completion: that of a Doc which failed as a whole."""

    def __init__(self, completion: Completion) -> None:
        super().__init__()
        self._completion = completion

    def __missing__(self, key: str) -> Completion:
        return self._completion
