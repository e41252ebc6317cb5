"""Digests of model files and folders, and when they are computed again."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.models import digest, file_digests
from nlp_pipeline.models.digests import memo_path

LONG_AGO = (1_600_000_000, 1_600_000_000)


def write(path: Path, content: bytes) -> Path:
    """A file that looks as if it had not changed for years."""
    path.write_bytes(content)
    os.utime(path, LONG_AGO)
    return path


def forge_memo(file: Path) -> None:
    """Makes the remembered digest recognisable, to see whether it is used."""
    memo = json.loads(memo_path(file).read_text())
    memo_path(file).write_text(json.dumps(memo | {"sha256": "remembered"}))


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = write(tmp_path / "x.gguf", b"abc")
    assert digest(file) == hashlib.sha256(b"abc").hexdigest() == digest(str(file))


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = write(tmp_path / "x.gguf", b"abc")
    digest(file)
    forge_memo(file)
    assert digest(file) == "remembered"
    assert digest(file, thorough=True) == hashlib.sha256(b"abc").hexdigest()


def test_a_file_changed_without_a_trace_in_size_and_time_is_noticed(tmp_path: Path) -> None:
    file = write(tmp_path / "x.gguf", b"abc")
    digest(file)
    write(file, b"xyz")
    assert digest(file) == hashlib.sha256(b"xyz").hexdigest()


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"abc")
    digest(file)
    assert not memo_path(file).exists()


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"stamp": 3, "sha256": "x"}', b"\xff"])
def test_a_damaged_memo_is_ignored(tmp_path: Path, rubbish: bytes) -> None:
    file = write(tmp_path / "x.gguf", b"abc")
    memo_path(file).parent.mkdir(parents=True)
    memo_path(file).write_bytes(rubbish)
    assert digest(file) == hashlib.sha256(b"abc").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert digest(write(tmp_path / "x.gguf", b"abc")) == hashlib.sha256(b"abc").hexdigest()


def test_nothing_is_written_to_the_models_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder / "config.json", b"{}")
    digest(folder)
    assert [f.name for f in folder.iterdir()] == ["config.json"]


def test_every_file_that_matters_changes_a_folders_digest(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "original").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        write(folder / name, b"{}")
    seen = {digest(folder)}
    write(folder / "README.md", b"no weights here")
    write(folder / "original" / "config.json", b"{}")
    assert digest(folder) in seen
    for name in ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"):
        write(folder / name, b"{ }")
        seen.add(digest(folder))
    (folder / "config.json").rename(folder / "config_.json")
    seen.add(digest(folder))
    assert len(seen) == 6
    assert list(file_digests(folder)) == [
        "chat_template.jinja",
        "config_.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_what_is_not_there_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match="No such file or directory"):
        digest(tmp_path / "nowhere")
    with pytest.raises(CheckpointUnreadable, match="it has no model files"):
        digest(tmp_path)
