"""Configs of spacy-llm, written after the kinds of its documentation, as pipelines that run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confection import Config

from nlp_pipeline.errors.spacy_llm import (
    ConfigUnreadable,
    FewShotUnreadable,
    LabelsMissing,
    NotASpacyLlmConfig,
    NothingToConvert,
    SettingUnreadable,
    UnknownTaskVersion,
)
from nlp_pipeline.spacy_llm.converted_config import ConvertedConfig, convert_config
from nlp_pipeline.spacy_llm.model_families import Successors

HEAD = '[nlp]\nlang = "en"\npipeline = {names}\n\n[components]\n'

CATEGORIES = (
    HEAD.format(names='["topic"]')
    + """
[components.topic]
factory = "llm"

[components.topic.task]
@llm_tasks = "spacy.TextCat.v3"
labels = ["FERRY", "BRIDGE"]
exclusive_classes = True
normalizer = {"@misc": "spacy.LowercaseNormalizer.v1"}

[components.topic.task.label_definitions]
FERRY = "a boat that carries passengers"
BRIDGE = "what cars drive over"

[components.topic.model]
@llm_models = "spacy.Llama2.v1"
name = "Llama-2-7b-hf"
config_init = {"device": "cpu", "torch_dtype": "bfloat16", "low_cpu_mem_usage": true}
config_run = {"temperature": 0.2}
"""
)
ENTITIES = (
    HEAD.format(names='["sentencizer", "llm"]')
    + """
[components.sentencizer]
factory = "sentencizer"

[components.llm]
factory = "llm"
save_io = true

[components.llm.task]
@llm_tasks = "spacy.NER.v2"
labels = PERSON, PLACE
alignment_mode = "expand"

[components.llm.task.label_definitions]
PERSON = "Any named individual."

[components.llm.model]
@llm_models = "spacy.GPT-3-5.v3"
name = "gpt-3.5-turbo"
config = {"temperature": 0.3, "max_tokens": 90, "presence_penalty": 1}
strict = false
"""
)
SEVERAL = (
    "[paths]\nexamples = null\n\n"
    + HEAD.format(names='["sum", "raw", "mood"]')
    + """
[components.sum]
factory = "llm_summarization"

[components.sum.task]
@llm_tasks = "spacy.Summarization.v1"
max_n_words = 60
field = "brief"

[components.sum.task.examples]
@misc = "spacy.FewShotReader.v1"
path = ${paths.examples}

[components.raw]
factory = "llm"

[components.raw.task]
@llm_tasks = "spacy.Raw.v1"
field = "reply"

[components.raw.model]
@llm_models = "langchain.OpenAI.v1"
name = "gpt-3.5-turbo"

[components.mood]
factory = "llm_sentiment"

[initialize]
vectors = "en_core_web_md"
"""
)


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., ConvertedConfig]:
    def convert(text: str, *settings: str, **successors: str) -> ConvertedConfig:
        path = tmp_path / "theirs.cfg"
        path.write_text(text, encoding="utf-8")
        return convert_config(path, settings=settings, successors=Successors(**successors))

    return convert


def component(result: ConvertedConfig, name: str) -> dict[str, Any]:
    values: dict[str, Any] = Config().from_str(result.config.to_str())["components"][name]
    return values


def test_categories(converted: Callable[..., ConvertedConfig]) -> None:
    result = converted(CATEGORIES)
    assert component(result, "topic") == {
        "factory": "llama_classifier",
        "labels": {
            "FERRY": "a boat that carries passengers",
            "BRIDGE": "what cars drive over",
        },
        "multi_label": False,
        "threshold": 0.5,
        "generator": {
            "@llama_generators": "nlp_pipeline.Llama.v1",
            "model": "meta-llama/Llama-2-7b-hf",
            "device": "cpu",
            "dtype": "bfloat16",
        },
    }
    assert [remark.partition(":")[0] for remark in result.remarks] == [
        "components.topic.task.allow_none",
        "components.topic.task",
        "components.topic.task.normalizer",
        "components.topic.model.config_init.low_cpu_mem_usage",
        "components.topic.model.config.temperature",
    ]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_labels_that_do_not_exclude_each_other(
    converted: Callable[..., ConvertedConfig], version: int
) -> None:
    text = CATEGORIES.replace("TextCat.v3", f"TextCat.v{version}").replace("= True", "= False")
    assert component(converted(text), "topic")["multi_label"] is True


def test_entities(converted: Callable[..., ConvertedConfig]) -> None:
    result = converted(ENTITIES)
    assert list(result.config["components"]) == ["sentencizer", "llm"]
    settings = component(result, "llm")
    texts = {"type": "array", "items": {"type": "string"}}
    assert settings["schema"] == {
        "type": "object",
        "properties": {
            "PERSON": {"description": "Any named individual.", **texts},
            "PLACE": texts,
        },
        "required": ["PERSON", "PLACE"],
    }
    assert settings["substrings"] == ["PERSON", "PLACE"]
    assert (settings["temperature"], settings["max_new_tokens"]) == (0.3, 90)
    assert settings["generator"]["model"] == "smollm2-135m-instruct"
    assert result.remarks == [
        "components.llm.task: the spans stand in doc._.extraction and, with their places in the "
        "text, in the table extraction_fields, not in doc.ents.",
        "components.llm.task.alignment_mode: left out; values begin and end with tokens of the "
        "document.",
        "components.llm.model: spacy.GPT-3-5.v3 sends the texts to OpenAI; nlp_pipeline.Llama.v1 "
        "smollm2-135m-instruct stands in its place. --model takes another one, --server the "
        "address of an OpenAI-compatible server.",
        "components.llm.model.config.presence_penalty: left out: it has no counterpart here.",
        "components.llm.model.strict: left out; a reply that fails is an error row.",
        "components.llm.save_io: left out; the tables have every reply with its tokens.",
    ]


def test_a_server_or_a_model_in_the_place_of_an_api(
    converted: Callable[..., ConvertedConfig],
) -> None:
    served = component(converted(ENTITIES, server="http://127.0.0.1:8000/v1"), "llm")
    assert served["generator"] == {
        "@llama_generators": "nlp_pipeline.server.v1",
        "base_url": "http://127.0.0.1:8000/v1",
        "model": "gpt-3.5-turbo",
    }
    local = component(converted(ENTITIES, model="big.gguf"), "llm")
    assert local["generator"]["model"] == "big.gguf"


@pytest.mark.parametrize("task", ["NER.v1", "NER.v3", "SpanCat.v1", "SpanCat.v2", "SpanCat.v3"])
def test_every_kind_of_span(converted: Callable[..., ConvertedConfig], task: str) -> None:
    result = converted(ENTITIES.replace("NER.v2", task))
    assert component(result, "llm")["factory"] == "llama_extractor"
    where = "doc.spans" if task.startswith("SpanCat") else "doc.ents"
    assert result.remarks[0].endswith(f"not in {where}.")


def write_examples(path: Path, reply: str) -> Path:
    path.write_text(f"- text: The ferry left.\n  {reply}: It left.\n", encoding="utf-8")
    return path


def test_several_tasks_with_examples(
    converted: Callable[..., ConvertedConfig], tmp_path: Path
) -> None:
    examples = write_examples(tmp_path / "examples.yml", "summary")
    result = converted(SEVERAL, f"paths.examples={examples}")
    assert list(result.config["components"]) == ["sum", "raw"]
    assert result.config["nlp"]["pipeline"] == ["sum", "raw"]
    assert result.examples == {"sum": [{"text": "The ferry left.", "summary": "It left."}]}
    assert component(result, "sum")["max_sentences"] == 3
    assert component(result, "raw")["attribute"] == "reply"
    remarks = "\n".join(result.remarks)
    for line in (
        "components.sum.task.max_n_words: 60 words are max_sentences = 3 here",
        "components.sum.task.field: the summary stands in doc._.summary.",
        "components.sum.model: no model that is known here; nlp_pipeline.Llama.v1",
        "components.raw.model: langchain.OpenAI.v1 sends the texts to OpenAI",
        "components.mood.task spacy.Sentiment.v1: left out; llama_classifier with the labels",
        "[initialize]: left out; there is nothing to initialize.",
        "[paths]: left out; its values stand where they are used.",
    ):
        assert line in remarks


def test_settings_as_they_are_written_elsewhere(
    converted: Callable[..., ConvertedConfig],
) -> None:
    text = CATEGORIES.replace('"device": "cpu"', '"device_map": "balanced", "load_in_4bit": true')
    result = converted(text)
    generator = component(result, "topic")["generator"]
    assert generator["quantization"] == "int4"
    assert "device_map" not in generator
    left = "components.topic.model.config_init.device_map: left out: it has no counterpart here."
    assert left in result.remarks
    text = ENTITIES.replace('"max_tokens": 90', '"stop": "\\n\\n"')
    assert component(converted(text), "llm")["stop"] == ["\n\n"]


def test_examples_of_raw_stand_in_the_prompt(
    converted: Callable[..., ConvertedConfig], tmp_path: Path
) -> None:
    examples = write_examples(tmp_path / "raw.yaml", "reply")
    block = (
        f'\n[components.raw.task.examples]\n@misc = "spacy.FewShotReader.v1"\npath = "{examples}"\n'
    )
    text = SEVERAL.replace("\n[components.raw.model]", f"{block}\n[components.raw.model]")
    text = text.replace("${paths.examples}", f'"{write_examples(tmp_path / "s.yml", "summary")}"')
    prompt = component(converted(text), "raw")["prompt"]
    assert prompt == "{% raw %}The ferry left.\nIt left.{% endraw %}\n\n{{ text }}"


@pytest.mark.parametrize(
    ("text", "settings", "error", "message"),
    [
        (ENTITIES.replace("NER.v2", "NER.v9"), (), UnknownTaskVersion, "no spacy.NER.v9. There ar"),
        (ENTITIES.replace("PERSON, PLACE", '""'), (), LabelsMissing, "names no labels"),
        (CATEGORIES.replace("= True", '= "perhaps"'), (), SettingUnreadable, "true or false"),
        (SEVERAL, (), FewShotUnreadable, "no file is named"),
        (SEVERAL.replace("= 60", '= "few"'), (), SettingUnreadable, "of at least 1"),
        (ENTITIES.replace('["senten', '["tagger", "senten'), (), ConfigUnreadable, "has 'tagger'"),
        (SEVERAL, ("paths.examples=nowhere.yml",), FewShotUnreadable, "nowhere.yml"),
        (SEVERAL, ("paths.examples=nowhere.txt",), FewShotUnreadable, "its suffix is none of"),
        (SEVERAL, ("files.examples=a.yml",), ConfigUnreadable, "files"),
        ("no config", (), ConfigUnreadable, "theirs.cfg"),
        (HEAD.format(names="[]"), (), ConfigUnreadable, "no sections"),
        (
            HEAD.format(names='["s"]') + '[components.s]\nfactory = "sentencizer"\n',
            (),
            NotASpacyLlmConfig,
            "its factories are: sentencizer",
        ),
        (
            HEAD.format(names='["m"]') + '[components.m]\nfactory = "llm_lemma"\n',
            (),
            NothingToConvert,
            "spacy.Lemma.v1: left out; a spaCy pipeline has a lemmatizer",
        ),
        (
            HEAD.format(names='["m"]')
            + '[components.m]\nfactory = "llm"\n[components.m.task]\n@llm_tasks = "my.Own.v1"\n',
            (),
            NothingToConvert,
            "my.Own.v1: left out: it has no counterpart here",
        ),
    ],
)
def test_bad_input(
    converted: Callable[..., ConvertedConfig],
    text: str,
    settings: tuple[str, ...],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=r".") as raised:
        converted(text, *settings)
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["missing.cfg", "."])
def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigUnreadable, match="cannot be read"):
        convert_config(tmp_path / name)


def test_an_example_without_its_reply(
    converted: Callable[..., ConvertedConfig], tmp_path: Path
) -> None:
    examples = write_examples(tmp_path / "examples.yml", "translation")
    with pytest.raises(FewShotUnreadable, match="no texts text and summary"):
        converted(SEVERAL, f"paths.examples={examples}")


def test_what_comes_out_runs(cli: Any, corpus: Any, tmp_path: Path) -> None:
    """All four components in one pipeline, from the command line, with the echo generator."""
    pytest.importorskip("llguidance", reason="the extra structured is missing")
    text = SEVERAL.replace('["sum", "raw", "mood"]', '["sum", "raw", "mood", "topic", "llm"]')
    for other in (CATEGORIES, ENTITIES):
        body = other.partition("[components]\n")[2]
        text += "\n" + body.replace('[components.sentencizer]\nfactory = "sentencizer"\n', "")
    (tmp_path / "theirs.cfg").write_text(text, encoding="utf-8")
    examples = write_examples(tmp_path / "examples.yml", "summary")
    ended = cli("convert", "spacy-llm", tmp_path / "theirs.cfg", f"--paths.examples={examples}")
    assert ended.code == 0
    config, examples_file = map(Path, ended.out.split())
    assert config.name == "theirs-llama.cfg"
    assert json.loads(examples_file.read_text()) == {
        "text": "The ferry left.",
        "summary": "It left.",
    }
    assert "components.mood.task spacy.Sentiment.v1: left out" in ended.err
    out = tmp_path / "out"
    ran = cli("run", corpus("The ferry left."), "-p", config, "--echo", "-o", out, "--json")
    assert json.loads(ran.out)["failed"] == 0, ran.err
    from nlp_pipeline import read_run

    tables = read_run(out)
    for table in ("summaries", "generations", "classifications", "extractions"):
        assert len(tables[table]) == 1, table


def test_no_file_is_written_over(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "theirs.cfg"
    path.write_text(CATEGORIES, encoding="utf-8")
    first = cli("convert", "spacy-llm", path, "--json")
    assert json.loads(first.out)["files"] == [str(tmp_path / "theirs-llama.cfg")]
    again = cli("convert", "spacy-llm", path)
    assert again.code == 1
    assert "is there already" in again.err
    assert cli("convert", "spacy-llm", path, "--force").code == 0
    both = cli("convert", "spacy-llm", path, "--model", "a", "--server", "http://127.0.0.1")
    assert "Leave one out" in both.err
