"""`nlp-pipeline golden`: records what a pipeline gives, and checks that it still does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.command_group import CommandGroup
from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.log_handlers import show_notes
from nlp_pipeline.cli.options import corpus_and_pipeline, gpu_id_option, without_dry_run
from nlp_pipeline.cli.output import print_json
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.cli.watched_run import device_of, fetch_models, show_progress
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.golden import GoldenMismatch

if TYPE_CHECKING:
    from nlp_pipeline.golden.checker import Checked

RTOL, ATOL, PER_TABLE = 1e-4, 1e-5, 8


@click.group(
    cls=CommandGroup, short_help="Record golden outputs, and check a pipeline against them."
)
def golden() -> None:
    """Record golden outputs of a pipeline, and check that it still gives them.

    \b
    Example:
      nlp-pipeline golden check tests/golden/en_qa
    """  # noqa: D301  (click knows the character itself)


@golden.command(cls=SettingsCommand)
@click.argument("corpus", shell_complete=complete_file)
@corpus_and_pipeline
@gpu_id_option
@without_dry_run
@click.option(
    "-d",
    "--dir",
    "--output",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the golden output goes; an older one there is replaced.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Record this table alone. Repeatable.  [default: all tables]",
)
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=RTOL,
    show_default=True,
    help="How far numbers with a fraction may be off, relative to the recorded one.",
)
@click.option(
    "--atol",
    type=click.FloatRange(min=0),
    default=ATOL,
    show_default=True,
    help="The same, absolute; the two add up.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def record(
    corpus: str, folder: Path, *, gpu_id: int | None, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Run a pipeline over CORPUS and keep its tables in DIR.

    DIR goes under version control. Its paths are relative to the folder where this is typed:
    type it at the root of the checkout.

    \b
    Example:
      nlp-pipeline golden record corpora/sample.jsonl -p en_qa -d tests/golden/en_qa --limit 3

    A model in float64 gives the same on every machine, so add for a golden output that others
    check as well: --set components.llama_qa.generator.dtype=float64
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.golden.recipe import Recipe
    from nlp_pipeline.golden.recorder import record as record_golden
    from nlp_pipeline.pipeline import resolve_config

    main = is_main()  # of several processes that torchrun started, one speaks
    quiet = quiet or not main
    if not quiet:
        show_notes()
    options["device"] = device_of(gpu_id, options["device"])
    spec = {k: v for k, v in options.items() if k not in ("tables", "rtol", "atol")}
    if main:
        fetch_models(resolve_config(Recipe.of(corpus, **spec).spec), quiet=quiet)
    with show_progress(quiet=quiet) as progress:
        golden_output = record_golden(corpus, folder, progress=progress, **options)
    if not main:
        return
    if as_json:
        tables = list(golden_output.tables)
        portable = golden_output.portable
        print_json({"folder": str(folder), "tables": tables, "portable": portable})
        return
    kind = "portable" if golden_output.portable else "for this platform"
    click.echo(f"Recorded {counted(len(golden_output.tables), 'table')} in {folder}/ ({kind}).")
    click.echo(f"Check them with: nlp-pipeline golden check {folder}")


@golden.command()
@click.argument(
    "folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--update", is_flag=True, help="Accept what is found: write it to DIR.")
@click.option(
    "--per-table",
    type=click.IntRange(min=1),
    default=PER_TABLE,
    show_default=True,
    help="Show so many differences of a table.",
)
@click.option("--quiet", is_flag=True, help="No progress; only what differs.")
@click.option("--json", "as_json", is_flag=True, help="Print how each DIR stands as JSON.")
@click.pass_context
def check(
    context: click.Context,
    folders: tuple[Path, ...],
    *,
    update: bool,
    per_table: int,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run again what is recorded in each DIR and compare every table.

    Texts, integers and nulls must be equal, numbers with a fraction within the tolerance that
    DIR/golden.json states. Exits with 1 if anything differs.

    \b
    Example:
      nlp-pipeline golden check tests/golden/en_qa --per-table 20
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.golden.checker import check as check_golden

    main = is_main()  # of several processes that torchrun started, one speaks
    quiet = quiet or not main
    if not quiet:
        show_notes()
    status, results = 0, list[dict[str, Any]]()
    for folder in folders:
        try:
            if main:
                _fetch(folder, quiet=quiet)
            with show_progress(quiet=quiet) as progress:
                result = check_golden(folder, update=update, per_table=per_table, progress=progress)
        except NlpPipelineError as error:
            status = error.exit_code
            results.append({"folder": str(folder), "state": error.kind, "message": str(error)})
            if main and not as_json:
                is_result = isinstance(error, GoldenMismatch)
                click.echo(str(error) if is_result else f"Error: {error}", err=not is_result)
        else:
            results.append(_facts(folder, result))
            if not as_json:
                _say(folder, result, quiet=quiet)
    if main and as_json:
        print_json(results)
    context.exit(status)


def _facts(folder: Path, result: Checked) -> dict[str, Any]:
    """How a golden output stands that is as it was recorded, or is so now."""
    return {
        "folder": str(folder),
        "state": "updated" if result.updated else "ok",
        "tables": result.tables,
        "rows": result.rows,
        "differences": len(result.differences),
    }


def _fetch(folder: Path, *, quiet: bool) -> None:
    """Fetches the models that a golden output needs."""
    from nlp_pipeline.golden.checker import recipe_of
    from nlp_pipeline.golden.recipe import working_directory
    from nlp_pipeline.golden.store import read_golden
    from nlp_pipeline.pipeline import resolve_config

    golden = read_golden(folder)
    recipe = recipe_of(golden, folder)
    with working_directory(folder / (golden.directory or "")):
        fetch_models(resolve_config(recipe.spec), quiet=quiet)


def _say(folder: Path, result: Checked, *, quiet: bool) -> None:
    if result.updated:
        click.echo(f"{folder}: updated, {counted(len(result.differences), 'difference')} accepted.")
        if result.report:
            click.echo(result.report)
    elif not quiet:
        click.echo(
            f"{folder}: as recorded ({counted(result.tables, 'table')}, "
            f"{counted(result.rows, 'row')})."
        )
