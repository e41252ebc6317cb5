"""`nlp-pipeline train`: a corpus with references in, a better model out."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.completion import complete_file, complete_model, complete_pipeline
from nlp_pipeline.cli.interrupts import resumable
from nlp_pipeline.cli.log_handlers import show_notes
from nlp_pipeline.cli.options import gpu_id_option
from nlp_pipeline.cli.output import note, print_json, print_table, size
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.cli.watched_run import device_of, fetch_models
from nlp_pipeline.errors.base import counted

if TYPE_CHECKING:
    from nlp_pipeline.training.trainer import StepFigures
    from nlp_pipeline.training.training_estimate import TrainingEstimate

LINE_EVERY = 10.0
"""Seconds between two lines of progress."""

_TITLES = {
    "exact_match": "exact match",
    "f1": "F1",
    "no_answer_accuracy": "none said, of unanswerable",
    "label_accuracy": "label accuracy",
    "summary_f1": "summary, F1 of words",
}


@click.command(cls=SettingsCommand, short_help="Fine-tune the Llama on a corpus with references.")
@click.argument("corpus", shell_complete=complete_file)
@click.option(
    "-o",
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the training; afterwards a model that --model can name.",
)
@click.option(
    "-p",
    "--pipeline",
    default="en_qa",
    show_default=True,
    metavar="NAME|PATH",
    shell_complete=complete_pipeline,
    help="The pipeline whose prompts are trained.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting of the pipeline, as for `run`. Repeatable.",
)
@click.option("--model", shell_complete=complete_model, help="The model to train, as for `run`.")
@click.option("--device", help="auto, cpu, cuda, cuda:N or mps.")
@gpu_id_option
@click.option("--dtype", help="auto (bfloat16 on CUDA, else float32) or a dtype's name.")
@click.option("--text-key", default="text", show_default=True, help="Field with the text.")
@click.option("--id-key", default="id", show_default=True, help="Field with the id.")
@click.option("--limit", type=click.IntRange(min=0), help="Only the first N records.")
@click.option(
    "--allow-private",
    is_flag=True,
    help="Let a URL lead into the own network, and be redirected to another host.",
)
@click.option(
    "--method",
    type=click.Choice(["lora", "full"]),
    default="lora",
    show_default=True,
    help="Train low-rank matrices beside the weights, or all weights.",
)
@click.option("--rank", type=int, default=16, show_default=True, help="Of LoRA's matrices.")
@click.option("--alpha", type=float, help="LoRA's scale times the rank.  [default: twice the rank]")
@click.option(
    "--target",
    "targets",
    multiple=True,
    help="A linear layer that LoRA is put beside. Repeatable.  [default: all of a block]",
)
@click.option(
    "--adapter-dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Number format in which LoRA's matrices are written.",
)
@click.option("--dropout", type=float, default=0.0, show_default=True, help="Of LoRA's inputs.")
@click.option(
    "--optimizer", type=click.Choice(["adamw", "sgd"]), default="adamw", show_default=True
)
@click.option("--learning-rate", type=float, default=6e-4, show_default=True)
@click.option("--weight-decay", type=float, default=0.0, show_default=True, help="Of AdamW.")
@click.option(
    "--batch-size",
    type=int,
    default=12,
    show_default=True,
    help="Answers in a mini-batch at least; a document's questions stay together.",
)
@click.option(
    "--gradient-accumulation",
    type=int,
    default=1,
    show_default=True,
    help="Mini-batches that one step adds up.",
)
@click.option("--epochs", type=int, default=1, show_default=True)
@click.option("--max-steps", type=int, help="Stop after so many steps.")
@click.option(
    "--warmup",
    type=float,
    default=0.05,
    show_default=True,
    help="Share of the steps in which the learning rate rises.",
)
@click.option(
    "--schedule",
    type=click.Choice(["cosine", "linear", "constant"]),
    default="cosine",
    show_default=True,
    help="How the learning rate falls then.",
)
@click.option(
    "--cooldown",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the steps, the last, in which it falls to 0.",
)
@click.option(
    "--unanswerable",
    type=float,
    default=0.2,
    show_default=True,
    help="Share of questions without an answer at least; others' questions are asked to reach it.",
)
@click.option(
    "--altered-questions",
    type=float,
    default=0.0,
    show_default=True,
    help="Share of the answerable questions asked again, altered so that none answers them.",
)
@click.option(
    "--held-out",
    type=float,
    default=0.2,
    show_default=True,
    help="Share of the documents that prove the result.",
)
@click.option(
    "--early-stopping",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the other documents whose loss says when to stop.",
)
@click.option(
    "--evaluate-every",
    type=int,
    help="Steps between two looks at that loss.  [default: a tenth of all]",
)
@click.option(
    "--patience", type=int, default=3, show_default=True, help="Looks without a smaller loss."
)
@click.option(
    "--save-every", type=int, default=10, show_default=True, help="Steps lost in a crash at most."
)
@click.option("--gradient-checkpointing", is_flag=True, help="Less memory, a third more computing.")
@click.option(
    "--max-tokens",
    type=int,
    help="Tokens in one forward pass.  [default: 16384 on CUDA, else 1024]",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--fresh",
    "--force",
    "fresh",
    is_flag=True,
    help="Throw away the training that the folder holds.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def train(
    corpus: str,
    *,
    out: Path,
    pipeline: str,
    settings: tuple[str, ...],
    model: str | None,
    device: str | None,
    gpu_id: int | None,
    dtype: str | None,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune the Llama of a pipeline on CORPUS.

    CORPUS has references, as for `evaluate`: questions with answers, labels, summaries, or it is
    a .json file in SQuAD's format. Some of its documents are held out and answered before and
    after. The same command again goes on where an interrupted training stopped. What comes out
    is a model: name its folder with --model.

    \b
    Example:
      nlp-pipeline train squad.json -o models/mine
      nlp-pipeline run corpora/sample.jsonl --model models/mine
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.pipeline import PipelineSpec, resolve_config
    from nlp_pipeline.training import TrainingSettings
    from nlp_pipeline.training import train as train_model

    main = is_main()  # of several processes that torchrun started, one speaks
    quiet = quiet or not main
    show_notes(quiet=quiet)
    names = {setting.name for setting in fields(TrainingSettings)}
    reading = {name: value for name, value in options.items() if name not in names}
    training_options = {name: value for name, value in options.items() if name in names}
    if not training_options["targets"]:
        del training_options["targets"]
    spec = PipelineSpec(pipeline, settings=settings, model=model)
    training = TrainingSettings(**training_options)
    if main:
        fetch_models(resolve_config(spec), quiet=quiet)
    with resumable(out, safe_steps) if main else nullcontext():
        report = train_model(
            corpus,
            out,
            pipeline=pipeline,
            settings=settings,
            model=model,
            device=device_of(gpu_id, device),
            dtype=dtype,
            training=training,
            fresh=fresh,
            progress=None if quiet else TrainingLines(),
            command=sys.argv[1:],
            **reading,
        )
    if as_json and main:
        print_json(report)
    elif not quiet:
        _show(report, out)


def safe_steps(out: Path) -> str:
    """How much of an interrupted training is kept."""
    from nlp_pipeline.training.training_status import training_status

    state = training_status(out)
    if state is None:
        return "Nothing was done yet."
    return f"{counted(state.saved, 'step is', 'steps are')} safe in {out}/."


class TrainingLines:
    """The progress as lines on stderr: one now and then, and one for every look."""

    def __init__(self) -> None:
        self._n_left = self._n_taken = self._tokens = 0
        self._seconds = 0.0
        self._steps = 0
        self._last_line = time.monotonic()

    def note(self, message: str) -> None:
        """Passes a remark on."""
        note(message)

    def begin(self, estimate: TrainingEstimate, n_done: int) -> None:
        """Says what the steps will take."""
        self._n_left, self._steps = estimate.steps, estimate.steps + n_done
        if n_done:
            note(f"Going on after {counted(n_done, 'step')}.")
        shared = estimate.plain_tokens / max(1, estimate.tokens)
        note(
            f"{counted(estimate.steps, 'step')} of {estimate.tokens // max(1, estimate.steps)} "
            f"tokens ({shared:.1f} times fewer, as prompts share their documents), about "
            f"{_clock(estimate.seconds)} and {size(estimate.bytes)} of memory."
        )

    def step(self, figures: StepFigures) -> None:
        """Says how it goes."""
        self._n_left, self._n_taken = self._n_left - 1, self._n_taken + 1
        self._tokens, self._seconds = self._tokens + figures.tokens, self._seconds + figures.seconds
        is_due = time.monotonic() - self._last_line >= LINE_EVERY
        if figures.stopping_loss is None and not is_due and self._n_left:
            return
        self._last_line = time.monotonic()
        rate = self._tokens / max(self._seconds, 1e-9)
        seconds_left = self._seconds / self._n_taken * self._n_left
        look = figures.stopping_loss
        text = f"step {figures.step}/{self._steps}, loss {figures.loss:.3f}, {rate:.0f} tokens/s"
        text += "" if look is None else f", not trained on: {look:.3f}"
        note(text + (f", {_clock(seconds_left)} left" if self._n_left else ""))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _show(report: Mapping[str, Any], out: Path) -> None:
    """The loss curve, what was gained, and how to use the model."""
    from nlp_pipeline.training.loss_curve import loss_line
    from nlp_pipeline.training.training_folder import logged_steps

    steps = logged_steps(out)
    if steps:
        best_step = report["best_step"]
        end = f"; kept: step {best_step}" if best_step else ""
        click.echo(f"Loss over {counted(len(steps), 'step')}: {loss_line(steps)}{end}")
        click.echo(
            f"{report['seconds']:.0f} s ({report['cpu_seconds']:.0f} of CPU), "
            f"{report['tokens_per_second']:.0f} tokens/s, "
            f"{size(report['peak_memory_bytes'] or 0)} of memory at the most"
        )
    if proof := report["proof"]:
        rows = [_proof_row(_TITLES[name], measure) for name, measure in proof.items()]
        title = "On documents that were held out (percent; in brackets the 95% interval)"
        print_table(["measure", "n", "before", "after", "gain", "shown"], rows, title)
    click.echo(f"The model lies in {out}/. To use it, type {shlex.join(['--model', str(out)])}")


def _proof_row(title: str, measure: Mapping[str, Any]) -> list[Any]:
    means = [measure[name] for name in ("before", "after", "gain")]
    return [title, measure["gain"]["n"], *map(_percent, means), measure["verdict"]]


def _percent(mean: Mapping[str, Any]) -> str:
    low, high = 100 * mean["low"], 100 * mean["high"]
    return f"{100 * mean['value']:.1f} [{low:.1f}, {high:.1f}]"
