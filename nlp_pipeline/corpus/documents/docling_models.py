"""Where the models lie by which docling tells how a page is laid out: fetched by nobody but you."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from nlp_pipeline.errors.documents import DoclingModelsMissing

VARIABLE = "DOCLING_ARTIFACTS_PATH"
"""Docling's own environment variable."""
_CACHE_VARIABLE = "DOCLING_CACHE_DIR"
MODELS = {
    "layout": "docling-project--docling-layout-heron",
    "tableformer": "docling-project--docling-models/model_artifacts/tableformer/accurate",
}
"""Folders by what `docling-tools models download` calls them."""
_WEIGHTS = "*.safetensors"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""What keeps docling's libraries from asking the network for a model."""


def docling_models_folder(named: str | None) -> Path:
    """The folder with the models of layout and tables.

    Args:
        named: By the user; None for the one of docling's environment variables, or its own.

    Raises:
        DoclingModelsMissing: One of them is not there.
    """
    cache = os.environ.get(_CACHE_VARIABLE) or "~/.cache/docling"
    folder = Path(named or os.environ.get(VARIABLE) or f"{cache}/models").expanduser()
    missing = [name for name, path in MODELS.items() if not any((folder / path).glob(_WEIGHTS))]
    if missing:
        raise DoclingModelsMissing(folder, missing)
    return folder.absolute()


def models_digest(folder: Path) -> str:
    """By what the models are known to be the same: 16 letters of the digest of their weights."""
    digest = sha256()
    for path in MODELS.values():
        for file in sorted((folder / path).glob(_WEIGHTS)):
            with file.open("rb") as stream:
                while chunk := stream.read(2**20):
                    digest.update(chunk)
    return digest.hexdigest()[:16]
