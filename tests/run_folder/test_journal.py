"""The journal: what is whole comes back, what is torn is cut off."""

from __future__ import annotations

import pytest

from nlp_pipeline import read_run
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.journal import WIP, Journal, journaled
from nlp_pipeline.runner import run as runner

ROWS = [{"documents": [{"document_id": f"é\u2028{i}", "n": i, "x": 0.1 + i}]} for i in range(3)]


@pytest.fixture
def journal(tmp_path):
    """A journal of three documents, closed as by a killed process."""
    made = Journal(tmp_path, 4, 0)
    for rows in ROWS:
        made.append(rows)
    made.close()
    return tmp_path / WIP / "part-00004.jsonl"


def test_what_goes_in_comes_out(tmp_path, journal) -> None:
    assert Journal(tmp_path, 4, 0).read() == journaled(tmp_path, 4) == ROWS
    assert Journal(tmp_path, 5, 0).read() == []


@pytest.mark.parametrize("harm", ["torn", "flipped", "zeros"])
def test_a_damaged_line_is_cut_off_and_written_again(tmp_path, journal, harm) -> None:
    data = journal.read_bytes()
    lines = data.splitlines(keepends=True)
    damaged = {
        "torn": data[:-5],
        "flipped": lines[0] + lines[1] + lines[2].replace(b'"n": 2', b'"n": 3'),
        "zeros": lines[0] + lines[1] + bytes(100),
    }[harm]
    journal.write_bytes(damaged)
    assert journaled(tmp_path, 4) == ROWS[:2]
    assert journal.read_bytes() == damaged  # a reader changes nothing
    again = Journal(tmp_path, 4, 0)
    assert again.read() == ROWS[:2]
    again.append(ROWS[2])
    again.close()
    assert journal.read_bytes() == data


def test_a_run_leaves_no_journal(tmp_path, quick, corpus) -> None:
    runner.run(corpus("a", "b", "c"), tmp_path / "out", pipeline=quick(), part_size=2)
    assert list((tmp_path / "out" / WIP).iterdir()) == []
    assert len(read_run(tmp_path / "out")["documents"]) == 3


def test_documents_in_a_journal_are_not_thrown_away(tmp_path) -> None:
    with open_run(tmp_path / "out", {"a": 1}, "parquet") as folder:
        folder.write_manifest({"fingerprint": {"a": 1}, "format": "parquet"})
        journal = folder.journal()
        journal.append(ROWS[0])
        journal.close()
    with open_run(tmp_path / "out", {"a": 1}, "parquet") as folder:
        assert folder.journal().read() == ROWS[:1]
