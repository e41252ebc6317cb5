"""A training over several processes is the training of one: the same steps, by any of them."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import fresh
import pytest
import torch
from safetensors.torch import load_file
from thread_world import Meeting, ThreadWorld

from nlp_pipeline.errors.parallel import LeaderStopped
from nlp_pipeline.generation.distributed import process_group
from nlp_pipeline.generation.distributed.process_group import ALONE, World, data_parallel
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.training import TrainingSettings, train, training_ranks
from nlp_pipeline.training.data_parallel import rank_share
from nlp_pipeline.training.shared_sequences import TrainingExample, shared_sequences
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.trainer import NotFinite, Trainer, planned_steps
from nlp_pipeline.training.training_ranks import Leader, on_all_ranks

SGD = TrainingSettings(
    method="full",
    optimizer="sgd",
    learning_rate=0.05,
    schedule="constant",
    warmup=0.0,
    epochs=3,
    batch_size=8,
    evaluate_every=1,
)
"""A step has the answers of several documents, which the processes share out."""


def trained(
    model: Any, examples: list[TrainingExample], settings: TrainingSettings, world: World
) -> tuple[Trainer, list[tuple[float, float | None]]]:
    """A training as one of the processes sees it, and its losses."""
    steps = planned_steps(shared_sequences(examples[:7], 2), settings)
    trainer = Trainer(
        TrainedWeights(copy.deepcopy(model), "tiny", settings),
        steps,
        shared_sequences(examples[5:], 2),
        max_tokens=128,
        world=world,
    )
    losses = []
    with suppress(NotFinite):
        while not trainer.is_done:
            figures = trainer.take_step()
            losses.append((figures.loss, figures.stopping_loss))
    return trainer, losses


class TestRanks:
    """Threads stand in for the processes."""

    def on_ranks(
        self, size: int, model: Any, examples: list[TrainingExample], settings: TrainingSettings
    ) -> list[tuple[Trainer, Any]]:
        meeting = Meeting(size)
        worlds = [ThreadWorld(r, size, torch.device("cpu"), meeting=meeting) for r in range(size)]
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(lambda world: trained(model, examples, settings, world), worlds))

    @pytest.mark.parametrize("size", [2, 5])
    def test_the_weights_and_losses_of_one(
        self, loaded: LoadedModel, examples: list[TrainingExample], size: int
    ) -> None:
        """Also where a rank has nothing to do: there are four sequences in a step at most."""
        alone, losses = trained(loaded.model, examples, SGD, ALONE)
        assert alone.step == len(losses) >= 3
        ranks = self.on_ranks(size, loaded.model, examples, SGD)
        for trainer, own in ranks:
            assert [step for step, _ in own] == pytest.approx([step for step, _ in losses])
            assert [look for _, look in own] == pytest.approx([look for _, look in losses])
            assert trainer.best_step == alone.best_step
            for name, right in alone.weights.state().items():
                torch.testing.assert_close(trainer.weights.state()[name], right)
                assert torch.equal(trainer.weights.state()[name], ranks[0][0].weights.state()[name])

    def test_a_loss_that_is_no_number_ends_all(
        self, loaded: LoadedModel, examples: list[TrainingExample]
    ) -> None:
        settings = replace(SGD, learning_rate=1e200)
        ranks = self.on_ranks(2, loaded.model, examples, settings)
        assert [trainer.step for trainer, _ in ranks] == [1, 1]


def test_shares_are_even_and_together_the_whole(examples: list[TrainingExample]) -> None:
    sequences = shared_sequences(examples, 1)
    shares = [rank_share(sequences, World(rank, 3)) for rank in range(3)]
    assert sorted(id(s) for share in shares for s in share) == sorted(map(id, sequences))
    n_tokens = [sum(s.n_tokens for s in share) for share in shares]
    assert max(n_tokens) - min(n_tokens) <= max(s.n_tokens for s in sequences)
    assert rank_share(sequences, ALONE) == sequences


class Wire(World):
    """What stands for the other ranks: keeps what is sent, and hands it out again."""

    def from_main(self, value: Any = None) -> Any:
        if value is None:
            return self.store.pop(0)
        self.store.append(value)
        return value


class TestLeader:
    @pytest.fixture
    def wires(self, monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
        """Rank 0 and rank 1, who are asked one after the other."""
        sent: list[Any] = []
        wires = [Wire(rank, 2, store=sent) for rank in (0, 1)]
        left = list(wires)
        monkeypatch.setattr(process_group, "join", lambda *_: left.pop(0))
        return wires

    def test_the_others_return_the_report(self, wires: list[Wire]) -> None:
        report = {"steps": 3}
        assert on_all_ranks("cpu", lambda _: report) == report
        assert on_all_ranks("cpu", lambda _: pytest.fail("only rank 0 works")) == report

    def test_what_fails_between_two_steps_ends_the_others(self, wires: list[Wire]) -> None:
        def work(leader: Leader) -> dict[str, Any]:
            with pytest.raises(NotFinite), leader.step():
                raise NotFinite
            raise OSError("full")

        with pytest.raises(OSError, match="full"):
            on_all_ranks("cpu", work)
        with pytest.raises(LeaderStopped, match=r"Rank 0 ended the work \(OSError\)"):
            on_all_ranks("cpu", work)

    def test_in_the_middle_of_a_step_there_is_nobody_to_tell(self, wires: list[Wire]) -> None:
        def work(leader: Leader) -> dict[str, Any]:
            with leader.step():
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            on_all_ranks("cpu", work)
        assert wires[0].store == [(training_ranks._STEP, None)]


RANK = """\
import os, sys, hashlib, torch
from pathlib import Path
from nlp_pipeline.cli import main
from nlp_pipeline.training.trainer import Trainer
torch.set_num_threads(1)
take_step = Trainer.take_step
def noted(self):
    figures = take_step(self)
    values = b"".join(v.numpy().tobytes() for v in self.weights.state().values())
    with open(f"rank-{os.environ['RANK']}", "a") as file:
        file.write(f"{figures.loss!r} {hashlib.sha256(values).hexdigest()}\\n")
    return figures
Trainer.take_step = noted
sys.argv = ["nlp-pipeline", *WORDS]
main()
"""


@pytest.mark.slow
def test_two_processes_over_gloo(
    labelled: Callable[..., str], pipeline: str, tmp_path: Path
) -> None:
    """The command itself: what two write is what one writes, and one of them speaks."""
    pytest.importorskip("peft", reason="the extra `train` is not installed")
    corpus = labelled(12)
    settings = TrainingSettings(
        rank=4, epochs=2, batch_size=8, optimizer="sgd", learning_rate=0.5, early_stopping=0.2
    )
    words = [
        *("train", corpus, "--out", "mine", "-p", pipeline, "--dtype", "float64", "--json"),
        *("--rank", "4", "--epochs", "2", "--batch-size", "8", "--optimizer", "sgd"),
        *("--learning-rate", "0.5", "--early-stopping", "0.2"),
    ]
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        port = str(free_port.getsockname()[1])
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    code = f"WORDS = {words!r}\n{RANK}"
    places = [tmp_path / f"outputs-{rank}" for rank in (0, 1)]
    for place in places:
        place.mkdir()
    started = [
        fresh.start(f"import os; os.chdir('..')\n{code}", place, env=world | {"RANK": str(rank)})
        for rank, place in enumerate(places)
    ]
    alone = train(corpus, tmp_path / "alone", pipeline=pipeline, dtype="float64", training=settings)
    ended = [process.wait(200) for process in started]
    assert [end.returncode for end in ended] == [0, 0], ended
    assert ended[1].stdout == ""
    report = json.loads(ended[0].stdout)
    assert report["processes"] == 2
    steps = [(tmp_path / f"rank-{rank}").read_text() for rank in (0, 1)]
    assert steps[0] == steps[1]
    assert len(steps[0].splitlines()) == report["steps"] == alone["steps"] >= 4
    assert report["loss"] == pytest.approx(alone["loss"], rel=1e-6)
    assert report["best_step"] == alone["best_step"]
    name = "adapter/adapter_model.safetensors"
    both, one = (load_file(tmp_path / folder / name) for folder in ("mine", "alone"))
    for key, right in one.items():
        torch.testing.assert_close(both[key], right, rtol=1e-4, atol=1e-6)


def test_no_model_is_split_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    both = World(0, 2, torch.device("cpu"))
    monkeypatch.setattr(process_group, "_joined", lambda _: both)
    with data_parallel("cpu") as world:
        assert world is both
        assert process_group.world_size() == 1
        own = process_group.join(None, "cpu")
        assert (own.size, own.device) == (1, torch.device("cpu"))
    assert process_group.world_size() == 2
    assert process_group.join(None, "cpu") is both
