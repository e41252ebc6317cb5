"""What a run folder of a million parts costs whoever reads it or goes on with it.

A run of one document in a part is multiplied: receipts, ledgers and the corpus are written as such
a run would have left them, and the files of tables are links to a few; with `--tables` the receipts
name only those. A step is done in a process of its own.

    python benchmarks/many_parts.py --folder DIR --bare --steps make status row_counts
    python benchmarks/many_parts.py --folder DIR2 --parts 460000 --tables documents errors
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

PART_OPTIONS: dict[str, Any] = {"pipeline": "many_parts.cfg", "part_size": 1}
LINKS = 50_000
"""A file can have about 65,000 names."""

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer"]

[components]

[components.sentencizer]
factory = "sentencizer"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=1_000_000)
    parser.add_argument("--tables", nargs="+", help="all by default")
    parser.add_argument("--bare", action="store_true", help="receipts alone: to read the figures")
    parser.add_argument("--folder", type=Path, required=True, help="is not removed")
    steps = ["make", "status", "row_counts", "read_ids", "resume"]
    parser.add_argument("--steps", nargs="+", choices=steps, default=steps)
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    os.chdir(options.folder)
    rows = []
    for step in options.steps:
        rows.append(row := in_process(step, options))
        figures = f"{row['seconds']:>9.2f} s {row['cpu_seconds']:>9.2f} s of CPU"
        print(f"{step:>12} {figures} {row['peak_mb']:>8.0f} MB", flush=True)
    print(json.dumps({"parts": options.parts, "tables": options.tables, "rows": rows}))


def in_process(step: str, options: argparse.Namespace) -> dict[str, Any]:
    """Does a step in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (step, options))


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    import nlp_pipeline.runner.run  # noqa: F401 - before the clock starts

    begin, cpu = time.monotonic(), time.process_time()
    globals()[name](options)
    return {
        "step": name,
        "seconds": round(time.monotonic() - begin, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def make(options: argparse.Namespace) -> None:
    """A run of all parts but the last; goes on where it was killed."""
    from nlp_pipeline import run
    from nlp_pipeline.corpus import read_corpus
    from nlp_pipeline.run_folder.ledger import entry_of
    from nlp_pipeline.run_folder.receipt_blocks import BLOCK
    from nlp_pipeline.run_folder.receipt_list import read_receipts
    from nlp_pipeline.run_folder.receipts import receipt_path, write_receipt

    out = Path("run")
    if not out.exists():
        Path("many_parts.cfg").write_text(CONFIG)
        with open("corpus.jsonl", "w") as file:
            file.writelines(json.dumps({"text": f"Text {i}."}) + "\n" for i in range(options.parts))
        run("corpus.jsonl", out, limit=1, **PART_OPTIONS)
    receipts = read_receipts(out)
    one = receipts[0]
    for name in ("rows", "bytes", "digests"):
        values = getattr(one, name)
        setattr(one, name, {table: values[table] for table in options.tables or values})
    receipts.put(one)
    for part, item in enumerate(read_corpus("corpus.jsonl")):
        if len(receipts) <= part < options.parts - 1:
            if not options.bare:
                add_files(out, part, entry_of(item), options.tables)
            receipts.put(replace(one, part=part))
            if (part + 1) % BLOCK == 0:
                receipts.pack()
    for part in receipts.single:
        write_receipt(receipt_path(out, part), receipts[part])
    manifest = json.loads((out / "manifest.json").read_text())
    manifest.update(state="running", total=options.parts)
    (out / "manifest.json").write_text(json.dumps(manifest))


def add_files(out: Path, part: int, entry: Any, tables: list[str] | None) -> None:
    """The tables and the ledger of a part."""
    from nlp_pipeline.run_folder.ledger import ledger_path
    from nlp_pipeline.run_folder.receipts import part_file
    from nlp_pipeline.tables.schemas import TABLES

    for table in tables or TABLES:
        first = part_file(out, table, part // LINKS * LINKS, "parquet")
        file = part_file(out, table, part, "parquet")
        if file == first:
            file.write_bytes(part_file(out, table, 0, "parquet").read_bytes())
        else:
            with suppress(FileExistsError):
                os.link(first, file)
    values = {"id": entry.id, "digest": entry.digest, "source": entry.source}
    ledger_path(out, part).write_text(json.dumps({**values, "line": entry.line}) + "\n")


def status(options: argparse.Namespace) -> None:
    from nlp_pipeline.run_folder.status import run_status

    assert run_status("run").done >= options.parts - 1


def row_counts(options: argparse.Namespace) -> None:
    from nlp_pipeline.run_folder.read import row_counts

    assert row_counts("run")["documents"] >= options.parts - 1


def read_ids(options: argparse.Namespace) -> None:
    from nlp_pipeline import read_run

    frame = read_run("run", "documents", {"documents": ["position"]})["documents"]
    assert len(frame) >= options.parts - 1


def resume(options: argparse.Namespace) -> None:
    from nlp_pipeline import run

    result = run("corpus.jsonl", "run", limit=options.parts, **PART_OPTIONS)
    assert result.documents == options.parts


if __name__ == "__main__":
    main()
