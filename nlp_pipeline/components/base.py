"""What all Llama components share: the stream through the generator, and what failures do."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import raise_error

from nlp_pipeline.components.doc_flow import DocFlow
from nlp_pipeline.components.extensions import new_error, record_id
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting, SettingNotOffered
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.completion_record import generator_identity
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
)

logger = logging.getLogger(__name__)

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
        SettingNotOffered: `params` asks for what the generator cannot do.
    """

    def __init__(self, name: str, generator: Generator, params: SamplingParams) -> None:
        if not callable(getattr(generator, "session", None)):
            raise InvalidSetting(name, "generator", generator, allowed=_GENERATOR)
        check_offered(name, generator, {key: getattr(params, key) for key in params.chosen})
        self.name = name
        self.generator = generator
        self.params = params
        self._error_handler: ErrorHandler | None = None
        self._n_groups = 0
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
        for doc in DocFlow(self, in_order=True).docs(stream):
            if doc is not None:
                yield doc

    def as_completed(self, stream: Iterable[Doc | None]) -> Iterator[Doc | None]:
        """Annotates a stream of Docs and yields each as soon as it is annotated.

        A Doc that takes long holds back none of those behind it, up to `doc_flow.MAX_PENDING`.

        Args:
            stream: Docs; None where there is none at the moment.

        Yields:
            The Docs; None where the generator has worked and no Doc is complete, so that whoever
            takes the Docs can look after work of its own meanwhile.
        """
        return DocFlow(self, in_order=False).docs(stream)

    def next_group(self) -> str:
        """Names the requests of one Doc, unlike those of any other."""
        self._n_groups += 1
        return f"{self.name}-{self._n_groups}"

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

    def generator_identity(self) -> str:
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

    def report_failure(self, doc: Doc, key: str | None, error: NlpPipelineError) -> None:
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


def check_offered(component: str, generator: Any, settings: Mapping[str, Any]) -> None:
    """Refuses what a generator says that it cannot do, before it connects to anything.

    Args:
        component: Its name in the pipeline.
        generator: One that cannot do everything says so by an attribute `refused_settings`.
        settings: Those of the component that are not at their defaults.

    Raises:
        SettingNotOffered: It cannot do one of them.
    """
    for name, reason in getattr(generator, "refused_settings", {}).items():
        if name in settings:
            value, backend = settings[name], generator.backend
            raise SettingNotOffered(component, name, value, backend=backend, reason=reason)


def _component_of(item: Any) -> Any:
    return item.get("component") if isinstance(item, Mapping) else None


class _Always(dict[str, Completion]):
    """Every key has the same completion: that of a Doc which failed as a whole."""

    def __init__(self, completion: Completion) -> None:
        super().__init__()
        self._completion = completion

    def __missing__(self, key: str) -> Completion:
        return self._completion
