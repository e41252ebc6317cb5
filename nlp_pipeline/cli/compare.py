"""`nlp-pipeline compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.output import note, print_json, print_table
from nlp_pipeline.errors.base import counted

if TYPE_CHECKING:
    from nlp_pipeline.comparison import RunComparison

_COUNTS = {
    "same": "same",
    "changed": "changed",
    "appeared": "appeared",
    "vanished": "vanished",
    "newly_grounded": "newly grounded",
    "no_longer_grounded": "no longer",
    "only_a": "only A",
    "only_b": "only B",
}
_FACTS = ("state", "corpus", "pipeline", "documents", "failed")
_TOKENS = ("prompt_tokens", "reused_tokens", "output_tokens")


@click.command(short_help="Lay two runs side by side.")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option(
    "--references",
    metavar="CORPUS",
    shell_complete=complete_file,
    help="What is right: a corpus, or a run with reviews.  [default: the corpus of RUN_A, where "
    "it says so, else the reviews of both]",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML page in which both answers light up in one text.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="So many of the documents that differ most; --json has no limit of its own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
def compare(
    run_a: Path,
    run_b: Path,
    *,
    references: str | None,
    page: Path | None,
    limit: int,
    as_json: bool,
) -> None:
    """Compare what the runs RUN_A and RUN_B say about the documents that they share.

    Per question and component: how many answers are the same, changed, appeared or vanished, and
    which are newly grounded or no longer; against references, where there are any, which run is
    better; what both cost; the documents that differ most. Of a run that is going on the finished
    parts are compared.

    \b
    Example:
      nlp-pipeline compare runs/first runs/second --page differences.html
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.comparison import compare_runs, write_comparison

    comparison = compare_runs(run_a, run_b, references=references)
    if as_json:
        limit_source = click.get_current_context().get_parameter_source("limit")
        all_of_them = limit_source is click.core.ParameterSource.DEFAULT
        print_json(comparison.as_dict(None if all_of_them else limit))
    else:
        _show(comparison, limit)
    if page is not None:
        note(f"Wrote {write_comparison(comparison, page)}.")


def _show(comparison: RunComparison, limit: int) -> None:
    runs, documents = comparison.runs, comparison.documents
    a, b = runs["a"], runs["b"]
    facts = [[name, a[name], b[name]] for name in _FACTS]
    facts.append(["models", ", ".join(a["models"]), ", ".join(b["models"])])
    facts += [[name.replace("_", " "), f"{a[name]:,}", f"{b[name]:,}"] for name in _TOKENS]
    facts.append(["seconds", _rounded(a["seconds"]), _rounded(b["seconds"])])
    pace = "documents_per_second"
    facts.append(["documents a second", _rounded(a[pace]), _rounded(b[pace])])
    print_table(["", f"A {a['run']}", f"B {b['run']}"], facts)
    title = (
        f"\n{counted(documents['shared'], 'document')} compared; only in A "
        f"{documents['only_a']:,}, only in B {documents['only_b']:,}, with another text "
        f"{documents['changed_texts']:,}"
    )
    rows = [
        [row["question"] or row["component"], *(f"{row[name]:,}" for name in _COUNTS)]
        for row in comparison.values
    ]
    print_table(["", *_COUNTS.values()], rows, title)
    if comparison.references is not None:
        _show_measures(comparison.references)
    if comparison.differences and limit:
        _show_differences(comparison, limit)


def _show_measures(references: dict[str, Any]) -> None:
    named = [("all", references["overall"]), *references["by_question"].items()]
    named.append(("labels", references["labels"]))
    rows = [_measures(name, values) for name, values in named if values]
    heads = ["questions", "n", "exact A", "exact B", "B less A", "F1 A", "F1 B", "B less A"]
    judge = {"corpus": "references", "reviews": "reviews"}[references["source"]]
    title = f"\nAgainst the {judge} (percent; in brackets the 95% interval of B less A)"
    print_table([*heads, "better", "worse", "McNemar p"], rows, title)


def _measures(name: str, values: dict[str, Any]) -> list[Any]:
    cells: list[Any] = [name, values["n"]]
    for measure in ("exact_match", "f1"):
        means = values[measure]
        difference = {end: 100 * means["difference"][end] for end in ("value", "low", "high")}
        cells += [f"{100 * means['a']:.1f}", f"{100 * means['b']:.1f}"]
        cells.append("{value:+.1f} [{low:+.1f}, {high:+.1f}]".format(**difference))
    return [*cells, values["better"], values["worse"], f"{values['mcnemar']['p']:.3f}"]


def _show_differences(comparison: RunComparison, limit: int) -> None:
    rows = []
    for difference in comparison.differences[:limit]:
        for pair in difference.pairs:
            subject = pair.a.question or pair.b.question or pair.key.component
            texts = [_short(value.text or value.status) for value in (pair.a, pair.b)]
            rows.append([difference.document_id, subject, *texts])
    n_differ = len(comparison.differences)
    title = f"\nThe documents that differ most ({min(limit, n_differ)} of {n_differ:,})"
    print_table(["document", "", "A", "B"], rows, title)


def _short(text: str, length: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _rounded(number: float | None) -> str | None:
    return None if number is None else f"{number:,.2f}"
