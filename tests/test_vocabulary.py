"""The words of the package: a name says what it holds, and a module is named by a thing."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nlp_pipeline"

EXEMPT: tuple[str, ...] = ()
"""Rooms that are being rewritten, if any: their words are looked at when that is done."""

LIMIT = 0.005
"""The share of bindings that may be words that say nothing."""

PARTICIPLES = """
asked begun bound broken chosen cut done drawn found given gone got heard held hidden kept known led
left lost made meant put said seen sent shown spent taken told wanted written
"""
ADVERBS = """
above after again ahead already also apart away back before below earlier here later now once so
still then there thus together too yet
"""
PRONOUNS = """
all another any anything both each every everything he it mine none nothing one ones other others
ours same she some something such that them these they this those we what which who whose
"""
EMPTY_WORDS = frozenset((PARTICIPLES + ADVERBS + PRONOUNS).split())

MOST_BY_POSITION = 3
"""Arguments of a constructor that a reader can tell apart without their names."""

FIELD_NOUNS = frozenset(
    [
        *(
            "chunking",
            "folding",
            "grounding",
            "loading",
            "question_answering",
            "reasoning",
            "sampling",
        ),
        *("staging", "stopping", "training"),
    ]
)
"""Modules and rooms in -ing that are things in the words of the field."""

TWIN_CLASSES = frozenset(["Llama"])
"""Meta's interface has Meta's names, in a module of its own (`nlp_pipeline.meta`)."""

COMMANDS = "cli"
MESSAGES = "errors"


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    """The modules outside the exempt rooms, each by its path in the package; parsed once."""
    files = {file.relative_to(PACKAGE).as_posix(): file for file in sorted(PACKAGE.rglob("*.py"))}
    return {
        name: ast.parse(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if not name.startswith(EXEMPT)
    }


def bindings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that code binds, with its line: definitions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def is_empty(name: str) -> bool:
    """Whether a name is a bare participle, an adverb or a pronoun; `__all__` is Python's."""
    return not name.startswith("__") and name.strip("_").lower() in EMPTY_WORDS


def module_names(modules: Collection[str]) -> dict[str, list[str]]:
    """The rooms that hold a module of a name."""
    rooms: dict[str, list[str]] = defaultdict(list)
    for path in modules:
        room, _, file = path.rpartition("/")
        if not file.startswith("__"):
            rooms[file.removesuffix(".py")].append(room)
    return rooms


def documented_pairs() -> set[str]:
    """The names of modules that docs/glossary.md lists as standing twice on purpose."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    section = text.partition("## Modules of one name")[2]
    return {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}


def test_what_counts_as_an_empty_word() -> None:
    source = "def found(kept):\n    self._said = then = 1\n    matches = [one for one in kept]\n"
    names = [name for name, _ in bindings(ast.parse(source))]
    assert sorted(name for name in names if is_empty(name)) == [
        *("_said", "found", "kept", "one", "then")
    ]
    assert not any(map(is_empty, ("__all__", "matches", "found_rows", "n_kept")))


def test_names_say_what_they_hold(modules: dict[str, ast.Module]) -> None:
    total, empty = 0, []
    for path, tree in modules.items():
        for name, line in bindings(tree):
            total += 1
            if is_empty(name):
                empty.append(f"{path}:{line} {name}")
    assert len(empty) <= LIMIT * total, "\n".join(empty)


def test_a_class_name_stands_once(modules: dict[str, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    twins = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in twins.items() if name not in TWIN_CLASSES} == {}


def test_no_module_is_named_by_what_happens(modules: dict[str, ast.Module]) -> None:
    rooms = {room.rpartition("/")[2] for rooms in module_names(modules).values() for room in rooms}
    gerunds = [name for name in {*module_names(modules), *rooms} if name.endswith("ing")]
    assert sorted(set(gerunds) - FIELD_NOUNS) == []


def test_a_module_name_stands_once_or_is_a_documented_pair(modules: dict[str, ast.Module]) -> None:
    pairs = documented_pairs()
    for name, rooms in module_names(modules).items():
        # A command has the name of what it calls, the messages of a room that of the room.
        others = [room for room in rooms if room not in (COMMANDS, MESSAGES)]
        assert len(others) < 2 or name in pairs, f"{name} stands in {rooms}"


def test_modules_import_in_no_circle(modules: dict[str, ast.Module]) -> None:
    files = {
        "nlp_pipeline." + path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree
        for path, tree in modules.items()
    }
    imports = {name: set(_imports(tree, files)) - {name} for name, tree in files.items()}
    while leaves := [name for name, targets in imports.items() if not targets & imports.keys()]:
        for name in leaves:
            del imports[name]
    assert sorted(imports) == [], "these import each other, directly or on a way round"


def test_no_constructor_takes_more_than_three_arguments_by_position(
    modules: dict[str, ast.Module],
) -> None:
    classes = {
        node.name
        for tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    assert list(
        long_calls(ast.parse("Row(1, 2, 3)\nRow(1, *pair, 2, 3)\nrow(1, 2, 3, 4)"), {"Row"})
    ) == ["2 Row(1, *pair, 2, 3)"]
    calls = [
        f"{path}:{call}" for path, tree in modules.items() for call in long_calls(tree, classes)
    ]
    assert calls == [], "name the arguments behind the third"


def long_calls(tree: ast.AST, classes: Collection[str]) -> Iterator[str]:
    """The calls of classes with more than three arguments by position, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > MOST_BY_POSITION:
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in classes or name in ("cls", "__init__"):
                yield f"{node.lineno} {ast.unparse(node)}"


def _imports(tree: ast.Module, files: dict[str, ast.Module]) -> Iterator[str]:
    """The modules of the package that a module imports to run, at its top or in a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for part in ast.walk(node):
                part.only_types = True  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom) and not hasattr(node, "only_types") and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in files else node.module
