"""`nlp-pipeline evaluate`: how good a run is, by the references in its corpus."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.cascade_text import show_cascade
from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.options import without_dry_run
from nlp_pipeline.cli.output import note, print_table
from nlp_pipeline.cli.run import ESTIMATE_OPTIONS, run
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.cli.watched_run import run_request, watched_run
from nlp_pipeline.errors.base import counted

if TYPE_CHECKING:
    from nlp_pipeline.evaluation.bootstrap import Bootstrap

_NOT_SHARED = ("corpus", "format_", "as_json", "query", *ESTIMATE_OPTIONS)
_READING = ("text_key", "id_key", "limit", "max_length", "allow_private")
_MEASURES = ("exact_match", "f1", "answered_of_answerable", "no_answer_accuracy")
_TITLES = {
    "exact_match": "exact match",
    "f1": "F1",
    "answered_of_answerable": "answered, of answerable",
    "no_answer_accuracy": "none said, of unanswerable",
}


def _with_run_options(command: click.Command) -> click.Command:
    """Adds the options of `run`, so that the same ones mean the same."""
    options = [option for option in run.params if option.name not in _NOT_SHARED]
    command.params[1:1] = options
    return command


@_with_run_options
@without_dry_run
@click.command(cls=SettingsCommand, short_help="Compare a run with the references in its corpus.")
@click.argument("corpus", shell_complete=complete_file)
@click.option(
    "--run",
    "finished",
    type=click.Path(path_type=Path),
    help="Evaluate this run's folder; nothing is run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
@click.option(
    "--json-file", type=click.Path(path_type=Path), help="Write all figures to this file."
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="Write the reliability plot to this SVG file.",
)
@click.option(
    "--fit",
    "fitted_config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Learn weights from the answers; write the pipeline with them to this .cfg file.",
)
@click.option(
    "--first",
    metavar="PATH",
    help="A spaCy pipeline that the classifier could ask before the Llama: proposes a threshold.",
)
@click.option(
    "--wanted-accuracy",
    type=float,
    help="What both have to reach together.  [default: that of the Llama alone]",
)
@click.option(
    "--curve",
    "curve_file",
    type=click.Path(path_type=Path),
    help="Write accuracy against calls of the Llama to this SVG file; needs --first.",
)
@click.option("--no-rouge", is_flag=True, help="Leave the summaries out.")
@click.option(
    "--resamples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Of the bootstrap, for the intervals.",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
def evaluate(
    corpus: str,
    *,
    finished: Path | None,
    as_json: bool,
    json_file: Path | None,
    plot_file: Path | None,
    fitted_config: Path | None,
    first: str | None,
    wanted_accuracy: float | None,
    curve_file: Path | None,
    no_rouge: bool,
    resamples: int,
    seed: int,
    **options: Any,
) -> None:
    """Compare answers, summaries, labels and annotation with the references in CORPUS.

    CORPUS is as for `run`, with references in it (docs/evaluation.md says where), or a .json
    file in SQuAD's format, or a .conllu file. The pipeline is run over it first, as by `run`; a
    run that is there already is used. CORPUS may also be the folder of a run with reviews: these
    are the references, and that run, or the one of --run, is evaluated by them.

    \b
    Example:
      nlp-pipeline evaluate corpora/labelled.jsonl --plot reliability.svg
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.evaluation import evaluate_run
    from nlp_pipeline.evaluation.bootstrap import Bootstrap
    from nlp_pipeline.evaluation.references import check_references
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.run_folder.read import is_run

    if first is None and (wanted_accuracy is not None or curve_file is not None):
        raise click.UsageError("--wanted-accuracy and --curve need --first.")
    reading = {name: options[name] for name in _READING}
    if finished is None and is_run(corpus):
        finished = Path(corpus)
    if finished is None:
        check_references(corpus, with_rouge=not no_rouge, **reading)
    folder = finished or _run(corpus, **options)
    if not is_main():
        return
    bootstrap: Bootstrap = Bootstrap(resamples, seed)
    report = evaluate_run(
        folder,
        corpus,
        bootstrap=bootstrap,
        with_rouge=not no_rouge,
        fitted_config=fitted_config,
        first=first,
        wanted_accuracy=wanted_accuracy,
        **reading,
    )
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if plot_file is not None:
        _plot(report, plot_file)
    if curve_file is not None:
        from nlp_pipeline.evaluation.cascade_plot import cascade_svg

        curve_file.write_text(cascade_svg(report["cascade"]), "utf-8")
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    _show(report)
    if fitted_config is not None:
        _show_fits(report["fits"], fitted_config)
    if report["cascade"] is not None:
        show_cascade(report["cascade"])


def _run(
    corpus: str, *, quiet: bool, out: Path | None, debug_log: Path | None, **options: Any
) -> Path:
    """Runs the pipeline over the corpus, or finishes that, or finds it finished."""
    from nlp_pipeline.runner.run import execute

    request = run_request(corpus, out, format_="parquet", **options)
    with watched_run(request, quiet=quiet, debug_log=debug_log) as (progress, config):
        return execute(request, progress, config, command=sys.argv[1:]).out


def _show(report: dict[str, Any]) -> None:
    """The figures as tables; intervals in brackets."""
    if answers := report["answers"]:
        rows = [_answer_row("all", answers["overall"])]
        for group in (answers["by_type"], answers["by_length"]):
            rows += [_answer_row(name, measures) for name, measures in group.items()]
        level = f"{report['level']:.0%}"
        title = f"Answers (percent; in brackets the {level} interval over documents)"
        print_table(["questions", "n", *_TITLES.values()], rows, title)
        _show_threshold(answers)
    if summaries := report["summaries"]:
        rows = [
            [name, summaries["n"], _percent(summaries[name])]
            for name in ("rouge1", "rouge2", "rougeL")
        ]
        print_table(["summaries", "n", "F1"], rows, "Summaries (ROUGE, percent)")
    if labels := report["labels"]:
        row = [_percent(labels["accuracy"]), labels["n"]]
        names = ["labels", "n"]
        if unknown := labels["unknown"]:
            row, names = [*row, unknown["n"]], [*names, "unknown label"]
        print_table(names, [row], "Label accuracy")
    if entities := report["entities"]:
        print_table(
            ["entities", "n"], [[_percent(entities["accuracy"]), entities["n"]]], "Judged entities"
        )
    if values := report["values"]:
        print_table(
            ["values", "n"],
            [[_percent(values["accuracy"]), values["n"]]],
            "Judged values of objects",
        )
    if annotation := report["annotation"]:
        rows = [[name, f"{100 * value:.1f}"] for name, value in annotation.items()]
        print_table(["annotation", "score"], rows, "Annotation (spaCy's scorer, percent)")
    for warning in report["warnings"]:
        note(f"Warning: {warning}")


def _answer_row(name: str, measures: dict[str, Any]) -> list[Any]:
    return [name, measures["n"], *(_percent(measures[measure]) for measure in _MEASURES)]


def _percent(mean: dict[str, Any] | None) -> str | None:
    if mean is None:
        return None
    low, high = 100 * mean["low"], 100 * mean["high"]
    return f"{100 * mean['value']:.1f} [{low:.1f}, {high:.1f}]"


def _show_threshold(answers: dict[str, Any]) -> None:
    """The advised thresholds, as settings that can be copied, or why none is advised."""
    for measure, advice in answers["thresholds"].items():
        click.echo(threshold_advice(_TITLES[measure], advice))
    if curve := answers["reliability"]:
        error, auroc = curve["expected_calibration_error"], curve["auroc"]
        area = "-" if auroc is None else f"{auroc:.2f}"
        click.echo(
            f"Expected calibration error of the confidence {error:.3f} "
            f"({len(curve['bins'])} bins of equal count), AUROC for an exact match {area}"
        )


def threshold_advice(title: str, advice: dict[str, Any]) -> str:
    """What to do about a threshold on the score, in one line.

    Args:
        title: The measure's.
        advice: An `evaluation.thresholds.Threshold` as a dict.
    """
    keys = ("mean_before", "mean_after", "none_always")
    mean_before, mean_after, none_always = (f"{100 * advice[key]:.1f}" for key in keys)
    n_left = f"{advice['answered_after']} of {counted(advice['answered_before'], 'answer')} left"
    figures = f"{title} {mean_before} to {mean_after}, {n_left}; none always: {none_always}"
    match advice["verdict"]:
        case "better":
            setting = f"--set components.llama_qa.no_answer_threshold={advice['threshold']:.4g}"
            return (
                f"{setting} is better on the half of the documents that it was not chosen on "
                f"({counted(advice['n'], 'question')}: {figures})."
            )
        case "too few questions":
            return f"Too few questions to choose a threshold for {title} on one half ({figures})."
        case "no gain" if advice["threshold"] is None:
            return f"No threshold on the score gives a better {title} here ({figures})."
        case verdict:
            why = {"no gain": "it gains nothing", "none always is as good": verdict}[verdict]
            return (
                f"No threshold is advised for {title}: {advice['threshold']:.4g} was best on one "
                f"half of the documents, and on the other {why} ({figures})."
            )


def _show_fits(fits: dict[str, Any], file: Path) -> None:
    """What the learned weights do on the half of the documents that they were not learned on."""
    rows = [
        [
            f"{component}.{setting}",
            fit["n"],
            f"{fit['auroc_of_run']:.2f} to {fit['auroc']:.2f}",
            f"{fit['error_of_run']:.3f} to {fit['error']:.3f}",
            _verdict(fit),
        ]
        for component, learned in fits.items()
        for setting, fit in learned["fits"].items()
    ]
    choices = [
        [
            f"{component}.candidate_weights",
            fit["n"],
            f"{100 * fit['exact_match_of_run']:.1f} to {100 * fit['exact_match']:.1f}",
            _verdict(fit),
        ]
        for component, learned in fits.items()
        if (fit := learned["candidates"]) is not None
    ]
    title = "Learned on half of the documents, tried on the other half"
    if choices:
        print_table(["setting", "n", "exact match, of answerable", ""], choices, title)
    if rows:
        print_table(["setting", "n", "AUROC", "calibration error", ""], rows, title)
    for learned in fits.values():
        for reason in learned["reasons"].values():
            note(reason)
    note(f"Wrote {file}: `nlp-pipeline run CORPUS -p {shlex.quote(str(file))}` uses it.")


def _verdict(fit: dict[str, Any]) -> str:
    return "written" if fit["is_better"] else "no better: left as it is"


def _plot(report: dict[str, Any], file: Path) -> None:
    from nlp_pipeline.evaluation.plot import reliability_svg
    from nlp_pipeline.evaluation.reliability import Bin, Reliability

    curve = report["answers"] and report["answers"]["reliability"]
    if curve is None:
        note("No reliability plot: no answer has a score.")
        return
    bins = tuple(Bin(**values) for values in curve["bins"])
    file.write_text(reliability_svg(Reliability(**{**curve, "bins": bins})), "utf-8")
