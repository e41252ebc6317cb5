"""`nlp-pipeline convert`: the configs of other tools as pipelines."""

from __future__ import annotations

from pathlib import Path

import click

from nlp_pipeline.cli.command_group import CommandGroup
from nlp_pipeline.cli.output import note, print_json
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.spacy_llm import ServerAndModel


@click.group(cls=CommandGroup, short_help="Turn a config of spacy-llm into a pipeline.")
def convert() -> None:
    """Turn the config of another tool into a pipeline that `nlp-pipeline run -p` takes.

    \b
    Example:
      nlp-pipeline convert spacy-llm fewshot.cfg --paths.examples=examples.yml
    """  # noqa: D301  (click knows the character itself)


@convert.command("spacy-llm", cls=SettingsCommand)
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    help="The file that is written.  [default: CONFIG-llama.cfg]",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A value that the config leaves open, such as paths.examples=examples.yml. Repeatable.",
)
@click.option("--model", help="Takes the place of a model that is an API.")
@click.option(
    "--server", metavar="URL", help="An OpenAI-compatible server in the place of an API's model."
)
@click.option("--force", "--fresh", "force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the files and remarks as JSON.")
def spacy_llm(
    config: Path,
    out: Path | None,
    *,
    settings: tuple[str, ...],
    model: str | None,
    server: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Turn a CONFIG of spacy-llm into a pipeline of this package.

    What has no counterpart, or stands elsewhere here, is said line by line on stderr;
    docs/spacy_llm.md has the whole table. spacy-llm itself is not needed, and no model is loaded.

    \b
    Example:
      nlp-pipeline convert spacy-llm textcat.cfg -o textcat-llama.cfg
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.spacy_llm.converted_config import convert_config
    from nlp_pipeline.spacy_llm.model_families import Successors

    if model and server:
        raise ServerAndModel
    converted = convert_config(config, settings=settings, successors=Successors(model, server))
    files = converted.write(out or config.with_name(f"{config.stem}-llama.cfg"), force=force)
    if as_json:
        print_json({"files": [str(file) for file in files], "remarks": converted.remarks})
        return
    for remark in converted.remarks:
        note(escaped(remark, 1000))
    for file in files:
        click.echo(str(file))
