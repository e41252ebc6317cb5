"""`astream`: the rows of documents in a program that waits for many things at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from spacy.language import Language

from nlp_pipeline.runner.row_stream import stream
from nlp_pipeline.tables.rows import Rows


async def astream(
    corpus: Any, pipeline: str | Language = "en_qa_summary", **options: Any
) -> AsyncGenerator[Rows, None]:
    """The rows of each document of a corpus, as `stream` gives them, without blocking the loop.

    Reading, annotation and generation happen in a thread of their own, one after the other, so that
    the event loop stays free; a server that generates is still asked many things at a time. Whoever
    stops taking rows ends the work: close the generator, as `contextlib.aclosing` does.

    Args:
        corpus: As in `stream`.
        pipeline: As in `stream`. A loaded one must not be used elsewhere meanwhile.
        options: The other arguments of `stream`, such as `questions` and `in_order`.

    Yields:
        The rows of one document: table → its rows, each with all columns of that table.

    Raises:
        NlpPipelineError: As `stream` does, when the first row is asked for.
    """
    loop = asyncio.get_running_loop()
    # One thread for all rows: torch keeps a team of threads for each thread that computes.
    with ThreadPoolExecutor(1, "nlp-pipeline-stream") as thread:
        documents = await loop.run_in_executor(thread, partial(stream, corpus, pipeline, **options))
        try:
            while (rows := await loop.run_in_executor(thread, next, documents, None)) is not None:
                yield rows
        finally:
            await loop.run_in_executor(thread, documents.close)
