"""Several processes that share one model: threads stand in for them where no process must die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from meta_reference import Shape, random_weights, write_checkpoint
from ranks import build, everything

from nlp_pipeline.errors.generation import DeviceUnavailable, InvalidModelSetting
from nlp_pipeline.errors.parallel import TooFewDevices, WorldSizeDisagrees
from nlp_pipeline.generation.distributed import process_group
from nlp_pipeline.generation.llama import Llama

KINDS = ("greedy", "sampled", "engine", "ahead", "batches")
RANKS = Path(__file__).with_name("ranks.py")


def torchrun(
    task: str, out: Path, model: str, *, processes: int = 2, timeout_s: float = 300
) -> tuple[subprocess.CompletedProcess[str], dict[int, Any]]:
    """Runs a task of `ranks.py` and gives what its ranks wrote."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(processes), str(RANKS), task, str(out), model),
        ],
        env=os.environ | {process_group.TIMEOUT_VARIABLE: str(timeout_s), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    ranks = range(processes)
    files = {rank: out / f"rank-{rank}.json" for rank in ranks}
    return done, {r: json.loads(f.read_text()) for r, f in files.items() if f.exists()}


def completions(found: dict[str, Any], kind: str) -> list[tuple[Any, ...]]:
    return [(c["token_ids"], c["finish_reason"], c["text"], c["sample"]) for c in found[kind]]


def assert_same(found: dict[str, Any], alone: dict[str, Any]) -> None:
    for kind in KINDS:
        assert completions(found, kind) == completions(alone, kind)
    for ours, theirs in zip(found["greedy"], alone["greedy"], strict=True):
        assert ours["logprobs"] == pytest.approx(theirs["logprobs"], abs=1e-6)
        assert ours["prompt_logprobs"][1:] == pytest.approx(theirs["prompt_logprobs"][1:], abs=1e-6)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


class TestTwoProcesses:
    """Over gloo, on the CPU."""

    def test_the_same_as_one(self, tmp_path: Path, tiny_llama: str) -> None:
        done, found = torchrun("same", tmp_path, tiny_llama)
        assert done.returncode == 0, done.stderr
        alone = as_json(everything(build(tiny_llama)))
        assert_same(found[0], alone)
        assert all(found[0][kind] == found[1][kind] for kind in KINDS)
        assert [found[rank]["main"] for rank in (0, 1)] == [True, False]
        assert [found[rank]["heads"] for rank in (0, 1)] == [1, 1]
        assert found[0]["weights"] < 115_008
        assert found[0]["details"]["parameters"] == 115_008
        assert found[0]["details"]["tensor_parallel_size"] == 2
        assert all("were given different prompts" in found[r]["disagree"] for r in (0, 1))
        assert done.stderr.count("2 processes work together over gloo (no CUDA here)") == 1

    @pytest.mark.slow
    def test_a_meta_checkpoint_of_more_shards_than_processes(self, tmp_path: Path) -> None:
        shape = Shape(n_kv_heads=4)
        folder = write_checkpoint(tmp_path / "model", shape, random_weights(shape), shards=8)
        done, found = torchrun("same", tmp_path, folder)
        assert done.returncode == 0, done.stderr
        assert_same(found[0], as_json(everything(build(folder))))

    @pytest.mark.slow
    def test_a_rank_that_dies_is_named(self, tmp_path: Path, tiny_llama: str) -> None:
        start = time.monotonic()
        done, _ = torchrun("dies", tmp_path, tiny_llama)
        assert done.returncode != 0
        assert time.monotonic() - start < 60
        assert "rank      : 1 (local_rank: 1)" in done.stderr
        assert "exitcode  : 13" in done.stderr

    @pytest.mark.slow
    def test_a_rank_that_hangs_is_named_in_time(self, tmp_path: Path, tiny_llama: str) -> None:
        start = time.monotonic()
        done, found = torchrun("hangs", tmp_path, tiny_llama, timeout_s=8)
        assert done.returncode != 0
        assert time.monotonic() - start < 60
        assert found[0]["error"] == "RankLost"
        assert "rank 1 no longer answers, as rank 0 noticed" in found[0]["said"]
        assert "RankLost: The 2 processes lost each other: rank 1" in done.stderr

    @pytest.mark.slow
    def test_another_number_than_was_started(self, tmp_path: Path, tiny_llama: str) -> None:
        done, found = torchrun("disagrees", tmp_path, tiny_llama)
        assert done.returncode != 0
        assert {seen["error"] for seen in found.values()} == {"WorldSizeDisagrees"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun would start rank 1 of 2."""
    values = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    for name, value in (values | {"MASTER_ADDR": "localhost"}).items():
        monkeypatch.setenv(name, value)


class TestWithoutOthers:
    def test_a_lone_process_is_the_main_one(self) -> None:
        assert process_group.is_main()
        assert process_group.world_size() == 1
        assert process_group.join(None, "auto") is process_group.ALONE
        assert process_group.join(1, "auto") is process_group.ALONE

    def test_alone_nothing_is_exchanged(self) -> None:
        held = torch.ones(3)
        assert process_group.ALONE.sum(held) is held
        assert process_group.ALONE.smallest(5) == 5
        process_group.ALONE.check_same("prompts", [1])
        with process_group.ALONE.main_first():
            pass

    def test_more_than_were_started(self, tiny_llama: str) -> None:
        with pytest.raises(WorldSizeDisagrees) as caught:
            Llama.build(tiny_llama, tensor_parallel_size=4)
        assert str(caught.value) == (
            "tensor_parallel_size=4 was asked for and 1 process was started. Start 4 with "
            "`torchrun --nproc-per-node 4 …`, or leave tensor_parallel_size out."
        )

    @pytest.mark.parametrize("size", [0, -2, "2", True, 2.0])
    def test_no_number(self, size: Any) -> None:
        with pytest.raises(InvalidModelSetting, match="must be an integer of at least 1"):
            process_group.join(size, "auto")

    @pytest.mark.usefixtures("started")
    def test_fewer_than_were_started(self) -> None:
        assert not process_group.is_main()
        with pytest.raises(WorldSizeDisagrees, match="1 was asked for and 2 processes were"):
            process_group.join(1, "auto")


@pytest.mark.usefixtures("started")
class TestDevices:
    def test_without_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        assert process_group.local_device("auto") == torch.device("cpu")
        with pytest.raises(DeviceUnavailable):
            process_group.local_device("cuda")

    def test_each_takes_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert process_group.local_device("auto") == torch.device("cuda:1")
        assert process_group.local_device("cuda") == torch.device("cuda:1")
        assert process_group.local_device("cpu") == torch.device("cpu")

    def test_too_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        with pytest.raises(TooFewDevices, match="2 processes were started on this machine, which "):
            process_group.local_device("auto")

    @pytest.mark.parametrize("device", ["cuda:0", "mps"])
    def test_one_for_all(self, device: str) -> None:
        with pytest.raises(InvalidModelSetting, match="auto, cuda or cpu where several processes"):
            process_group.local_device(device)

    @pytest.mark.parametrize("value", ["soon", "0", "-1", "inf"])
    def test_the_time_limit(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv(process_group.TIMEOUT_VARIABLE, value)
        with pytest.raises(InvalidModelSetting, match=process_group.TIMEOUT_VARIABLE):
            process_group.join(2, "cpu")
