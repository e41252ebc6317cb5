"""The notebook of the whole loop: it shows what it gave, and what it names is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from test_tutorial import EXECUTE

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs" / "loop.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    """The cells with code."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def tree(cells: list[Any]) -> ast.Module:
    return ast.parse("\n".join(cell.source for cell in cells))


def test_it_was_run_from_top_to_bottom(cells: list[Any]) -> None:
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.outputs for cell in cells[1:])
    assert {output.output_type for output in outputs} <= {"stream", "execute_result"}
    assert str(Path.home()) not in str(outputs)


def test_what_it_calls_takes_what_it_gives(tree: ast.Module) -> None:
    named = dict(imported(tree))
    assert {"run", "review_run", "evaluate_run", "train", "distil"} <= set(named)
    calls = [
        (node, named[name])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := called(node)) in named
    ]
    assert len(calls) >= 10
    for node, function in calls:
        positional = [None] * len(node.args)
        keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
        inspect.signature(function).bind(*positional, **keywords)


def imported(tree: ast.Module) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions and classes of the package that the code names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nlp_pipeline"):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                yield alias.name, getattr(module, alias.name)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "nlp_pipeline":
            yield node.attr, getattr(importlib.import_module("nlp_pipeline"), node.attr)


def called(node: ast.Call) -> str:
    """The last name of what is called."""
    return ast.unparse(node.func).rpartition(".")[2]


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra `train` is not installed")
    (tmp_path / "corpora").symlink_to(NOTEBOOK.parent.parent / "corpora")
    places = {name: str(tmp_path) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    code = EXECUTE.replace("timeout=120", "timeout=900")
    # Beside pytest, whose strictness about warnings does not fit the kernel's sockets.
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(NOTEBOOK), str(tmp_path / "done.ipynb")],
        env={**os.environ, **places, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        cwd=tmp_path,
        timeout=1800,
        check=True,
    )
