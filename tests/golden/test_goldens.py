"""Our own golden outputs: each shipped pipeline, and each component by itself.

The portable ones use the tiny Llama of `tests/data` in float64: rounding then turns no choice of
the model between processors. Those on the real default model name the platform they were recorded
on and are marked `slow`.

Every `golden.json` says with which command it is made again; to accept new outputs of all of
them, `pytest tests/golden --golden-update`, then look at `git diff tests/golden`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import spacy

from nlp_pipeline import to_frames
from nlp_pipeline.golden.fixture import GoldenFixture
from nlp_pipeline.golden.recipe import Recipe
from nlp_pipeline.golden.store import Golden, read_golden, write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PIPELINES = (
    "blank_qa",
    "en_classify",
    "en_extract",
    "en_qa",
    "en_qa_summary",
    "en_summary",
    "fr_qa",
)
LOCAL = {"en_trf_qa": "its weights are trained on each machine, and no two trainings are equal"}
REAL = ("en_qa_summary_smollm2",)
COMPONENTS = (
    "llama_classifier",
    "llama_extractor",
    "llama_prompt",
    "llama_qa",
    "llama_summarizer",
)
OWNED = {*PIPELINES, *REAL, *COMPONENTS}

# In the words that the tiny model was trained on, so that some answers stand in the text.
TEXTS = (
    "Nobody in Oslo had expected a data server before Tuesday. Peter Holm of Quartz Systems said "
    "on Tuesday that they would describe a data server.",
    "🙂 The tenant shall replace the water supply within 500 milligrams of Tuesday. It rained all "
    "night, and Omar Haddad walked home to the north valley alone. Omar Haddad of the National "
    "Museum said on Tuesday that they would replace the water supply.",
    "Sofia Rossi took 500 milligrams twice a day and felt better after Monday.",
)
QUESTIONS = [
    {"id": "about", "text": "What is it about?"},
    {"id": "organisation", "text": "Which organisation is named?"},
]
COMMON = ("documents", "spans", "errors")
FORM = {
    "type": "object",
    "properties": {
        "who": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "what": {"type": ["string", "null"], "maxLength": 20},
    },
    "required": ["who", "what"],
}
CASES: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (
        "llama_classifier",
        {"labels": ["water", "water supply", "data"]},
        ("categories", "classifications"),
    ),
    (
        "llama_extractor",
        {"schema": FORM, "substrings": ["who"]},
        ("extractions", "extraction_fields"),
    ),
    ("llama_prompt", {"prompt": "{{ text }} What is it about?"}, ("generations",)),
    ("llama_qa", {"questions": QUESTIONS}, ("answers",)),
    ("llama_summarizer", {}, ("summaries",)),
]


@pytest.mark.parametrize("name", PIPELINES)
def test_pipeline(golden: GoldenFixture, name: str) -> None:
    golden.check(HERE / name)


@pytest.mark.parametrize("name", LOCAL)
def test_local_pipeline(name: str) -> None:
    pytest.skip(LOCAL[name])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", REAL)
def test_real_model(golden: GoldenFixture, name: str) -> None:
    golden.check(HERE / name)


@pytest.mark.parametrize(("name", "config", "tables"), CASES, ids=COMPONENTS)
def test_component(
    golden: GoldenFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    config: dict[str, Any],
    tables: tuple[str, ...],
) -> None:
    monkeypatch.chdir(ROOT)
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    generator = {
        "@llama_generators": "nlp_pipeline.Llama.v1",
        "model": "tests/data/tiny_llama",
        "dtype": "float64",
    }
    nlp.add_pipe(name, config={**config, "generator": generator})
    frames = to_frames(nlp.pipe(TEXTS))
    golden.check_frames({table: frames[table] for table in (*COMMON, *tables)}, HERE / name)


def unowned(folder: Path, owned: Iterable[str]) -> list[str]:
    """Golden outputs under a folder that no test reads."""
    found = {file.parent.relative_to(folder).as_posix() for file in folder.rglob("golden.json")}
    return sorted(found - set(owned))


def not_remade(golden: Golden, name: str) -> str | None:
    """Why a golden output's command does not make it again, if it does not."""
    folder = f"tests/golden/{name}"
    if golden.recipe is not None:
        made = golden.recipe.command(folder, {})
        return None if golden.command == made else f"{golden.command!r} is not {made!r}"
    words = golden.command.split("'")
    if len(words) != 3 or words[0] != "pytest " or words[2] != " --golden-update":
        return f"{golden.command!r} is no command of a test"
    file, _, test = words[1].partition("::")
    there = (ROOT / file).is_file() and f"def {test.partition('[')[0]}(" in (ROOT / file).read_text(
        encoding="utf-8"
    )
    return None if there else f"{words[1]} is no test"


def test_every_golden_output_is_read_by_a_test() -> None:
    assert unowned(HERE, OWNED) == []
    assert sorted(file.parent.name for file in HERE.glob("*/golden.json")) == sorted(OWNED)


def test_every_file_belongs_to_a_golden_output() -> None:
    for name in sorted(OWNED):
        files = {file.name for file in (HERE / name).iterdir()}
        tables = {f"{table}.jsonl" for table in read_golden(HERE / name).tables}
        assert files == {"golden.json", *tables}


def test_every_shipped_pipeline_has_a_case() -> None:
    shipped = {file.stem for file in (ROOT / "pipelines").glob("*.cfg")}
    assert shipped == {*PIPELINES, *LOCAL}


@pytest.mark.parametrize("name", sorted(OWNED))
def test_every_golden_output_says_how_it_is_made_again(name: str) -> None:
    golden = read_golden(HERE / name)
    assert not_remade(golden, name) is None
    assert golden.directory in (None, "../../..")
    assert golden.portable is (name not in REAL)


def test_a_stray_golden_output_is_noticed(tmp_path: Path) -> None:
    golden = read_golden(HERE / "llama_qa")
    write(tmp_path / "llama_qa", golden, {})
    write(tmp_path / "deep" / "stray", golden, {})
    assert unowned(tmp_path, OWNED) == ["deep/stray"]


@pytest.mark.parametrize("command", ["", "pytest", "pytest 'tests/none.py::test' --golden-update"])
def test_a_missing_command_is_noticed(command: str) -> None:
    from dataclasses import replace

    assert not_remade(replace(read_golden(HERE / "llama_qa"), command=command), "llama_qa")
    run = replace(read_golden(HERE / "llama_qa"), recipe=Recipe("corpus.jsonl"), command=command)
    assert not_remade(run, "llama_qa")
