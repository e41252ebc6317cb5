"""One list of settings: whatever else names one follows from it, and a wrong name is told."""

from __future__ import annotations

import json
import pickle
import shlex
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from click import IntRange, Option

import nlp_pipeline
from nlp_pipeline.cli.evaluate import evaluate as evaluate_command
from nlp_pipeline.cli.golden import golden as golden_command
from nlp_pipeline.cli.run import run as run_command
from nlp_pipeline.components.factories import SAMPLING
from nlp_pipeline.components.generators import make_llama, make_server
from nlp_pipeline.errors.config import UnknownConfigSetting, UnknownKeyword, UnknownSetting
from nlp_pipeline.generation.backends.server import ServerSettings
from nlp_pipeline.generation.devices import StepLimits, step_limits
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.setting_fields import meanings
from nlp_pipeline.generation.settings import OVERRIDES, UNSEEN, LlamaSettings
from nlp_pipeline.golden.recipe import Recipe
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline, resolve_config
from nlp_pipeline.run_folder.resume import differences


def defaults(settings: Any) -> dict[str, Any]:
    """The defaults of a settings dataclass as arguments have them: no tuple and no mapping."""
    return {
        field.name: None if isinstance(field.default, tuple | Mapping) else field.default
        for field in fields(settings)
    }


DEFAULTS = defaults(LlamaSettings)


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_build_takes_every_setting() -> None:
    given = keywords(Llama.build)
    assert given.pop("seed") == 1
    assert {"model": DEFAULTS["model"], **given} == DEFAULTS


def test_generate_takes_every_sampling_parameter() -> None:
    expected = {field.name: field.default for field in fields(SamplingParams)}
    assert keywords(Llama.generate) == {**expected, "seed": None}
    assert SAMPLING.items() <= {**expected, "stop": []}.items()


def test_a_config_takes_every_setting() -> None:
    assert keywords(make_llama) == DEFAULTS
    server = defaults(ServerSettings)
    given = keywords(make_server)
    assert given.pop("base_url") is not MISSING
    assert server.pop("base_url") is MISSING
    assert given == server


def test_what_the_list_gives_an_option_has_one_wherever_a_pipeline_is_named() -> None:
    listed = ("model", "device", "dtype", "tensor_parallel_size", "device_map", "quantization")
    assert {*listed, "adapter"} == set(OVERRIDES)
    for command in (run_command, evaluate_command, golden_command.commands["record"]):
        options = {option.name: option for option in command.params if isinstance(option, Option)}
        for name in OVERRIDES:
            assert options[name].help == meanings(LlamaSettings)[name].replace("`", "")
            assert options[name].opts == [f"--{name.replace('_', '-')}"]
    assert isinstance(options["tensor_parallel_size"].type, IntRange)
    assert dict.fromkeys(OVERRIDES).items() <= keywords(nlp_pipeline.run).items()


def test_a_spec_and_a_recipe_take_what_has_an_option() -> None:
    values: dict[str, Any] = {name: f"some {name}" for name in OVERRIDES}
    spec = PipelineSpec("en_qa", **values)
    assert spec.overrides == values
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert PipelineSpec("en_qa", model=None).overrides == {}
    recipe = Recipe.of("c.jsonl", "en_qa", limit=3, questions=("Who?",), **values)
    expected = {"corpus": "c.jsonl", "pipeline": "en_qa", "questions": ["Who?"], **values}
    assert recipe.as_json() == {**expected, "limit": 3}
    assert Recipe.from_json(recipe.as_json()) == recipe
    words = shlex.split(recipe.command("out", {}))
    for name, value in values.items():
        assert words[words.index(f"--{name.replace('_', '-')}") + 1] == value


@pytest.mark.parametrize("settings", [LlamaSettings, ServerSettings])
def test_every_setting_has_a_meaning_and_none_besides(settings: type) -> None:
    assert list(meanings(settings)) == [field.name for field in fields(settings)]


@pytest.mark.parametrize(
    ("backend", "settings"),
    [("nlp_pipeline.Llama.v1", LlamaSettings), ("nlp_pipeline.server.v1", ServerSettings)],
)
def test_set_reaches_every_setting_of_every_generator(
    tmp_path: Path, backend: str, settings: Any
) -> None:
    block = (
        f'generator = {{"@llama_generators": "{backend}", "model": "x", "base_url": "http://a"}}'
    )
    if settings is LlamaSettings:
        block = block.replace(', "base_url": "http://a"', "")
    path = tmp_path / "two.cfg"
    path.write_text(
        '[nlp]\nlang = "en"\npipeline = ["one","two"]\n[components]\n'
        f'[components.one]\nfactory = "llama_qa"\n{block}\n'
        '[components.two]\nfactory = "llama_summarizer"\n'
        "generator = ${components.one.generator}\n"
    )
    for field in fields(settings):
        spec = PipelineSpec(str(path), settings=(f"generator.{field.name}=[7]",))
        for component in resolve_config(spec)["components"].values():
            assert component["generator"][field.name] == [7]


@pytest.mark.parametrize(
    ("device", "given", "expected"),
    [
        ("cpu", (), (64, 512)),
        ("cuda", (), (256, 8192)),
        ("cuda:1", (), (256, 8192)),
        ("mps", (), (64, 512)),
        ("cuda", (8, None), (8, 8192)),
        ("cpu", (None, 100), (64, 100)),
    ],
)
def test_what_suits_the_device(device: str, given: Any, expected: tuple[int, int]) -> None:
    assert step_limits(torch.device(device), *given) == StepLimits(*expected)


def test_what_is_left_out_suits_the_device(tiny: LoadedModel) -> None:
    assert Llama(tiny, max_seq_len=64, seed=1).max_batch_size == 64
    assert Llama(tiny, max_seq_len=64, seed=1, max_batch_size=3).max_batch_size == 3


def test_the_limits_reach_the_engine(tiny: LoadedModel) -> None:
    prompts = ["Where is the new bridge?", "a", "Anna Berg of Northwind Ltd said " * 3]
    plain = Llama(tiny, max_seq_len=128, seed=1).generate(prompts, max_new_tokens=8)
    small = Llama(tiny, max_seq_len=128, seed=1, max_batched_tokens=5, kv_cache_tokens=128)
    assert [c.token_ids for c in small.generate(prompts, max_new_tokens=8)] == [
        c.token_ids for c in plain
    ]
    tight = Llama(tiny, max_seq_len=128, seed=1, kv_cache_tokens=4)
    with pytest.raises(Exception, match="4"):
        tight.generate(prompts, max_new_tokens=8)


class TestRunsOfBefore:
    """A setting that changes no row, or that there was not, keeps no run from going on."""

    def difference(self, then: dict[str, str], now: dict[str, str]) -> Any:
        before, after = (
            {"limit": 1} | {f"components.llama_qa.generator.{k}": v for k, v in given.items()}
            for given in (then, now)
        )
        return differences(before, after)

    def test_what_changes_no_row(self) -> None:
        for name in UNSEEN:
            assert self.difference({name: "32"}, {}) == {}
            assert self.difference({}, {name: "7"}) == {}

    def test_what_is_new_and_left_out(self) -> None:
        assert self.difference({}, {"tokenizer": "null"}) == {}
        assert self.difference({}, {"tokenizer": '"x"'}) != {}
        assert self.difference({"dtype": '"auto"'}, {"dtype": "null"}) != {}


class TestWrongNames:
    """One line, with the nearest right name, wherever it is written."""

    def config(
        self, tmp_path: Path, generator: str = "", component: str = "", nlp: str = ""
    ) -> str:
        path = tmp_path / "x.cfg"
        path.write_text(
            f'[nlp]\nlang = "en"\npipeline = ["llama_qa"]\n{nlp}\n[components]\n'
            f'[components.llama_qa]\nfactory = "llama_qa"\nquestions = ["Who?"]\n{component}\n'
            '[components.llama_qa.generator]\n@llama_generators = "nlp_pipeline.Llama.v1"\n'
            f"{generator}\n"
        )
        return str(path)

    @pytest.mark.parametrize(
        ("given", "key", "near"),
        [
            ({"generator": "max_batchsize = 3"}, "generator.max_batchsize", "max_batch_size"),
            ({"generator": 'quantisation = "int8"'}, "generator.quantisation", "quantization"),
            ({"component": "temperature_of = 0.0"}, "temperature_of", "temperature"),
        ],
    )
    def test_in_a_config(self, tmp_path: Path, given: Any, key: str, near: str) -> None:
        path = self.config(tmp_path, **given)
        with pytest.raises(UnknownConfigSetting) as error:
            load_pipeline(PipelineSpec(path))
        assert str(error.value).startswith(
            f"The pipeline '{path}' has no setting 'components.llama_qa.{key}'. "
            f"Did you mean '{near}'? There are: "
        )
        assert str(error.value).isprintable()

    def test_in_the_section_of_the_pipeline(self, tmp_path: Path) -> None:
        path = self.config(tmp_path, nlp="batchsize = 3")
        with pytest.raises(
            UnknownConfigSetting, match=r"'nlp.batchsize'. Did you mean 'batch_size'"
        ):
            load_pipeline(PipelineSpec(path))

    def test_with_set(self, tmp_path: Path, cli: Any, corpus: Any) -> None:
        command = ["run", corpus("Ada."), "-p", self.config(tmp_path), "-o", tmp_path / "out"]
        key = "components.llama_qa.generator.max_batchsize"
        done = cli(*command, "--set", f"{key}=3")
        assert done.code == 1
        assert f"--set {key}: the pipeline has no such setting. Near it there is: " in done.err
        assert "components.llama_qa.generator.max_batch_size" in done.err.split("there is: ")[1]
        block = json.dumps({"@llama_generators": "nlp_pipeline.Llama.v1", "modle": "x"})
        done = cli(*command, "--set", f"components.llama_qa.generator={block}")
        assert done.code == 1
        assert "Did you mean 'model'?" in done.err
        assert "Traceback" not in done.err

    def test_with_set_for_every_generator(self, tmp_path: Path) -> None:
        path = self.config(tmp_path)
        with pytest.raises(UnknownSetting) as error:
            resolve_config(PipelineSpec(path, settings=("generator.max_batchsize=3",)))
        assert str(error.value).startswith(
            "--set generator.max_batchsize: the pipeline has no such setting. Near it there is: "
            "generator.max_batch_size"
        )
        block = 'components.llama_qa.generator={"@llama_generators": "nlp_pipeline.echo.v1"}'
        with pytest.raises(UnknownSetting, match=r"--set generator\.device: the pipeline has no"):
            resolve_config(PipelineSpec(path, settings=(block, "generator.device=cpu")))

    def test_on_the_command_line(self, cli: Any, corpus: Any) -> None:
        done = cli("run", corpus("Ada."), "--quantisation", "int8")
        assert done.code == 2
        assert "--quantization" in done.err

    @pytest.mark.parametrize(
        ("call", "near"),
        [
            (lambda: Llama.build("x", max_batchsize=3), "max_batch_size"),  # type: ignore[call-arg]
            (lambda: make_llama(modle="x"), "model"),
            (lambda: make_server(baseurl="x"), "base_url"),
            (lambda: PipelineSpec("en_qa", quantisation="int8"), "quantization"),
            (lambda: Recipe.of("c.jsonl", modle="x"), "model"),
            (lambda: nlp_pipeline.run("c", "out", modle="x"), "model"),  # type: ignore[call-arg]
        ],
    )
    def test_in_python(self, call: Callable[[], Any], near: str) -> None:
        with pytest.raises(UnknownKeyword, match=f"Did you mean '{near}'"):
            call()

    def test_in_generate(self, llama: Llama) -> None:
        with pytest.raises(UnknownKeyword, match="Did you mean 'temperature'"):
            llama.generate("a", temperature_of=1.0)  # type: ignore[call-arg]
