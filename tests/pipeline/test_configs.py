"""Named pipelines: where a config comes from, and what a user can say about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confection import Config

from nlp_pipeline.errors.config import PipelineInvalid, PipelineNotFound, TextNotInList
from nlp_pipeline.pipeline import (
    PipelineSpec,
    model_names,
    pipeline_names,
    resolve_config,
    shared_place,
)

ROOT = Path(__file__).parents[2]
ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": None}


def resolve(name: str = "en_qa_summary", **options: Any) -> Config:
    return resolve_config(PipelineSpec(name, **options))


def generators_of(config) -> list[dict]:
    found = config["components"].values()
    return [component["generator"] for component in found if "generator" in component]


def test_the_shipped_names_are_the_files_of_the_folder() -> None:
    assert pipeline_names() == sorted(path.stem for path in (ROOT / "pipelines").glob("*.cfg"))
    assert {"en_qa", "en_summary", "en_qa_summary", "fr_qa"} <= set(pipeline_names())


@pytest.mark.parametrize("name", pipeline_names())
def test_every_shipped_config_resolves_by_name_and_by_path(name) -> None:
    config = resolve(name)
    assert config == resolve(str(ROOT / "pipelines" / f"{name}.cfg"))
    assert "${" not in config.to_str()
    assert model_names(config) == ["smollm2-135m-instruct"]


def test_a_shipped_name_is_no_folder_of_the_same_name(tmp_path, monkeypatch) -> None:
    (tmp_path / "en_qa").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("en_qa")["nlp"]["lang"] == "en"


def test_defaults_are_written_out_so_that_they_can_be_set_and_count_in_the_fingerprint() -> None:
    config = resolve("en_qa")
    assert config["components"]["llama_qa"]["max_new_tokens"] == 32
    assert config["components"]["llama_qa"]["generator"]["dtype"] == "auto"


@pytest.mark.parametrize(
    ("options", "adapter", "evidence"),
    [
        ({}, "smollm2-135m-instruct-qa", "all"),
        (
            {"settings": ("components.llama_qa.evidence_sentences=1",)},
            "smollm2-135m-instruct-qa",
            1,
        ),
        ({"model": "models/mine"}, None, None),
        ({"settings": ("generator.adapter=null",)}, None, None),
        ({"adapter": "models/mine/adapter"}, "models/mine/adapter", None),
    ],
)
def test_the_default_model_alone_gets_the_adapter_that_ships_and_what_suits_it(
    options: dict[str, Any], adapter: str | None, evidence: Any
) -> None:
    config = resolve("en_qa", **options)
    (generator,) = generators_of(config)
    assert generator["adapter"] == adapter
    assert config["components"]["llama_qa"]["evidence_sentences"] == evidence


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_what_was_trained_brings_the_settings_that_it_was_trained_with(
    kind: str, tmp_path: Path
) -> None:
    suits = {"evidence_sentences": 2, "candidate_weights": {"logprob": 0.5}}
    folder = tmp_path / "training" if kind == "model" else tmp_path
    folder.mkdir(exist_ok=True)
    manifest = {"suits": {"llama_qa": suits, "llama_classifier": {"calibration": "none"}}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    options: dict[str, Any] = {kind: str(tmp_path)}
    component = resolve("en_qa", **options)["components"]["llama_qa"]
    assert {name: component[name] for name in suits} == suits
    own = ("components.llama_qa.evidence_sentences=3",)
    component = resolve("en_qa", **options, settings=own)["components"]["llama_qa"]
    assert (component["evidence_sentences"], component["candidate_weights"]) == (
        3,
        suits["candidate_weights"],
    )


@pytest.mark.parametrize("text", ["", "[]", '{"suits": 3}', '{"suits": {"llama_qa": 3}}', "{"])
def test_a_manifest_that_says_nothing_of_settings(text: str, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "manifest.json").write_text(text, encoding="utf-8")
    component = resolve("en_qa", model=str(tmp_path))["components"]["llama_qa"]
    assert component["evidence_sentences"] is None


def test_the_adapter_is_for_the_components_that_it_was_trained_for() -> None:
    assert [block["adapter"] for block in generators_of(resolve("en_qa_summary"))] == [
        *("smollm2-135m-instruct-qa", None)
    ]
    answering, summing_up = generators_of(resolve("en_qa_summary", model="models/mine"))
    assert answering is summing_up  # one loaded model serves both
    assert answering["adapter"] is None


def test_model_and_device_reach_every_llama() -> None:
    for generator in generators_of(resolve(model="x.gguf", device="cpu")):
        assert (generator["model"], generator["device"]) == ("x.gguf", "cpu")


def test_how_a_model_is_held_reaches_every_llama_that_has_the_setting(quick) -> None:
    given: dict[str, Any] = {
        "dtype": "float64",
        "tensor_parallel_size": 2,
        "device_map": "auto",
        "quantization": "int8_dynamic",
    }
    for generator in generators_of(resolve(**given)):
        assert given.items() <= generator.items()
        assert (generator["device"], generator["max_batch_size"]) == ("auto", None)
    for generator in generators_of(resolve()):
        assert [generator[name] for name in given] == ["auto", None, None, None]
    assert generators_of(resolve(quick(), **given)) == [{**ECHO, "fail_on": "UNSPEAKABLE"}]


def test_where_several_processes_meet(quick) -> None:
    assert shared_place(resolve()) == (None, "auto")
    place = shared_place(resolve(device="cuda", tensor_parallel_size=4))
    assert place == (4, "cuda")
    assert shared_place(resolve(quick())) == (None, "cpu")


def test_the_echo_makes_every_generator_an_echo() -> None:
    found = generators_of(resolve(model="x", device="cpu", echo=True))
    assert found == [ECHO, ECHO]


def test_a_model_is_not_given_to_what_has_none(quick) -> None:
    (generator,) = generators_of(resolve(quick(), model="x"))
    assert "model" not in generator


def test_questions_replace_those_of_the_pipeline() -> None:
    config = resolve("en_qa", questions=("Who?", "Where?"))
    assert config["components"]["llama_qa"]["questions"] == ["Who?", "Where?"]


def test_questions_for_a_pipeline_that_asks_none() -> None:
    with pytest.raises(PipelineInvalid) as error:
        resolve("en_summary", questions=("Who?",))
    assert str(error.value) == (
        "The pipeline 'en_summary' cannot be built: it has no llama_qa component, and -q gives "
        "questions for one"
    )


@pytest.mark.parametrize("name", ["en_nope", "nowhere.cfg", "", "a/b", ".", "en_core_web_xl"])
def test_a_pipeline_that_is_not_there(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineNotFound) as error:
        resolve(name)
    assert str(error.value).startswith(
        f"There is no pipeline '{name}'. Give a path to a .cfg file or a pipeline folder, or one "
        "of: blank_qa, en_classify, en_extract, en_qa, "
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no config", ""),
        ("[nlp\nlang = 'en'", ""),
        ("\x00\xff", ""),
        ("[components]\n", "it has no section [nlp]"),
        ('[nlp]\nlang = "en"\npipeline = ${paths.x}\n', "paths"),
        ('[nlp]\nlang = "en"\n[nlp]\nlang = "en"\n', ""),
    ],
)
def test_a_broken_config_is_one_line(tmp_path, text, reason) -> None:
    path = tmp_path / "x.cfg"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(PipelineInvalid) as error:
        resolve(str(path))
    assert str(error.value).startswith("The pipeline '")
    assert reason in str(error.value)
    assert str(error.value).isprintable()


def test_the_resolved_config_can_be_resolved_again(tmp_path) -> None:
    config = resolve(echo=True, settings=("components.llama_qa.max_new_tokens=7",))
    path = tmp_path / "config.cfg"
    path.write_text(config.to_str())
    assert resolve(str(path)) == config


@pytest.mark.parametrize("name", ["questions", "settings"])
def test_one_text_is_no_list(name: str) -> None:
    def options(value: Any) -> dict[str, Any]:
        return {name: value}

    with pytest.raises(TextNotInList) as caught:
        PipelineSpec("en_qa", **options("Who?"))
    assert str(caught.value) == (
        f"{name} is one text, 'Who?', and would be taken letter by letter. Give a list: "
        f"{name}=['Who?']."
    )
    assert getattr(PipelineSpec("en_qa", **options(iter(["Who?"]))), name) == ("Who?",)
