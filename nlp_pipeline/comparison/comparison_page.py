"""Two runs as one page: the counts, and every text with what both said about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from nlp_pipeline.comparison.run_comparison import RunComparison
from nlp_pipeline.report.colors import entity_colors
from nlp_pipeline.report.page_parts import asset, packed_data, page_ends, page_script, write_page
from nlp_pipeline.run_folder.read import parts_of

BLOCK = 50
"""Documents in a block: what the browser opens at a time."""

MOST_DOCUMENTS = 1000
"""On a page: those that differ most."""

_SNIPPET = 90
_SHARED_SCRIPTS = ("data.js", "dom.js", "text.js", "pins.js")
_SCRIPTS = ("pairs.js", "counts.js", "comparison.js")
_PLACES = ("document_id", "start_char", "end_char", "start_token", "end_token")


def write_comparison(
    comparison: RunComparison,
    file: str | Path,
    *,
    title: str | None = None,
    limit: int = MOST_DOCUMENTS,
) -> Path:
    """Writes a comparison as one HTML page that needs no network.

    As in the report nothing that a document holds stands in the page as markup.

    Args:
        comparison: Two runs, which must still be where they were.
        file: The page.
        title: Its heading; by default the names of both folders.
        limit: So many of the documents that differ, those that differ most.

    Returns:
        The file.

    Raises:
        OutputNotWritable: The file cannot be written.
    """
    names = [Path(comparison.runs[side]["run"]).resolve().name for side in "ab"]
    heading = title or " and ".join(names)
    return write_page(Path(file), lambda page: _write(page, comparison, heading, limit))


def _write(page: IO[str], comparison: RunComparison, heading: str, limit: int) -> None:
    package = "nlp_pipeline.comparison"
    scripts = [asset(name) for name in _SHARED_SCRIPTS]
    scripts += [asset(name, package) for name in _SCRIPTS]
    head, tail = page_ends(
        asset("comparison.html", package),
        title=heading,
        style=asset("report.css") + asset("comparison.css", package),
        script=page_script(scripts),
    )
    page.write(head)
    figures = comparison.as_dict(limit)
    differences = figures.pop("differences")
    documents = _documents(Path(comparison.runs["a"]["run"]), differences)
    lines, number = [], 0
    while block := list(islice(documents, BLOCK)):
        page.write(packed_data(f"block-{number}", block))
        lines += [_line(document) for document in block]
        number += 1
    n_differ = len(comparison.differences)
    about = {**figures, "block": BLOCK, "colors": entity_colors(), "n_differ": n_differ}
    page.write(packed_data("lines", lines))
    page.write(packed_data("overview", about))
    page.write(tail)


def _documents(run: Path, differences: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The documents that differ with their texts and sentences, in the order of the differences."""
    document_ids = {difference["document_id"] for difference in differences}
    texts: dict[str, str | None] = {}
    sentences: dict[str, list[dict[str, Any]]] = {name: [] for name in document_ids}
    for part in parts_of(run, {"documents": ("document_id", "text"), "sentences": _PLACES}):
        for row in part["documents"].to_pylist():
            if row["document_id"] in document_ids:
                texts[row["document_id"]] = row["text"]
        for row in part["sentences"].to_pylist():
            if row["document_id"] in document_ids:
                sentences[row.pop("document_id")].append(row)
    for difference in differences:
        name = difference["document_id"]
        yield {**difference, "text": texts.get(name), "sentences": sentences[name]}


def _line(document: dict[str, Any]) -> list[Any]:
    """What the list shows of a document: its id, how many values differ, how it begins."""
    words = (document["text"] or "")[: 2 * _SNIPPET].split()
    return [document["document_id"], len(document["values"]), " ".join(words)[:_SNIPPET]]
