"""Whether a run is still what was written: every receipt, every byte, every row, each review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.review import ReviewsDamaged
from nlp_pipeline.errors.run_folder import (
    BooksDamaged,
    OutputError,
    PartDamaged,
    ReceiptDamaged,
    RunDamaged,
)
from nlp_pipeline.run_folder.errors_file import ERRORS, ErrorsFile
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.ledger import LEDGER, ledger_path, read_ledger
from nlp_pipeline.run_folder.read import finished_parts, parts_of, run_manifest
from nlp_pipeline.run_folder.receipt_list import read_receipts
from nlp_pipeline.run_folder.receipts import Receipt, check_file
from nlp_pipeline.run_folder.review_table import read_reviews, text_digest
from nlp_pipeline.run_folder.staging import was_replaced


@dataclass(frozen=True)
class Verification:
    """What was found of a run.

    Attributes:
        parts: Finished parts that were looked at.
        documents: Records in them.
        files: Files of tables in them.
        undigested: How many of these have no digest, since the run was made before there were any:
            of them only size and rows are known.
        problems: What is damaged, a message each; none where all is whole.
        reviews: What people have judged: rows of the table `reviews`.
        outdated_reviews: How many of these are of a document that the finished parts lack, or of
            another text than theirs.
        reviews_problem: Why the table cannot be read; None where it can. No run makes it anew.
    """

    parts: int
    documents: int
    files: int
    undigested: int
    problems: tuple[OutputError, ...] = ()
    reviews: int = 0
    outdated_reviews: int = 0
    reviews_problem: ReviewsDamaged | None = None

    def raise_for_damage(self, path: str | Path) -> None:
        """Does nothing where all is whole.

        Raises:
            RunDamaged: Something is damaged; names all of it, and the command that heals it.
            ReviewsDamaged: The reviews alone are.
        """
        if self.problems:
            manifest = run_manifest(Path(path))
            command, corpus = manifest.get("command") or (), str(manifest.get("corpus", ""))
            problems = [*self.problems, *filter(None, [self.reviews_problem])]
            raise RunDamaged(str(path), problems, command, corpus=corpus)
        if self.reviews_problem is not None:
            raise self.reviews_problem


def verify_run(path: str | Path) -> Verification:
    """Looks at every file of the finished parts of a run; changes nothing.

    Raises:
        RunNotFound: The folder holds no run.
    """
    run = Path(path)
    format_: Format = run_manifest(run)["format"]
    problems: list[OutputError] = []
    try:
        receipts = finished_parts(run)
    except ReceiptDamaged as error:
        problems.append(error)
        receipts = read_receipts(run)
    for receipt in receipts:
        problems += _part_problems(run, receipt, format_)
    if not problems and not ErrorsFile(run, format_).is_right(receipts):
        problems.append(BooksDamaged(str(run), ERRORS, "it is not what the tables 'errors' say"))
    reviews, n_outdated, reviews_problem = _reviews(run, format_, is_readable=not problems)
    return Verification(
        parts=len(receipts),
        documents=receipts.totals.documents,
        files=sum(len(receipt.rows) for receipt in receipts),
        undigested=sum(len(receipt.rows.keys() - receipt.digests) for receipt in receipts),
        problems=tuple(problems),
        reviews=reviews,
        outdated_reviews=n_outdated,
        reviews_problem=reviews_problem,
    )


def _reviews(
    run: Path, format_: Format, *, is_readable: bool
) -> tuple[int, int, ReviewsDamaged | None]:
    """How many reviews there are, how many are of no text of the run, and what is damaged."""
    try:
        reviews = read_reviews(run, format_).select(["document_id", "text_digest"]).to_pylist()
    except ReviewsDamaged as error:
        return 0, 0, error
    if not reviews or not is_readable:
        return len(reviews), 0, None
    judged_ids = {review["document_id"] for review in reviews}
    digests = {
        row["document_id"]: text_digest(row["text"] or "")
        for part in parts_of(run, {"documents": ("document_id", "text")})
        for row in part["documents"].to_pylist()
        if row["document_id"] in judged_ids
    }
    n_outdated = sum(digests.get(r["document_id"]) != r["text_digest"] for r in reviews)
    return len(reviews), n_outdated, None


def _part_problems(run: Path, receipt: Receipt, format_: Format) -> Iterator[OutputError]:
    for name in receipt.rows:
        try:
            check_file(run, receipt, name, format_)
        except PartDamaged as error:
            if was_replaced(run, receipt):
                return
            yield error
    ledger = ledger_path(run, receipt.part)
    entries = len(read_ledger(run, receipt.part))
    if ledger.exists() and entries != receipt.documents:  # runs of before have none
        problem = f"it has {entries:,} of {counted(receipt.documents, 'record')}"
        yield BooksDamaged(str(run), f"{LEDGER}/{ledger.name}", problem)
