"""`read_run` gives what `to_frames` gives, in every format, and reads no more than is asked for."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_pipeline import read_run, to_frames
from nlp_pipeline.errors.run_folder import ColumnNotFound, RunNotFound, TableNotFound
from nlp_pipeline.run_folder.files import FORMATS
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.read import row_counts
from nlp_pipeline.tables import TABLES
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.rows import Origin, doc_rows


def write(out, docs, format_="parquet", part_size=4) -> None:
    with open_run(out, {}, format_) as folder:
        folder.write_manifest({"fingerprint": {}, "format": format_})
        for start in range(0, len(docs), part_size):
            rows: dict = {name: [] for name in TABLES}
            for place, doc in enumerate(docs[start : start + part_size], start):
                origin = Origin(doc._.record_id, place, text=doc.text, meta=doc._.meta)
                for name, more in doc_rows(doc, origin).items():
                    rows[name] += more
            folder.commit(dict(iter_tables(rows)), documents=1, failed=0, output_tokens=0)


@pytest.mark.parametrize("format_", FORMATS)
def test_memory_and_disk_give_the_same_frames(tmp_path, docs, same, format_) -> None:
    write(tmp_path, docs, format_)
    frames = to_frames(docs)
    same(read_run(tmp_path), frames)
    assert frames["answers"].answer.isna().tolist()[:6] == [False, True, True] * 2
    assert frames["answers"].answer[3] == ""


@pytest.mark.parametrize("format_", FORMATS)
def test_some_tables_and_columns_in_the_order_asked(tmp_path, docs, format_) -> None:
    write(tmp_path, docs, format_)
    found = read_run(tmp_path, ["tokens", "answers"], {"tokens": ["text", "document_id"]})
    assert list(found) == ["tokens", "answers"]
    assert list(found["tokens"].columns) == ["text", "document_id"]
    assert list(found["answers"].columns) == TABLES["answers"].names
    whole = to_frames(docs)["tokens"][["text", "document_id"]]
    pd.testing.assert_frame_equal(found["tokens"], whole)
    assert list(read_run(tmp_path, "spans")) == ["spans"]


def test_other_columns_are_not_read(tmp_path, docs, monkeypatch) -> None:
    write(tmp_path, docs)
    asked: list = []
    real = pq.ParquetFile.read

    def read(self: pq.ParquetFile, columns: list[str]) -> pa.Table:
        asked.append(columns)
        return real(self, columns)

    monkeypatch.setattr(pq.ParquetFile, "read", read)
    read_run(tmp_path, ["tokens"], {"tokens": ["text"]})
    assert asked == [["text"]] * 4


def test_the_first_rows_need_no_later_part(tmp_path, docs, same) -> None:
    write(tmp_path, docs, part_size=4)
    for part in ("part-00001", "part-00002", "part-00003"):
        (tmp_path / "answers" / f"{part}.parquet").unlink()
    found = read_run(tmp_path, "answers", first=5)
    same(found, {"answers": to_frames(docs)["answers"].head(5)})
    assert row_counts(tmp_path)["answers"] == 3 * len(docs)
    assert row_counts(tmp_path)["summaries"] == 0


def test_a_part_without_receipt_is_not_read(tmp_path, docs) -> None:
    write(tmp_path, docs, part_size=4)
    (tmp_path / "_receipts" / "part-00003.json").unlink()
    assert len(read_run(tmp_path, "documents")["documents"]) == 12


def test_an_empty_run_has_all_columns(tmp_path, same) -> None:
    with open_run(tmp_path, {}, "parquet") as folder:
        folder.write_manifest({"fingerprint": {}, "format": "parquet"})
    same(read_run(tmp_path), to_frames([]))


def test_no_run(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(RunNotFound, match=r"holds no run \(there is no manifest.json\)"):
            read_run(place)


def test_no_such_table_or_column(tmp_path, docs) -> None:
    write(tmp_path, docs)
    with pytest.raises(TableNotFound, match="no table 'token'; the tables are: documents, "):
        read_run(tmp_path, ["token"])
    with pytest.raises(TableNotFound, match="no table 'token'"):
        read_run(tmp_path, columns={"token": ["text"]})
    with pytest.raises(ColumnNotFound, match="'tokens' has no column 'word'; it has: document_id"):
        read_run(tmp_path, columns={"tokens": ["word"]})
