"""What a document was answered before: asked the same again, a component need not generate.

A run that goes on with other settings annotates its documents anew and asks all its questions;
those that are, to the letter, what was asked before have their answers already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.generation.completion_record import (
    completion_of,
    completion_values,
    request_digest,
)
from nlp_pipeline.generation.interface import Completion, GenerationRequest

STORED = "nlp_pipeline.stored_completions"
"""The key under which a Doc carries what it was answered before, by the digest of a request."""

USED = "nlp_pipeline.used_completions"
"""The key under which it carries what its rows are made of, likewise."""


class CompletionReplay:
    """The completions of one Doc, where whoever sent it through the pipeline wants them.

    Args:
        doc: With `STORED` in its `user_data`, or without: then nothing is found and noted.
        identity: Of the generator; only asked for where the Doc has them.
    """

    def __init__(self, doc: Doc, identity: Callable[[], str]) -> None:
        stored = doc.user_data.get(STORED)
        self._stored: Mapping[str, Any] | None = stored if isinstance(stored, Mapping) else None
        self._doc = doc
        self._identity = identity
        self._digests: dict[str, str] = {}

    def find(self, request: GenerationRequest) -> Completion | None:
        """The completion of a request like this one; None where there is none."""
        if self._stored is None:
            return None
        digest = request_digest(self._identity(), request)
        if digest is None:
            return None
        self._digests[request.id] = digest
        values = self._stored.get(digest)
        return None if values is None else completion_of(request.id, values)

    def note(self, completion: Completion) -> None:
        """Keeps a completion with its Doc, unless it failed: that is tried again."""
        digest = self._digests.pop(completion.request_id, None)
        if digest is not None and completion.error is None:
            self._doc.user_data.setdefault(USED, {})[digest] = completion_values(completion)
