"""What a part's records were and what became of each: how a later run knows what has changed.

Beside the receipt of every part lies its ledger, a line for each record. A run that goes on
compares it with the corpus, record by record, and computes only what is not the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nlp_pipeline.corpus import Record, Reject
from nlp_pipeline.run_folder.files import write_text
from nlp_pipeline.run_folder.further_questions import FurtherQuestions
from nlp_pipeline.run_folder.journal import WIP, journaled

LEDGER = "_ledger"
STAGED_LEDGER = "ledger.jsonl"
"""The ledger of a part whose files wait for their places, among them."""

State = Literal["ok", "failed", "rejected"]


@dataclass(frozen=True)
class Entry:
    """A record in a ledger.

    Attributes:
        id: The document's id.
        digest: Of all that the record says: id, text, meta, questions, layout; of a reject its
            reason.
        source: The file it stands in.
        line: Its line there.
        state: What became of it; `rejected` where no record could be read.
        attempt: How often a failed one was tried; 0 for others.
        types: The kinds of its errors.
        meta: Of a failed record, which is tried again without the corpus.
        questions: Of its own, each with `id` and `text`; in a ledger of before settings could
            change only of a failed record.
        settings: A digest of the settings that its rows were made with; empty in a ledger of
            before they could change (`RunSettings`).
        further: A digest of what it is asked beside its own questions; empty for nothing.
    """

    id: str
    digest: str
    source: str
    line: int
    state: State = "ok"
    attempt: int = 0
    types: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    questions: list[dict[str, str]] = field(default_factory=list)
    settings: str = ""
    further: str = ""


@dataclass(frozen=True)
class RunSettings:
    """With which settings the rows of a run are made.

    Attributes:
        current: A digest of those of now.
        first: Of those that the run began with: what has no digest was made with them.
    """

    current: str = ""
    first: str = ""

    def match(self, entry: Entry) -> bool:
        """Whether the rows of a record were made with the settings of now."""
        return (entry.settings or self.first) == self.current

    def of_now(self, entry: Entry, questions: FurtherQuestions) -> Entry:
        """A record as its rows will be made."""
        further = "" if entry.state == "rejected" else questions.digest(entry.id)
        return replace(entry, settings=self.current, further=further)


def entry_of(item: Record | Reject) -> Entry:
    """A record as the ledger knows it, before anything was computed."""
    if isinstance(item, Reject):
        # The message names the place. Where that has changed the row is made anew: it is cheap.
        digest = _digest([item.id, item.kind, item.message])
        return Entry(
            item.id, digest, source=item.source, line=item.line, state="rejected", types=[item.kind]
        )
    questions = [{"id": q.id, "text": q.text} for q in item.questions]
    meta = dict(item.meta)
    # In one order: read back from the table, the columns stand in another.
    layout = [[dict(sorted(row.items())) for row in item.layout]] if item.layout else []
    digest = _digest([item.id, item.text, meta, questions, *layout])
    return Entry(item.id, digest, item.source, line=item.line, meta=meta, questions=questions)


def write_ledger(path: Path, entries: Iterable[Entry]) -> None:
    """Writes the ledger of a part atomically; what has its default value is left out."""
    lines = (json.dumps({k: v for k, v in asdict(e).items() if v}) for e in entries)
    write_text(path, "".join(line + "\n" for line in lines))


def read_ledger(run: Path, part: int) -> list[Entry]:
    """The ledger of a part; empty where it is missing or damaged: then nothing of it is known."""
    staged = run / WIP / f"part-{part:05}" / STAGED_LEDGER
    try:
        file = staged if staged.is_file() else ledger_path(run, part)
        lines = file.read_text(encoding="utf-8").splitlines()
        return [Entry(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError):
        return []


def ledger_path(run: Path, part: int) -> Path:
    """Where the ledger of a part lies."""
    return run / LEDGER / f"part-{part:05}.jsonl"


def _digest(value: list[Any]) -> str:
    return blake2b(json.dumps(value).encode("ascii"), digest_size=16).hexdigest()


RetryWhen = Callable[[Entry], bool]
"""Whether a document that failed is to be tried again."""
Rows = Mapping[str, list[dict[str, Any]]]
ENTRY = "ledger"
"""The name under which a document's ledger entry lies in its line of the journal."""


class PreviousRows(NamedTuple):
    """What is known of a record: where its rows lie, or how often it was tried in vain."""

    where: Literal["journal", "part", "nowhere"]
    entry: Entry | None = None
    attempts: int = 0


class PreviousPart:
    """A part as earlier processes have left it: its ledger and its journal.

    Args:
        run: The run's folder.
        number: Of the part.
        part_size: Documents in a part.
        is_done: Whether the part has a receipt.
        retry_when: Which failed documents do not count.
        settings: Rows that were made with others do not count.
    """

    def __init__(
        self,
        run: Path,
        number: int,
        part_size: int,
        *,
        is_done: bool,
        retry_when: RetryWhen,
        settings: RunSettings = RunSettings(),  # frozen
    ) -> None:
        self.ledger = read_ledger(run, number) if is_done else []
        self.journal: dict[int, tuple[Entry, Rows]] = {}
        self._retry_when = retry_when
        self._settings = settings
        for line in journaled(run, number):
            rows = dict(line)
            (entry,) = rows.pop(ENTRY)
            # A later line of the same document holds: it was tried again.
            offset = rows["documents"][0]["position"] - number * part_size
            self.journal[offset] = Entry(**entry), rows

    def known(self, offset: int) -> Entry | None:
        """The record as it was, whatever became of it."""
        if offset in self.journal:
            return self.journal[offset][0]
        return self.ledger[offset] if offset < len(self.ledger) else None

    def find(self, offset: int, entry: Entry) -> PreviousRows:
        """Where the rows of a record lie that is as it was, if they still count.

        Args:
            offset: Place of the record in the part.
            entry: The record as it is now.
        """
        attempts = 0
        if offset in self.journal:
            previous = self.journal[offset][0]
            if self._is_same(previous, entry):
                if not self._retry_when(previous):
                    return PreviousRows("journal", previous)
                attempts = previous.attempt
        if offset < len(self.ledger):
            previous = self.ledger[offset]
            if self._is_same(previous, entry):
                if not self._retry_when(previous):
                    return PreviousRows("part", previous)
                attempts = max(attempts, previous.attempt)
        return PreviousRows("nowhere", attempts=attempts)

    def is_outdated(self, offset: int, entry: Entry) -> bool:
        """Whether a record is as it was, and its rows are not those of the settings of now."""
        previous = self.known(offset)
        is_same = previous is not None and previous.digest == entry.digest
        return is_same and previous is not None and not self._is_same(previous, entry)

    def _is_same(self, previous: Entry, entry: Entry) -> bool:
        is_same = previous.digest == entry.digest and previous.further == entry.further
        return is_same and self._settings.match(previous)


def failed_ones(entry: Entry) -> bool:
    """A resumed run tries again whatever failed; a record that cannot be read stays so."""
    return entry.state == "failed"


def retry_nothing(_: Entry) -> bool:
    """Keeps every failed record as it is, for `--no-retry`."""
    return False
