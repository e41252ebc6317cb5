"""The benchmark of generation runs, and says what it promises to."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
NUMBERS = (
    "cpu_s", "wall_s", "times", "tokens_per_cpu_s", "tokens_per_wall_s", "prefill_per_s",
    "peak_mb", "floor_s", "over_floor",
)  # fmt: skip


@pytest.fixture
def generation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`benchmarks/generation.py` as a module, with its neighbours."""
    yield from benchmark("generation", monkeypatch)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`benchmarks/training.py` as a module."""
    yield from benchmark("training", monkeypatch)


def benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A benchmark as a module; its neighbours can be imported as long as it is used."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("weights", [["--shape", "tiny"], ["--model", "tests/data/tiny_llama"]])
def test_every_way_gives_the_ids_of_one_prompt_at_a_time(
    generation: Any, weights: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = BENCHMARKS.parent
    weights = [w if not w.startswith("tests/") else str(root / w) for w in weights]
    few = ["--prompts", "3", "--documents", "1", "--document-tokens", "40", "--new-tokens", "5"]
    generation.main([*weights, *few])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12  # a head, five ways of two jobs, JSON
    report = json.loads(lines[-1])
    assert report["gflops"] > 0
    assert report["gb_per_s"] > 0
    assert [row["way"] for row in report["rows"]] == 2 * list(generation.EASY)
    for row in report["rows"]:
        assert row["same"] == 1.0
        assert all(row[name] > 0 for name in NUMBERS)
        assert row["decode_per_s"] is None or row["decode_per_s"] > 0
        if row["way"] != "engine":
            assert row["computed_tokens"] == row["prompt_tokens"]
    assert report["rows"][-2]["computed_tokens"] < report["rows"][-2]["prompt_tokens"] / 2


def test_the_floor_is_what_takes_longer(generation: Any) -> None:
    work = generation.Work(layers=1000, head=100, per_pair=4, kv_bytes=8, itemsize=4)
    computing = generation.Machine(flops=1.0, bandwidth=1e12)
    reading = generation.Machine(flops=1e12, bandwidth=1.0)
    assert work.prefill([10, 2], 12, computing) == 2000 * 12 + 4 * (55 + 3) + 200 * 2
    assert work.prefill([10, 2], 12, reading) == 4 * (1000 + 100)
    assert work.decode([(10, 3), (2, 1)], 4, computing) == 2200 * 2 + 4 * (20 + 3)
    assert work.decode([(10, 3), (2, 1)], 4, reading) == 2 * 1100 * 4 + 23 * 8
    assert work.decode([(10, 1)], 4, reading) == 0


def test_a_peer_that_is_not_here_is_named(generation: Any) -> None:
    peer = generation.Peer("other", "run_other.py", "no_such_package", "NO_SUCH_VARIABLE")
    with pytest.raises(SystemExit, match=r"pip install no_such_package.*NO_SUCH_VARIABLE"):
        peer.run([], 1, {})


def test_training_shares_what_a_plain_trainer_computes_again(
    training: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("peft", reason="the extra `train` is not installed")
    model = str(BENCHMARKS.parent / "tests" / "data" / "tiny_llama")
    training.main(["--model", model, "--documents", "2", "--questions", "3"])
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["answers"] == 6
    assert report["plain"]["computed_tokens"] >= report["tokens"]
    assert report["shared"]["computed_tokens"] < report["tokens"] / 2
    assert report["times"] > 0
