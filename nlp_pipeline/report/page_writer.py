"""Writes the page: documents in compressed blocks, which the browser opens when they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from nlp_pipeline.errors.comparison import NothingShared
from nlp_pipeline.report.colors import entity_colors
from nlp_pipeline.report.documents import Row, read_documents
from nlp_pipeline.report.other_run import OtherRun
from nlp_pipeline.report.overview import Overview, pace
from nlp_pipeline.report.page_parts import asset, packed_data, page_ends, page_script, write_page
from nlp_pipeline.run_folder.read import run_manifest
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.run_folder.writer import SETTINGS

BLOCK = 50
"""Documents in a block: what is opened at a time."""

SCRIPTS = (
    "data.js",
    "dom.js",
    "list.js",
    "text.js",
    "tree.js",
    "pins.js",
    "cards.js",
    "overview.js",
    "verdicts.js",
    "selection.js",
    "review_kinds.js",
    "review.js",
    "app.js",
)


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    *,
    title: str | None = None,
    limit: int | None = None,
    against: str | Path | None = None,
) -> Path:
    """Writes a run as one HTML page that needs no network.

    Nothing that a document holds stands in the page as markup: all of it is compressed data,
    which the page's script shows as text; a Content-Security-Policy allows no other script.
    Memory is bounded by one part of the run and about a line per document.

    Args:
        run: The run's folder; of one that is still going on, its finished parts.
        out: The file; by default `report.html` in the run's folder.
        title: Heading of the page; by default the name of the run's folder.
        limit: The first so many documents only.
        against: Another run over the same texts: where it says something else the review begins.

    Returns:
        The file.

    Raises:
        RunNotFound: A folder holds no run.
        NothingShared: The other run has no document in common with this one.
        OutputNotWritable: The file cannot be written.
    """
    folder = Path(run)
    run_manifest(folder)
    target = Path(out) if out is not None else folder / "report.html"
    heading = title or folder.resolve().name
    rival = None if against is None else OtherRun(Path(against))
    return write_page(target, lambda page: _write(page, folder, heading, limit, rival))


def _write(
    page: IO[str], run: Path, heading: str, limit: int | None, rival: OtherRun | None
) -> None:
    script = page_script([asset(name) for name in SCRIPTS])
    head, tail = page_ends(
        asset("report.html"), title=heading, style=asset("report.css"), script=script
    )
    page.write(head)
    overview = Overview()
    counted = _counted(read_documents(run, limit), overview, rival)
    number = 0
    while block := list(islice(counted, BLOCK)):
        page.write(
            packed_data(f"text-{number}", [_generated_texts(document) for document in block])
        )
        page.write(packed_data(f"block-{number}", block))
        number += 1
    if rival is not None and overview.lines and not rival.n_shared:
        n_documents = [len(overview.lines), rival.n_documents]
        raise NothingShared(str(run), str(rival.run), n_documents)
    page.write(packed_data("lines", overview.lines))
    against = None if rival is None else rival.name
    about = {**_about(run, heading), **overview.as_dict(), "against": against}
    page.write(packed_data("overview", about))
    page.write(tail)


def _counted(documents: Iterable[Row], overview: Overview, rival: OtherRun | None) -> Iterator[Row]:
    for document in documents:
        if rival is not None:
            rival.mark(document)
        overview.add(document)
        yield document


def _about(run: Path, heading: str) -> dict[str, Any]:
    """What is known of the run without its documents."""
    manifest, status = run_manifest(run), run_status(run)
    models = [
        generator.get("model")
        for generator in manifest.get("fingerprint", {}).get("generators", [])
    ]
    return {
        "title": heading,
        "block": BLOCK,
        # The same for every report of the run: what was reviewed in one is there in the next.
        "review_name": f"{run.resolve().name} {manifest.get(SETTINGS, {}).get('first', '')}",
        "corpus": manifest.get("corpus"),
        "pipeline": manifest.get("pipeline"),
        "pipes": manifest.get("pipes", []),
        "models": sorted({str(model) for model in models if model}),
        "started": manifest.get("started"),
        "state": status.state,
        "total": status.total,
        "seconds": status.seconds,
        "documents_per_second": status.documents_per_second,
        "tokens_per_second": status.tokens_per_second,
        "output_tokens": status.output_tokens,
        "pace": pace(run),
        "colors": entity_colors(),
    }


def _generated_texts(document: Row) -> list[str]:
    """What the search looks through: the text, and what was generated about it."""
    generated = [row["answer"] for row in document["answers"]]
    generated += [row["summary"] for row in document["summaries"]]
    generated += [row["text"] for row in document["generations"]]
    return [document["text"] or "", "\n".join(text for text in generated if text)]
