"""What a run will take: the sample, the projection, and that nothing is written."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlp_pipeline
from nlp_pipeline.corpus import Record
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import UnknownKeyword
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.read import read_run
from nlp_pipeline.runner import run as run_module
from nlp_pipeline.runner.corpus_sample import draw_sample
from nlp_pipeline.runner.projection import FittedLine, TwoStepProjection
from nlp_pipeline.runner.request import RunRequest, Silent
from nlp_pipeline.runner.run import execute

Corpus = Callable[..., str]


def records(*lengths: int) -> Callable[[], list[Record]]:
    return lambda: [Record(i, str(i), "x" * length) for i, length in enumerate(lengths)]


def test_a_sample_is_spread_over_the_lengths_wherever_they_stand() -> None:
    sample = draw_sample(records(*range(100, 0, -1)), 10)
    lengths = [len(record.text) for record in sample.records]
    assert sorted(lengths) == [6, 16, 26, 36, 46, 56, 66, 76, 86, 96]
    assert abs(np.mean(lengths[:4]) - 50) < 10, "every beginning of it is"
    assert sample.n_documents == 100
    assert sample.longest is not None
    assert len(sample.longest.text) == 100


def test_a_sample_of_fewer_records_than_wanted_is_all_of_them() -> None:
    assert len(draw_sample(records(3, 1, 2), 10).records) == 3
    assert draw_sample(records(), 10).longest is None


def test_a_sum_that_follows_the_sizes_is_known_exactly() -> None:
    sizes = np.arange(1.0, 101.0)
    sampled = sizes[4::10]
    total = TwoStepProjection(sizes, sampled, 3 * sampled + 7).total(2 * (3 * sampled + 7))
    assert total.value == pytest.approx(2 * (3 * sizes + 7).sum())
    assert (total.low, total.high) == pytest.approx((total.value, total.value))


def test_what_else_is_uncertain_counts_for_all_of_it() -> None:
    sizes = np.arange(1.0, 101.0)
    sampled = sizes[4::10]
    projection = TwoStepProjection(sizes, sampled, sampled)
    total = projection.total(2 * sampled, fixed=900.0, deviation=0.1)
    assert total.value == pytest.approx(2 * sizes.sum() + 900)
    assert total.high - total.value == pytest.approx(2.31 * 0.1 * total.value)


def test_intervals_hold_the_true_sum_as_often_as_they_say() -> None:
    draws, hits = np.random.default_rng(1), 0
    for _ in range(400):
        sizes = draws.lognormal(5, 1, 500)
        middle = sizes * draws.uniform(0.8, 1.2, 500) + 50
        values = middle * draws.uniform(0.5, 1.5, 500)
        order = np.argsort(sizes)[((np.arange(64) + draws.uniform()) * 500 / 64).astype(int)]
        order = np.concatenate([order[::4], order[1::2], order[2::4]])
        total = TwoStepProjection(sizes, sizes[order], middle[order]).total(values[order][:16])
        hits += total.low <= values.sum() <= total.high
    assert hits >= 0.90 * 400


def test_of_one_point_nothing_says_how_the_others_differ() -> None:
    line = FittedLine.through(np.array([10.0]), np.array([20.0]))
    assert line.at(5.0) == 10.0
    assert line.mean_variance(10.0, 100) > 0


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_tokens_of_a_whole_corpus_are_those_that_its_run_counts(
    corpus: Corpus, quick: Callable[..., str], working_folder: Path, tmp_path: Path
) -> None:
    path = corpus("Ada wrote.", "Grace wrote a longer note.", "Kay and Mo met in Ulm today.")
    estimate = nlp_pipeline.estimate(path, pipeline=quick())
    assert os.listdir(working_folder) == []
    nlp_pipeline.run(path, tmp_path / "out", pipeline=quick())
    answers = read_run(tmp_path / "out")["answers"]
    prompt, output = estimate.tokens["prompt"], estimate.tokens["output"]
    assert estimate.n_documents == 3
    assert prompt.low <= answers["prompt_tokens"].sum() <= prompt.high
    assert output.low <= answers["output_tokens"].sum() <= output.high
    assert estimate.disk_bytes > 0
    assert estimate.seconds.low <= estimate.seconds.value <= estimate.seconds.high


def test_a_prompt_of_the_llama_is_counted_by_its_own_encoder(
    corpus: Corpus, quick: Callable[..., str], tiny_llama: str, tmp_path: Path
) -> None:
    config = Path(quick())
    text = config.read_text("utf-8").replace(
        '@llama_generators = "nlp_pipeline.echo.v1"\nfail_on = "UNSPEAKABLE"',
        f'@llama_generators = "nlp_pipeline.Llama.v1"\nmodel = "{tiny_llama}"\ndevice = "cpu"',
    )
    config.write_text(
        text.replace('factory = "llama_qa"', 'factory = "llama_qa"\nmax_new_tokens = 2')
    )
    path = corpus(*["Ada went to Paris."] * 6)
    estimate = nlp_pipeline.estimate(path, pipeline=str(config))
    nlp_pipeline.run(path, tmp_path / "out", pipeline=str(config))
    answers = read_run(tmp_path / "out")["answers"]
    prompt = estimate.tokens["prompt"]
    assert prompt.value == pytest.approx(answers["prompt_tokens"].sum())
    assert prompt.low == pytest.approx(prompt.high), "all documents are alike"


def test_standard_input_and_an_empty_corpus(
    monkeypatch: pytest.MonkeyPatch, quick: Callable[..., str], working_folder: Path
) -> None:
    for content, n_documents, n_rejects in ((b'{"text": "Ada."}\n{}\n', 1, 1), (b"", 0, 0)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        estimate = nlp_pipeline.estimate("-", pipeline=quick())
        assert (estimate.n_documents, estimate.n_rejects) == (n_documents, n_rejects)
    assert os.listdir(working_folder) == []


def test_records_at_hand_are_a_corpus_too(quick: Callable[..., str], working_folder: Path) -> None:
    records_at_hand = [{"text": "Ada wrote."}, {"text": "Grace spoke."}]
    assert nlp_pipeline.estimate(records_at_hand, pipeline=quick()).n_documents == 2
    assert os.listdir(working_folder) == []


def test_money_is_that_of_both_kinds_of_tokens(corpus: Corpus, quick: Callable[..., str]) -> None:
    path = corpus("Ada wrote.", "Grace wrote.")
    priced = nlp_pipeline.estimate(path, pipeline=quick(), price_in=1e6, price_out=2e6)
    assert priced.money is not None
    tokens = priced.tokens
    assert priced.money.value == pytest.approx(tokens["prompt"].value + 2 * tokens["output"].value)
    assert nlp_pipeline.estimate(path, pipeline=quick()).money is None


class Listener(Silent):
    def __init__(self) -> None:
        self.left: list[int] = []

    def expect(self, estimate: Any, left: int) -> None:
        self.left.append(left)


def test_a_long_run_says_beforehand_what_it_will_take_and_has_the_same_rows(
    corpus: Corpus, quick: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, spec = corpus(*["Ada wrote."] * 8), PipelineSpec(quick())
    execute(RunRequest(path, tmp_path / "short", spec), short := Listener())
    monkeypatch.setattr(run_module, "ESTIMATED_ABOVE", 7)
    execute(RunRequest(path, tmp_path / "long", spec), long := Listener())
    assert (short.left, long.left) == ([], [8])
    names = [file.relative_to(tmp_path / "long") for file in (tmp_path / "long").rglob("*.parquet")]
    assert names
    for name in names:
        assert (tmp_path / "long" / name).read_bytes() == (tmp_path / "short" / name).read_bytes()


def test_the_command(
    cli: Any, corpus: Corpus, quick: Callable[..., str], working_folder: Path
) -> None:
    path = corpus("Ada wrote.", "Grace wrote.")
    done = cli("run", path, "-p", quick(), "--estimate", "--price-in", 5)
    assert done.code == 0
    assert [line.split("  ")[0] for line in done.out.splitlines()[2:7]] == [
        *("documents", "prompt tokens", "of these shared", "output tokens", "time")
    ]
    assert "money" in done.out
    done = cli("run", path, "-p", quick(), "--dry-run", "--json")
    assert json.loads(done.out)["n_documents"] == 2
    assert (
        done.err
        == "--dry-run estimates now what the run will take; the echo generator is --echo.\n"
    )
    assert os.listdir(working_folder) == []


def test_what_is_refused(cli: Any, corpus: Corpus, quick: Callable[..., str]) -> None:
    path = corpus("Ada wrote.")
    done = cli("run", path, "-p", quick(), "--price-in", 5)
    assert done.err == (
        "Error: --price-in and --price-out say what a server takes for a million tokens: add "
        "--estimate, or leave them out.\n"
    )
    done = cli("golden", "record", path, "-d", "golden", "--dry-run")
    assert done.err == (
        "Error: nlp-pipeline golden record has no --dry-run any more: the echo generator is "
        "--echo now, and `nlp-pipeline run CORPUS --estimate` says what a run will take.\n"
    )
    assert cli("evaluate", path, "--dry-run").err.startswith("Error: nlp-pipeline evaluate has no")
    with pytest.raises(UnknownKeyword, match=r"'dry_run'\. It is called 'echo' now\. It takes: "):
        nlp_pipeline.run(path, "out", dry_run=True)  # type: ignore[call-arg]
    with pytest.raises(NlpPipelineError, match="missing"):
        nlp_pipeline.estimate("missing.jsonl")
