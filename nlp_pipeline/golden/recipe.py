"""How a golden output is made: the run's options, and the command that stands for them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.config import UnknownKeyword
from nlp_pipeline.generation.settings import OVERRIDES, PATHS
from nlp_pipeline.pipeline import PipelineSpec

if TYPE_CHECKING:
    from nlp_pipeline.runner.request import RunRequest


@dataclass(frozen=True)
class Recipe:
    """What is run; paths as typed, relative to the folder where the command is typed.

    Attributes:
        corpus: A file or a folder.
        spec: The pipeline with its overrides.
        limit: Only so many records.
        text_key: The field that holds the text.
        id_key: The field that holds the id.
        tables: Keep these tables alone; all where empty.
    """

    corpus: str
    spec: PipelineSpec = PipelineSpec("en_qa_summary")  # noqa: RUF009  # frozen
    limit: int | None = None
    text_key: str = "text"
    id_key: str = "id"
    tables: tuple[str, ...] = ()

    @classmethod
    def of(cls, corpus: str, pipeline: str = "en_qa_summary", **options: Any) -> Recipe:
        """From options as the command line has them: those of a recipe and those of its spec.

        Raises:
            UnknownKeyword: There is no option of a name; the message says which is near.
        """
        own = {name: options.pop(name) for name in _OWN if name in options}
        for name in options:
            if name not in (*_OF_SPEC, *OVERRIDES):
                raise UnknownKeyword("record", name, [*_OWN, *_OF_SPEC, *OVERRIDES])
        return cls(corpus, PipelineSpec(pipeline, **options), **own)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Reads a recipe from the values that `as_json` wrote.

        Before version 0.2 `echo` was called `dry_run`.
        """
        options: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        if "dry_run" in options:
            options["echo"] = options.pop("dry_run")
        return cls.of(**options)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; options that were not given are left out."""
        spec = self.spec
        values = {
            "questions": list(spec.questions),
            "settings": list(spec.settings),
            **spec.overrides,
            "echo": spec.echo,
            "limit": self.limit,
            "text_key": self.text_key,
            "id_key": self.id_key,
            "tables": list(self.tables),
        }
        plain = {"limit": None, "text_key": "text", "id_key": "id", "echo": False}
        given = {k: v for k, v in values.items() if v != plain.get(k, [])}
        return {"corpus": self.corpus, "pipeline": spec.name, **given}

    def here(self) -> Recipe:
        """With the paths inside the working directory relative to it, so that they can move."""
        spec = self.spec
        paths = {k: relative_path(v) for k, v in spec.overrides.items() if k in PATHS}
        moved = PipelineSpec(
            relative_path(spec.name),
            spec.questions,
            spec.settings,
            echo=spec.echo,
            **{**spec.overrides, **paths},
        )
        return replace(self, corpus=relative_path(self.corpus), spec=moved)

    def command(self, folder: str, options: Mapping[str, object]) -> str:
        """The command line that records this into a folder."""
        spec = self.spec
        words = ["nlp-pipeline", "golden", "record", self.corpus, "-p", spec.name, "-d", folder]
        for question in spec.questions:
            words += ["-q", question]
        for setting in spec.settings:
            words += ["--set", setting]
        for table in self.tables:
            words += ["--table", table]
        values = {**self.as_json(), **options}
        for name in (*OVERRIDES, "limit", "text_key", "id_key", "rtol", "atol"):
            if name in values:
                words += [f"--{name.replace('_', '-')}", str(values[name])]
        return shlex.join(words + ["--echo"] * spec.echo)

    def request(self, out: Path) -> RunRequest:
        """The recipe as a run into a folder."""
        from nlp_pipeline.runner.request import RunRequest

        return RunRequest(
            self.corpus,
            out,
            self.spec,
            text_key=self.text_key,
            id_key=self.id_key,
            limit=self.limit,
        )


_OWN = ("limit", "text_key", "id_key", "tables")
_OF_SPEC = ("questions", "settings", "echo")


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
