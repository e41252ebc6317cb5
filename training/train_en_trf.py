"""Trains `en_trf`, the pipeline that `en_trf_qa` takes its linguistic components from.

    python training/train_en_trf.py

annotates the sample corpora, runs `spacy train` on `training/en_trf.cfg` and puts the result into
the model cache, where `nlp-pipeline run -p en_trf_qa` finds it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import encoder
import spacy
import torch
from make_annotations import CORPORA, make_annotations
from spacy.cli.train import train
from spacy.language import Language

from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.models.location import cache_dir

CONFIG = Path(__file__).with_name("en_trf.cfg")
SCORES = ("tag_acc", "pos_acc", "lemma_acc", "dep_uas", "dep_las", "sents_f", "ents_f")


def train_en_trf(
    output: Path, *, corpora: Sequence[Path], max_steps: int | None = None, gpu_id: int = -1
) -> Mapping[str, Any]:
    """Annotates, trains and saves.

    Args:
        output: The folder of the trained pipeline; what was there is replaced in the end.
        corpora: What the small English pipeline annotates.
        max_steps: Replaces the config's number of steps.
        gpu_id: The GPU to train on; -1 is the CPU.

    Returns:
        spaCy's scores on the held-back documents, against the small pipeline's annotations.

    Raises:
        NlpPipelineError: A package or a corpus is missing.
    """
    initial = spacy.util.load_config(CONFIG)["initialize"]["before_init"]
    encoder.encoder_folder(initial["package"], initial["folder"])
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".training-") as folder:
        work = Path(folder)
        train_file, dev_file = make_annotations(corpora, work)
        overrides = {"paths.train": str(train_file), "paths.dev": str(dev_file)}
        with _one_thread():
            train(CONFIG, work, use_gpu=gpu_id, overrides=overrides | _steps(max_steps))
        nlp = portable(spacy.load(work / "model-best"))
        nlp.to_disk(work / "portable")
        shutil.rmtree(output, ignore_errors=True)
        (work / "portable").rename(output)
    return nlp.meta["performance"]


def portable(nlp: Language) -> Language:
    """Names the pipeline and drops what only its training needed: paths and our callback."""
    nlp.meta.update(
        name="trf",
        description="Heads trained on the small English pipeline's annotations of sample corpora.",
    )
    nlp.config["paths"].update(train=None, dev=None)
    nlp.config["initialize"]["before_init"] = None
    return nlp


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch to one thread: on batches this small more threads gain little.

    On a busy machine they spend most of their time waiting for each other: a training on two
    cores was then not done in half an hour.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _steps(max_steps: int | None) -> dict[str, int]:
    if max_steps is None:
        return {}
    return {"training.max_steps": max_steps, "training.eval_frequency": max_steps}


@click.command(help=__doc__.split("\n")[0])
@click.argument("corpora", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder of the trained pipeline.  [default: spacy/en_trf in the model cache]",
)
@click.option("--max-steps", type=click.IntRange(min=1), help="Instead of the config's.")
@click.option("--gpu-id", default=-1, show_default=True, help="-1 is the CPU.")
def main(
    corpora: tuple[Path, ...], output: Path | None, max_steps: int | None, gpu_id: int
) -> None:
    """The command line."""
    output = output or cache_dir() / "spacy" / "en_trf"
    start = time.monotonic()
    try:
        scores = train_en_trf(
            output, corpora=corpora or CORPORA, max_steps=max_steps, gpu_id=gpu_id
        )
    except NlpPipelineError as error:
        raise click.ClickException(str(error)) from error
    shown = "  ".join(f"{name} {scores[name]:.3f}" for name in SCORES if scores.get(name))
    click.echo(f"Trained in {time.monotonic() - start:.0f} s, on the held-back documents: {shown}")
    click.echo(f"Saved: {output}")


if __name__ == "__main__":
    main()
