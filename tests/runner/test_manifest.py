"""The fingerprint holds everything that can change a row, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nlp_pipeline import read_run
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config
from nlp_pipeline.run_folder.resume import differences
from nlp_pipeline.runner import manifest
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.run import run


def mark_of(request: RunRequest) -> dict:
    config = resolve_config(request.pipeline)
    nlp = build(config, request.pipeline.name)
    return manifest.fingerprint(request, nlp, config)


def changed(one: RunRequest, other: RunRequest) -> set[str]:
    return set(differences(mark_of(one), mark_of(other)))


@pytest.fixture
def request_of(quick, corpus, tmp_path):
    source, name = corpus("a"), quick()

    def make(*settings: str, questions: tuple[str, ...] = (), **options) -> RunRequest:
        spec = PipelineSpec(name, questions, settings)
        return RunRequest(source, tmp_path / "out", spec, **options)

    return make


def test_the_same_is_the_same(request_of) -> None:
    assert changed(request_of(), request_of()) == set()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"text_key": "body"}, "text_key"),
        ({"id_key": "key"}, "id_key"),
        ({"max_length": 3}, "max_length"),
        ({"format": "csv"}, "format"),
        ({"part_size": 3}, "part_size"),
    ],
)
def test_an_option_that_changes_rows_or_files(request_of, options, name) -> None:
    assert changed(request_of(), request_of(**options)) == {name}


@pytest.mark.parametrize(
    "key",
    [
        "components.llama_qa.temperature",
        "components.llama_qa.max_new_tokens",
        "components.llama_qa.seed",
        "components.llama_qa.no_answer",
        "components.sentencizer.punct_chars",
    ],
)
def test_a_setting_of_a_component(request_of, key) -> None:
    value = '["!"]' if "punct" in key else "3"
    value = '"n"' if "no_answer" in key else value
    assert changed(request_of(), request_of(f"{key}={value}")) == {key}


def test_a_setting_of_the_generator(request_of) -> None:
    key = "components.llama_qa.generator.fail_on"
    found = changed(request_of(), request_of(f"{key}=x"))
    assert key in found
    assert all("fail_on" in name for name in found)


def test_questions(request_of) -> None:
    assert changed(request_of(), request_of(questions=("Where?",))) == {
        "components.llama_qa.questions"
    }


def test_a_template(request_of, tmp_path) -> None:
    template = tmp_path / "mine.jinja"
    setting = f"components.llama_qa.template={template}"
    template.write_text("{% block user %}{{ text }} {{ question }}{% endblock %}")
    before = mark_of(request_of(setting))
    template.write_text("{% block user %}{{ question }} {{ text }}{% endblock %}")
    assert set(differences(before, mark_of(request_of(setting)))) == {"prompts.llama_qa"}


def test_the_records_are_no_part_of_it(request_of, corpus) -> None:
    """Each has its own digest in the ledger: a corpus may grow."""
    before = mark_of(request_of())
    corpus("b")
    assert set(differences(before, mark_of(request_of()))) == set()


def test_the_digests_of_the_inputs(tmp_path, corpus) -> None:
    source = corpus("a")
    before = manifest.input_digests(source)
    assert list(before) == [source]
    corpus("b")
    assert manifest.input_digests(source) != before
    assert list(manifest.input_digests("-", Path(source))) == ["-"]


def test_a_file_of_the_model(request_of, tiny_llama, tmp_path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    generator = {"@llama_generators": "nlp_pipeline.Llama.v1", "model": str(folder)}
    request = request_of(f"components.llama_qa.generator={json.dumps(generator)}")
    before = mark_of(request)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "extra": 1}))
    from nlp_pipeline.generation.backends import inprocess

    inprocess._LOADED.clear()
    found = differences(before, mark_of(request))
    assert found
    assert all(name.startswith("generators.0.") for name in found)


@pytest.mark.parametrize("field", ["schema", "versions.spacy"])
def test_versions(request_of, monkeypatch, field) -> None:
    before = mark_of(request_of())
    name = "SCHEMA_VERSION" if field == "schema" else "installed_version"
    monkeypatch.setattr(manifest, name, _other)
    found = differences(before, mark_of(request_of()))
    assert field in found
    assert all(name.split(".")[0] == field.split(".")[0] for name in found)


def _other(*_: object) -> str:
    return "0"


@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"n_process": 2}, {"fresh": True}, {"out": Path("elsewhere")}]
)
def test_what_changes_no_row_is_left_out(request_of, options) -> None:
    from dataclasses import replace

    assert changed(request_of(), replace(request_of(), **options)) == set()
    assert changed(request_of(), request_of("nlp.batch_size=3")) == set()


def test_the_manifest_says_what_ran(request_of) -> None:
    request = request_of()
    config = resolve_config(request.pipeline)
    nlp = build(config, "quick")
    found = manifest.describe(request, list(nlp.pipe_names), {"a": 1})
    assert found["fingerprint"] == {"a": 1}
    assert found["pipes"] == ["sentencizer", "llama_qa"]
    assert json.loads(json.dumps(found)) == found


class TestIdsOfFilesInAFolder:
    """They are paths; a run that began when they were stems goes on with what it has."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "F"
        for name in ("2024/report.txt", "2024/notes.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"Of {name}.")
        return folder

    def ids(self, folder: Path, pipeline: str, **kept: int) -> list[str]:
        result = run(folder, folder.parent / "out", pipeline=pipeline)
        assert (result.resumed, result.failed) == (kept["kept"], 0)
        return list(read_run(folder.parent / "out")["documents"].document_id)

    def test_a_file_that_comes_later_changes_none(self, folder: Path, quick) -> None:
        before = self.ids(folder, quick(), kept=0)
        assert before == ["2024/notes.txt", "2024/report.txt"]
        (folder / "2025").mkdir()
        (folder / "2025" / "report.txt").write_text("Of 2025.")
        assert self.ids(folder, quick(), kept=2) == [*before, "2025/report.txt"]

    def test_a_run_of_before_keeps_its_ids(self, folder: Path, quick, monkeypatch) -> None:
        old = ["2024/notes.txt", "2024/report.txt"]
        monkeypatch.setattr("nlp_pipeline.runner.records.named_by_stem", lambda _: old)
        assert self.ids(folder, quick(), kept=0) == ["notes", "report"]
        monkeypatch.undo()
        file = folder.parent / "out" / "manifest.json"
        found = json.loads(file.read_text())
        del found["named_by_stem"]  # version 0.1 knew no such thing
        file.write_text(json.dumps(found))
        for number in (2025, 2026):
            (folder / f"{number}").mkdir()
            (folder / f"{number}" / "report.txt").write_text(f"Of {number}.")
            ids = self.ids(folder, quick(), kept=number - 2023)
        assert ids == ["notes", "report", "2025/report.txt", "2026/report.txt"]

    def test_what_a_manifest_says(self) -> None:
        stems = manifest.named_by_stem
        assert stems(None) == []
        inputs = {"F/a/x.txt": "", "F/y.csv": ""}
        assert stems({"corpus": "F", "inputs": inputs}) == ["a/x.txt", "y.csv"]
        assert stems({"corpus": "x.jsonl", "inputs": {"x.jsonl": ""}}) == []
        assert stems({"corpus": "F", "inputs": inputs, "named_by_stem": []}) == []
