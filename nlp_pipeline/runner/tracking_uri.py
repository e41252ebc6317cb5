"""Whether what stands in the place of MLflow's address is one."""

from __future__ import annotations

import re
from pathlib import Path

from nlp_pipeline.corpus.corpus_file import file_format
from nlp_pipeline.errors.telemetry import TrackingUriMistaken

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")
_STORE_FILE = "*/meta.yaml"
"""What MLflow writes into the folder of each experiment."""


def check_tracking_uri(uri: str) -> None:
    """Looks whether an address could be MLflow's and is no word that is meant otherwise.

    On the command line `--mlflow` takes the next word, whatever that is.

    Args:
        uri: What was given.

    Raises:
        TrackingUriMistaken: It is an option, a file, a corpus, or a folder of something else.
    """
    if not uri.strip():
        raise TrackingUriMistaken(uri, "nothing")
    if uri.startswith("-"):
        raise TrackingUriMistaken(uri, "an option")
    if _SCHEME.match(uri):
        return
    path = Path(uri)
    if path.is_file() or file_format(path) is not None:
        raise TrackingUriMistaken(uri, "the name of a file")
    if path.is_dir() and any(path.iterdir()) and not any(path.glob(_STORE_FILE)):
        raise TrackingUriMistaken(uri, "a folder in which MLflow has no runs")
