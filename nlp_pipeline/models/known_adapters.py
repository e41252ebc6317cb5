"""The adapters that ship in this package: each belongs to one known model, its digest is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.training import AdapterUnreadable
from nlp_pipeline.models.digests import digest
from nlp_pipeline.models.known import DEFAULT_MODEL

AUTO = "auto"
"""As a setting: the adapter that ships for the model, if one does."""


@dataclass(frozen=True, slots=True)
class KnownAdapter:
    """A LoRA adapter in the folder `adapters` beside this module.

    Attributes:
        name: What a config names, and the folder's name.
        model: The known model that it was trained on.
        digest: Of its folder, as `digest` computes it.
        component: The factory of the components that it was trained for.
        settings: What suits it, of those components' settings that are at their defaults.
        description: One line for lists.
    """

    name: str
    model: str
    digest: str
    component: str
    settings: Mapping[str, Any]
    description: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(str(files("nlp_pipeline.models") / "adapters" / self.name))


KNOWN_ADAPTERS: dict[str, KnownAdapter] = {
    adapter.name: adapter
    for adapter in (
        KnownAdapter(
            name="smollm2-135m-instruct-qa",
            model=DEFAULT_MODEL,
            digest="962893141a0041847e87bfdcc28ebbfda9a89c896ccfb1c7403178553238173d",
            component="llama_qa",
            # It was trained on whole documents.
            settings={"evidence_sentences": "all"},
            description="Answers as pieces of the document, or that it holds none; English",
        ),
    )
}
"""Name to adapter."""


def adapter_name(adapter: str | None, model: str) -> str | None:
    """The name or path of a model's adapter; of `auto` what ships for the model.

    Args:
        adapter: As a setting gives it.
        model: The model as it was named.

    Returns:
        None where the model goes without one.
    """
    if adapter != AUTO:
        return adapter
    names = (entry.name for entry in KNOWN_ADAPTERS.values() if entry.model == model)
    return next(names, None)


def adapter_folder(adapter: str) -> Path:
    """The folder of an adapter by its name or path.

    Raises:
        AdapterUnreadable: A known one is not what it was when it was shipped.
    """
    entry = KNOWN_ADAPTERS.get(adapter)
    if entry is None:
        return Path(adapter).expanduser()
    if not entry.folder.is_dir() or digest(entry.folder) != entry.digest:
        reason = "its files are not those that ship with this package. Install the package again"
        raise AdapterUnreadable(adapter, reason)
    return entry.folder
