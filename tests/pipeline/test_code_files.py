"""`--code FILE`: components that a config names and a file registers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp_pipeline import read_run, retry, run
from nlp_pipeline.errors.config import CodeFailed, CodeNotFound
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline

CODE = """\
from spacy.language import Language

if not Language.has_factory("mine_of_a_file"):

    @Language.component("mine_of_a_file")
    def mark(doc):
        doc.ents = [doc.char_span(0, len(doc[0].text), label="FIRST")]
        return doc
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(CODE, encoding="utf-8")
    return file


def test_a_file_registers_what_the_config_names(code: Path, quick) -> None:
    spec = PipelineSpec(quick("mine_of_a_file"), code=(str(code),))
    for _ in range(2):
        nlp = load_pipeline(spec)
        assert [ent.label_ for ent in nlp.make_doc("Ada left.").ents] == []
        assert [ent.label_ for ent in nlp("Ada left.").ents] == ["FIRST"]


def test_a_run_remembers_its_code(code: Path, tmp_path: Path, quick, corpus, cli) -> None:
    source, pipeline = corpus("Ada left.", "UNSPEAKABLE."), quick("mine_of_a_file")
    out = tmp_path / "out"
    result = cli("run", source, "-p", pipeline, "--code", code, "-o", out, "--json")
    assert (result.code, json.loads(result.out)["documents"]) == (3, 2)
    assert read_run(out)["entities"]["label"].tolist() == ["FIRST", "FIRST"]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["code"] == [str(code)]
    assert list(manifest["fingerprint"]["code"]) == ["mine.py"]
    assert retry(out).resumed == 1
    assert run(source, out, pipeline=pipeline, code=[code], retry=False).resumed == 2
    # Who has changed it may have changed every row.
    code.write_text(CODE + "# changed\n", encoding="utf-8")
    assert run(source, out, pipeline=pipeline, code=[code], retry=False).resumed == 0


def test_code_that_cannot_be_used(tmp_path: Path, quick) -> None:
    for name, error, message in (
        ("no.py", CodeNotFound, r"no\.py' of --code cannot be read: No such file or directory\."),
        ("x.txt", CodeNotFound, r"x\.txt' of --code cannot be read: it is no file of Python"),
        ("bad.py", CodeFailed, r"bad\.py' of --code fails: ValueError: no\. Run it with"),
    ):
        if name != "no.py":
            (tmp_path / name).write_text("raise ValueError('no')\n", encoding="utf-8")
        with pytest.raises(error, match=message):
            load_pipeline(PipelineSpec(quick(), code=(str(tmp_path / name),)))
