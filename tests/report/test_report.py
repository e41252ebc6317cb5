"""What `nlp-pipeline report` writes, without a browser."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from array import array
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run, run
from nlp_pipeline.errors.run_folder import OutputNotWritable, RunNotFound
from nlp_pipeline.report import write_report
from nlp_pipeline.report.overview import histogram, pace
from nlp_pipeline.run_folder.files import Format


def data(page: str, name: str) -> Any:
    match = re.search(f'id="{name}">([^<]*)</script>', page)
    assert match is not None
    return json.loads(zlib.decompress(base64.b64decode(match[1])))


def test_a_page_holds_every_document_and_all_that_was_found(out: Path, tmp_path: Path) -> None:
    page = write_report(out, tmp_path / "page.html").read_text(encoding="utf-8")
    frames = read_run(out)
    (block,) = [data(page, "block-0")]
    assert [doc["document_id"] for doc in block] == frames["documents"].document_id.tolist()
    assert [doc["text"] or "" for doc in block] == frames["documents"].text.fillna("").tolist()
    for name in ("answers", "entities", "sentences", "errors"):
        assert sum(len(doc[name]) for doc in block) == len(frames[name])
    assert sum(len(doc["tree"]) for doc in block) == 5 * len(frames["tokens"])
    overview = data(page, "overview")
    assert overview["counts"]["documents"] == 6
    assert overview["counts"]["failed"] == frames["documents"].status.eq("error").sum()
    assert dict(overview["errors"]) == frames["errors"].type.value_counts().to_dict()
    statuses = {one["id"]: one["statuses"] for one in overview["questions"]}
    assert statuses["who"]["ok"] == 5
    assert statuses["fails"]["error"] >= 5


def test_what_another_run_says_otherwise_comes_first(
    two_runs: tuple[Path, Path], cli: Any, tmp_path: Path
) -> None:
    a, b = two_runs
    done = cli("report", a, "--against", b, "--file", tmp_path / "page.html")
    assert done.code == 0, done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert data(page, "overview")["against"] == "b"
    assert sorted(data(page, "overview")["categories"]) == ["letter", "travel", "war"]
    ada, empty, grace = (line[7] for line in data(page, "lines"))
    # Labels with score and interest, values, entities: how many, which the other run lacks.
    assert ada == [[["letter", 0.6, 0]], [["form", "/who", 1]], 2, [], 0], "Nobody is nowhere"
    assert empty is None, "there is nothing to look at"
    assert grace == [[["letter", 0.8, 2]], [["form", "/who", 2]], 2, [1], 1]
    document = data(page, "block-0")[2]
    assert document["other_labels"] == ["travel"]
    assert document["extraction_fields"][0]["other"]["text"] is None
    alone = write_report(a, tmp_path / "alone.html").read_text(encoding="utf-8")
    assert data(alone, "lines")[2][7] == [[["letter", 0.8, 0]], [["form", "/who", 0]], 2, [], 0]
    assert cli("report", a, "--against", tmp_path / "none").code == 1


def test_another_run_over_other_texts_is_refused(
    two_runs: tuple[Path, Path], out: Path, cli: Any, tmp_path: Path
) -> None:
    done = cli("report", out, "--against", two_runs[0], "--file", tmp_path / "page.html")
    assert done.code == 1
    assert "(6 documents) and" in done.err
    assert "(3) have no document in common" in done.err
    assert os.listdir(tmp_path) == []


def test_nothing_of_a_document_stands_in_the_page_as_it_is(out: Path, tmp_path: Path) -> None:
    title = '</title><script>window.hacked = 1</script>"'
    page = write_report(out, tmp_path / "page.html", title=title).read_text(encoding="utf-8")
    assert "window.hacked" not in page.replace("&lt;script&gt;window.hacked = 1&lt;/script&gt;", "")
    assert page.count("<script>") == 1
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_the_first_documents_alone(out: Path, tmp_path: Path) -> None:
    page = write_report(out, tmp_path / "page.html", limit=2).read_text(encoding="utf-8")
    assert [doc["document_id"] for doc in data(page, "block-0")] == ["plain", "astral"]
    assert data(page, "overview")["counts"]["documents"] == 2


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_every_format_gives_the_same_page(tmp_path: Path, quick, corpus, format_: Format) -> None:
    source = corpus({"id": "ada", "text": "Ada left. UNSPEAKABLE"}, {"id": "b"}, {"text": "so"})
    pages = []
    formats: tuple[Format, ...] = ("parquet", format_)
    for one in formats:
        run(source, tmp_path / one, pipeline=quick(), format=one)
        page = write_report(tmp_path / one).read_text(encoding="utf-8")
        pages.append((data(page, "lines"), data(page, "block-0")))
    assert pages[0] == pages[1]


def test_a_run_without_a_finished_part(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    folder.mkdir()
    manifest = json.loads((out / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "state": "running", "total": 6}))
    page = write_report(folder).read_text(encoding="utf-8")
    assert data(page, "lines") == []
    assert data(page, "overview")["state"] == "interrupted"


def test_what_cannot_be(out: Path, tmp_path: Path) -> None:
    with pytest.raises(RunNotFound):
        write_report(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable):
        write_report(out, tmp_path / "file" / "page.html")


def test_the_command(cli, out: Path, tmp_path: Path) -> None:
    done = cli("report", out, "--file", tmp_path / "page.html", "--title", "Six", "--limit", "3")
    assert (done.code, done.out) == (0, f"{tmp_path / 'page.html'}\n")
    assert "<title>Six</title>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert cli("report", tmp_path).code == 1


def test_lengths_fall_into_bins_of_a_round_width() -> None:
    assert histogram(array("q")) == []
    assert histogram(array("q", [0])) == [(0, 1, 1)]
    bins = histogram(array("q", [3, 120, 121, 399]))
    assert {(to - start) for start, to, _ in bins} == {20}
    assert sum(many for *_, many in bins) == 4
    assert bins[6] == (120, 140, 2)


def test_the_pace_of_a_run_is_that_of_its_parts(tmp_path: Path, quick, corpus) -> None:

    run(corpus(*"abcdef"), tmp_path / "out", pipeline=quick(), part_size=2)
    for number, receipt in enumerate(sorted((tmp_path / "out" / "_receipts").iterdir())):
        os.utime(receipt, (1000 + 10 * number, 1000 + 10 * number))
    assert pace(tmp_path / "out") == [(0, 2), (10, 4), (20, 6)]
    for receipt in (tmp_path / "out" / "_receipts").iterdir():
        os.utime(receipt, (1000, 1000))  # a copy
    assert pace(tmp_path / "out") == []
