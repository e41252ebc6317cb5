"""What a user names as the model, turned into a place and a format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.generation import (
    CheckpointUnreadable,
    ModelDigestMismatch,
    ModelNotFetched,
    ModelNotFound,
)
from nlp_pipeline.models.cache import cached_path, verify
from nlp_pipeline.models.digests import digest
from nlp_pipeline.models.fetcher import fetch
from nlp_pipeline.models.known import KNOWN_MODELS, KnownModel

ModelKind = Literal["hf-folder", "gguf", "hub", "meta"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Where a model is and how it is to be read.

    Attributes:
        name: As the user named it.
        path: The folder, or the `.gguf` file; None for a hub name.
        gguf_file: Name of the `.gguf` file, without its folder; None for all other kinds.
        kind: `hf-folder` has a `config.json`, `meta` has `params.json` or `consolidated.*.pth`,
            `gguf` is one file, `hub` is a name of the Hugging Face hub.
    """

    name: str
    path: Path | None
    gguf_file: str | None
    kind: ModelKind


def resolve(name: str | Path, *, fetch_missing: bool = False) -> ResolvedModel:
    """Finds a model by known name, path or hub name. Looks only; reads no weights.

    A known name comes before a folder of that name: write `./name` for the folder. A path that
    does not exist and has the form `organisation/model` is taken for a hub name.

    Args:
        name: What the user gave; `~` stands for the home folder.
        fetch_missing: Fetch a known model that is not in the cache.

    Raises:
        ModelNotFound: It is none of these.
        ModelNotFetched: A known model that is not in the cache, or cannot be fetched.
        ModelDigestMismatch: A known model whose file in the cache is damaged.
        CheckpointUnreadable: A path that is there and holds no model.
    """
    text = str(name)
    if text in KNOWN_MODELS:
        return _registered_model(KNOWN_MODELS[text], fetch_missing)
    path = Path(text).expanduser()
    if not text:
        raise ModelNotFound(text, KNOWN_MODELS)
    if path.is_dir():
        return _folder(text, path)
    if path.exists():
        return _file(text, path)
    if _HUB_NAME.fullmatch(text) and path.suffix not in {".gguf", ".pth", ".safetensors"}:
        return ResolvedModel(text, None, None, kind="hub")
    looks_like_path = "/" in text or path.suffix == ".gguf"
    raise ModelNotFound(text, KNOWN_MODELS, "there is no such path" if looks_like_path else "")


def _registered_model(model: KnownModel, fetch_missing: bool) -> ResolvedModel:
    path, status = cached_path(model), verify(model)
    if status == "missing":
        if not fetch_missing:
            raise ModelNotFetched(model.name, str(path))
        fetch(model)
    elif status == "damaged":
        raise ModelDigestMismatch(model.name, str(path), model.file_sha256, actual=digest(path))
    return ResolvedModel(model.name, path, model.file_name, kind="gguf")


def _folder(name: str, folder: Path) -> ResolvedModel:
    if (folder / "config.json").is_file():
        return ResolvedModel(name, folder, None, kind="hf-folder")
    if (folder / "params.json").is_file() or any(folder.glob("consolidated.*.pth")):
        return ResolvedModel(name, folder, None, kind="meta")
    files = sorted(file.name for file in folder.glob("*.gguf"))
    if len(files) == 1:
        return _file(name, folder / files[0])
    if files:
        raise CheckpointUnreadable(
            str(folder), f"it holds several GGUF files, name one of them: {listing(files)}"
        )
    raise CheckpointUnreadable(
        str(folder),
        "it has neither a config.json (Hugging Face), nor a .gguf file, nor params.json with "
        "consolidated.*.pth (Meta)",
    )


def _file(name: str, file: Path) -> ResolvedModel:
    if file.suffix != ".gguf":
        raise CheckpointUnreadable(
            str(file), "a single file must be a .gguf file; for other formats name the folder"
        )
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise CheckpointUnreadable(str(file), error.strerror or str(error)) from error
    if magic != b"GGUF":
        raise CheckpointUnreadable(str(file), "it does not begin as a GGUF file does")
    return ResolvedModel(name, file, file.name, kind="gguf")
