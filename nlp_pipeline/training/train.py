"""`train`: from a corpus with references to a model that answers as they do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.training import LossNotFinite, no_proof
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.models.trained_settings import SUITS
from nlp_pipeline.pipeline import PipelineSpec, recorded_config, resolve_config, shared_place
from nlp_pipeline.reviews.reviewed_records import review_digests
from nlp_pipeline.run_folder.read import is_run
from nlp_pipeline.runner.manifest import input_digests, versions
from nlp_pipeline.training.finished_model import base_of, write_model
from nlp_pipeline.training.materials import (
    Examples,
    Materials,
    data_facts,
    data_notes,
    make_examples,
    read_materials,
    suiting_settings,
)
from nlp_pipeline.training.trained_base import adapter_facts
from nlp_pipeline.training.trainer import NotFinite, Step, Trainer
from nlp_pipeline.training.training_estimate import check_memory, estimate, memory_needed
from nlp_pipeline.training.training_examples import examples_digest
from nlp_pipeline.training.training_folder import FINISHED, TrainingFolder, open_training
from nlp_pipeline.training.training_progress import SilentTraining, TrainingProgress
from nlp_pipeline.training.training_ranks import Leader, TrainingPlan, on_all_ranks
from nlp_pipeline.training.training_report import prove, write_report
from nlp_pipeline.training.training_settings import TrainingSettings

UNSEEN = ("save_every",)
"""Settings that change nothing of what comes out."""

NAMED_LATER = {"adapter_dtype": "float32", "cooldown": 0.0, "altered_questions": 0.0}
"""Settings that trainings of before had not, with what they had instead."""


@known_keywords
def train(
    corpus: str | Path,
    out: str | Path,
    *,
    pipeline: str = "en_qa",
    settings: Iterable[str] = (),
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    text_key: str = "text",
    id_key: str = "id",
    limit: int | None = None,
    allow_private: bool = False,
    training: TrainingSettings | None = None,
    fresh: bool = False,
    progress: TrainingProgress | None = None,
    command: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Fine-tunes the Llama of a pipeline on a corpus with references: `nlp-pipeline train`.

    The same call again goes on where an interrupted training stopped, and takes the same path.

    Args:
        corpus: With references, as for `evaluate_run`; or a run with reviews.
        out: The training's folder; afterwards a model that `model` can name.
        pipeline: Whose components make the prompts, as for `run`.
        settings: `key=value` overrides of the pipeline.
        model: Replaces the model that is trained.
        device: Replaces the device.
        dtype: Replaces the number format of the weights.
        text_key: The field or column that holds the text.
        id_key: The one that holds the id.
        limit: Only so many records, from the first.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
        training: How to train; None for the defaults.
        fresh: Throw away the training that the folder holds.
        progress: Is told how the training goes.
        command: The words of the command line that asked for this, where one did.

    Returns:
        The report: plain JSON, as `training/report.json` in the folder has it.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        TrainingError: The training cannot begin or go on.
        NlpPipelineError: The corpus, the pipeline or the model cannot be used.
    """
    training, progress = training or TrainingSettings(), progress or SilentTraining()
    spec = PipelineSpec(pipeline, settings=tuple(settings), model=model, device=device, dtype=dtype)
    reading: dict[str, Any] = {"text_key": text_key, "id_key": id_key, "limit": limit}
    reading["allow_private"] = allow_private

    def lead(leader: Leader) -> dict[str, Any]:
        materials = read_materials(str(corpus), spec, reading, training)
        with open_training(Path(out), fresh=fresh) as folder:
            return _train(folder, materials, training, progress, command=command, leader=leader)

    _, where = shared_place(resolve_config(spec))
    return on_all_ranks(where, lead)


def _inputs(corpus: str) -> dict[str, str]:
    return review_digests(Path(corpus)) if is_run(corpus) else input_digests(corpus)


def _manifest(
    materials: Materials,
    examples: Examples,
    training: TrainingSettings,
    command: Iterable[str] | None,
) -> dict[str, Any]:
    """What is trained on what. The fingerprint holds all that can change a weight."""
    relevant = {
        f"--{name.replace('_', '-')}": value
        for name, value in asdict(training).items()
        if name not in UNSEEN and NAMED_LATER.get(name) != value
    }
    return {
        "corpus": materials.corpus,
        "pipeline": materials.pipeline,
        "model": materials.llama.model,
        "command": None if command is None else list(command),
        "settings": asdict(training),
        SUITS: suiting_settings(materials.config, materials.trained),
        "data": data_facts(materials, examples),
        "inputs": _inputs(materials.corpus),
        "fingerprint": {
            **relevant,
            "model": materials.llama.model,
            "device": materials.llama.device,
            "dtype": materials.llama.dtype,
            "prompts and answers": examples_digest(examples.training),
            "early stopping": examples_digest(examples.stopping),
            "held out": sorted(record.id for record in materials.split.held_out),
            "pipeline": recorded_config(materials.config).to_str(),
            "versions": versions(),
            **adapter_facts(materials.llama),
        },
    }


def _train(
    folder: TrainingFolder,
    materials: Materials,
    training: TrainingSettings,
    progress: TrainingProgress,
    *,
    command: Iterable[str] | None,
    leader: Leader,
) -> dict[str, Any]:
    """Makes the examples, trains on them and writes the model with its report."""
    examples = make_examples(materials, training)
    for note in data_notes(materials, examples, training):
        progress.note(note)
    manifest = _manifest(materials, examples, training, command)
    folder.check_same(manifest["fingerprint"])
    report = folder.report()
    if report is not None:
        return report
    manifest["processes"] = leader.world.size
    plan = TrainingPlan(
        materials.llama, training, training=examples.training, stopping=examples.stopping
    )
    best_step = _train_model(folder, manifest, plan, leader, progress)
    if not materials.split.held_out:
        progress.note(no_proof())
    report = write_report(folder, manifest, prove(folder, materials), best_step)
    folder.write_manifest({**manifest, "state": FINISHED, "steps": report["steps"]})
    folder.discard_checkpoint()
    return report


def _train_model(
    folder: TrainingFolder,
    manifest: dict[str, Any],
    plan: TrainingPlan,
    leader: Leader,
    progress: TrainingProgress,
) -> int | None:
    """Takes the steps that are left and writes the model; the manifest gets its base.

    Returns:
        After which step the weights that were kept were taken; None for the last.

    Raises:
        LossNotFinite: The weights before that step are written.
    """
    loaded, trainer = plan.trainer(leader.world)
    weights, steps = trainer.weights, plan.steps()
    base = base_of(loaded)
    manifest["base"] = base
    folder.check_base(base)
    folder.write_manifest({**manifest, "state": "running", "steps": len(steps)})
    checkpoint = folder.load()
    if checkpoint is not None:
        trainer.restore(checkpoint)
    if not trainer.is_done:
        max_tokens = trainer.max_tokens
        check_memory(weights, memory_needed(weights, steps, max_tokens), max_tokens)
        n_processes = leader.world.size
        progress.begin(
            estimate(weights, steps[trainer.step :], max_tokens, n_processes), trainer.step
        )
        leader.begin(plan, checkpoint)
        _take_steps(folder, trainer, steps, loaded, progress, leader)
    trainer.take_best()
    write_model(folder, weights, loaded)
    return trainer.best_step or None


def _take_steps(
    folder: TrainingFolder,
    trainer: Trainer,
    steps: Sequence[Step],
    loaded: LoadedModel,
    progress: TrainingProgress,
    leader: Leader,
) -> None:
    """Takes step after step; what an interrupt breaks off was kept before."""
    try:
        while not trainer.is_done:
            with leader.step():
                figures = trainer.take_step()
            folder.log(figures)
            if trainer.is_done or trainer.step % trainer.weights.settings.save_every == 0:
                folder.save(trainer.state())
            progress.step(figures)
    except KeyboardInterrupt:
        if trainer.is_whole:
            folder.save(trainer.state())
        raise
    except NotFinite as error:
        folder.save(trainer.state())
        write_model(folder, trainer.weights, loaded)
        examples = [e for sequence in steps[trainer.step] for e in sequence.examples]
        names = dict.fromkeys(example.document_id for example in examples)
        raise LossNotFinite(trainer.step + 1, names, str(folder.path)) from error
