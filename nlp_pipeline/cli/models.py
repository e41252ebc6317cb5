"""`nlp-pipeline models`: list, fetch and check the models of the model cache."""

from __future__ import annotations

import click

from nlp_pipeline import models as cache
from nlp_pipeline.cli.command_group import CommandGroup
from nlp_pipeline.cli.completion import complete_model
from nlp_pipeline.cli.output import note, print_json, print_table, size
from nlp_pipeline.cli.progress_download import fetch_with_progress


@click.group(cls=CommandGroup, short_help="List, fetch and check models.")
def models() -> None:
    """List, fetch and check the models that can be named without a path.

    \b
    Example:
      nlp-pipeline models list
    """  # noqa: D301  (click knows the character itself)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """Show the known models and what of them is on this machine.

    \b
    Example:
      nlp-pipeline models list --json
    """  # noqa: D301  (click knows the character itself)
    listed_models = cache.cached_models()
    if as_json:
        print_json([item.as_dict() for item in listed_models])
        return
    rows = [
        (
            item.model.name,
            item.status,
            item.model.parameters,
            size(item.model.file_bytes),
            item.model.licence,
            item.model.description,
        )
        for item in listed_models
    ]
    print_table(("name", "status", "parameters", "size", "licence", "description"), rows)
    note(f"The model cache is {cache.cache_dir()}; the default model is {cache.DEFAULT_MODEL}.")


@models.command()
@click.argument("name", default=cache.DEFAULT_MODEL, shell_complete=complete_model)
@click.option("--force", is_flag=True, help="Fetch again, even if the model is there and whole.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch(name: str, force: bool, as_json: bool) -> None:
    """Fetch a model into the cache and print its path; without NAME, the default model.

    \b
    Example:
      nlp-pipeline models fetch smollm2-135m-instruct
    """  # noqa: D301  (click knows the character itself)
    path = str(fetch_with_progress(name, force=force))
    if as_json:
        print_json({"name": name, "path": path})
    else:
        click.echo(path)


@models.command()
@click.argument("name", required=False, shell_complete=complete_model)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def verify(context: click.Context, name: str | None, as_json: bool) -> None:
    """Read a model in the cache and check its digest; without NAME, all known models.

    Exits with 1 if one is damaged or missing.

    \b
    Example:
      nlp-pipeline models verify
    """  # noqa: D301  (click knows the character itself)
    names = list(cache.KNOWN_MODELS) if name is None else [name]
    verified_models = [cache.cached_model(name, thorough=True) for name in names]
    if as_json:
        print_json([item.as_dict() for item in verified_models])
    else:
        rows = [(item.model.name, item.status, item.sha256, item.path) for item in verified_models]
        print_table(("name", "status", "sha256", "path"), rows)
    for item in verified_models:
        if item.status != "ok":
            force = " --force" if item.status == "damaged" else ""
            note(f"{item.status}: type `nlp-pipeline models fetch {item.model.name}{force}`.")
    context.exit(0 if all(item.status == "ok" for item in verified_models) else 1)
