"""Standard input is kept in the run's folder, so that a run over it can resume."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nlp_pipeline.errors.run_folder import OutputNotWritable
from nlp_pipeline.run_folder.stdin import keep, spooled


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


def spool(out: Path, data: bytes, **options) -> bytes:
    with spooled(out, io.BytesIO(data), **options) as copy:
        return keep(copy).read_bytes()


def test_a_copy_is_kept(tmp_path) -> None:
    assert spool(tmp_path / "out", b"a\n" * 10**6) == b"a\n" * 10**6
    assert [path.name for path in (tmp_path / "out" / "_input").iterdir()] == ["stdin.jsonl"]


def test_where_nothing_comes_the_earlier_copy_is_taken(tmp_path) -> None:
    spool(tmp_path, b"a\n")
    assert spool(tmp_path, b"") == b"a\n"
    with spooled(tmp_path, Terminal(b"typed\n")) as copy:
        assert keep(copy).read_bytes() == b"a\n"


def test_what_comes_replaces_it(tmp_path) -> None:
    spool(tmp_path, b"a\n")
    assert spool(tmp_path, b"b\n") == b"b\n"


def test_fresh_takes_no_earlier_copy(tmp_path) -> None:
    spool(tmp_path, b"a\n")
    assert spool(tmp_path, b"", fresh=True) == b""
    with spooled(tmp_path, Terminal(b"typed\n"), fresh=True) as copy:
        assert copy.read_bytes() == b"typed\n"


def test_a_copy_that_is_not_kept_leaves_no_trace(tmp_path) -> None:
    with spooled(tmp_path / "new", io.BytesIO(b"a\n")) as copy:
        assert copy.read_bytes() == b"a\n"
    assert list((tmp_path / "new").iterdir()) == []
    spool(tmp_path, b"a\n")
    with spooled(tmp_path, io.BytesIO(b"b\n")):
        pass
    assert (tmp_path / "_input" / "stdin.jsonl").read_bytes() == b"a\n"


def test_what_killed_processes_left_is_removed(tmp_path) -> None:
    (tmp_path / "_input").mkdir()
    (tmp_path / "_input" / ".stdin.jsonl.tmp-99").write_bytes(b"half")
    spool(tmp_path, b"a\n")
    assert [path.name for path in (tmp_path / "_input").iterdir()] == ["stdin.jsonl"]


def test_a_folder_that_cannot_be(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        spool(tmp_path / "file", b"a\n")
