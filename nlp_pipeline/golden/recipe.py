"""How a golden output is made: the run's options, and the command that stands for them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_pipeline.pipeline import PipelineSpec
    from nlp_pipeline.runner.request import RunRequest


@dataclass(frozen=True)
class Recipe:
    """What is run; paths as typed, relative to the folder where the command is typed.

    Attributes:
        corpus: A file or a folder.
        pipeline: A shipped pipeline's name or a path.
        questions: Asked instead of the pipeline's own.
        settings: `key=value` overrides.
        model: Replaces the model of every Llama component.
        device: Replaces the device.
        dry_run: Replaces every generator by the echo.
        limit: Only so many records.
        text_key: The field that holds the text.
        id_key: The field that holds the id.
        tables: Keep these tables alone; all where empty.
    """

    corpus: str
    pipeline: str = "en_qa_summary"
    questions: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    model: str | None = None
    device: str | None = None
    dry_run: bool = False
    limit: int | None = None
    text_key: str = "text"
    id_key: str = "id"
    tables: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Reads what `as_json` wrote."""
        options: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**options)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; options that were not given are left out."""
        plain = Recipe("")
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name in ("corpus", "pipeline") or value != getattr(plain, name)
        }

    def here(self) -> Recipe:
        """With the paths inside the working directory relative to it, so that they can move."""
        return replace(
            self,
            corpus=relative_path(self.corpus),
            pipeline=relative_path(self.pipeline),
            model=None if self.model is None else relative_path(self.model),
        )

    def command(self, folder: str, options: Mapping[str, object]) -> str:
        """The command line that records this into a folder."""
        words = ["nlp-pipeline", "golden", "record", self.corpus, "-p", self.pipeline, "-d", folder]
        for question in self.questions:
            words += ["-q", question]
        for setting in self.settings:
            words += ["--set", setting]
        for table in self.tables:
            words += ["--table", table]
        values = {**self.as_json(), **options}
        for name in ("model", "device", "limit", "text_key", "id_key", "rtol", "atol"):
            if name in values:
                words += [f"--{name.replace('_', '-')}", str(values[name])]
        return shlex.join(words + ["--dry-run"] * self.dry_run)

    def spec(self) -> PipelineSpec:
        """The pipeline with its overrides."""
        from nlp_pipeline.pipeline import PipelineSpec

        return PipelineSpec(
            self.pipeline,
            self.questions,
            settings=self.settings,
            model=self.model,
            device=self.device,
            dry_run=self.dry_run,
        )

    def request(self, out: Path) -> RunRequest:
        """The run, into a folder."""
        from nlp_pipeline.runner.request import RunRequest

        return RunRequest(
            self.corpus,
            out,
            self.spec(),
            text_key=self.text_key,
            id_key=self.id_key,
            limit=self.limit,
        )


def relative_path(name: str | Path) -> str:
    """An absolute path inside the working directory as a relative one; else the name itself."""
    path, working_folder = Path(name), Path.cwd()
    if path.is_absolute() and path.resolve().is_relative_to(working_folder):
        return path.resolve().relative_to(working_folder).as_posix()
    return str(name)


@contextmanager
def working_directory(path: Path) -> Iterator[None]:
    """Works in a folder until the end of the block: a recipe's paths are relative to it."""
    previous = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(previous)
