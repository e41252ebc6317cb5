"""Errors of corpora that are data sets."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import did_you_mean, listing
from nlp_pipeline.errors.corpus import CorpusError
from nlp_pipeline.errors.escapes import escaped


class DataSetFailed(CorpusError):
    """A data set that cannot be opened."""

    retryable = True

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"The data set '{escaped(source, 300)}' cannot be opened: "
            f"{escaped(reason, 300).rstrip('.')}. Write hf://datasets/OWNER/NAME, or a folder of "
            "`save_to_disk`; what only some may see needs HF_TOKEN."
        )


class SplitMissing(CorpusError):
    """A data set of several splits of which none is named."""

    def __init__(self, source: str, splits: Iterable[str], split: str | None) -> None:
        names = list(splits)
        problem = "several splits" if split is None else f"no split '{escaped(split, 40)}'"
        name = source.split("#")[0]
        example = f"{name}#SPLIT" if name.startswith("hf://") else f"{name.rstrip('/')}/SPLIT"
        super().__init__(
            f"The data set '{escaped(source, 300)}' has {problem}; there are: "
            f"{listing((escaped(s, 40) for s in names), 20)}."
            f"{did_you_mean(split or '', names)} Name one, as in {escaped(example, 300)}."
        )
