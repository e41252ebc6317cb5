"""The steps: the textbook's rule, one path from one seed, the best weights kept."""

from __future__ import annotations

import copy
import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_shared_sequences import plain_loss

from nlp_pipeline.errors.training import InvalidTrainingSetting, NotTrainable, PeftMissing
from nlp_pipeline.generation.loading.adapter_files import AdapterFiles
from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.training.learning_rate import learning_rate
from nlp_pipeline.training.shared_sequences import TrainingExample, shared_sequences
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.trainer import NotFinite, Trainer, planned_steps, scheduled_steps
from nlp_pipeline.training.training_settings import TrainingSettings

FULL_SGD = TrainingSettings(
    method="full", optimizer="sgd", learning_rate=0.05, schedule="constant", warmup=0.0, epochs=4
)
needs_peft = pytest.mark.skipif(
    importlib.util.find_spec("peft") is None, reason="the extra `train` is not installed"
)
LORA = TrainingSettings(rank=2, batch_size=3, epochs=3, dropout=0.1, learning_rate=0.01)


def trainer_of(
    loaded: LoadedModel,
    examples: list[TrainingExample],
    settings: TrainingSettings,
    stopping: list[TrainingExample] | None = None,
    max_tokens: int = 4096,
) -> Trainer:
    weights = TrainedWeights(loaded.model, loaded.name, settings)
    steps = planned_steps(shared_sequences(examples, settings.batch_size), settings)
    looks = shared_sequences(stopping or [], settings.batch_size)
    return Trainer(weights, steps, looks, max_tokens=max_tokens)


class TestGradientDescent:
    """One step of SGD is `w ← w − η/n · Σ∇w`, over the gradients of each answer alone."""

    @pytest.mark.parametrize("max_tokens", [64, 4096])
    @pytest.mark.parametrize("accumulation", [1, 3])
    def test_a_step_is_the_rule(
        self,
        loaded: LoadedModel,
        examples: list[TrainingExample],
        max_tokens: int,
        accumulation: int,
    ) -> None:
        rate = FULL_SGD.learning_rate
        settings = replace(FULL_SGD, batch_size=3, gradient_accumulation=accumulation)
        expected: Any = copy.deepcopy(loaded.model).requires_grad_(True)
        trainer = trainer_of(loaded, examples, settings, max_tokens=max_tokens)
        sequences = planned_steps(shared_sequences(examples, 3), settings)[0]
        mini_batch = [example for sequence in sequences for example in sequence.examples]
        sums: dict[str, list[float]] = {}
        for example in mini_batch:
            expected.zero_grad()
            plain_loss(expected, example).backward()
            for name, parameter in expected.named_parameters():
                gradient = parameter.grad.flatten().tolist()
                before = sums.get(name, [0.0] * len(gradient))
                sums[name] = [s + g for s, g in zip(before, gradient, strict=True)]
        n = len(mini_batch)
        assert n >= 3 * min(accumulation, 2)
        trainer.take_step()
        for name, parameter in expected.named_parameters():
            weights = parameter.flatten().tolist()
            right = [w - rate / n * s for w, s in zip(weights, sums[name], strict=True)]
            trained = trainer.weights.parameters[name].flatten().tolist()
            assert trained == pytest.approx(right, rel=1e-5, abs=1e-6)
            assert trained != weights

    def test_the_loss_falls(self, loaded: LoadedModel, examples: list[TrainingExample]) -> None:
        trainer = trainer_of(loaded, examples, replace(FULL_SGD, epochs=20))
        losses = [trainer.take_step().loss for _ in range(20)]
        assert losses[-1] < 0.7 * losses[0]


class TestLora:
    """LoRA changes its matrices alone, and the merged weights are the trained model."""

    @needs_peft
    def test_the_base_stays(self, loaded: LoadedModel, examples: list[TrainingExample]) -> None:
        before = {n: p.clone() for n, p in loaded.model.named_parameters()}
        trainer = trainer_of(loaded, examples, LORA)
        trainer.take_step()
        assert all("lora_" in name for name in trainer.weights.parameters)
        for name, parameter in loaded.model.named_parameters():
            if "lora_" not in name:
                assert torch.equal(parameter, before[name.replace(".base_layer", "")])

    @needs_peft
    def test_merged_is_what_was_trained(
        self, loaded: LoadedModel, examples: list[TrainingExample]
    ) -> None:
        trainer = trainer_of(loaded, examples, replace(LORA, learning_rate=0.05))
        for _ in range(3):
            trainer.take_step()
        ids = torch.tensor([examples[0].prompt_ids])
        loaded.model.eval()
        right = loaded.model(ids).logits
        names = set(dict(loaded.model.named_modules()))
        merged = trainer.weights.merge()
        assert not any("lora" in name for name in dict(merged.named_modules()))
        assert len(dict(merged.named_modules())) < len(names)
        torch.testing.assert_close(merged(ids).logits, right)

    @needs_peft
    def test_a_layer_that_is_not_there(self, loaded: LoadedModel) -> None:
        with pytest.raises(NotTrainable) as error:
            TrainedWeights(loaded.model, "tiny", replace(LORA, targets=("q_proj", "c_attn")))
        assert str(error.value) == (
            "'tiny' cannot be trained: it has no linear layer named c_attn. Name others with "
            "--target; there are: down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, "
            "v_proj."
        )

    @pytest.mark.parametrize("rank", [2, 3])
    @needs_peft
    def test_it_begins_with_an_adapter(
        self, loaded: LoadedModel, examples: list[TrainingExample], tmp_path: Path, rank: int
    ) -> None:
        """Of another rank and scale too: the first step's loss is that after the last one's."""
        trainer = trainer_of(loaded, examples, replace(LORA, dropout=0.0, learning_rate=0.05))
        trainer.take_step()
        trainer.weights.write_adapter(tmp_path, {"model": loaded.name})
        ids = torch.tensor([examples[0].prompt_ids])
        adapted = trainer.weights.merge()(ids).logits
        bare = load(loaded.name, device="cpu", dtype="float64").model
        settings = replace(LORA, dropout=0.0, rank=rank, alpha=5.0)
        begun = TrainedWeights(bare, "tiny", settings, adapter=AdapterFiles.read(str(tmp_path)))
        torch.testing.assert_close(begun.model(ids).logits, adapted, rtol=1e-5, atol=1e-5)

    @needs_peft
    def test_an_adapter_of_which_not_all_is_trained(
        self, loaded: LoadedModel, tmp_path: Path
    ) -> None:
        weights = TrainedWeights(loaded.model, loaded.name, LORA)
        weights.write_adapter(tmp_path / "mine", {"model": loaded.name})
        adapter = AdapterFiles.read(str(tmp_path / "mine"))
        reasons: dict[str, dict[str, Any]] = {
            "its adapter 'mine' is of rank 2. Take --rank 2, or begin without it: --set "
            "generator.adapter=null.": {"rank": 1},
            "its adapter 'mine' has matrices for model.layers.0.mlp.down_proj. Add --target "
            "down_proj, or begin without it: --set generator.adapter=null.": {
                "targets": ("q_proj",)
            },
        }
        for reason, changed in reasons.items():
            bare = load(loaded.name, device="cpu").model
            with pytest.raises(NotTrainable) as error:
                TrainedWeights(bare, "tiny", replace(LORA, **changed), adapter=adapter)
            assert str(error.value) == f"'tiny' cannot be trained: {reason}"

    @needs_peft
    def test_matrices_of_16_bits_are_what_is_merged(
        self, loaded: LoadedModel, examples: list[TrainingExample], tmp_path: Path
    ) -> None:
        trainer = trainer_of(loaded, examples, replace(LORA, adapter_dtype="float16"))
        trainer.take_step()
        trainer.weights.write_adapter(tmp_path, {"model": loaded.name})
        tensors = load_file(tmp_path / "adapter_model.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
        merged = trainer.weights.merge()
        adapted = load(loaded.name, device="cpu", dtype="float64", adapter=str(tmp_path)).model
        for name, value in adapted.named_parameters():
            assert torch.equal(value, merged.get_parameter(name)), name

    def test_peft_missing(self, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "peft", None)
        with pytest.raises(PeftMissing) as error:
            TrainedWeights(loaded.model, "tiny", LORA)
        assert str(error.value) == (
            "--method lora needs peft. Type `pip install 'peft>=0.17,<1'`, or train all weights "
            "with --method full."
        )


class TestTheSamePath:
    """A training that goes on from a checkpoint ends with the weights of one that never stopped."""

    @pytest.mark.parametrize(
        "settings",
        [pytest.param(LORA, marks=needs_peft), replace(FULL_SGD, batch_size=3)],
        ids=["lora", "full"],
    )
    @pytest.mark.parametrize("stop_after", [1, 4])
    def test_byte_for_byte(
        self,
        tiny_llama: str,
        examples: list[TrainingExample],
        settings: TrainingSettings,
        stop_after: int,
    ) -> None:
        from nlp_pipeline.generation.loading.load import load

        def fresh() -> Trainer:
            loaded = load(tiny_llama, device="cpu", dtype="float32")
            return trainer_of(loaded, examples[:6], settings, examples[6:])

        straight = fresh()
        while not straight.is_done:
            straight.take_step()
        first = fresh()
        for _ in range(stop_after):
            first.take_step()
        state = copy.deepcopy(first.state())
        torch.rand(5)  # the random state is the checkpoint's, not the process's
        second = fresh()
        second.restore(state)
        while not second.is_done:
            second.take_step()
        assert second.step == straight.step > stop_after
        for name, value in straight.weights.state().items():
            assert torch.equal(value, second.weights.state()[name]), name
        assert second.best_step == straight.best_step


class TestStopping:
    """The loss on other documents says when to stop; the best weights are kept."""

    def test_the_best_are_kept(self, loaded: LoadedModel, examples: list[TrainingExample]) -> None:
        settings = replace(FULL_SGD, learning_rate=0.3, epochs=30, patience=2, evaluate_every=1)
        trainer = trainer_of(loaded, examples[:5], settings, examples[5:])
        losses: list[float] = []
        while not trainer.is_done:
            loss = trainer.take_step().stopping_loss
            assert loss is not None  # it looks after every step
            losses.append(loss)
        assert trainer.step < 30
        assert losses[-1] > min(losses)
        assert trainer.best_step == losses.index(min(losses)) + 1 == trainer.step - 2
        trainer.take_best()
        from nlp_pipeline.training.answer_loss import mean_loss

        again = mean_loss(loaded.model, shared_sequences(examples[5:], 12), 4096)
        assert again == pytest.approx(trainer.best_loss)

    def test_it_looks_now_and_then_and_at_the_end(
        self, loaded: LoadedModel, examples: list[TrainingExample]
    ) -> None:
        settings = replace(FULL_SGD, batch_size=1, epochs=1, evaluate_every=2, learning_rate=1e-5)
        trainer = trainer_of(loaded, examples[:5], settings, examples[5:])
        looked = []
        while not trainer.is_done:
            looked.append(trainer.take_step().stopping_loss is not None)
        assert looked == [False, True, False, True, True]


class TestNotFinite:
    """A loss that is no number ends the training before it changes a weight."""

    def test_the_weights_are_those_before(
        self, loaded: LoadedModel, examples: list[TrainingExample]
    ) -> None:
        trainer = trainer_of(loaded, examples, replace(FULL_SGD, learning_rate=1e200, epochs=9))
        trainer.take_step()
        before = trainer.weights.state()
        before = trainer.weights.state()
        with pytest.raises(NotFinite):
            trainer.take_step()
        for name, value in trainer.weights.state().items():
            assert torch.equal(value, before[name])
        assert trainer.is_whole


class TestLearningRate:
    @pytest.mark.parametrize(
        ("schedule", "middle", "last"),
        [("constant", 1.0, 1.0), ("linear", 0.5, 0.1), ("cosine", 0.5, 0.024)],
    )
    def test_it_rises_and_falls(self, schedule: str, middle: float, last: float) -> None:
        settings = TrainingSettings(learning_rate=1.0, warmup=1 / 6, schedule=schedule)
        rates = [learning_rate(settings, step, 12) for step in range(12)]
        assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
        assert rates[7] == pytest.approx(middle)
        assert rates[11] == pytest.approx(last, abs=1e-3)
        assert all(rate > 0 for rate in rates)

    def test_a_cooldown_ends_the_schedule_where_the_training_stops(self) -> None:
        settings = TrainingSettings(learning_rate=1.0, warmup=0.1, cooldown=0.4, max_steps=10)
        rates = [learning_rate(settings, step, 10, 20) for step in range(10)]
        longer = [learning_rate(replace(settings, cooldown=0.0), step, 20) for step in range(20)]
        assert rates[:7] == longer[:7]
        falls = [rate / other for rate, other in zip(rates[6:], longer[6:10], strict=True)]
        assert falls == pytest.approx([1.0, 0.75, 0.5, 0.25])

    def test_a_cooldown_spans_all_epochs(self, examples: list[TrainingExample]) -> None:
        settings = replace(FULL_SGD, batch_size=1, max_steps=3)
        sequences = shared_sequences(examples, 12)
        n_all = len(planned_steps(sequences, replace(settings, max_steps=None)))
        assert n_all > 3
        assert scheduled_steps(sequences, settings) == 3
        assert scheduled_steps(sequences, replace(settings, cooldown=0.5)) == n_all


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("method", "prefix", "lora or full"),
        ("rank", 0, "an integer of at least 1"),
        ("rank", True, "an integer of at least 1"),
        ("learning_rate", 0, "a number above 0"),
        ("learning_rate", math.inf, "a number above 0"),
        ("held_out", 1.0, "a number from 0 to below 1"),
        ("targets", (), "names of linear layers"),
        ("seed", -1, "an integer of at least 0"),
    ],
)
def test_a_setting_out_of_its_range(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidTrainingSetting) as error:
        TrainingSettings(**{name: value})
    option = name.replace("_", "-")
    assert str(error.value) == f"--{option} is {value!r} and must be {allowed}."
