"""What of the known models is in the cache, and whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nlp_pipeline.models.digests import digest
from nlp_pipeline.models.known import DEFAULT_MODEL, KNOWN_MODELS, KnownModel, known_model
from nlp_pipeline.models.location import cache_dir as cache_dir

ModelStatus = Literal["ok", "missing", "damaged"]
"""`damaged`: there is a file, and its size or digest is not the known one."""


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A known model and what the cache has of it.

    Attributes:
        model: The known model.
        path: Where its file lies, or would lie.
        status: Whether it is there and whole.
        sha256: The digest of the file that is there; None if there is none.
    """

    model: KnownModel
    path: Path
    status: ModelStatus
    sha256: str | None

    def as_dict(self) -> dict[str, Any]:
        """The model and its state as JSON values, for `models list --json` and `info --json`."""
        return {
            "name": self.model.name,
            "default": self.model.name == DEFAULT_MODEL,
            "status": self.status,
            "path": str(self.path),
            "sha256": self.sha256,
            "expected_sha256": self.model.file_sha256,
            "bytes": self.model.file_bytes,
            "download_bytes": self.model.wheel_bytes,
            "parameters": self.model.parameters,
            "licence": self.model.licence,
            "description": self.model.description,
        }


def cached_path(model: str | KnownModel) -> Path:
    """Where a known model's file lies in the cache; it need not be there.

    Raises:
        ModelNotFound: The name is no known model.
    """
    registered = known_model(model)
    return cache_dir() / "models" / registered.name / registered.file_name


def verify(model: str | KnownModel, *, thorough: bool = False) -> ModelStatus:
    """Whether a known model's file is in the cache and has the known size and digest.

    Args:
        model: A name of `KNOWN_MODELS`, or a `KnownModel`.
        thorough: Read the whole file, even if it seems unchanged since it was last hashed.

    Raises:
        ModelNotFound: The name is no known model.
        CheckpointUnreadable: The file is there and cannot be read.
    """
    registered, path = known_model(model), cached_path(model)
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    whole = (
        size == registered.file_bytes and digest(path, thorough=thorough) == registered.file_sha256
    )
    return "ok" if whole else "damaged"


def cached_models(*, thorough: bool = False) -> list[CachedModel]:
    """Every known model, whether or not it is in the cache.

    Args:
        thorough: As for `verify`.
    """
    return [cached_model(model, thorough=thorough) for model in KNOWN_MODELS.values()]


def cached_model(model: str | KnownModel, *, thorough: bool = False) -> CachedModel:
    """A known model, its place, its status and the digest of its file.

    Args:
        model: A name of `KNOWN_MODELS`, or a `KnownModel`.
        thorough: As for `verify`.

    Raises:
        ModelNotFound: The name is no known model.
        CheckpointUnreadable: The file is there and cannot be read.
    """
    registered, path, status = (
        known_model(model),
        cached_path(model),
        verify(model, thorough=thorough),
    )
    return CachedModel(
        registered, path, status, sha256=None if status == "missing" else digest(path)
    )
