"""Models of the Hugging Face hub: fetched file by file, none of them code."""

from __future__ import annotations

import json
from pathlib import Path

from nlp_pipeline.generation.loading.hf_compat import unreadable
from nlp_pipeline.generation.loading.model_view import CONFIGS, VOCABULARIES, WHOLE_WEIGHTS


def hub_folder(name: str, *, weights: bool) -> Path:
    """The folder of a hub model in the hub's own cache, fetched as far as it is not there.

    Args:
        name: `organisation/model`.
        weights: Fetch the weights too: those in safetensors where there are any.

    Raises:
        ModelNotFound: There is no such model, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    small = [*CONFIGS, *VOCABULARIES, *(index for index, _ in WHOLE_WEIGHTS)]
    try:
        folder = Path(snapshot_download(name, allow_patterns=small))
        for index, whole in WHOLE_WEIGHTS if weights else ():
            files = [whole, *_parts(folder / index)]
            snapshot_download(name, allow_patterns=files)
            if any((folder / file).is_file() for file in files):
                break
    except Exception as error:  # the hub's client raises errors of many kinds
        raise unreadable(name, None, error) from error
    return folder


def _parts(index: Path) -> list[str]:
    """The files that an index names; `model_view` checks it."""
    if not index.is_file():
        return []
    names = json.loads(index.read_bytes()).get("weight_map", {})
    return sorted({str(file) for file in names.values()})
