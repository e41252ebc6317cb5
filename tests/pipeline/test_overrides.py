"""`--set key=value`."""

from __future__ import annotations

import pytest

from nlp_pipeline.errors.config import SettingIsSection, SettingSyntax, UnknownSetting
from nlp_pipeline.pipeline import PipelineSpec, resolve_config


def resolve(*settings: str):
    return resolve_config(PipelineSpec("en_qa_summary", settings=settings))["components"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32),
        ("0.5", 0.5),
        ("null", None),
        ('["\\n", "="]', ["\n", "="]),
        ('"32"', "32"),
        ("plain text", "plain text"),
        ("a=b=c", "a=b=c"),
        ("", ""),
        ("What costs $5?", "What costs $5?"),
        ("{broken", "{broken"),
    ],
)
def test_a_value_is_json_or_else_text(text, value) -> None:
    assert resolve(f"components.llama_qa.no_answer={text}")["llama_qa"]["no_answer"] == value


def test_the_last_one_wins() -> None:
    found = resolve("components.llama_qa.seed=2", " components.llama_qa.seed =3")
    assert found["llama_qa"]["seed"] == 3


def test_a_setting_that_the_config_leaves_out() -> None:
    key = "components.llama_qa.generator"
    found = resolve(f"{key}.dtype=float64", f"{key}.threads=1")
    for name in ("llama_qa", "llama_summarizer"):
        assert found[name]["generator"]["dtype"] == "float64"
        assert found[name]["generator"]["threads"] == 1


def test_a_section_that_is_written_as_a_reference_gets_a_copy_of_its_own() -> None:
    found = resolve(
        "components.llama_summarizer.generator.device=cpu",
        "components.llama_qa.generator.model=x",
    )
    assert found["llama_qa"]["generator"]["device"] == "auto"
    assert found["llama_summarizer"]["generator"]["device"] == "cpu"
    assert found["llama_summarizer"]["generator"]["model"] == "x"


def test_a_whole_section_as_an_object() -> None:
    echo = '{"@llama_generators": "nlp_pipeline.echo.v1"}'
    found = resolve(f"components.llama_qa.generator={echo}")
    assert "echo" in found["llama_summarizer"]["generator"]["@llama_generators"]
    assert "model" not in found["llama_summarizer"]["generator"]


@pytest.mark.parametrize("key", ["components", "components.llama_qa", "nlp"])
def test_a_section_takes_no_value(key) -> None:
    with pytest.raises(SettingIsSection, match="that is a section and takes a JSON object; its"):
        resolve(f"{key}=5")


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("components.llama_qa.max_tokens", "components.llama_qa.max_new_tokens"),
        ("components.lama_qa.questions", "components.llama_qa.questions"),
        ("llama_qa.seed", "components.llama_qa.seed"),
        ("components.llama_qa.generator.modle", "components.llama_qa.generator.model"),
        ("components.llama_summarizer.generator.modle", "components.llama_summarizer.generator"),
        ("components.llama_qa.seed.deeper", "components.llama_qa.seed"),
    ],
)
def test_an_unknown_key_names_the_near_ones(key, near) -> None:
    with pytest.raises(UnknownSetting) as error:
        resolve(f"{key}=1")
    assert str(error.value).startswith(
        f"--set {key}: the pipeline has no such setting. Near it there is: "
    )
    assert near in str(error.value)


@pytest.mark.parametrize("setting", ["", "seed", "=1", " =1"])
def test_what_is_no_setting(setting) -> None:
    with pytest.raises(SettingSyntax, match="write it as key=value, such as components"):
        resolve(setting)
