"""The corpus as it is now beside what a run has made of it: what stays and what is made anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.run_folder import DifferentRun, FileChanges
from nlp_pipeline.generation.settings import UNSEEN
from nlp_pipeline.run_folder.further_questions import FurtherQuestions
from nlp_pipeline.run_folder.journal import journals
from nlp_pipeline.run_folder.ledger import Entry, PreviousPart, RetryWhen, RunSettings
from nlp_pipeline.run_folder.receipt_list import read_receipts
from nlp_pipeline.run_folder.staging import sealed_parts

_MAX_SHOWN = 5


@dataclass
class ResumePlan:
    """What a run that goes on will do.

    Attributes:
        kept: Documents whose rows stay.
        failed: Those that failed and are tried again.
        changed: Those whose record is not what it was.
        outdated: Those whose rows were made with other settings.
        moved: Those whose record is the same in another file or line.
        grown: Whether the corpus holds records that no part holds.
    """

    kept: int = 0
    failed: int = 0
    changed: int = 0
    outdated: int = 0
    moved: int = 0
    grown: bool = False
    _differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether every part stays as it is."""
        return not (self.failed or self.changed or self.outdated or self.moved or self.grown)


def plan_resume(
    run: Path,
    entries: Iterable[Entry],
    part_size: int,
    *,
    retry_when: RetryWhen,
    settings: RunSettings,
    further_questions: FurtherQuestions,
    file_changes: Callable[[], FileChanges] = FileChanges,
) -> ResumePlan:
    """Compares a corpus with what was made of it, before anything is written.

    Args:
        run: The run's folder.
        entries: The records as they are now, from the first; read no further than was done.
        part_size: Documents in a part.
        retry_when: Which failed documents are tried again.
        settings: With which rows are made.
        further_questions: What documents are asked beside the pipeline's questions.
        file_changes: Says what has become of the corpus' files, where the run cannot go on.

    Raises:
        DifferentRun: Records were removed, put in between or reordered: their neighbours would
            take the rows of others, and all that follows would have to be computed again.
    """
    plan = ResumePlan()
    receipts = read_receipts(run)
    n_done = receipts.totals.documents
    sealed = sealed_parts(run)
    begun = {*journals(run), *sealed}
    end = max(begun, default=len(receipts) - 1)
    previous: PreviousPart | None = None
    position = -1
    for position, entry in enumerate(entries):
        number, offset = divmod(position, part_size)
        plan.grown |= position >= n_done
        if number >= len(receipts):
            if number > end:
                break
            if number not in begun:
                continue
        if previous is None or offset == 0:
            is_done = number < len(receipts) or number in sealed
            previous = PreviousPart(
                run,
                number,
                part_size,
                is_done=is_done,
                retry_when=retry_when,
                settings=settings,
            )
        if position >= n_done and previous.known(offset) is None:
            continue
        entry_of_now = settings.of_now(entry, further_questions)
        _compare_one(plan, previous, offset, position, entry_of_now)
        if len(plan._differences) >= _MAX_SHOWN:
            break
    else:
        if position + 1 < n_done:
            plan._differences["corpus"] = (
                counted(n_done, "record"),
                counted(position + 1, "record"),
            )
    if plan._differences:
        raise DifferentRun(str(run), plan._differences, files=file_changes())
    return plan


def _compare_one(
    plan: ResumePlan, previous: PreviousPart, offset: int, position: int, entry: Entry
) -> None:
    was = previous.known(offset)
    if was is not None and was.id != entry.id and "rejected" not in (was.state, entry.state):
        name = f"corpus, record {position + 1} ({escaped(entry.source)}:{entry.line})"
        plan._differences[name] = (f"id {escaped(was.id)}", f"id {escaped(entry.id)}")
        return
    previous_rows = previous.find(offset, entry)
    if previous_rows.entry is not None:
        plan.kept += 1
        plan.moved += (previous_rows.entry.source, previous_rows.entry.line) != (
            entry.source,
            entry.line,
        )
    elif previous.is_outdated(offset, entry):
        plan.outdated += 1
    elif was is not None and was.digest == entry.digest:
        plan.failed += 1
    else:
        plan.changed += 1


def differences(
    recorded: Mapping[str, Any], current: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """The entries that are not the same, each as it was and as it is; None for one not there.

    Nested values are one entry each, so that a message can name what differs:
    `versions.spacy: 3.8.17 → 3.8.18`. Settings that change no row are left out, and those that are
    left out now and that the code of then did not have.
    """
    old_values, new_values = _flat(recorded), _flat(json.loads(json.dumps(current, default=str)))
    names = [
        name
        for name in dict.fromkeys((*old_values, *new_values))
        if not _changes_no_row(name) and not (name not in old_values and new_values[name] == "null")
    ]
    return {
        name: (old_values.get(name), new_values.get(name))
        for name in names
        if old_values.get(name) != new_values.get(name)
    }


_RECONCILABLE = (
    *("nlp.", "components.", "prompts.", "examples.", "generators.", "spacy_pipelines.", "code."),
    "schema.",
)


def irreconcilable(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Of the differences between two fingerprints those that no run can go on with.

    What makes rows of a record may change, and so may their columns: all rows are made anew, and
    what is asked to the letter as before is not asked again. How records are read, how many make a
    part, and the versions of packages, of which nobody knows what they change, may not.
    """
    return {
        name: values for name, values in changes.items() if not f"{name}.".startswith(_RECONCILABLE)
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
