"""The table `reviews` of a run: what people think of its rows. No run writes or removes it.

It is one file beside the parts, in the run's format, written anew as a whole: what a person has
judged in an afternoon survives `--fresh`, and a part that is computed again.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.review import ReviewsDamaged
from nlp_pipeline.run_folder.files import Format, disk_errors, read_table, sweep_beside, write_table
from nlp_pipeline.run_folder.receipts import part_file
from nlp_pipeline.run_folder.spreadsheet import for_disk, unguarded
from nlp_pipeline.tables.schemas import REVIEWS, SCHEMAS


def text_digest(text: str) -> str:
    """The digest by which a review knows the text that it was made of."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read_reviews(run: Path, format_: Format) -> pa.Table:
    """The reviews of a run; an empty table where there are none.

    Raises:
        ReviewsDamaged: The file cannot be read.
    """
    file, schema = part_file(run, REVIEWS, 0, format_), SCHEMAS[REVIEWS]
    if not file.exists():
        return schema.empty_table()
    try:
        reviews = read_table(file, schema, format_)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise ReviewsDamaged(str(file), str(error)) from error
    return unguarded(REVIEWS, reviews) if format_ == "csv" else reviews


def write_reviews(run: Path, reviews: pa.Table, format_: Format) -> None:
    """Writes all reviews of a run in place of those that it has."""
    file = part_file(run, REVIEWS, 0, format_)
    with disk_errors(run):
        file.parent.mkdir(exist_ok=True)
        sweep_beside(file)
        write_table(for_disk(REVIEWS, reviews, format_), file, format_)
