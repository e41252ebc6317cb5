"""Errors of what a run tells OpenTelemetry and MLflow."""

from __future__ import annotations

from nlp_pipeline.errors.config import ConfigError
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class TelemetryNotInstalled(ConfigError):
    """An option whose package is missing."""

    def __init__(self, option: str, extra: str) -> None:
        super().__init__(
            f"{option} needs packages that are not installed: type `{pip_install(extra)}`."
        )


class TrackingFailed(ConfigError):
    """An address at which MLflow cannot keep a run."""

    def __init__(self, uri: str, reason: str) -> None:
        short = escaped(" ".join(reason.split()), 300).rstrip(".")
        super().__init__(
            f"MLflow cannot keep the run at '{escaped(uri, 200)}': {short}. --mlflow takes a "
            "folder, a database such as sqlite:///runs.db, or the address of a tracking server."
        )


class TrackingUriMistaken(ConfigError):
    """A word in the place of MLflow's address that is meant otherwise."""

    def __init__(self, word: str, meaning: str) -> None:
        super().__init__(
            f"--mlflow takes the address of MLflow, and '{escaped(word, 200)}' is {meaning}. Write "
            "it as --mlflow=ADDRESS: a folder for MLflow alone, a database such as "
            "sqlite:///runs.db, or the address of a tracking server."
        )


def observer_failed(tool: str, reason: str) -> str:
    """What is said once where a tool cannot be told of a run any more.

    Args:
        tool: Its name.
        reason: What went wrong.
    """
    return f"{tool} is told nothing more of this run, which goes on: {escaped(reason, 300)}."
