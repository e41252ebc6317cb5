"""Recording and checking a run: what is written, what is noticed, what an update does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nlp_pipeline.errors.config import PipelineNotFound
from nlp_pipeline.errors.corpus import CorpusNotFound
from nlp_pipeline.errors.golden import (
    GoldenCorpusChanged,
    GoldenFolderInUse,
    GoldenFormatUnknown,
    GoldenFromStdin,
    GoldenFromUrl,
    GoldenMismatch,
    GoldenModelChanged,
    GoldenNotFound,
    GoldenPlaceMissing,
    GoldenUnreadable,
)
from nlp_pipeline.errors.run_folder import TableNotFound
from nlp_pipeline.golden import check, record
from nlp_pipeline.golden.store import read_golden
from nlp_pipeline.tables import TABLES

Change = Callable[[Path, str, str], None]
FOLDER = Path("golden/mine")


@pytest.fixture
def recorded(project: Path) -> Path:
    record("corpus.jsonl", FOLDER, pipeline="mine.cfg")
    return FOLDER


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_was_recorded_is_as_recorded(recorded: Path) -> None:
    before = contents(recorded)
    checked = check(recorded)
    assert (checked.tables, checked.updated) == (len(TABLES), False)
    assert contents(recorded) == before
    assert set(before) == {"golden.json", *(f"{name}.jsonl" for name in TABLES)}


def test_a_row_is_a_line_with_its_columns_in_order(recorded: Path) -> None:
    lines = (recorded / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["document_id"] for line in lines] == ["a", "b"]
    assert list(json.loads(lines[0])) == TABLES["documents"].names


def test_golden_json_says_how_it_is_made_again(project: Path, recorded: Path) -> None:
    golden = json.loads((recorded / "golden.json").read_text(encoding="utf-8"))
    assert golden["command"] == (
        "nlp-pipeline golden record corpus.jsonl -p mine.cfg -d golden/mine"
    )
    assert golden["directory"] == "../.."
    assert golden["run"] == {"corpus": "corpus.jsonl", "pipeline": "mine.cfg"}
    assert list(golden["corpus"]) == ["corpus.jsonl"]
    assert golden["tolerance"] == {"relative": 1e-4, "absolute": 1e-5}
    assert golden["portable"] is True
    assert {"generators", "spacy_pipelines", "versions", "platform"} == set(golden["made_with"])


def test_absolute_paths_are_recorded_relative_to_the_working_directory(project: Path) -> None:
    made = record(project / "corpus.jsonl", project / FOLDER, pipeline=str(project / "mine.cfg"))
    assert made.recipe is not None
    assert (made.recipe.corpus, made.recipe.spec.name) == ("corpus.jsonl", "mine.cfg")
    assert made.command.endswith("record corpus.jsonl -p mine.cfg -d golden/mine")


def test_another_checkout_and_another_working_directory(
    recorded: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere" / "deep"
    shutil.copytree(project, other)
    shutil.rmtree(project)
    monkeypatch.chdir(tmp_path)
    assert check(other / FOLDER).differences == ()
    assert Path.cwd() == tmp_path


def test_options_are_recorded_and_used(project: Path) -> None:
    made = record(
        "corpus.jsonl",
        FOLDER,
        pipeline="mine.cfg",
        questions=["What's new?"],
        settings=["components.llama_qa.max_new_tokens=2"],
        tables=["answers"],
        limit=1,
        echo=True,
        rtol=0.5,
    )
    assert made.command == (
        "nlp-pipeline golden record corpus.jsonl -p mine.cfg -d golden/mine "
        "-q 'What'\"'\"'s new?' --set components.llama_qa.max_new_tokens=2 --table answers "
        "--limit 1 --rtol 0.5 --echo"
    )
    assert set(contents(FOLDER)) == {"golden.json", "answers.jsonl"}
    (line,) = (FOLDER / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    row = json.loads(line)
    assert (row["document_id"], row["question"]) == ("a", "What's new?")
    assert read_golden(FOLDER) == made
    assert check(FOLDER).tables == 1


def test_a_changed_pipeline_is_a_difference(recorded: Path, project: Path, change: Change) -> None:
    change(project / "mine.cfg", "Who is named?", "Who was named?")
    with pytest.raises(GoldenMismatch) as caught:
        check(recorded)
    message = str(caught.value)
    assert message.startswith("golden/mine is not as it was recorded: 4 differences.\n\nanswers: 4")
    assert '    question: expected "Who is named?"\n' in message
    assert message.endswith(
        "If this is the output that you want, accept it: "
        "nlp-pipeline golden check golden/mine --update"
    )
    assert caught.value.exit_code == 1


def test_update_accepts_what_is_found(recorded: Path, project: Path, change: Change) -> None:
    before = contents(recorded)
    change(project / "mine.cfg", "Who is named?", "Who was named?")
    checked = check(recorded, update=True)
    assert checked.updated
    assert len(checked.differences) == 4
    after = contents(recorded)
    assert {name for name in after if after[name] != before[name]} == {"answers.jsonl"}
    assert check(recorded).differences == ()


def test_update_of_what_is_as_recorded_writes_nothing(recorded: Path, change: Change) -> None:
    change(recorded / "golden.json", '"torch_threads": ', '"torch_threads": 9')
    before = contents(recorded)
    assert not check(recorded, update=True).updated
    assert contents(recorded) == before


def test_the_tolerance_is_that_of_golden_json(recorded: Path, change: Change) -> None:
    change(recorded / "answers.jsonl", '"mean_logprob": 0.0', '"mean_logprob": 0.1')
    with pytest.raises(GoldenMismatch, match=r"expected 0.1, found 0.0 \(off by 0.1, allowed"):
        check(recorded)
    change(recorded / "golden.json", '"absolute": 1e-05', '"absolute": 0.1')
    assert check(recorded).differences == ()


def test_a_changed_corpus(recorded: Path, project: Path, change: Change) -> None:
    change(project / "corpus.jsonl", "stayed", "left")
    with pytest.raises(GoldenCorpusChanged) as caught:
        check(recorded)
    assert str(caught.value) == (
        "The corpus of the golden output 'golden/mine' has changed since it was recorded: "
        "corpus.jsonl. Restore it, or accept the new one with --update."
    )
    assert check(recorded, update=True).updated
    assert check(recorded).differences == ()


def test_a_corpus_folder_with_a_new_file(project: Path) -> None:
    (project / "texts").mkdir()
    (project / "texts" / "one.txt").write_text("One.", encoding="utf-8")
    record("texts", FOLDER, pipeline="mine.cfg")
    (project / "texts" / "two.txt").write_text("Two.", encoding="utf-8")
    with pytest.raises(GoldenCorpusChanged, match=r"recorded: texts/two.txt \(new\)\."):
        check(FOLDER)
    (project / "texts" / "two.txt").rename(project / "texts" / "one.txt")
    with pytest.raises(GoldenCorpusChanged, match=r"recorded: texts/one.txt\."):
        check(FOLDER)


def test_a_corpus_that_is_gone(recorded: Path, project: Path) -> None:
    (project / "corpus.jsonl").unlink()
    with pytest.raises(CorpusNotFound, match=r"corpus\.jsonl"):
        check(recorded)


def test_a_pipeline_that_is_gone(recorded: Path, project: Path) -> None:
    (project / "mine.cfg").unlink()
    with pytest.raises(PipelineNotFound, match=r"mine\.cfg"):
        check(recorded)


def test_bad_records_are_golden_too(project: Path) -> None:
    (project / "bad.jsonl").write_text('{"id": "x"}\nnot json\n', encoding="utf-8")
    record("bad.jsonl", FOLDER, pipeline="mine.cfg", tables=["documents", "errors"])
    assert check(FOLDER).rows == 4


def test_other_versions_are_said(recorded: Path, project: Path, change: Change) -> None:
    change(project / "mine.cfg", "Who is named?", "Who was named?")
    made_with = read_golden(recorded).made_with["versions"]
    change(recorded / "golden.json", f'"spacy": "{made_with["spacy"]}"', '"spacy": "3.0.1"')
    with pytest.raises(GoldenMismatch) as caught:
        check(recorded)
    here = f"here there is spacy {made_with['spacy']}."
    assert f"Note: it was recorded with spacy 3.0.1; {here}\n" in str(caught.value)


def test_golden_of_another_format(recorded: Path, change: Change) -> None:
    change(recorded / "golden.json", '"golden": 1', '"golden": 9')
    with pytest.raises(GoldenFormatUnknown, match=r"has the format 9 .* reads 1\."):
        check(recorded)


def test_a_damaged_table(recorded: Path, change: Change) -> None:
    change(recorded / "answers.jsonl", '{"document_id": "b"', "<<<<<<< HEAD")
    with pytest.raises(GoldenUnreadable, match=r"answers.jsonl:2 cannot be read .* record corpus"):
        check(recorded)
    (recorded / "answers.jsonl").unlink()
    with pytest.raises(GoldenUnreadable, match=r"answers.jsonl cannot be read"):
        check(recorded)


def test_a_damaged_golden_json(recorded: Path) -> None:
    for text in ("{", "[]", "{}", '{"golden": 1}'):
        (recorded / "golden.json").write_text(text, encoding="utf-8")
        with pytest.raises(GoldenUnreadable, match=r"golden.json cannot be read"):
            check(recorded)


def test_a_table_cannot_lead_out_of_the_folder(recorded: Path, change: Change) -> None:
    change(recorded / "golden.json", '"errors": [', '"../errors": [')
    with pytest.raises(GoldenUnreadable, match=r"'\.\./errors' is no name of a table"):
        check(recorded, update=True)


def test_a_folder_without_a_golden_output(project: Path) -> None:
    with pytest.raises(GoldenNotFound) as caught:
        check("nowhere")
    assert str(caught.value) == (
        "'nowhere' holds no golden output (there is no golden.json). Record one with "
        "`nlp-pipeline golden record CORPUS -p PIPELINE -d nowhere`."
    )


def test_a_golden_output_away_from_its_checkout(recorded: Path, tmp_path: Path) -> None:
    away = tmp_path / "a" / "b" / "c"
    shutil.copytree(recorded, away)
    golden = json.loads((away / "golden.json").read_text(encoding="utf-8"))
    golden["directory"] = "../../missing"
    (away / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    with pytest.raises(GoldenPlaceMissing, match=r"recorded from its '\.\./\.\./missing'"):
        check(away)


def test_record_replaces_a_golden_output_and_nothing_else(recorded: Path, project: Path) -> None:
    record("corpus.jsonl", recorded, pipeline="mine.cfg", tables=["answers"])
    assert set(contents(recorded)) == {"golden.json", "answers.jsonl"}
    with pytest.raises(GoldenFolderInUse, match=r"not empty .* \(it has: corpus.jsonl, golden, "):
        record("corpus.jsonl", project, pipeline="mine.cfg")


def test_standard_input_cannot_be_read_again(project: Path) -> None:
    with pytest.raises(GoldenFromStdin, match="Save it to a file"):
        record("-", FOLDER)


@pytest.mark.parametrize("corpus", ["https://a.b/c.jsonl", "memory://a/b.txt", "hf://datasets/a/b"])
def test_a_corpus_lies_beside_its_golden_output(project: Path, corpus: str) -> None:
    with pytest.raises(GoldenFromUrl, match=r"is none\. Save it to a file"):
        record(corpus, FOLDER)
    assert not FOLDER.exists()


def test_an_unknown_table(project: Path) -> None:
    with pytest.raises(TableNotFound, match="no table 'answer'"):
        record("corpus.jsonl", FOLDER, pipeline="mine.cfg", tables=["answer"])
    assert not FOLDER.exists()


class TestWithModel:
    """The tiny Llama in float32: not portable, and its files are a part of what is recorded."""

    @pytest.fixture
    def model(self, project: Path, change: Change, request: pytest.FixtureRequest) -> Path:
        change(project / "mine.cfg", "nlp_pipeline.echo.v1", "nlp_pipeline.Llama.v1")
        shutil.copytree(request.config.rootpath / "tests/data/tiny_llama", project / "tiny")
        # Read by its absolute path: loaded models are kept by name.
        change(project / "mine.cfg", 'Llama.v1"', f'Llama.v1"\nmodel = "{project / "tiny"}"')
        record("corpus.jsonl", FOLDER, pipeline="mine.cfg", tables=["answers"])
        return project / "tiny"

    def test_another_platform_is_said(self, model: Path, project: Path, change: Change) -> None:
        assert not read_golden(FOLDER).portable
        change(project / "mine.cfg", "Who is named?", "Who was named?")
        with pytest.raises(GoldenMismatch) as caught:
            check(FOLDER)
        assert "not portable" not in str(caught.value)
        machine = read_golden(FOLDER).made_with["platform"]["machine"]
        change(FOLDER / "golden.json", f'"machine": "{machine}"', '"machine": "vax"')
        with pytest.raises(GoldenMismatch) as caught:
            check(FOLDER)
        assert "Note: this golden output is not portable" in str(caught.value)
        assert "Then: Linux vax, " in str(caught.value)

    def test_a_changed_model(self, model: Path, change: Change) -> None:
        digest = read_golden(FOLDER).made_with["generators"][0]["digest"]
        change(FOLDER / "golden.json", digest, "0" * 64)
        with pytest.raises(GoldenModelChanged, match=r"tiny \(0000000000000000\) → .*tiny \("):
            check(FOLDER)
        assert check(FOLDER, update=True).updated
        assert check(FOLDER).differences == ()
