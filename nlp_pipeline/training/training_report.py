"""The report of a training: what was trained on what, how it went, and whether it helped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.references import read_references
from nlp_pipeline.models import digest
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.files import write_json, write_text
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.training.loss_curve import loss_svg
from nlp_pipeline.training.materials import Materials
from nlp_pipeline.training.proof import Scores, answered, compared, run_scores, verdict, with_model
from nlp_pipeline.training.training_corpus import write_corpus
from nlp_pipeline.training.training_folder import TrainingFolder

HELD_OUT, LOSS = "held_out.jsonl", "loss.svg"


def prove(folder: TrainingFolder, materials: Materials) -> dict[str, Any] | None:
    """Answers the held-out documents with the base and with what was trained.

    Args:
        folder: Holds the trained model; gets the two runs.
        materials: The pipeline and the documents.

    Returns:
        By measure what `compared` says, with the `verdict`; None where nothing is held out.
    """
    records = materials.split.held_out
    if not records:
        return None
    corpus = folder.inner / HELD_OUT
    with folder.disk_errors():
        write_corpus(records, corpus)
    references = read_references(records)
    scores: list[Scores] = []
    configs = {
        "before": materials.config,
        "after": with_model(materials.config, str(folder.path)),
    }
    for name, config in configs.items():
        request = RunRequest(str(corpus), folder.inner / name, PipelineSpec(materials.pipeline))
        scores.append(run_scores(answered(request, config), references, records))
    measures = compared(scores[0], scores[1], Bootstrap())
    return {name: {**means, "verdict": verdict(means["gain"])} for name, means in measures.items()}


def write_report(
    folder: TrainingFolder,
    manifest: Mapping[str, Any],
    proof: Mapping[str, Any] | None,
    best_step: int | None,
) -> dict[str, Any]:
    """Writes `report.json` and the loss curve, and returns the report.

    Args:
        folder: The training's.
        manifest: What was trained on what.
        proof: Whether it helped.
        best_step: After which the weights that were kept were taken; None for the last.
    """
    steps = folder.steps()
    seconds = sum(step["seconds"] for step in steps)
    tokens = sum(step["tokens"] for step in steps)
    report = {
        **manifest,
        "digest": digest(folder.path),
        "steps": len(steps),
        "best_step": best_step,
        "loss": {"first": steps[0]["loss"], "last": steps[-1]["loss"]} if steps else None,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(sum(step["cpu_seconds"] for step in steps), 1),
        "tokens": tokens,
        "plain_tokens": sum(step["plain_tokens"] for step in steps),
        "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
        "peak_memory_bytes": peak_memory(),
        "proof": proof,
    }
    with folder.disk_errors():
        if steps:
            write_text(folder.inner / LOSS, loss_svg(steps, best_step))
        write_json(folder.report_file, report)
    return report


def peak_memory() -> int | None:
    """Bytes held at the most, on the GPU or else in main memory; None where nothing tells."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
