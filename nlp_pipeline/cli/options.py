"""Options that several commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from nlp_pipeline.cli.completion import complete_model, complete_pipeline
from nlp_pipeline.corpus.documents.conversion_settings import CONVERTERS, ConversionSettings
from nlp_pipeline.errors.config import DryRunRenamed
from nlp_pipeline.generation.setting_fields import least_value, meanings
from nlp_pipeline.generation.settings import OVERRIDES, LlamaSettings

Command = TypeVar("Command", bound=Callable[..., Any])

_CORPUS_AND_PIPELINE = (
    click.option(
        "-p",
        "--pipeline",
        default="en_qa_summary",
        show_default=True,
        metavar="NAME|PATH",
        shell_complete=complete_pipeline,
        help="A shipped pipeline, a .cfg file or a saved pipeline's folder.",
    ),
    click.option(
        "-q",
        "--question",
        "questions",
        multiple=True,
        help="Ask this of every document, instead of the pipeline's own questions. Repeatable.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting, such as components.llama_qa.max_new_tokens=16, or "
        "generator.threads=2 of every generator. Repeatable.",
    ),
    click.option(
        "--text-key",
        default="text",
        show_default=True,
        help="Field or column with the text; a.b is the field b of the object a.",
    ),
    click.option("--id-key", default="id", show_default=True, help="Field or column with the id."),
    click.option("--limit", type=click.IntRange(min=0), help="Only the first N records."),
    click.option(
        "--echo",
        is_flag=True,
        help="Use the echo generator: no model, answers are words of the prompt.",
    ),
)


def _tracking_uri(_: click.Context, __: click.Parameter, uri: str | None) -> str | None:
    """The address of MLflow; refused here where it is the corpus, which would be missing else."""
    if uri is not None:
        from nlp_pipeline.runner.tracking_uri import check_tracking_uri

        check_tracking_uri(uri)
    return uri


_PACE = (
    click.option(
        "--n-process",
        type=click.IntRange(min=1),
        help="Worker processes for spaCy; 1 is a thread of this one. By default 1, and several "
        "beside a GPU.",
    ),
    click.option(
        "--document-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="A document that spaCy is not done with becomes an error record; needs --n-process 2.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(min=1), help="Documents handed to spaCy at a time."
    ),
    click.option(
        "--on-error",
        type=click.Choice(["continue", "stop"]),
        default="continue",
        show_default=True,
        help="Whether to stop at the first document that fails.",
    ),
    click.option(
        "--max-errors",
        metavar="N|P%",
        help="Stop when more documents fail, or a larger share of them once 100 are done.",
    ),
    click.option(
        "--otel",
        is_flag=True,
        help="Tell OpenTelemetry of the run: a span and metrics, to where its environment "
        "variables say.",
    ),
    click.option(
        "--mlflow",
        metavar="URI",
        callback=_tracking_uri,
        help="Keep the run in MLflow too: a folder, a database or a server.",
    ),
    click.option(
        "--debug-log",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A file that gets every note, and the traceback of every document that fails.",
    ),
)


_COMPLETIONS = {"model": complete_model}


def _setting_option(name: str) -> Callable[[Any], Any]:
    """The option of a generator's setting, as the list of settings has it."""
    least = least_value(LlamaSettings, name)
    return click.option(
        "--" + name.replace("_", "-"),
        type=str if least is None else click.IntRange(min=least),
        shell_complete=_COMPLETIONS.get(name),
        help=meanings(LlamaSettings)[name].replace("`", ""),
    )


_GENERATOR = tuple(map(_setting_option, OVERRIDES))


_CONVERSION_TYPES: dict[str, dict[str, Any]] = {
    "ocr": {"is_flag": True},
    "ocr_language": {"metavar": "LANGUAGE"},
    "conversion_timeout": {"type": float, "metavar": "SECONDS"},
    "conversion_memory": {"type": float, "metavar": "GIB"},
    "converter": {"type": click.Choice(CONVERTERS)},
    "docling_models": {"metavar": "DIR"},
}


def _conversion_option(name: str) -> Callable[[Any], Any]:
    """The option of a setting of the conversion, as the list of these settings has it."""
    setting = next(field for field in fields(ConversionSettings) if field.name == name)
    return click.option(
        "--" + name.replace("_", "-"),
        default=setting.default,
        show_default=True,
        help=meanings(ConversionSettings)[name].replace("`", ""),
        **_CONVERSION_TYPES[name],
    )


_CLUSTER = (
    click.option(
        "--executor",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="This process, or the actors of a Ray cluster.",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="The Ray cluster, or auto.  [default: RAY_ADDRESS, else Ray is started here]",
    ),
    click.option(
        "--actors",
        type=click.IntRange(min=1),
        help="Of Ray, each with its own model.  [default: one a GPU, else one a machine]",
    ),
    click.option(
        "--gpus-per-actor",
        type=click.IntRange(min=0),
        help="Several share one model.  [default: 1 where there are any]",
    ),
    click.option(
        "--cpus-per-actor",
        type=click.IntRange(min=1),
        help="[default: an equal share of a machine's, one left free]",
    ),
    click.option(
        "--unit-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=1800.0,
        show_default=True,
        metavar="SECONDS",
        help="An actor that finishes no document in that time is ended.",
    ),
)


gpu_id_option = click.option(
    "--gpu-id",
    type=click.IntRange(min=-1),
    help="As in spaCy: --device cuda:N, or cpu for -1.",
)
"""spaCy's name for the device, beside `--device`."""


def corpus_and_pipeline(command: Command) -> Command:
    """What is read, what is done with it and by which model: `run` and `golden record`."""
    return _all_of((*_CORPUS_AND_PIPELINE, *_GENERATOR), command)


def without_dry_run(command: Command) -> Command:
    """Says for one release what the echo generator is called now: where there is no estimate."""
    return click.option(
        "--dry-run", is_flag=True, hidden=True, expose_value=False, callback=_refuse_dry_run
    )(command)


def _refuse_dry_run(context: click.Context, _: click.Parameter, is_given: bool) -> None:
    if is_given:
        raise DryRunRenamed(context.command_path)


def cluster(command: Command) -> Command:
    """Adds the options that say which executor and which machines compute a run."""
    return _all_of(_CLUSTER, command)


def conversion(command: Command) -> Command:
    """Adds the options that say how documents become text: `run`."""
    return _all_of(tuple(map(_conversion_option, _CONVERSION_TYPES)), command)


def pace(command: Command) -> Command:
    """How the work goes and when it stops: `run` and `retry`."""
    return _all_of(_PACE, command)


def _all_of(options: tuple[Callable[[Any], Any], ...], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
