"""A run's folder: who may write to it, what run it holds, and which parts are done.

The layout, in the order in which a part comes to be:

- `_input/`: what came as a stream; `_fetched/`: copies of what lies in a store;
  `_conversions/`: the texts of PDFs and the like, by digest
- `.lock`, held for the whole run; `manifest.json`: what ran, its fingerprint, its state
- `<table>/part-00012.parquet`, one per table
- `README.md`, written when all are: the card of a Hugging Face data set
- `errors.jsonl`, grown by the part's errors
- `_completions/part-00012.gz`: what the rows of the part are made of, for when settings change
- `_ledger/part-00012.jsonl`: what each record of the part was, and what became of it
- `_receipts/part-00012.json`, written last: the part is done once it is there
- `_receipts/block-00000.jsonl`, the receipts of the first thousand parts, in place of their files
- `_wip/part-00013.jsonl`, the finished documents of the part that is being made
- `_wip/part-00003/`, the files of a part that is being made anew, until they replace the old ones,
  or of one that another process has made ahead of those before it
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.run_folder import DifferentRun, OutputNotARun
from nlp_pipeline.run_folder.completions import ROOM
from nlp_pipeline.run_folder.data_set_card import CARD, is_ours
from nlp_pipeline.run_folder.errors_file import ERRORS
from nlp_pipeline.run_folder.files import TEMPORARY, Format, disk_errors, write_json
from nlp_pipeline.run_folder.further_questions import FILE
from nlp_pipeline.run_folder.journal import WIP, holds_documents
from nlp_pipeline.run_folder.ledger import LEDGER, RunSettings
from nlp_pipeline.run_folder.lock import LOCK, locked
from nlp_pipeline.run_folder.receipt_list import count_intact, drop_receipts, read_receipts
from nlp_pipeline.run_folder.receipts import RECEIPTS
from nlp_pipeline.run_folder.resume import differences, irreconcilable
from nlp_pipeline.run_folder.staging import roll_forward, sealed_parts
from nlp_pipeline.run_folder.stdin import CONVERSIONS, FETCHED, INPUT
from nlp_pipeline.run_folder.writer import CONFIG, SETTINGS
from nlp_pipeline.run_folder.writer import MANIFEST as MANIFEST
from nlp_pipeline.run_folder.writer import RunFolder as RunFolder
from nlp_pipeline.tables.schemas import TABLES

FINISHED = "finished"
"""The state of a run whose every record is in a part."""
_OURS = re.compile(
    r"(part|block)-\d{5,}(\.(parquet|csv|jsonl?|gz))?|\.(part|block)-\d{5,}\..*\.tmp-\d+"
)
"""What the files of parts are called, and those that are not whole yet."""
CLEARED = "cleared"
"""The state of a run that was thrown away."""


@contextmanager
def open_run(
    path: Path,
    fingerprint: Mapping[str, Any],
    format_: Format,
    *,
    fresh: bool = False,
    may_change: bool = False,
) -> Iterator[RunFolder]:
    """Opens a folder for a run and holds it until the end of the block.

    Args:
        path: The folder; made where it is missing.
        fingerprint: Everything that can change a row; JSON values.
        format_: Of the parts.
        fresh: Throw away the run that is there.
        may_change: Whether the run may go on with other settings.

    Raises:
        OutputNotWritable: The folder cannot be made or written to.
        OutputNotARun: It holds something else.
        DifferentRun: It holds a run with another fingerprint, not `fresh`, and it cannot go on
            with this one.
        RunLocked: Another process holds it.
    """
    refuse_strangers(path)
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        manifest = read_manifest(path)
        if manifest is not None and (fresh or _is_empty(path, manifest)):
            _clear(path)
            manifest = None
        changes = differences(manifest["fingerprint"], fingerprint) if manifest else {}
        settings = _settings(path, manifest, fingerprint, changes, may_change=may_change)
        with disk_errors(path):
            _sweep(path)
            (path / RECEIPTS).mkdir(exist_ok=True)
            roll_forward(path, format_)
            receipts = read_receipts(path)
            # What has been finished may have lain long, and is looked at as a whole.
            every_byte = (manifest or {}).get("state") == FINISHED
            receipts = receipts.first(count_intact(path, receipts, format_, every_byte=every_byte))
            drop_receipts(path, receipts)
            receipts.pack()
            folder = RunFolder(path, format_, receipts, settings=settings, changes=changes)
            if receipts:
                folder.errors.mend(receipts)
        yield folder


def _settings(
    path: Path,
    manifest: Mapping[str, Any] | None,
    fingerprint: Mapping[str, Any],
    changes: Mapping[str, tuple[Any, Any]],
    *,
    may_change: bool,
) -> RunSettings:
    """With which settings the run in a folder goes on.

    Raises:
        DifferentRun: With none: something has changed that cannot be reconciled, or the run began
            before completions were kept.
    """
    text = json.dumps(fingerprint, sort_keys=True, default=str)
    now = blake2b(text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()
    if manifest is None:
        return RunSettings(now, now)
    recorded = manifest.get(SETTINGS)
    if not changes:
        return RunSettings(**recorded) if recorded else RunSettings(now, now)
    if irreconcilable(changes) or not may_change:
        raise DifferentRun(str(path), changes)
    if not recorded:
        raise DifferentRun(str(path), changes, is_old=True)
    return RunSettings(now, recorded["first"])


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a run's folder; None where there is none, or one of something else."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_manifest = isinstance(manifest, dict) and isinstance(manifest.get("fingerprint"), dict)
    return manifest if is_manifest else None


def refuse_strangers(path: Path) -> None:
    """Checks that a run may use a folder; makes none.

    Raises:
        OutputNotWritable: It is no folder, or cannot be read.
        OutputNotARun: It holds something else than a run.
    """
    if read_manifest(path) is not None:
        return
    with disk_errors(path):
        files = sorted(path.iterdir()) if path.exists() else []
        foreign_files = [entry.name for entry in files if not _is_beginning(entry)]
    if foreign_files:
        raise OutputNotARun(str(path), foreign_files)


def _is_beginning(entry: Path) -> bool:
    """Whether a run that was killed before it had a manifest may have left this."""
    if entry.name == RECEIPTS:
        return not any(entry.iterdir())
    return entry.name in (LOCK, INPUT, CONVERSIONS, FETCHED) or TEMPORARY in entry.name


def _is_empty(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether no part of the run is done, so that there is nothing that could be lost."""
    # A receipt that cannot be read is one too: what it stands for may have cost days.
    has_documents = any((path / RECEIPTS).glob("*-*.json*")) or holds_documents(path)
    return manifest.get("state") == CLEARED or not (has_documents or sealed_parts(path))


def _clear(path: Path) -> None:
    """Removes what a run has written, and nothing that anybody else has put beside it."""
    with disk_errors(path):
        # A process killed in the middle of this leaves a run that the next one clears again.
        write_json(path / MANIFEST, {"state": CLEARED, "fingerprint": {}})
        for name in (RECEIPTS, LEDGER, ROOM, WIP, *TABLES):
            _clear_room(path / name)
        for name in (ERRORS, CONFIG, FILE):
            (path / name).unlink(missing_ok=True)
        if is_ours(path / CARD):
            (path / CARD).unlink()


def _clear_room(room: Path) -> None:
    """Removes the files of parts from a folder, and the folder where that was all."""
    if not room.is_dir() or room.is_symlink():
        return
    for entry in room.iterdir():
        if _OURS.fullmatch(entry.name):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    if not any(room.iterdir()):
        room.rmdir()


def _sweep(path: Path) -> None:
    """Removes the temporary files of killed processes."""
    for name in ("", RECEIPTS, LEDGER, ROOM, *TABLES):
        for file in (path / name).glob(f".*{TEMPORARY}*"):
            file.unlink()
