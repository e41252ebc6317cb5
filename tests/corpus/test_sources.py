"""What a source stands for: files, folders, and what is neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from read_items import records_of

from nlp_pipeline.corpus import Reject, corpus_file, count_documents, read_corpus, source_files
from nlp_pipeline.errors.corpus import (
    CorpusIsARun,
    CorpusNotAFile,
    CorpusNotFound,
    CorpusNotReadable,
    EmptyCorpusFolder,
    UnsupportedCorpus,
)
from nlp_pipeline.errors.packages import pip_install

SUPPORTED = (
    ".jsonl, .ndjson, .csv, .tsv, .xlsx, .txt, .parquet, .json, .conllu, .eml, .mbox, .sqlite, "
    ".sqlite3, .db, .duckdb, .pdf, .docx, .pptx, .html, .htm, .md"
)
IN_FOLDERS = SUPPORTED.replace(" .json,", "").replace(" .sqlite, .sqlite3, .db, .duckdb,", "")


def test_a_source_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusNotFound) as error:
        read_corpus("no\x1b.jsonl")
    assert str(error.value) == (
        "The corpus 'no\\x1b.jsonl' was not found. Give a file, a folder, or - for standard input."
    )
    assert (error.value.stage, error.value.exit_code) == ("read", 1)


def test_a_pattern_that_no_file_matches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusNotFound) as error:
        read_corpus("notes/*.htlm")
    assert str(error.value) == (
        "No file matches the pattern 'notes/*.htlm'. Mend it; ** stands for folders of any depth."
    )


def test_what_lies_beside_an_open_file_is_no_document(write):
    write("mix/a.txt", "A text.")
    write("mix/~$a.txt", "locked")
    write("mix/.b.txt", "hidden")
    assert [path.name for path in source_files("mix")] == ["a.txt"]


@pytest.mark.parametrize("name", ["x.xml", "x.jsonl.bz2", "x", "x.parquet.gz", ".jsonl"])
def test_a_suffix_nobody_reads(write, name):
    source = write(name, "{}")
    with pytest.raises(UnsupportedCorpus) as error:
        read_corpus(source)
    assert str(error.value) == (
        f"The corpus '{name}' has no format that is read here; there are: {SUPPORTED}; those of "
        "text also with .gz or .zst. Convert or rename it; JSON Lines is one object a line."
    )


def test_a_file_that_may_not_be_opened(write, monkeypatch):
    source = write("x.jsonl", "{}")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusNotReadable) as error:
        read_corpus(source)
    assert str(error.value) == (
        "The corpus 'x.jsonl' cannot be opened: Permission denied. Check its permissions."
    )


def test_a_folder_with_nothing_to_read(write):
    write("d/notes.rst", "a")
    with pytest.raises(EmptyCorpusFolder) as error:
        read_corpus("d")
    assert str(error.value) == (
        f"The folder 'd' holds nothing to read: looked for {IN_FOLDERS}; it has: notes.rst."
    )


def test_a_folder_of_what_a_package_reads_that_is_not_there(write, monkeypatch):
    monkeypatch.setattr(corpus_file, "is_converter_installed", lambda: False)
    write("d/page.html", "a")
    with pytest.raises(EmptyCorpusFolder) as error:
        read_corpus("d")
    assert str(error.value) == (
        f"The folder 'd' holds nothing to read: looked for {IN_FOLDERS}; it has: page.html. Some "
        f"of it needs a package that is not installed: type `{pip_install('documents')}`."
    )


def test_a_folder_is_read_recursively_in_order_of_paths(write):
    write("d/b.jsonl", '{"text": "b1"}\n{"text": "b2"}\n')
    write("d/a/z.txt", "z")
    write("d/a/c.csv", "text\nc\n")
    write("d/.hidden.jsonl", "broken")
    write("d/.git/x.jsonl", "broken")
    write("d/README.md", "not read")
    write("d/a/x.xml", "not read")
    said: list[str] = []
    rows = list(read_corpus("d", on_warning=said.append))
    assert [(row.index, row.id, row.source, row.line) for row in rows] == [
        (0, "a/c.csv:2", "d/a/c.csv", 2),
        (1, "a/z.txt", "d/a/z.txt", 1),
        (2, "b.jsonl:1", "d/b.jsonl", 1),
        (3, "b.jsonl:2", "d/b.jsonl", 2),
    ]
    assert said == [
        "Files of other formats in 'd' were passed over: README.md, a/x.xml.",
        "Folders in 'd' were left out: .git (hidden).",
    ]
    assert source_files("d") == [Path("d/a/c.csv"), Path("d/a/z.txt"), Path("d/b.jsonl")]
    assert count_documents("d") == 4


RUN = '{"state": "running", "fingerprint": {"schema": 3}}'


def test_runs_and_caches_in_a_folder_are_no_documents(write):
    write("d/a.txt", "a")
    write("d/out/manifest.json", RUN)
    write("d/out/documents/part-00000.jsonl", '{"text": "of a run"}')
    write("d/deep/er/old/manifest.json", '{"state": "cleared", "fingerprint": {}}')
    write("d/deep/er/old/documents/part-00000.csv", "text\nof a run\n")
    write("d/torn/manifest.json", '{"fingerpr')
    write("d/torn/_receipts/part-00000.json", "{}")
    write("d/torn/errors.jsonl", '{"text": "of a run"}')
    write("d/__pycache__/x.txt", "of a cache")
    write("d/cached/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55")
    write("d/cached/x.txt", "of a cache")
    write("d/theirs/manifest.json", '{"name": "an app"}')
    write("d/theirs/b.txt", "b")
    write("d/listed/manifest.json", "[1]")
    write("d/listed/c.txt", "c")
    said: list[str] = []
    records = records_of(read_corpus("d", on_warning=said.append))
    assert [record.text for record in records] == ["a", "c", "b"]
    assert said[-1] == (
        "Folders in 'd' were left out: __pycache__ (a cache), cached (a cache), "
        "deep/er/old (a run), out (a run), torn (a run)."
    )
    assert source_files("d") == [Path("d/a.txt"), Path("d/listed/c.txt"), Path("d/theirs/b.txt")]


def test_the_folder_of_a_run_is_no_corpus_and_a_table_of_it_is(write):
    write("out/manifest.json", RUN)
    write("out/documents/part-00000.jsonl", '{"text": "a"}')
    with pytest.raises(CorpusIsARun) as error:
        read_corpus("out")
    assert str(error.value) == (
        "The corpus 'out' is the folder of a run, which is not read as documents. Name the corpus "
        "itself, or one table of the run, such as 'out/documents'."
    )
    assert [row.text for row in records_of(read_corpus("out/documents"))] == ["a"]


def test_what_holds_only_runs_says_so(write):
    write("d/out/manifest.json", RUN)
    write("d/out/documents/part-00000.jsonl", '{"text": "a"}')
    with pytest.raises(EmptyCorpusFolder, match=r"it has: out \(a run\)\."):
        read_corpus("d")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("x.jsonl")
    with pytest.raises(CorpusNotAFile) as error:
        read_corpus("x.jsonl")
    assert str(error.value) == (
        "The corpus 'x.jsonl' is neither a file nor a folder. Send a stream to standard input and "
        "give - as the corpus."
    )
    os.mkfifo("manifest.json")
    (tmp_path / "a.txt").write_text("a")
    assert [row.text for row in records_of(read_corpus("."))] == ["a"]


NAMES = ("d/x.txt", "d/a/x.txt", "d/a/x.csv", "d/a/y.txt", "d/b/x.txt.gz.txt")


def test_a_file_is_named_by_its_path_whatever_lies_beside_it(write):
    for number, name in enumerate(NAMES):
        write(name, "text\na\n")
        ids = [row.id.removesuffix(":2") for row in read_corpus("d")]
        assert sorted(ids) == sorted(name.removeprefix("d/") for name in NAMES[: number + 1])


def test_files_of_an_old_run_keep_their_names(write):
    for name in (*NAMES, "d/later/x.txt", "d/later/y.txt"):
        write(name, "text\na\n")
    old = [name.removeprefix("d/") for name in NAMES]
    assert [row.id for row in read_corpus("d", named_by_stem=old)] == [
        *("a/x.csv:2", "a/x.txt", "y", "x.txt.gz", "later/x.txt", "later/y.txt", "x")
    ]


def test_files_that_are_numbered_each_by_itself(write):
    write("d/a.csv", "id,text\n1,a\n2,b\n2,again\n")
    write("d/b/b.jsonl", '{"id": 1, "text": "c"}\n{"text": "d"}\n{"id": 1, "text": "again"}\n')
    write("d/c.csv", "id,text\n1,e\n3,f\n")
    warnings: list[str] = []
    rows = list(read_corpus("d", on_warning=warnings.append))
    read = [row.kind if isinstance(row, Reject) else (row.id, row.text) for row in rows]
    assert read == [
        *(("1", "a"), ("2", "b"), "duplicate_id"),
        *(("b/b.jsonl#1", "c"), ("b/b.jsonl:2", "d"), "duplicate_id"),
        *(("c.csv#1", "e"), ("3", "f")),
    ]
    assert warnings == [
        "d/b/b.jsonl:1 has the id '1', which a record of d/a.csv has too: it is called "
        "'b/b.jsonl#1', and so is every record whose id an earlier file has. Where that is one "
        "document twice, leave one out; --id-key names another field. Said once; there may be more."
    ]


def test_sources_that_are_numbered_each_by_itself(write):
    for name in ("a.jsonl", "b.jsonl"):
        write(name, '{"nr": 1, "text": "a"}')
    rows = read_corpus("a.jsonl", id_key="nr", further_sources=["b.jsonl"])
    assert [row.id for row in rows] == ["1", "b.jsonl#1"]


def test_an_id_that_is_too_long_with_the_name_of_its_file(write):
    id = "x" * 499
    for name in ("a", "b"):
        write(f"d/{name}.jsonl", json.dumps({"id": id, "text": "a"}))
    first, second = read_corpus("d")
    assert (first.id, second.id) == (id, "b.jsonl:1")
    assert isinstance(second, Reject)
    assert second.kind == "duplicate_id"


def test_a_bad_file_of_a_folder_costs_no_other(write):
    write("d/a.csv", "body\na\n")
    write("d/b.jsonl.gz", "no gzip")
    write("d/c.jsonl", '{"text": "c"}')
    rows = list(read_corpus("d"))
    assert [getattr(row, "kind", None) for row in rows] == [
        "no_text_column",
        "unreadable_file",
        None,
    ]


def test_a_file_name_that_is_no_utf8(tmp_path):
    (tmp_path / "abc\udce9.txt").write_text("a")
    (record,) = read_corpus(tmp_path)
    assert record.id == "abc\ufffd.txt"
    assert record.source.endswith("abc\ufffd.txt")


def test_the_files_are_named_as_the_user_did(write):
    write("d/x.jsonl", "{}")
    assert next(read_corpus("d/../d/x.jsonl")).source == "d/../d/x.jsonl"


@pytest.mark.parametrize(
    ("name", "content", "total"),
    [
        ("x.jsonl", "", 0),
        ("x.jsonl", "{}", 1),
        ("x.jsonl", "{}\n{}\n", 2),
        ("x.csv", "", 0),
        ("x.csv", "text\n", 0),
        ("x.csv", 'text\n"a\nb"\n"c ""\n"" d"\ne', 3),
        ("x.txt", "a\nb\n", 1),
        ("x.jsonl.gz", "no gzip", 0),
        ("x.parquet", "no parquet", 0),
    ],
)
def test_counting(write, name, content, total):
    assert count_documents(write(name, content)) == total


def test_counting_over_chunks(write):
    row = '"' + "a\n" * 1000 + '"\n'
    assert count_documents(write("x.csv", "text\n" + row * 2000)) == 2000


@pytest.mark.parametrize(("limit", "total"), [(0, 0), (2, 2), (3, 3), (9, 4)])
def test_counting_stops_at_the_limit(write, limit, total):
    write("d/a.jsonl", "{}\n{}\n")
    write("d/b.jsonl", "{}\n{}\n")
    assert count_documents("d", limit) == total


def test_counting_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"] * 7}), tmp_path / "x.parquet")
    assert count_documents(tmp_path) == 7


def test_standard_input_has_no_total_and_no_files():
    assert count_documents("-") is None
    assert source_files("-") == []


def test_a_copy_of_standard_input_is_read_in_its_place(tmp_path):
    copy = tmp_path / "copy"
    copy.write_text('{"text": "a"}\n{"id": "x", "text": "b"}\n')
    rows = list(read_corpus("-", stdin=copy))
    assert [(row.id, row.source, row.line) for row in rows] == [("stdin:1", "-", 1), ("x", "-", 2)]
    assert count_documents("-", stdin=copy) == 2


def test_reading_imports_nothing_heavy():
    code = (
        "import sys, nlp_pipeline.corpus\n"
        "heavy = {'spacy', 'torch', 'pandas', 'pyarrow', 'click', 'transformers', 'numpy'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
