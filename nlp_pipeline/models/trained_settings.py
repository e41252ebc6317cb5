"""The settings of components that suit a model or an adapter: what it was trained with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_pipeline.models.known_adapters import KNOWN_ADAPTERS

SUITS = "suits"
"""The entry of a manifest: a component's factory to its settings."""

ADAPTER_MANIFEST = Path("manifest.json")
"""Where `nlp-pipeline train` notes them, in the folder of an adapter."""

MODEL_MANIFEST = Path("training") / "manifest.json"
"""The same in the folder of a model."""


def trained_settings(factory: str, model: str, adapter: str | None) -> Mapping[str, Any]:
    """What suits the components of a kind.

    Args:
        factory: The kind.
        model: As a config names it.
        adapter: As a config names it, if one is used: what it was trained with counts.

    Returns:
        Settings and values; none where nothing is known of the model.
    """
    known = KNOWN_ADAPTERS.get(str(adapter))
    if known is not None:
        return known.settings if known.component == factory else {}
    folder = Path(model) / MODEL_MANIFEST if adapter is None else Path(adapter) / ADAPTER_MANIFEST
    suits = (manifest_of(folder.expanduser()) or {}).get(SUITS)
    settings = suits.get(factory) if isinstance(suits, dict) else None
    return settings if isinstance(settings, dict) else {}


def manifest_of(file: Path) -> dict[str, Any] | None:
    """What a training has noted in a file; None where it noted nothing."""
    try:
        manifest = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None
