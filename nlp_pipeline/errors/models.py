"""Errors of the model cache: what keeps a known model from being fetched or kept."""

from __future__ import annotations

from nlp_pipeline.errors.base import NlpPipelineError
from nlp_pipeline.errors.generation import ModelError, ModelNotFetched


class DownloadFailed(NlpPipelineError):
    """A download that brought no wheel; `fetch` turns it into a `ModelFetchFailed`.

    Attributes:
        reason: What went wrong, as a clause without a full stop.
        advice: What to do before trying again, as a sentence; empty if there is nothing.
    """

    retryable = True

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(f"{reason[:1].upper()}{reason[1:]}. {advice}".rstrip())


class ModelFetchFailed(ModelNotFetched):
    """A known model that could not be fetched; what was in the cache before still is."""

    retryable = True

    def __init__(self, name: str, reason: str, advice: str = "") -> None:
        steps = f"{advice} " if advice else ""
        ModelError.__init__(
            self,
            f"Model '{name}' was not fetched: {reason}. {steps}To try again, type "
            f"`nlp-pipeline models fetch {name}`; a model that is on this machine can be named "
            "with --model.",
        )


class FetchingForbidden(ModelNotFetched):
    """A model that would have to be fetched while `NLP_PIPELINE_OFFLINE` is set."""

    def __init__(self, name: str, path: str) -> None:
        ModelError.__init__(
            self,
            f"Model '{name}' cannot be fetched, because NLP_PIPELINE_OFFLINE is set. Unset it, or "
            f"copy the file from a machine that has it to {path}, or name a model that is on this "
            "machine with --model.",
        )


class ModelCacheUnusable(ModelError):
    """A model cache that cannot be read or written."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The model cache {path} cannot be used: {reason}. Set NLP_PIPELINE_CACHE to a folder "
            "that you can write to."
        )


class ModelCacheFull(ModelError):
    """Too little room on the disk of the model cache to fetch a model."""

    exit_code = 28

    def __init__(self, name: str, path: str, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(
            f"Fetching model '{name}' needs {needed_bytes // 10**6} MB in {path}, where "
            f"{free_bytes // 10**6} MB are free. Free some space, or set NLP_PIPELINE_CACHE to a "
            "folder on another disk."
        )
