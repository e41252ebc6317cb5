"""The adapter that ships: which model gets it, and that its files are those that were shipped."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nlp_pipeline.errors.training import AdapterUnreadable
from nlp_pipeline.models import (
    DEFAULT_MODEL,
    KNOWN_ADAPTERS,
    KNOWN_MODELS,
    KnownAdapter,
    adapter_folder,
    adapter_name,
    digest,
)

SHIPPED = next(iter(KNOWN_ADAPTERS.values()))


@pytest.mark.parametrize(
    ("adapter", "model", "name"),
    [
        ("auto", DEFAULT_MODEL, SHIPPED.name),
        ("auto", "models/mine", None),
        (None, DEFAULT_MODEL, None),
        ("models/mine/adapter", DEFAULT_MODEL, "models/mine/adapter"),
    ],
)
def test_which_adapter_a_model_gets(adapter: str | None, model: str, name: str | None) -> None:
    assert adapter_name(adapter, model) == name


@pytest.mark.parametrize("adapter", KNOWN_ADAPTERS.values(), ids=lambda adapter: adapter.name)
def test_a_known_adapter_is_there_small_and_for_its_model(adapter: KnownAdapter) -> None:
    assert adapter_folder(adapter.name) == adapter.folder
    assert sum(file.stat().st_size for file in adapter.folder.iterdir()) <= 6_000_000
    base = json.loads((adapter.folder / "manifest.json").read_text())["base"]
    assert base == {"model": adapter.model, "digest": KNOWN_MODELS[adapter.model].file_sha256}


def test_other_files_than_those_that_ship_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(KnownAdapter):
        folder = tmp_path / "copy"

    shutil.copytree(SHIPPED.folder, Elsewhere.folder)
    values = {name: getattr(SHIPPED, name) for name in KnownAdapter.__slots__}
    monkeypatch.setitem(KNOWN_ADAPTERS, SHIPPED.name, Elsewhere(**values))
    assert digest(adapter_folder(SHIPPED.name)) == SHIPPED.digest
    config = Elsewhere.folder / "adapter_config.json"
    config.write_text(config.read_text() + " ")
    monkeypatch.setitem(KNOWN_ADAPTERS, SHIPPED.name, replace(Elsewhere(**values)))
    with pytest.raises(AdapterUnreadable) as error:
        adapter_folder(SHIPPED.name)
    assert str(error.value).startswith(
        f"The adapter '{SHIPPED.name}' cannot be used: its files are not those that ship with this "
        "package. Install the package again."
    )
