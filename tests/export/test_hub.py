"""A run as a data set on the hub: what is uploaded, and when nothing is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest

from nlp_pipeline.errors.export import UploadTooEarly
from nlp_pipeline.export.hub_upload import push_run


class Hub:
    """What stands for the hub: it notes what it is asked for."""

    calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []
    error: ClassVar[Exception | None] = None

    def __init__(self, token: str) -> None:
        self.token = token

    def create_repo(self, name: str, **options: Any) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((name, {"token": self.token, **options}))

    def upload_folder(self, **options: Any) -> None:
        self.calls.append(("upload", options))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    monkeypatch.setattr(Hub, "calls", [])
    monkeypatch.setattr(Hub, "error", None)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    return Hub


def test_the_tables_and_the_card_are_uploaded(hub: type[Hub], meta_run: Path, cli) -> None:
    done = cli("push", meta_run, "ada/harbour")
    assert (done.code, done.out) == (0, "https://huggingface.co/datasets/ada/harbour\n")
    (name, made), (_, upload) = hub.calls
    assert (name, made["token"], made["private"], made["repo_type"]) == (
        "ada/harbour",
        "secret",
        True,
        "dataset",
    )
    patterns = upload["allow_patterns"]
    assert {"README.md", "documents/part-*", "layout/part-*"} <= set(patterns)
    assert not any(pattern.startswith(("_", "manifest", "config")) for pattern in patterns)
    cli("push", meta_run, "ada/harbour", "--public")
    assert hub.calls[2][1]["private"] is False


def test_without_a_token_nothing_leaves(hub, meta_run: Path, monkeypatch, cli) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    done = cli("push", meta_run, "ada/harbour")
    assert (done.code, done.err, hub.calls) == (
        1,
        "Error: There is no token of the Hugging Face hub. Set HF_TOKEN, or type "
        "`hf auth login`.\n",
        [],
    )


def test_what_the_hub_says(hub, meta_run: Path, monkeypatch, cli) -> None:
    monkeypatch.setattr(Hub, "error", RuntimeError("403 Forbidden:\n no rights"))
    done = cli("push", meta_run, "ada/harbour")
    assert done.err == (
        "Error: The data set 'ada/harbour' was not uploaded: 403 Forbidden: no rights. Check the "
        "name (owner/name), the rights of the token, and the network.\n"
    )


def test_a_run_that_is_not_finished(hub, meta_run: Path, tmp_path: Path) -> None:
    shutil.copytree(meta_run, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({**manifest, "state": "running"}))
    with pytest.raises(UploadTooEarly, match=r"out' has not come to its end\. The comm"):
        push_run(tmp_path / "out", "ada/harbour")
    assert hub.calls == []
