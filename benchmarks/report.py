"""How long the report of many documents takes, in Python and in a browser: a table, one JSON line.

    python benchmarks/report.py runs/sample-en_qa_summary --documents 10000

The documents of a run are repeated under new ids until there are so many. Seconds in the browser
are wall seconds until what was asked for is on the page; they need playwright and chromium.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from nlp_pipeline.report import page_writer as writing
from nlp_pipeline.report import write_report
from nlp_pipeline.report.documents import Row, read_documents


def repeated(run: Path, documents: int) -> Iterator[Row]:
    """So many documents, all with ids of their own."""
    known = list(read_documents(run))
    for number, document in enumerate(islice(cycle(known), documents)):
        yield {**document, "document_id": f"{document['document_id']}-{number}"}


def written(run: Path, file: Path, documents: int) -> dict[str, float]:
    """Writes the page."""
    # The writer reads the run through this name.
    writing.read_documents = lambda folder, limit: repeated(run, documents)
    start = time.process_time()
    write_report(run, file)
    return {
        "write_cpu_s": time.process_time() - start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "page_mb": file.stat().st_size / 1e6,
    }


def opened(file: Path, word: str) -> dict[str, float]:
    """Opens the page and uses it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    found: dict[str, float] = {}
    with sync_playwright() as player:
        page = player.chromium.launch(executable_path=program, args=["--no-sandbox"]).new_page()

        def timed(name: str, start: float) -> None:
            found[name] = time.perf_counter() - start

        start = time.perf_counter()
        page.goto(file.as_uri())
        page.wait_for_selector(".tile")
        timed("open_s", start)
        start = time.perf_counter()
        page.click("#tab-documents")
        page.wait_for_selector(".text")
        timed("first_document_s", start)
        start = time.perf_counter()
        page.fill("#search", word)
        expect(page.locator("#found")).to_contain_text(" of ", timeout=60_000)
        timed("search_s", start)
        found["rows_drawn"] = page.locator(".row").count()
        start = time.perf_counter()
        page.click("#tab-review")
        page.wait_for_selector("#view-review h2")
        timed("review_s", start)
        if page.locator("#kind option[value=entities]").count():
            start = time.perf_counter()
            page.select_option("#kind", "entities")
            page.wait_for_selector("#view-review .asked:has-text('Entity')")
            timed("review_entities_s", start)
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--word", default="the ferry", help="what is searched for")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        figures: dict[str, Any] = written(args.run, file, args.documents)
        figures |= opened(file, args.word)
    figures = {name: round(value, 2) for name, value in figures.items()}
    for name, value in figures.items():
        print(f"{name:18}{value:>10}")
    print(json.dumps({"benchmark": "report", "documents": args.documents, **figures}))


if __name__ == "__main__":
    main()
