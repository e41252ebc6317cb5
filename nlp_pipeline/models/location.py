"""The folder of the model cache, and whether anything may be fetched to it."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "NLP_PIPELINE_CACHE"
OFFLINE_VARIABLE = "NLP_PIPELINE_OFFLINE"


def cache_dir() -> Path:
    """The model cache: `NLP_PIPELINE_CACHE` if that is set, else the user's cache folder.

    Returns:
        An absolute path; it need not exist.
    """
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser().absolute()
    import platformdirs  # the engine runs where this package is missing

    return platformdirs.user_cache_path("nlp-pipeline", appauthor=False)


def offline() -> bool:
    """Whether `NLP_PIPELINE_OFFLINE` forbids fetching (`1`, `true`, `yes` or `on`)."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}
