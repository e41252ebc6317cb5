"""The corpus as it is now beside what a run has made of it: what stays and what is made anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.run import DifferentRun
from nlp_pipeline.generation.settings import UNSEEN
from nlp_pipeline.run_folder.journal import journals
from nlp_pipeline.run_folder.ledger import Again, Earlier, Entry
from nlp_pipeline.run_folder.receipts import read_receipts

_SHOWN = 5


@dataclass
class Comparison:
    """What a run that goes on will do.

    Attributes:
        kept: Documents whose rows stay.
        failed: Those that failed and are tried again.
        changed: Those whose record is not what it was.
        moved: Those whose record is the same in another file or line.
        grown: Whether the corpus holds records that no part holds.
    """

    kept: int = 0
    failed: int = 0
    changed: int = 0
    moved: int = 0
    grown: bool = False
    _others: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether every part stays as it is."""
        return not (self.failed or self.changed or self.moved or self.grown)


def compare(run: Path, entries: Iterable[Entry], part_size: int, again: Again) -> Comparison:
    """Compares a corpus with what was made of it, before anything is written.

    Args:
        run: The run's folder.
        entries: The records as they are now, from the first; read no further than was done.
        part_size: Documents in a part.
        again: Which failed documents are tried again.

    Raises:
        DifferentRun: Records were removed, put in between or reordered: their neighbours would
            take the rows of others, and all that follows would have to be computed again.
    """
    found = Comparison()
    receipts = read_receipts(run)
    done = sum(receipt.documents for receipt in receipts)
    busy = {len(receipts)} & set(journals(run))
    earlier: Earlier | None = None
    position = -1
    for position, entry in enumerate(entries):
        number, offset = divmod(position, part_size)
        if number >= len(receipts) and number not in busy:
            found.grown = True
            break
        if earlier is None or offset == 0:
            is_done = number < len(receipts)
            earlier = Earlier(run, number, part_size, done=is_done, again=again)
        if position >= done:
            found.grown = True
            if offset not in earlier.journal:
                break
        _compare_one(found, earlier, offset, position, entry)
        if len(found._others) >= _SHOWN:
            break
    else:
        if position + 1 < done:
            found._others["corpus"] = (f"{done} records", f"{position + 1} records")
    if found._others:
        raise DifferentRun(str(run), found._others)
    return found


def _compare_one(
    found: Comparison, earlier: Earlier, offset: int, position: int, entry: Entry
) -> None:
    was = earlier.known(offset)
    if was is not None and was.id != entry.id and "rejected" not in (was.state, entry.state):
        name = f"corpus, record {position + 1} ({escaped(entry.source)}:{entry.line})"
        found._others[name] = (f"id {escaped(was.id)}", f"id {escaped(entry.id)}")
        return
    kept = earlier.find(offset, entry)
    if kept.entry is not None:
        found.kept += 1
        found.moved += (kept.entry.source, kept.entry.line) != (entry.source, entry.line)
    elif was is not None and was.digest == entry.digest:
        found.failed += 1
    else:
        found.changed += 1


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The entries that are not the same, each as it was and as it is; None for one not there.

    Nested values are one entry each, so that a message can name what differs:
    `versions.spacy: 3.8.17 → 3.8.18`. Settings that change no row are left out, and those that are
    left out now and that the code of then did not have.
    """
    before, after = _flat(then), _flat(json.loads(json.dumps(now, default=str)))
    names = [
        name
        for name in dict.fromkeys((*before, *after))
        if not _changes_no_row(name) and not (name not in before and after[name] == "null")
    ]
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _changes_no_row(name: str) -> bool:
    section, _, setting = name.rpartition(".")
    return section.endswith(".generator") and setting in UNSEEN


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value:
        return {name: value}
    prefix = f"{name}." if name else ""
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{prefix}{key}").items()}
