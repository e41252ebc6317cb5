"""`nlp-pipeline distil`: a run in, a fast spaCy component out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.log_handlers import show_notes
from nlp_pipeline.cli.output import note, print_json, print_table
from nlp_pipeline.errors.base import counted


@click.command(short_help="Train a fast spaCy component on what a run says.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_file)
@click.option(
    "--what",
    "kind",
    type=click.Choice(["textcat", "ner", "spancat"]),
    required=True,
    help="The component: textcat learns labels, ner and spancat learn values in the text.",
)
@click.option(
    "-o",
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the component's pipeline; spacy.load loads it.",
)
@click.option(
    "--source",
    type=click.Choice(["auto", "extractions", "answers", "entities"]),
    default="auto",
    show_default=True,
    help="Which values ner and spancat learn; auto: the first of these that the run has.",
)
@click.option("--component", help="The teacher, where several components have such rows.")
@click.option(
    "--labelled",
    metavar="FILE|RUN",
    shell_complete=complete_file,
    help="Documents with references, as for `evaluate`, or a reviewed run: teacher and student "
    "are scored on them.",
)
@click.option("--text-key", default="text", show_default=True, help="Their field with the text.")
@click.option("--id-key", default="id", show_default=True, help="Their field with the id.")
@click.option(
    "--bar",
    type=float,
    default=0.7,
    show_default=True,
    help="Share of labelled cases that the teacher must have right.",
)
@click.option("--anyway", is_flag=True, help="Train although the teacher is below the bar.")
@click.option(
    "--min-confidence",
    type=float,
    default=0.5,
    show_default=True,
    help="Probability below which the teacher's word is not trained on.",
)
@click.option(
    "--balance",
    type=float,
    default=5.0,
    show_default=True,
    help="A label has at most so many times the documents of the rarest; 0 leaves all.",
)
@click.option(
    "--held-out",
    type=float,
    default=0.2,
    show_default=True,
    help="Share of the documents that teacher and student are compared on.",
)
@click.option(
    "--max-steps", type=int, default=2000, show_default=True, help="Of spaCy's training at most."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A training config, such as an edited OUT/distillation/config.cfg.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--fresh",
    "--force",
    "fresh",
    is_flag=True,
    help="Throw away the component that the folder holds.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def distil(
    run: Path,
    *,
    out: Path,
    labelled: str | None,
    text_key: str,
    id_key: str,
    config: Path | None,
    fresh: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a spaCy component on what RUN says of its documents.

    What the teacher is sure of, and what stands in the text, is written as spaCy's training
    reads it, with a config beside it, and trained by spaCy's own training. With --labelled
    teacher and student are scored first; a teacher below --bar is refused.

    \b
    Example:
      nlp-pipeline distil runs/topics --what textcat -o models/fast --labelled labelled.jsonl
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.distillation import DistilSettings
    from nlp_pipeline.distillation import distil as distil_run

    show_notes(quiet=quiet)
    report = distil_run(
        run,
        out,
        DistilSettings(**options),
        labelled=labelled,
        text_key=text_key,
        id_key=id_key,
        config=config,
        fresh=fresh,
        log=None if quiet else sys.stderr,
        note=note,
    )
    if as_json:
        print_json(report)
    else:
        _show(report, out)


def _show(report: Mapping[str, Any], out: Path) -> None:
    """How good teacher and student are, and how to use the component."""
    counts = report["documents"]
    click.echo(
        f"{report['what']} from {report['source']}: trained on "
        f"{counted(counts['train'], 'document')}, best "
        f"step by {counts['dev']}, compared on {counts['test']}; {report['seconds']} s"
    )
    if report["reviewed"]:
        click.echo(f"Judged by people: {report['reviewed']}")
    for reason, n in report["left_out"].items():
        click.echo(f"Left out, {reason}: {n}")
    rows = []
    if scores := report["gate"]:
        rows = [[name, scores["n"], _percent(scores[name])] for name in ("teacher", "student")]
        gain = scores["difference"]
        rows.append([f"student less teacher ({gain['verdict']})", scores["n"], _percent(gain)])
        if scores["commonest_label"] is not None:
            share = f"{100 * scores['commonest_label']:.1f}"
            rows.append(["always the commonest label", scores["n"], share])
    agreement = report["agreement"]
    rows.append(["student as the teacher, held out", agreement["n"], _percent(agreement)])
    print_table(["right", "n", "percent"], rows, "In brackets the 95% interval over documents")
    config = shlex.quote(str(out / "distillation" / "config.cfg"))
    click.echo(
        f"The pipeline lies in {out}/: spacy.load({str(out)!r}). To train it by hand: "
        f"python -m spacy train {config} --output FOLDER"
    )


def _percent(mean: Mapping[str, Any]) -> str:
    low, high = 100 * mean["low"], 100 * mean["high"]
    return f"{100 * mean['value']:.1f} [{low:.1f}, {high:.1f}]"
