"""`train` from the corpus to the model: it proves itself, stops and goes on, and refuses others."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fresh
import pytest
import torch
from safetensors.torch import load_file
from small_corpus import records

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.errors.training import (
    AdapterForOtherBase,
    AdapterUnreadable,
    AnswersNotInText,
    DifferentTraining,
    LossNotFinite,
    NotATraining,
    NothingToTrainOn,
    TrainingDoesNotFit,
)
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.adapter import Adapter
from nlp_pipeline.generation.loading.safetensors_folder import FolderCheckpoint
from nlp_pipeline.models import digest
from nlp_pipeline.training import TrainingSettings, train
from nlp_pipeline.training.train import SilentTraining
from nlp_pipeline.training.training_folder import logged_steps
from nlp_pipeline.training.training_status import training_status

pytest.importorskip("peft", reason="the extra `train` is not installed")

QUICK = TrainingSettings(
    rank=4, epochs=3, batch_size=6, learning_rate=0.02, save_every=2, early_stopping=0.2
)
UNPROVED = replace(QUICK, held_out=0.0)


class InterruptAt(SilentTraining):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, figures: Any) -> None:
        """Raises as Ctrl-C does."""
        if figures.step == self._step:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def finished(pipeline: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished training of a few steps. Shared: change nothing of it."""
    folder = tmp_path_factory.mktemp("finished")
    corpus = folder / "labelled.jsonl"
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records(12)))
    train(corpus, folder / "mine", pipeline=pipeline, training=QUICK)
    return folder / "mine"


@pytest.fixture
def trained(finished: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(finished, tmp_path / "mine"))


@pytest.fixture(scope="module")
def unproved(pipeline: str, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that never stopped, and held nothing out."""
    folder = tmp_path_factory.mktemp("unproved")
    train(finished.parent / "labelled.jsonl", folder, pipeline=pipeline, training=UNPROVED)
    return folder


def weights(folder: Path) -> dict[str, bytes]:
    files = [folder / "model.safetensors", folder / "adapter" / "adapter_model.safetensors"]
    return {file.name: file.read_bytes() for file in files}


def test_it_proves_itself_and_is_a_model(trained: Path, tiny_llama: str) -> None:
    report = json.loads((trained / "training" / "report.json").read_text())
    assert report["data"]["documents"] == {"training": 8, "early_stopping": 2, "held_out": 2}
    assert report["base"]["model"] == tiny_llama
    assert len(report["base"]["digest"]) == len(report["digest"]) == 64
    assert report["loss"]["last"] < report["loss"]["first"]
    assert report["tokens"] < report["plain_tokens"]
    assert report["cpu_seconds"] > 0
    gain = report["proof"]["f1"]["gain"]
    assert gain["n"] == report["proof"]["f1"]["before"]["n"] >= 4
    assert gain["low"] <= gain["value"] <= gain["high"]
    difference = report["proof"]["f1"]["after"]["value"] - report["proof"]["f1"]["before"]["value"]
    assert gain["value"] == pytest.approx(difference)
    assert (trained / "training" / "loss.svg").read_text().startswith("<svg")
    assert not (trained / "training" / "checkpoint.pt").exists()
    manifest = json.loads((trained / "adapter" / "manifest.json").read_text())
    assert manifest == {"base": report["base"], "suits": report["suits"]}
    assert report["suits"]["llama_qa"]["candidate_weights"] == {"logprob": 0.5}
    config = {
        name: (trained / "training" / name / "config.cfg").read_text()
        for name in ("before", "after")
    }
    assert [name for name, text in config.items() if "\nlogprob = 0.5\n" in text] == ["after"]
    completion = Llama.build(str(trained), device="cpu").generate("Anna Berg", max_new_tokens=3)[0]
    assert completion.output_tokens >= 1


def test_the_adapter_on_the_base_is_the_merged_model(trained: Path, tiny_llama: str) -> None:
    def logprobs(llama: Llama) -> tuple[float, ...]:
        completion = llama.generate("Anna Berg sold", max_new_tokens=8)[0]
        return completion.token_ids + completion.logprobs

    merged = Llama.build(str(trained), device="cpu")
    adapted = Llama.build(tiny_llama, device="cpu", adapter=str(trained / "adapter"))
    base = Llama.build(tiny_llama, device="cpu")
    assert logprobs(adapted) == logprobs(merged) != logprobs(base)
    assert len(adapted.info.details["adapter"]) == 64
    assert "adapter" not in base.info.details
    for name, value in load_file(trained / "model.safetensors").items():
        assert adapted.loaded.model.get_parameter(name).equal(value), name


def test_the_parts_of_an_adapted_model_are_those_of_the_whole(
    trained: Path, tiny_llama: str, tmp_path: Path
) -> None:
    name, folder = tiny_llama, Path(tiny_llama)
    adapter = Adapter(str(trained / "adapter"), name, digest(folder))
    tensors = dict(adapter.added_to(FolderCheckpoint(folder, name), torch.float32).tensors())
    whole = Llama.build(tiny_llama, device="cpu", adapter=str(trained / "adapter")).loaded.model
    for key, tensor in tensors.items():
        assert torch.equal(tensor[:], whole.get_parameter(key)), key
    config = trained / "adapter" / "manifest.json"
    config.unlink()

    class Shallow:
        def config(self) -> Any:
            return None

        def tensors(self) -> Any:
            return ((k, t) for k, t in tensors.items() if ".layers.0." not in k)

    other = Adapter(str(trained / "adapter"), name, "")
    with pytest.raises(AdapterForOtherBase, match=r"layers\.0\..* and it has no such layer"):
        list(other.added_to(Shallow(), torch.float32).tensors())


def test_a_training_goes_on_from_an_adapter(
    trained: Path, labelled: Callable[..., str], pipeline: str, tiny_llama: str, tmp_path: Path
) -> None:
    adapter = trained / "adapter"
    settings = [f"components.llama_qa.generator.adapter={adapter}"]
    training = replace(UNPROVED, max_steps=1, rank=5)
    first = [
        train(labelled(12), tmp_path / name, pipeline=pipeline, settings=own, training=training)
        for name, own in (("bare", []), ("on", settings))
    ]
    assert first[1]["loss"]["first"] < first[0]["loss"]["first"]
    assert first[1]["fingerprint"]["adapter"] == digest(adapter)
    assert "adapter" not in first[0]["fingerprint"]
    # What comes out is an adapter for the bare model, and the merged model stands alone.
    again = Llama.build(tiny_llama, device="cpu", adapter=str(tmp_path / "on" / "adapter"))
    merged = Llama.build(str(tmp_path / "on"), device="cpu")
    ids = [again.generate("Anna Berg sold", max_new_tokens=4)[0].token_ids]
    assert ids == [merged.generate("Anna Berg sold", max_new_tokens=4)[0].token_ids]


# Some versions of peft read a property that some versions of transformers call deprecated.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_peft_reads_the_adapter(trained: Path, tiny_llama: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_llama, torch_dtype=torch.float32)
    adapted = PeftModel.from_pretrained(base, str(trained / "adapter"))
    merged = AutoModelForCausalLM.from_pretrained(trained, torch_dtype=torch.float32)
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=1e-3, atol=1e-4)


class TestGoingOn:
    """An interrupted training goes on by the same path, and ends with the same bytes."""

    @pytest.mark.parametrize("stop_at", [3, 4])
    def test_the_weights_are_the_same_bytes(
        self,
        labelled: Callable[..., str],
        pipeline: str,
        tmp_path: Path,
        unproved: Path,
        stop_at: int,
    ) -> None:
        corpus, out = labelled(12), tmp_path / "again"
        with pytest.raises(KeyboardInterrupt):
            train(corpus, out, pipeline=pipeline, training=UNPROVED, progress=InterruptAt(stop_at))
        state = training_status(out)
        assert state is not None
        assert (state.state, state.n_done, state.saved) == ("interrupted", stop_at, stop_at)
        assert not (out / "config.json").exists()  # half a model is none
        train(corpus, out, pipeline=pipeline, training=UNPROVED)
        assert weights(out) == weights(unproved)
        state = training_status(out)
        assert state is not None
        assert state.state == "finished"
        logged = [
            [(step["step"], step["loss"]) for step in logged_steps(folder)]
            for folder in (out, unproved)
        ]
        assert logged[0] == logged[1]

    def test_a_kill_loses_what_was_not_saved(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path, unproved: Path
    ) -> None:
        corpus, out = labelled(12), tmp_path / "killed"
        with pytest.raises(KeyboardInterrupt):
            train(corpus, out, pipeline=pipeline, training=UNPROVED, progress=InterruptAt(4))
        # As a kill in the middle of step 6 leaves it: a log that is longer, its last line broken.
        with (out / "training" / "steps.jsonl").open("a") as file:
            line = {
                "step": 5,
                "loss": 9.0,
                "tokens": 1,
                "seconds": 1.0,
                "cpu_seconds": 1.0,
                "stopping_loss": None,
            }
            file.write(json.dumps(line) + '\n{"step": 6, "lo')
        train(corpus, out, pipeline=pipeline, training=UNPROVED)
        assert weights(out) == weights(unproved)

    @pytest.mark.faults_long
    def test_kill_9_at_any_time(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path, unproved: Path
    ) -> None:
        """Killed again and again, it ends with the bytes of a training that never stopped."""
        code = (
            "import torch; torch.set_num_threads(1)\n"
            "from nlp_pipeline.training import TrainingSettings, train\n"
            f"train({labelled(12)!r}, 'killed', pipeline={pipeline!r}, training={UNPROVED!r})"
        )
        log, numbers = tmp_path / "killed" / "training" / "steps.jsonl", random.Random(1)
        for _ in range(8):
            size = log.stat().st_size if log.exists() else 0
            process = fresh.start(code, tmp_path).process
            while process.is_alive() and (not log.exists() or log.stat().st_size <= size):
                time.sleep(0.01)
            time.sleep(numbers.random())
            process.kill()
            process.join()
        ended = fresh.run(code, tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert weights(tmp_path / "killed") == weights(unproved)

    def test_a_finished_training_is_not_done_again(
        self, labelled: Callable[..., str], pipeline: str, trained: Path
    ) -> None:
        before = (trained / "model.safetensors").stat().st_mtime_ns
        report = train(labelled(12), trained, pipeline=pipeline, training=QUICK)
        assert report == json.loads((trained / "training" / "report.json").read_text())
        assert (trained / "model.safetensors").stat().st_mtime_ns == before

    def test_another_training_is_refused(
        self, labelled: Callable[..., str], pipeline: str, trained: Path
    ) -> None:
        other = replace(QUICK, learning_rate=0.01, save_every=5)
        with pytest.raises(DifferentTraining) as error:
            train(labelled(12), trained, pipeline=pipeline, training=other)
        assert str(error.value) == (
            f"'{trained}' holds another training. It differs in --learning-rate: 0.02 → 0.01. "
            "Name another folder with --out, or throw that training away with --fresh."
        )
        with pytest.raises(DifferentTraining, match="held out"):
            train(labelled(13), trained, pipeline=pipeline, training=QUICK)
        train(labelled(13), trained, pipeline=pipeline, training=UNPROVED, fresh=True)
        assert (trained / "config.json").exists()

    def test_another_folder_is_refused(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "photos"
        out.mkdir()
        (out / "cat.jpg").touch()
        for is_fresh in (False, True):
            with pytest.raises(NotATraining) as error:
                train(labelled(12), out, pipeline=pipeline, training=QUICK, fresh=is_fresh)
            assert str(error.value) == (
                f"'{out}' is not empty and holds no training; there is: cat.jpg. Name another "
                "folder with --out."
            )
        assert (out / "cat.jpg").exists()


class TestBadInput:
    def test_no_references(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path
    ) -> None:
        corpus = labelled([{"text": "Anna sold it."}])
        with pytest.raises(NothingToTrainOn) as error:
            train(corpus, tmp_path / "out", pipeline=pipeline, training=QUICK)
        assert str(error.value) == (
            f"{corpus} holds no references that the pipeline '{pipeline}' could be trained on; "
            "its Llama components are: llama_qa. A reference is a question with 'answers' (a list "
            "of texts; an empty one says that the text holds none), a record with a 'summary', a "
            "'label' or 'labels', or an 'extraction' (an object)."
        )
        assert not (tmp_path / "out").exists()

    def test_no_answer_is_in_its_text(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path
    ) -> None:
        asked = [{"id": "q", "text": "Who?", "answers": ["Berta"]}]
        corpus = labelled(
            [{"id": f"d{n}", "text": f"Anna sold {n}.", "questions": asked} for n in range(3)]
        )
        settings = replace(QUICK, unanswerable=0.0, held_out=0.0, early_stopping=0.0)
        with pytest.raises(AnswersNotInText) as error:
            train(corpus, tmp_path / "out", pipeline=pipeline, training=settings)
        assert str(error.value) == (
            f"None of the 3 reference answers in {corpus} can be trained on: the component answers "
            "by pieces of the document, and 'Berta' does not stand in document 'd0'. Copy answers "
            "from the text, or train the free mode: --set components.llama_qa.mode=free."
        )

    def test_a_loss_that_is_not_finite(
        self, labelled: Callable[..., str], pipeline: str, tmp_path: Path
    ) -> None:
        settings = replace(QUICK, method="full", optimizer="sgd", learning_rate=1e30)
        with pytest.raises(LossNotFinite) as error:
            train(labelled(12), tmp_path / "out", pipeline=pipeline, training=settings)
        message = str(error.value)
        assert message.startswith("The loss of step 2 is not finite; the step was computed on the ")
        assert "documents d" in message
        assert f"kept in '{tmp_path / 'out'}'" in message
        assert (tmp_path / "out" / "config.json").exists()

    def test_too_little_memory(
        self,
        labelled: Callable[..., str],
        pipeline: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("nlp_pipeline.training.training_estimate._free_memory", lambda _: 1000)
        with pytest.raises(TrainingDoesNotFit) as error:
            train(labelled(12), tmp_path / "out", pipeline=pipeline, training=QUICK)
        assert str(error.value).endswith(
            "What needs less: --gradient-checkpointing, --max-tokens 256."
        )

    def test_an_adapter_for_another_base(
        self, trained: Path, tiny_llama: str, tmp_path: Path
    ) -> None:
        adapter = trained / "adapter"
        with pytest.raises(AdapterForOtherBase) as error:
            Llama.build(str(trained), device="cpu", adapter=str(adapter))
        message = str(error.value)
        assert message.startswith(
            f"The adapter '{adapter}' was trained on '{tiny_llama}' and cannot be put into "
            f"'{trained}': its digest is "
        )
        assert message.endswith("Name its own base with --model, or leave --adapter out.")

    def test_no_adapter(self, tiny_llama: str, tmp_path: Path) -> None:
        with pytest.raises(AdapterUnreadable) as error:
            Llama.build(tiny_llama, device="cpu", adapter=str(tmp_path))
        assert str(error.value) == (
            f"The adapter '{tmp_path}' cannot be used: adapter_config.json cannot be read (No such "
            "file or directory). An adapter is a folder with adapter_config.json and "
            "adapter_model.safetensors, as `nlp-pipeline train` and peft write it."
        )
        with pytest.raises(InvalidModelSetting, match="the folder or the name of an adapter"):
            Llama.build(tiny_llama, adapter=3)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("use_dora", True, "its use_dora is True"),
            ("peft_type", "IA3", "it is of the kind IA3, and must be LORA"),
        ],
    )
    def test_an_adapter_that_is_more_than_a_product(
        self, trained: Path, tiny_llama: str, name: str, value: Any, reason: str
    ) -> None:
        config = trained / "adapter" / "adapter_config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), name: value}))
        with pytest.raises(AdapterUnreadable, match=reason):
            Llama.build(tiny_llama, device="cpu", adapter=str(trained / "adapter"))


class TestCommandLine:
    def test_train_status_and_run(
        self, cli: Any, labelled: Callable[..., str], pipeline: str, tmp_path: Path
    ) -> None:
        out = tmp_path / "mine"
        command = ["train", labelled(12), "-o", out, "-p", pipeline, "--rank", "4", "--epochs", "2"]
        done = cli(*command)
        assert done.code == 0, done.err
        assert "times fewer, as prompts share their documents" in done.err
        assert "Loss over " in done.out
        assert "SHOWN" in done.out
        assert f"To use it, type --model {out}" in done.out
        assert cli("status", out).out.startswith("finished: ")
        assert json.loads(cli("status", out, "--json").out)["state"] == "finished"
        small = labelled(2, name="small.jsonl")
        ran = cli("run", small, "-p", pipeline, "--model", out, "-o", tmp_path / "run")
        assert ran.code == 0, ran.err
        adapter = ["--adapter", out / "adapter"]
        ran = cli("run", small, "-p", pipeline, *adapter, "-o", tmp_path / "run2")
        assert ran.code == 0, ran.err
        manifest = json.loads((tmp_path / "run2" / "manifest.json").read_text())
        assert len(manifest["fingerprint"]["generators"][0]["adapter"]) == 64
        assert cli(*command, "--json").code == 0

    def test_an_interrupt_says_how_to_go_on(
        self,
        cli: Any,
        labelled: Callable[..., str],
        pipeline: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        out = tmp_path / "mine"
        monkeypatch.setattr("nlp_pipeline.cli.train.TrainingLines", lambda: InterruptAt(2))
        done = cli("train", labelled(12), "-o", out, "-p", pipeline, "--batch-size", "4")
        assert done.code == 130
        assert f"Interrupted. 2 steps are safe in {out}/. To go on, type:" in done.err
        status = cli("status", out).out
        assert status.startswith("interrupted: 2 of ")
        assert "To go on, type:\n  nlp-pipeline train " in status

    def test_a_setting_out_of_its_range(
        self, cli: Any, labelled: Callable[..., str], tmp_path: Path
    ) -> None:
        done = cli("train", labelled(2), "-o", tmp_path / "x", "--held-out", "1.5")
        assert done.code == 1
        assert "--held-out is 1.5 and must be a number from 0 to below 1." in done.err
