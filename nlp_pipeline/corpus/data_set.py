"""Data sets of the Hugging Face hub, and folders that `save_to_disk` has written, as records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlp_pipeline.corpus.text_field import require_text_column
from nlp_pipeline.errors.data_set import DataSetFailed, SplitMissing
from nlp_pipeline.errors.documents import ReaderNotInstalled

_HUB = re.compile(r"hf://datasets/(?P<name>[^#]+?)/?(?:#(?:(?P<config>[^/]+)/)?(?P<split>[^/]+))?")
_SAVED = ("state.json", "dataset_dict.json")


def is_data_set(corpus: object) -> bool:
    """Whether a corpus is named as a data set: `hf://datasets/…`, or a folder of a saved one."""
    if not isinstance(corpus, str | Path):
        return False
    return str(corpus).startswith("hf://") or any(
        (Path(corpus) / name).is_file() for name in _SAVED
    )


def data_set_records(corpus: str, text_key: str = "text") -> Iterator[Mapping[str, Any]]:
    """The rows of a data set, as they come: of one on the hub no more is fetched than is read.

    Args:
        corpus: `hf://datasets/NAME`, `hf://datasets/NAME#SPLIT` or `…#CONFIG/SPLIT`; or a folder.
        text_key: The column that holds the text, or names with dots that lead to it.

    Raises:
        ReaderNotInstalled: The package `datasets` is not there.
        DataSetFailed: It cannot be opened; the library says why.
        SplitMissing: It has several splits and none is named, or none of that name.
        NoTextColumn: It has not the column.
    """
    if find_spec("datasets") is None:
        raise ReaderNotInstalled(corpus, "hub")
    try:
        loaded, split = _loaded(corpus)
    except Exception as error:  # the library's own, the network's, a file system's
        raise DataSetFailed(corpus, " ".join(str(error).split()) or type(error).__name__) from error
    if isinstance(loaded, Mapping):
        names = list(loaded)
        wanted = split or (names[0] if len(names) == 1 else None)
        if wanted not in names:
            raise SplitMissing(corpus, names, split)
        loaded = loaded[wanted]
    require_text_column(loaded.column_names or (), text_key, corpus)
    rows: Iterator[Mapping[str, Any]] = iter(loaded)
    return rows


def _loaded(corpus: str) -> tuple[Any, str | None]:
    """The data set or its splits, and the split that is asked for."""
    import datasets

    match = _HUB.fullmatch(corpus)
    if match is None:
        return datasets.load_from_disk(corpus), None
    name, config, split = match["name"], match["config"], match["split"]
    return datasets.load_dataset(name, config, streaming=True), split
