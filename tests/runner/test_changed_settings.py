"""A run goes on with other settings: only what is asked anew is computed, and nothing is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_pipeline import read_run, retry, run
from nlp_pipeline.components.generators import llama_generators
from nlp_pipeline.errors.run_folder import DifferentRun
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.interface import Completion, GenerationRequest
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.completions import completions_path, read_completions
from nlp_pipeline.runner.request import RunRequest, Silent
from nlp_pipeline.runner.run import execute
from nlp_pipeline.runner.setting_changes import changes_message

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa", "llama_prompt"]
batch_size = 2

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
questions = {questions}
max_new_tokens = {n}

[components.llama_qa.generator]
@llama_generators = "test.counted.v1"
fail_on = {fail_on}

[components.llama_prompt]
factory = "llama_prompt"
template = "{template}"
attribute = "remark"

[components.llama_prompt.generator]
@llama_generators = "test.counted.v1"
voice = "{name}"
"""
TEXTS = ["Ada wrote. It rained.", "Grace spoke.", "Kay slept. Mo left.", "Nobody came.", "An end."]

ASKED: list[str] = []
"""The prompts that the generator has seen since somebody emptied this."""


class Counted(EchoGenerator):
    """An echo that tells what it was asked, under any name."""

    def __init__(self, fail_on: str | None, name: str) -> None:
        super().__init__(fail_on)
        self._name = name

    @property
    def info(self) -> Any:
        from dataclasses import replace

        return replace(super().info, model=self._name)

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        ASKED.append(str(request.prompt))
        return super().complete(request, sample)


@llama_generators("test.counted.v1")
def make_counted(fail_on: str | None = None, voice: str = "echo") -> Counted:
    return Counted(fail_on, voice)


class Killer(Silent):
    """Ends the run after so many documents, as a signal would."""

    def __init__(self, after: int = 10**6) -> None:
        self.left = after
        self.warnings: list[str] = []

    def document(self, *, failed: bool, output_tokens: int) -> None:
        self.left -= 1
        if self.left <= 0:
            raise KeyboardInterrupt

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("changed")
    lines = [json.dumps({"id": str(n), "text": text}) for n, text in enumerate(TEXTS)]
    (path / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (path / "remark.jinja").write_text("{% block user %}Say: {{ text }}{% endblock %}")
    return path


Setup = Callable[..., RunRequest]


@pytest.fixture(scope="module")
def setup(folder: Path) -> Setup:
    """A request with settings of its own, under one name: the same command each time."""

    def make(out: Path, *questions: str, n: int = 3, fail_on: str = "", name: str = "echo") -> Any:
        text = CONFIG.format(
            questions=json.dumps([{"id": q, "text": f"{q} is it?"} for q in questions]),
            n=n,
            fail_on=json.dumps(fail_on or None),
            name=name,
            template=folder / "remark.jinja",
        )
        path = folder / "pipeline.cfg"
        path.write_text(text, encoding="utf-8")
        return RunRequest(
            str(folder / "corpus.jsonl"), out, PipelineSpec(str(path)), part_size=2, format="jsonl"
        )

    return make


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a run that does not say when and how it was made."""
    files = [file for file in out.rglob("*") if file.is_file()]
    return {
        file.relative_to(out).as_posix(): file.read_bytes()
        for file in files
        if file.name not in (".lock", "manifest.json")
    }


@pytest.fixture(scope="module")
def fresh(
    setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, bytes]]:
    """What a run has that began with these settings."""

    @cache
    def make(*questions: str, **options: Any) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp("fresh") / "out"
        execute(setup(out, *questions, **options))
        return contents(out)

    return make


def test_one_more_question_asks_that_question_alone_and_says_so(
    setup: Setup, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    out, progress = tmp_path / "out", Killer()
    execute(setup(out, "who"))
    ASKED.clear()
    result = execute(setup(out, "who", "where"), progress)
    assert len(ASKED) == len(TEXTS)
    assert all("where is it?" in prompt for prompt in ASKED)
    assert progress.warnings == [
        "The settings are not those of before (components.llama_qa.questions): 5 documents are "
        "made anew. llama_qa: 5 of 10 answers are computed, 5 kept. "
        "llama_prompt: 0 of 5 documents are computed, 5 kept."
    ]
    assert (result.documents, result.failed, result.resumed) == (5, 0, 0)
    assert contents(out) == fresh("who", "where")


def test_a_question_that_goes_takes_its_rows_with_it_and_asks_nothing(
    setup: Setup, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    execute(setup(tmp_path / "out", "who", "where"))
    ASKED.clear()
    execute(setup(tmp_path / "out", "where"))
    assert ASKED == []
    assert set(read_run(tmp_path / "out")["answers"].question_id) == {"where"}
    assert contents(tmp_path / "out") == fresh("where")


def test_a_setting_of_one_component_leaves_the_answers_of_the_other(
    setup: Setup, fresh: Callable[..., Any], tmp_path: Path
) -> None:
    out, progress = tmp_path / "out", Killer()
    execute(setup(out, "who"))
    ASKED.clear()
    execute(setup(out, "who", name="another"), progress)
    assert len(ASKED) == len(TEXTS)
    assert all("Say: " in prompt for prompt in ASKED)
    assert len(progress.warnings) == 1
    assert progress.warnings[0].endswith(
        ": 5 documents are made anew. llama_qa: 0 of 5 answers are computed, 5 kept. "
        "llama_prompt: up to 5 of 5 documents are computed, 0 kept. "
        "What is asked to the letter as before keeps its answer."
    )
    assert contents(out) == fresh("who", name="another")


@pytest.mark.parametrize(
    ("name", "before", "costs"),
    [
        (
            "components.topics.labels",
            '["a"]',
            "qa: 0 of 20 answers are computed, 20 kept. "
            "topics: up to 10 of 10 documents are computed, 0 kept. "
            "What is asked to the letter as before keeps its answer.",
        ),
        (
            "components.topics.threshold",
            "0.5",
            "qa: 0 of 20 answers are computed, 20 kept. "
            "topics: 0 of 10 documents are computed, 10 kept.",
        ),
        (
            "prompts.qa",
            "a digest",
            "qa: up to 20 of 20 answers are computed, 0 kept. "
            "topics: 0 of 10 documents are computed, 10 kept. "
            "What is asked to the letter as before keeps its answer.",
        ),
        (
            "generators.0.digest",  # another file under the name of before: nobody knows whose
            "a digest",
            "qa: up to 20 of 20 answers are computed, 0 kept. "
            "topics: up to 10 of 10 documents are computed, 0 kept. "
            "What is asked to the letter as before keeps its answer.",
        ),
        ("nlp.lang", '"de"', "What is asked to the letter as before keeps its answer."),
    ],
)
def test_what_a_change_costs_is_said_component_by_component(
    name: str, before: str, costs: str
) -> None:
    now = {
        "nlp.lang": '"en"',
        "components.sentencizer.factory": '"sentencizer"',
        "components.qa.questions": '["who?", {"id": "w", "text": "where?"}]',
        "components.qa.generator.model": '"m"',
        "components.topics.labels": '["a", "b"]',
        "components.topics.generator.model": '"m"',
    }
    message = changes_message({name: (before, "new")}, 10, now)
    start = f"The settings are not those of before ({name}): 10 documents are made anew. "
    assert message == start + costs


def test_the_same_settings_cost_nothing(setup: Setup, tmp_path: Path) -> None:
    execute(setup(tmp_path / "out", "who"))
    ASKED.clear()
    before = contents(tmp_path / "out")
    assert execute(setup(tmp_path / "out", "who")).resumed == 5
    assert ASKED == []
    assert contents(tmp_path / "out") == before


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["who", "where", "when"]), min_size=1, unique=True),
            st.sampled_from([2, 3]),
            st.integers(1, 8),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_changes_and_kills_in_any_order_end_as_a_fresh_run(
    setup: Setup, fresh: Callable[..., Any], tmp_path: Path, steps: list[Any]
) -> None:
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    for questions, n, kill_after, tears in steps:
        try:
            execute(setup(out, *questions, n=n), Killer(kill_after))
        except KeyboardInterrupt:
            for journal in out.glob("_wip/part-*.jsonl") if tears else ():
                journal.write_bytes(journal.read_bytes()[:-7])
    questions, n, *_ = steps[-1]
    execute(setup(out, *questions, n=n))
    assert contents(out) == fresh(*questions, n=n)
    ASKED.clear()
    execute(setup(out, *questions, n=n))
    assert ASKED == []


def test_what_was_answered_before_a_kill_is_not_asked_again_after_a_change(
    setup: Setup, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(setup(tmp_path / "out", "who"), Killer(5))
    ASKED.clear()
    execute(setup(tmp_path / "out", "who", "where"))
    asked_again = [prompt for prompt in ASKED if "where is it?" not in prompt]
    assert asked_again == []


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_without_the_completions_of_a_part_it_is_answered_again(
    setup: Setup, fresh: Callable[..., Any], tmp_path: Path, damage: str
) -> None:
    out = tmp_path / "out"
    execute(setup(out, "who"))
    path = completions_path(out, 0)
    assert set(read_completions(out, 0)) == {"0", "1"}
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 1
        path.write_bytes(packed)
    ASKED.clear()
    execute(setup(out, "who", "where"))
    assert len(ASKED) == 5 + 2 * 2
    assert contents(out) == fresh("who", "where")


def test_a_failed_answer_is_asked_again_and_its_neighbours_are_not(
    setup: Setup, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    execute(setup(out, "who", "where", fail_on="where is it?"))
    assert (read_run(out)["answers"].status == "error").sum() == 5
    ASKED.clear()
    retry(out)
    assert len(ASKED) == 5
    assert all("where is it?" in prompt for prompt in ASKED)


def test_what_cannot_be_reconciled_is_refused_with_the_reason(
    setup: Setup, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    execute(setup(out, "who"))
    request = setup(out, "where")
    with pytest.raises(DifferentRun, match="part_size: 2 → 3"):
        run(request.corpus, out, pipeline=request.pipeline.name, part_size=3, format="jsonl")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    del manifest["settings"]  # as before completions were kept
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(DifferentRun, match=r"questions.*\nIt was begun before answers were kept: "):
        execute(request)
    before = contents(out)
    assert execute(setup(out, "who")).resumed == 5
    assert contents(out) == before


def test_a_retry_goes_on_with_no_other_settings(setup: Setup, tmp_path: Path) -> None:
    execute(setup(tmp_path / "out", "who", fail_on="UNSPEAKABLE"))
    config = tmp_path / "out" / "config.cfg"
    config.write_text(config.read_text("utf-8").replace("who is it?", "who was it?"), "utf-8")
    with pytest.raises(DifferentRun, match="questions"):
        retry(tmp_path / "out")
