"""Python files of the user that register components, as spaCy's `--code` takes them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from nlp_pipeline.errors.config import CodeFailed, CodeNotFound
from nlp_pipeline.errors.escapes import described

_MODULE = "nlp_pipeline_code_"


def execute_code(files: Iterable[str]) -> None:
    """Executes files as modules, each content of one once in a process.

    Raises:
        CodeNotFound: One is not there.
        CodeFailed: One raises an exception.
    """
    for file, digest in code_digests(files).items():
        # What is registered twice under one name may be refused, so a file is executed once.
        name = _MODULE + digest[:16]
        if name not in sys.modules:
            _execute(file, name)


def code_digests(files: Iterable[str]) -> dict[str, str]:
    """Files to their SHA-256.

    Raises:
        CodeNotFound: One is not there.
    """
    try:
        return {file: sha256(Path(file).read_bytes()).hexdigest() for file in files}
    except OSError as error:
        raise CodeNotFound(str(error.filename), described(error)) from error


def _execute(file: str, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise CodeNotFound(file, "it is no file of Python (.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # it is anyone's code
        del sys.modules[name]
        raise CodeFailed(file, described(error)) from error
