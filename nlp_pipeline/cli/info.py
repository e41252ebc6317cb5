"""`nlp-pipeline info`: versions, devices, pipelines, models, and how to get what is missing."""

from __future__ import annotations

from typing import Any

import click

from nlp_pipeline import __version__, environment
from nlp_pipeline.cli.output import print_json, print_table, size
from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.packages import namesake_warning


@click.command(short_help="Show versions, devices, and how to get what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(as_json: bool) -> None:
    """Show what is installed, where models can run, and how to get what is missing.

    \b
    Example:
      nlp-pipeline info --json
    """  # noqa: D301  (click knows the character itself)
    facts = collect()
    if as_json:
        print_json(facts)
        return
    own = facts["distribution"]
    click.echo(f"nlp-pipeline {__version__}, of the distribution {own['name']}")
    if own["namesake"]:
        click.echo(namesake_warning(own["name"], environment.NAMESAKE, own["namesake"]))
    click.echo()
    versions = facts["versions"].items()
    print_table(("package", "version"), [(name, v or "not installed") for name, v in versions])
    click.echo()
    print_table(("device", "what"), device_rows(facts["devices"]))
    click.echo()
    spacy = facts["spacy_pipelines"].items()
    print_table(("spaCy pipeline", "version"), list(spacy) or [("none", None)])
    click.echo()
    shipped = [(name,) for name in facts["pipelines"]]
    print_table(("pipeline",), shipped or [("none",)])
    click.echo()
    rows = [(m["name"], m["status"], m["sha256"], m["path"]) for m in facts["models"]]
    print_table(("model", "status", "sha256", "path"), rows)
    click.echo()
    if facts["missing"]:
        missing = [(item["what"], item["why"], item["get"]) for item in facts["missing"]]
        print_table(("missing", "needed for", "how to get it"), missing)
    else:
        click.echo("Nothing is missing.")


def collect() -> dict[str, Any]:
    """Everything that `info` shows, as JSON values. Imports torch."""
    from nlp_pipeline import models

    versions, extras = environment.versions(), environment.extras()
    cached = models.cached_models()
    missing = [
        {"what": name, "why": "every run", "get": environment.pip_install([name])}
        for name, version in versions.items()
        if version is None
    ]
    missing += [
        {"what": ", ".join(extra.missing), "why": f"the extra '{extra.name}'", "get": extra.install}
        for extra in extras
        if extra.install
    ]
    missing += [
        {
            "what": f"model {item.model.name}",
            "why": "runs that name no other model",
            "get": f"nlp-pipeline models fetch {item.model.name}",
        }
        for item in cached
        if item.status != "ok"
    ]
    return {
        "distribution": environment.distribution(),
        "versions": versions,
        "devices": environment.devices() if versions["torch"] else None,
        "spacy_pipelines": environment.spacy_pipelines(),
        "pipelines": environment.shipped_pipelines(),
        "model_cache": str(models.cache_dir()),
        "models": [item.as_dict() for item in cached],
        "extras": {extra.name: list(extra.requires) for extra in extras},
        "missing": missing,
    }


def device_rows(devices: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The devices that `environment.devices()` names, as rows of a table."""
    if devices is None:
        return [("unknown", "torch is not installed")]
    cpu = devices["cpu"]
    rows = [
        (
            "cpu",
            f"{counted(cpu['cores'], 'core')}, {counted(cpu['threads'], 'thread')} used by torch",
        )
    ]
    rows += [
        (f"cuda:{i}", f"{gpu['name']}, {size(gpu['memory_bytes'])}")
        for i, gpu in enumerate(devices["cuda"])
    ] or [("cuda", "none")]
    if devices["mps"]:
        rows.append(("mps", "Apple GPU"))
    backends = [name for name, is_available in devices["distributed"].items() if is_available]
    rows.append(("several GPUs", f"over {' and '.join(backends)}" if backends else "not possible"))
    return rows
