"""Corpora that lie in stores: listed, fetched once, gone on with, refused."""

from __future__ import annotations

import functools
import gzip
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from read_items import records_of

from nlp_pipeline.corpus import (
    Record,
    Reject,
    count_documents,
    read_corpus,
    remote_copy,
    remote_hosts,
)
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import find_sources
from nlp_pipeline.errors.corpus import (
    CorpusIsARun,
    CorpusNotFound,
    EmptyCorpusFolder,
    UnsupportedCorpus,
)
from nlp_pipeline.errors.stores import (
    ChainedUrl,
    CopyNotWritable,
    CredentialsInUrl,
    PrivateAddress,
    RedirectRefused,
    SourceStandsAlone,
    StoreChanged,
    StoreFailed,
    StoreNotInstalled,
    StoreRefused,
    UnknownStore,
    UrlNotTaken,
)

LINES = b'{"text": "One."}\n{"text": "Two."}\n'
CONLLU = (
    b"1\tOne\tone\tNUM\tCD\t_\t0\troot\t_\tSpaceAfter=No\n2\t.\t.\tPUNCT\t.\t_\t1\tpunct\t_\t_\n\n"
)


@pytest.fixture
def bucket() -> Iterator[Callable[[str, bytes], str]]:
    """Writes a file into a store in memory and gives its URL."""
    memory = fsspec.filesystem("memory")

    def write(name: str, data: bytes) -> str:
        memory.pipe(f"/bucket/{name}", data)
        return f"memory://bucket/{name}"

    yield write
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_copy, "WAITS_S", (0.0, 0.0))


def texts(source: Any, **options: Any) -> list[tuple[str, str]]:
    return [(record.id, record.text) for record in records_of(read_corpus(source, **options))]


def test_a_file_of_a_store_is_read_as_one_here(bucket, tmp_path: Path) -> None:
    url, store = bucket("notes.jsonl", LINES), RemoteStore(tmp_path)
    assert count_documents(url, store=store) is None
    one, two = records_of(read_corpus(url, store=store))
    assert (one.id, one.text, one.source, one.line) == ("notes:1", "One.", url, 1)
    assert two.id == "notes:2"
    assert count_documents(url, store=store) == 2
    assert count_documents(bucket("a.txt", b"a")) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.jsonl.gz", gzip.compress(b'{"text": "One."}', mtime=0)),
        ("x.csv", b"id,text\na,One.\n"),
        ("x.tsv", b"id\ttext\na\tOne.\n"),
        ("x.txt", b"One."),
        ("x.json", b'[{"text": "One."}]'),
        ("x.conllu", CONLLU),
        ("x.eml", b"Subject: x\n\nOne."),
        ("x.mbox", b"From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\nOne.\n"),
    ],
)
def test_every_format_is_read(bucket, name: str, data: bytes) -> None:
    (record,) = records_of(read_corpus(bucket(name, data)))
    assert record.text == "One."


def test_tables_and_databases_are_read(bucket, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["One."]}), tmp_path / "x.parquet")
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("create table t as select 'One.' as text")
    database.close()
    for name, query in (("x.parquet", None), ("x.db", "select text from t")):
        url = bucket(name, (tmp_path / name).read_bytes())
        assert [text for _, text in texts(url, query=query)] == ["One."]


@pytest.mark.parametrize(("suffix", "package"), [("xlsx", "openpyxl"), ("md", "kreuzberg")])
def test_sheets_and_documents_are_read(bucket, tmp_path: Path, suffix, package) -> None:
    module = pytest.importorskip(package)
    file = tmp_path / f"x.{suffix}"
    if suffix == "xlsx":
        book = module.Workbook()
        for row in (["text"], ["One."]):
            book.active.append(row)
        book.save(file)
    else:
        file.write_text("One.\n", encoding="utf-8")
    assert [text for _, text in texts(bucket(file.name, file.read_bytes()))] == ["One."]


def test_a_folder_is_sorted_out_as_one_here(bucket) -> None:
    bucket("b.txt", b"b")
    bucket("a/c.jsonl", LINES)
    bucket("a/x.xml", b"x")
    bucket("a/deep/README.md", b"x")
    bucket(".hidden.txt", b"x")
    bucket(".git/x.txt", b"x")
    bucket("__pycache__/x.txt", b"x")
    bucket("README.md", b"x")
    bucket("out/manifest.json", b"{}")
    bucket("out/_receipts/part-00000.json", b"{}")
    bucket("out/documents/part-00000.jsonl", LINES)
    warnings: list[str] = []
    assert texts("memory://bucket", on_warning=warnings.append) == [
        ("a/c.jsonl:1", "One."),
        ("a/c.jsonl:2", "Two."),
        ("b.txt", "b"),
    ]
    assert warnings == [
        "Files of other formats in 'memory://bucket' were passed over: README.md, "
        "a/deep/README.md, a/x.xml.",
        "Folders in 'memory://bucket' were left out: .git (hidden), __pycache__ (a cache), "
        "out (a run).",
    ]
    with pytest.raises(CorpusIsARun):
        read_corpus("memory://bucket/out")
    with pytest.raises(EmptyCorpusFolder):
        read_corpus("memory://bucket/a/deep")


def test_a_pattern_names_some_of_a_folder(bucket) -> None:
    bucket("2024/a.txt", b"a")
    bucket("2025/deep/b.txt", b"b")
    bucket("2025/c.xml", b"c")
    assert texts("memory://bucket/**/*.txt") == [("2024/a.txt", "a"), ("2025/deep/b.txt", "b")]
    with pytest.raises(UnsupportedCorpus, match=r"memory://.*c\.xml"):
        read_corpus("memory://bucket/2025/*.xml")
    for nothing in ("memory://bucket/*.pdf", "memory://bucket/no.txt"):
        with pytest.raises(CorpusNotFound, match="memory://bucket"):
            read_corpus(nothing)


def test_several_sources_are_read_one_after_the_other(bucket, write) -> None:
    write("here/a.txt", "a")
    write("here/b.txt", "b")
    write("c.txt", "c")
    more = [bucket("d.jsonl", LINES), "here", "here/[b].txt", "c.txt"]
    assert texts("c.txt", further_sources=more) == [
        ("c", "c"),
        ("memory://bucket/d.jsonl:1", "One."),
        ("memory://bucket/d.jsonl:2", "Two."),
        ("here/a.txt", "a"),
        ("here/b.txt", "b"),
        ("here/b.txt~2", "b"),
        ("c.txt", "c"),
    ]


@pytest.mark.parametrize("source", ["-", "hf://datasets/a/b", ["a text"]])
def test_a_stream_is_read_alone(write, source: Any) -> None:
    name = source if isinstance(source, str) else "list"
    with pytest.raises(SourceStandsAlone, match=f"^'{name}' is read alone, not together"):
        read_corpus(source, further_sources=[write("c.txt", "c")])


class Failing:
    """A file that breaks off a number of times, and tells where it was read from."""

    def __init__(self, data: bytes, failures: int, reads: list[int]) -> None:
        self.data, self.failures, self.reads = data, failures, reads
        self.offset = 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int) -> None:
        self.offset = offset

    def read(self, size: int) -> bytes:
        if self.offset and self.failures:
            self.failures -= 1
            raise ConnectionResetError("reset")
        self.reads.append(self.offset)
        data = self.data[self.offset : self.offset + size]
        self.offset += len(data)
        return data

    def close(self) -> None: ...


class Store:
    """A file system of one file."""

    def __init__(self, data: bytes, failures: int = 0, **facts: Any) -> None:
        self.facts = {"size": len(data), "ETag": "1", "type": "file", **facts}
        self.reads: list[int] = []
        self.file = Failing(data, failures, self.reads)

    def info(self, path: str) -> dict[str, Any]:
        return self.facts

    def invalidate_cache(self) -> None: ...

    def open(self, path: str, mode: str, **options: Any) -> Failing:
        return self.file

    def copy(self, folder: Path) -> remote_copy.RemoteCopy:
        return remote_copy.RemoteCopy(
            self, "x", "s3://b/x.txt", facts=self.facts, folder=folder, suffixes=".txt"
        )


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_copy, "CHUNK_BYTES", 4)


def test_reading_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    store = Store(b"0123456789", failures=2)
    with store.copy(tmp_path).open() as stream:
        assert stream.read() == b"0123456789"
    assert store.reads == [0, 4, 8]


def test_a_store_that_stays_away_ends_the_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed) as error:
        Store(b"0123456789", failures=3).copy(tmp_path).whole()
    assert str(error.value) == (
        "'s3://b/x.txt' cannot be read: reset. It was tried several times. Type the same command "
        "again later: what was read is not read again."
    )
    assert error.value.retryable


def test_another_process_fetches_only_what_is_missing(tmp_path: Path) -> None:
    store = Store(b"0123456789")
    assert store.copy(tmp_path).read_at(0, 3) == b"012"
    again = store.copy(tmp_path)
    assert again.whole().read_bytes() == b"0123456789"
    assert store.reads == [0, 4, 8]
    assert store.copy(tmp_path).whole().read_bytes() == b"0123456789"
    assert store.reads == [0, 4, 8]


@pytest.mark.parametrize("tags", [("1", "2"), (None, None)])
def test_what_may_be_another_file_is_fetched_again(tmp_path: Path, tags) -> None:
    Store(b"0123456789", ETag=tags[0]).copy(tmp_path).whole()
    store = Store(b"abcdefghij", ETag=tags[1])
    assert store.copy(tmp_path).whole().read_bytes() == b"abcdefghij"


def test_a_file_that_changes_while_it_is_read_is_no_mixture(tmp_path: Path) -> None:
    store = Store(b"0123456789", failures=1)
    copy = store.copy(tmp_path)
    assert copy.read_at(0, 3) == b"012"
    store.facts = {**store.facts, "ETag": "2"}
    with pytest.raises(StoreChanged, match="has changed while it was read"):
        copy.whole()


def test_a_file_that_ends_early_is_not_whole(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="it ended after 10 of 11 bytes"):
        Store(b"0123456789", size=11).copy(tmp_path).whole()


def test_a_copy_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CopyNotWritable, match=r"cannot be written to '.*/file/in'"):
        Store(b"0").copy(tmp_path / "file" / "in").whole()


def test_only_what_is_read_is_fetched(bucket, tmp_path: Path) -> None:
    url = bucket("long.jsonl", LINES * 100_000)
    store = RemoteStore(tmp_path)
    assert len(texts(url, limit=2, store=store)) == 2
    (copy,) = tmp_path.glob("*.jsonl")
    assert copy.stat().st_size <= 2**20 + 4


def test_a_store_that_fails_ends_a_folder_too(bucket, monkeypatch) -> None:
    bucket("a.txt", b"a")
    bucket("b.txt", b"b")
    monkeypatch.setattr(
        "nlp_pipeline.corpus.remote_copy.RemoteCopy._next_bytes",
        lambda copy: (_ for _ in ()).throw(ConnectionResetError("reset")),
    )
    with pytest.raises(StoreFailed):
        list(read_corpus("memory://bucket"))


def test_rights_that_lack_are_said_with_what_to_set(bucket, monkeypatch) -> None:
    url = bucket("a.txt", b"a")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", refuse)
    with pytest.raises(StoreRefused) as error:
        read_corpus(url)
    assert str(error.value) == (
        f"The store refuses to list or read '{url}': Access Denied. Set credentials that may in "
        "the environment: what the store's own documentation names."
    )
    bucket_error = StoreRefused("s3://b/x", "s3", "Access Denied")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(bucket_error)


class Answered(Exception):
    """What a library of a store raises: each keeps the answer's number elsewhere."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Answered("NoSuchBucket", response={"ResponseMetadata": {"HTTPStatusCode": 404}}), "gone"),
        (Answered("Forbidden", response={"ResponseMetadata": {"HTTPStatusCode": 403}}), "refused"),
        (Answered("Slow down", response={"ResponseMetadata": {"HTTPStatusCode": 503}}), "failed"),
        (Answered("Not found", code="404"), "gone"),
        (Answered("No", code=401), "refused"),
        (Answered("Away", status=503), "failed"),
        (ValueError("Cannot traverse all of it"), "not taken"),
        (UnicodeError("of another kind"), "failed"),
    ],
)
def test_what_a_store_answers(error: Exception, problem: str) -> None:
    problems = {
        "gone": CorpusNotFound,
        "refused": StoreRefused,
        "failed": StoreFailed,
        "not taken": UrlNotTaken,
    }
    assert type(remote_copy.store_error("s3://b/x.txt", error)) is problems[problem]


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    errors = pytest.importorskip("aiohttp.http_exceptions")
    problem = remote_copy.store_error("https://b/x.txt", errors.ContentLengthError("too short"))
    assert type(problem) is StoreFailed


def test_a_url_that_names_nothing() -> None:
    assert str(UrlNotTaken("s3://", "Cannot traverse all of S3.")) == (
        "The store takes no 's3://': Cannot traverse all of S3. Check the name of the bucket and "
        "what stands behind it."
    )
    assert not UrlNotTaken.retryable


def test_one_file_without_rights_costs_no_other(bucket, monkeypatch) -> None:
    bucket("a.txt", b"a")
    bucket("b.txt", b"b")
    opened = type(fsspec.filesystem("memory")).open

    def refuse(filesystem: Any, path: str, *args: Any, **options: Any) -> Any:
        if path.endswith("a.txt"):
            raise PermissionError("Access Denied")
        return opened(filesystem, path, *args, **options)

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "open", refuse)
    reject, record = read_corpus("memory://bucket")
    assert isinstance(record, Record)
    assert isinstance(reject, Reject)
    assert (reject.kind, record.text) == ("store_refused", "b")


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nope://x/a.txt", UnknownStore, r"begins with the name of no store; there are: .*s3://"),
        ("simplecache::memory://x/a.txt", ChainedUrl, "leads through one file system"),
        ("memory://a.zip::memory://x/a.txt", ChainedUrl, "leads through one file system"),
        ("reference://x/a.txt", ChainedUrl, "leads through one file system"),
        ("https://me:pw@example.org/a.txt", CredentialsInUrl, "'example.org' holds a password"),
        ("https://example.org/a.txt?X-Amz-Signature=pw", CredentialsInUrl, "'example.org' holds"),
        ("https://example.org/a.txt?access_token=pw", CredentialsInUrl, "'example.org' holds"),
        ("https://example.org/a.txt?sig=pw", CredentialsInUrl, "'example.org' holds"),
        ("s3://me:pw@bucket/a.txt", CredentialsInUrl, "'bucket' holds a password"),
        ("http://127.0.0.1/a.txt", PrivateAddress, "the private address 127.0.0.1. Give --allow"),
        ("http://localhost:9/a.txt", PrivateAddress, "lies on 'localhost'"),
        ("https://169.254.169.254/latest/a.txt", PrivateAddress, "169.254.169.254"),
        ("http://[::ffff:10.0.0.1]/a.txt", PrivateAddress, "10.0.0.1"),
        ("http://[64:ff9b::a00:1]/a.txt", PrivateAddress, "64:ff9b::a00:1"),
        ("http://[::127.0.0.1]/a.txt", PrivateAddress, "::127.0.0.1"),
        ("http://[64:ff9b:1::7f00:1]/a.txt", PrivateAddress, "64:ff9b:1::7f00:1"),
        ("http://[fc00::1]/a.txt", PrivateAddress, "fc00::1"),
        ("http://2130706433/a.txt", PrivateAddress, "the private address 127.0.0.1"),
        ("http://0x7f000001/a.txt", PrivateAddress, "the private address 127.0.0.1"),
        ("http://0177.0.0.1/a.txt", PrivateAddress, "the private address 127.0.0.1"),
        ("http://127.1/a.txt", PrivateAddress, "the private address 127.0.0.1"),
        ("ftp://192.168.0.1/a.txt", PrivateAddress, "192.168.0.1"),
    ],
)
def test_urls_that_are_not_read(url: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as refused:
        read_corpus(url)
    assert "pw" not in str(refused.value)


def test_behind_a_proxy_an_address_is_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is the proxy's to resolve; a number needs nobody for it."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    for host in ("10.0.0.1", "[::1]", "localhost"):
        with pytest.raises(PrivateAddress):
            read_corpus(f"http://{host}/a.txt")
    remote_hosts.refuse_private("http://intranet.example/a.txt")


def test_a_missing_package_is_named(monkeypatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Please install adlfs to access Azure")

    monkeypatch.setattr(sys.modules["fsspec.registry"], "get_filesystem_class", missing)
    with pytest.raises(StoreNotInstalled, match=r"Type `pip install 's3fs>=2024\.5'`\.$"):
        read_corpus("s3://bucket/a.txt")
    with pytest.raises(StoreNotInstalled, match=r"Please install adlfs to access Azure\.$"):
        read_corpus("az://bucket/a.txt")


class Web(BaseHTTPRequestHandler):
    """A web server; `seen` is what it was asked for, with the range."""

    files: dict[str, tuple[bytes, str]]
    seen: list[tuple[str, str | None]]
    ranges = True

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        asked = self.headers.get("Range")
        if body:
            self.seen.append((self.path, asked))
        if self.path == "/away.txt":
            self.send_response(302)
            port = self.server.server_port  # type: ignore[attr-defined]
            self.send_header("Location", f"http://localhost:{port}/a.txt")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/moved.txt":
            self.send_response(302)
            self.send_header("Location", "/a.txt")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path not in self.files:
            self.send_response(403 if self.path.startswith("/secret") else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, kind = self.files[self.path]
        start, end = 0, len(data)
        if asked and self.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Type", kind)
        self.send_header("ETag", '"1"')
        self.end_headers()
        if body:
            self.wfile.write(data[start:end])

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("no_proxy", "*")  # whatever the machine's environment names
    handler = type("Handler", (Web,), {"seen": [], "files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[attr-defined]
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_of_the_web(web, ranges: bool) -> None:
    web.ranges = ranges
    web.files["/n.jsonl"] = (LINES, "application/octet-stream")
    assert texts(f"{web.url}/n.jsonl?download=1".split("?")[0], allow_private=True) == [
        ("n:1", "One."),
        ("n:2", "Two."),
    ]
    if ranges:
        assert web.seen == [
            ("/n.jsonl", f"bytes={start}-{min(start + 3, len(LINES) - 1)}")
            for start in range(0, len(LINES), 4)
        ]


def test_a_page_without_a_suffix_is_what_the_server_says(web) -> None:
    web.files["/wiki/Ada"] = (b"Ada.", "text/plain; charset=utf-8")
    web.files["/wiki/Data"] = (b"\x00", "application/octet-stream")
    assert texts(f"{web.url}/wiki/Ada", allow_private=True) == [("Ada", "Ada.")]
    with pytest.raises(UnsupportedCorpus):
        read_corpus(f"{web.url}/wiki/Data", allow_private=True)


def test_what_the_web_refuses(web) -> None:
    with pytest.raises(CorpusNotFound):
        read_corpus(f"{web.url}/no.txt", allow_private=True)
    with pytest.raises(StoreRefused, match="FSSPEC_HTTPS="):
        read_corpus(f"{web.url}/secret.txt", allow_private=True)


def test_a_redirect_stays_on_its_host(web, monkeypatch) -> None:
    web.files["/a.txt"] = (b"a", "text/plain")
    monkeypatch.setattr(remote_hosts, "_is_public", lambda address: True)
    assert texts(f"{web.url}/moved.txt") == [("moved", "a")]
    with pytest.raises(RedirectRefused) as error:
        read_corpus(f"{web.url}/away.txt")
    assert str(error.value) == (
        f"The corpus '{web.url}/away.txt' is redirected to 'http://localhost'. Give the URL there "
        "as the corpus, or --allow-private to follow it wherever it leads."
    )
    assert texts(f"{web.url}/away.txt", allow_private=True) == [("away", "a")]


def test_a_name_that_becomes_private_is_not_connected_to(web, monkeypatch) -> None:
    monkeypatch.setattr("nlp_pipeline.corpus.remote_store.refuse_private", lambda url: None)
    with pytest.raises(PrivateAddress):
        read_corpus(f"{web.url}/a.txt".replace("127.0.0.1", "localhost"))
    assert web.seen == []


def test_a_listing_is_asked_for_once(bucket, tmp_path: Path, monkeypatch) -> None:
    url = bucket("a.txt", b"a")
    store = RemoteStore(tmp_path)
    first = find_sources(url, store=store)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", None)
    assert find_sources(url, store=store) == first
