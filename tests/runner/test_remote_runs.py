"""Runs over corpora in stores: what was fetched is kept, and what has changed is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nlp_pipeline import estimate, read_run, run, stream
from nlp_pipeline.corpus import remote_copy, remote_store
from nlp_pipeline.errors.stores import PrivateAddress, SourceStandsAlone
from nlp_pipeline.errors.training import TooFewDocuments

LINES = b'{"text": "Ada left."}\n{"text": "Karl came."}\n'


@pytest.fixture
def bucket() -> Iterator[Callable[[str, bytes], str]]:
    memory = fsspec.filesystem("memory")

    def write(name: str, data: bytes) -> str:
        memory.pipe(f"/bucket/{name}", data)
        return f"memory://bucket/{name}"

    yield write
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs of which something was fetched."""
    urls: list[str] = []
    fetched = remote_copy.RemoteCopy._next_bytes

    def count(copy: Any) -> bytes:
        urls.append(str(copy))
        return fetched(copy)

    monkeypatch.setattr(remote_copy.RemoteCopy, "_next_bytes", count)
    return urls


def test_a_run_fetches_a_file_once(bucket, tmp_path: Path, quick, fetches) -> None:
    urls = [bucket("a.jsonl", LINES), bucket("b.txt", b"Eva slept.")]
    out, pipeline = tmp_path / "out", quick()
    assert run("memory://bucket", out, pipeline=pipeline).documents == 3
    assert fetches == urls
    documents = read_run(out)["documents"]
    assert documents["document_id"].tolist() == ["a.jsonl:1", "a.jsonl:2", "b.txt"]
    assert documents["source"].tolist() == [urls[0], urls[0], urls[1]]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["corpus"] == "memory://bucket"
    assert json.loads(manifest["inputs"][urls[1]])["size"] == 10
    assert run("memory://bucket", out, pipeline=pipeline).resumed == 3
    assert run("memory://bucket", out, pipeline=pipeline, fresh=True).resumed == 0
    assert fetches == urls


def test_a_file_that_has_changed_is_fetched_again(bucket, tmp_path: Path, quick, fetches) -> None:
    out, pipeline = tmp_path / "out", quick()
    url = bucket("a.jsonl", LINES)
    run(url, out, pipeline=pipeline)
    bucket("a.jsonl", LINES.replace(b"Karl", b"Kurt"))
    assert run(url, out, pipeline=pipeline).resumed == 1
    assert fetches == [url, url]
    assert read_run(out)["documents"]["text"].tolist() == ["Ada left.", "Kurt came."]


def test_several_sources_are_one_run(bucket, tmp_path: Path, quick, cli, corpus) -> None:
    url = bucket("a.jsonl", LINES)
    here, out, pipeline = corpus("Eva slept."), tmp_path / "out", quick()
    result = cli("run", here, url, "-p", pipeline, "-o", out, "--json")
    assert (result.code, json.loads(result.out)["documents"]) == (0, 3)
    assert read_run(out)["documents"]["document_id"].tolist() == [
        "corpus:1",
        "memory://bucket/a.jsonl:1",
        "memory://bucket/a.jsonl:2",
    ]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["corpus"], manifest["further_sources"]) == (here, [url])
    assert len(manifest["inputs"]) == 2
    # A source that comes later leaves the documents of those before it as they are.
    bucket("b.txt", b"Ute sang.")
    more = [url, "memory://bucket/b.txt"]
    assert run(here, out, pipeline=pipeline, further_sources=more).resumed == 3
    with pytest.raises(SourceStandsAlone, match="'list' is read alone"):
        run(["Ada left."], tmp_path / "no", pipeline=pipeline, further_sources=more)


def test_streams_and_estimates_read_stores(bucket, quick) -> None:
    url, pipeline = bucket("a.jsonl", LINES), quick()
    rows = list(stream(url, pipeline, further_sources=[url]))
    assert [row["documents"][0]["document_id"] for row in rows] == [
        "a:1",
        "a:2",
        f"{url}:1",
        f"{url}:2",
    ]
    assert estimate(url, pipeline=pipeline, seconds=0.1).n_documents == 2


def test_the_own_network_needs_an_option(tmp_path: Path, quick, cli) -> None:
    url, out = "http://127.0.0.1:9/a.txt", tmp_path / "out"
    with pytest.raises(PrivateAddress):
        run(url, out, pipeline=quick())
    result = cli("run", url, "-p", quick(), "-o", out)
    assert (result.code, "Give --allow-private if it is meant." in result.err) == (1, True)
    assert not out.exists()


LABELLED = b"""{"id": "a", "text": "Ada left.", "questions": \
[{"id": "w", "text": "Who?", "answers": ["Ada"]}]}"""


def refuse(url: str) -> None:
    """Takes every store for one of the own network."""
    raise PrivateAddress(url, "bucket", "10.0.0.1")


def test_evaluate_lets_a_url_into_the_own_network_where_it_may(
    bucket, tmp_path: Path, quick, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_store, "refuse_private", refuse)
    url = bucket("a.jsonl", LABELLED)
    command = ("evaluate", url, "-p", quick(), "-o", tmp_path / "out", "--no-rouge", "--json")
    refused = cli(*command)
    assert (refused.code, "Give --allow-private if it is meant." in refused.err) == (1, True)
    result = cli(*command, "--allow-private")
    assert json.loads(result.out)["answers"]["overall"]["n"] == 1


def test_train_lets_a_url_into_the_own_network_where_it_may(
    bucket, tmp_path: Path, quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlp_pipeline.training import train

    monkeypatch.setattr(remote_store, "refuse_private", refuse)
    url, out = bucket("a.jsonl", LABELLED), tmp_path / "out"
    with pytest.raises(PrivateAddress):
        train(url, out, pipeline=quick())
    with pytest.raises(TooFewDocuments):
        train(url, out, pipeline="en_qa", allow_private=True)


def test_a_folder_is_named_after_its_url(bucket, tmp_path: Path, quick, cli, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("run", bucket("a.jsonl.gz", b""), "-p", quick()).code == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a-quick"]
