"""A stage on which runs are harmed, and a corpus for them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from stage import DOCUMENTS

from nlp_pipeline import read_run
from nlp_pipeline.tables import TABLES

HERE = Path(__file__).parent


class Outcome(NamedTuple):
    """How a command ended: minus the signal where one ended it."""

    code: int
    said: str


class Stage:
    """Runs `nlp-pipeline run` over the corpus; see `stage.py` for the harm."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self.folder = folder
        self.corpus = folder / "corpus.jsonl"
        self.clean = folder / "clean"
        self.documents = DOCUMENTS

    def run(self, out: Path, *more: str, **harm: Any) -> Outcome:
        pipeline = self.folder / "pipeline.cfg"
        return self.command("run", self.corpus, "-p", pipeline, "-o", out, "--quiet", *more, **harm)

    def command(self, *argv: object, **harm: Any) -> Outcome:
        """Any command of ours, harmed on the way."""
        said = self.folder / "said.txt"
        job = {"argv": [*map(str, argv)], "said": str(said), **harm}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = json.loads(self._process.stdout.readline())["code"]
        return Outcome(code, said.read_text(encoding="utf-8"))

    def finish(self, out: Path) -> Outcome:
        """Runs it to its end and checks that it is the clean run."""
        done = self.run(out)
        assert done.code == 3, done.said  # finished, with failed documents
        self.check(out)
        return done

    def check(self, out: Path) -> None:
        """All rows once, in order, and every byte as in the run that nobody harmed."""
        documents = read_run(out, "documents")["documents"]
        ids = [f"d{i}" for i in range(DOCUMENTS)]
        assert documents.document_id.tolist() == ids
        assert tree(out) == tree(self.clean)


def tree(out: Path) -> dict[str, Any]:
    """All that a run has made, but for its manifest, which holds times, and the lock.

    What fails is tried again by every process: how often is not compared.
    """
    files = (path for path in out.rglob("*") if path.is_file())
    names = {str(path.relative_to(out)): path for path in files}
    return {n: _content(n, p) for n, p in names.items() if n not in ("manifest.json", ".lock")}


def _content(name: str, path: Path) -> Any:
    room = name.split("/")[0]
    if room == "errors":
        return pq.read_table(path).drop_columns(["attempt"]).to_pylist()
    if room in ("errors.jsonl", "_ledger"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [{**line, "attempt": None} for line in lines]
    if room == "_receipts":
        receipt = json.loads(path.read_text(encoding="utf-8"))
        del receipt["bytes"]["errors"], receipt["digests"]["errors"], receipt["check"]
        return receipt
    return path.read_bytes()


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: a run waits for its disk a hundred times."""
    shared = Path("/dev/shm")
    fit = shared.is_dir() and os.access(shared, os.W_OK)
    with tempfile.TemporaryDirectory(dir=shared if fit else None) as name:
        yield Path(name)


@pytest.fixture
def out(memory: Path) -> Iterator[Path]:
    """A folder for a run."""
    path = memory / "out"
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def stage(memory: Path, quick_text: str) -> Iterator[Stage]:
    folder = memory / "stage"
    folder.mkdir()
    (folder / "pipeline.cfg").write_text(
        quick_text.replace("batch_size = 64", "batch_size = 5"), encoding="utf-8"
    )
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for i in range(DOCUMENTS):
            text = {0: "", 3: "UNSPEAKABLE"}.get(i % 7, f"Ada met {i} people. They talked.\u2028x")
            corpus.write(json.dumps({"id": f"d{i}", "text": text}) + "\n")
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stage.py"), str(folder / "pipeline.cfg")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"ready": True}
    found = Stage(process, folder)
    done = found.run(found.clean)
    assert done.code == 3, done.said
    yield found
    assert process.stdin is not None
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


@pytest.fixture(scope="session")
def torn_line(stage: Stage, memory: Path) -> int:
    """At which event a run has to be killed to end in the middle of a line of its third part."""
    path = memory / "torn"
    # 8 lines a part and, twice, 3 events of every table and of the books. Documents that are done
    # at once stand in later parts already.
    for event in range(6 * len(TABLES) + 20, 6 * len(TABLES) + 80):
        assert stage.run(path, kill=event).code == -9
        lines = [f.read_bytes() for f in (path / "_wip").glob("*.jsonl")]
        found = len(list((path / "_receipts").glob("part-*.json"))) == 2
        shutil.rmtree(path)
        if found and any(text.count(b"\n") > 1 and text[-1:] != b"\n" for text in lines):
            return event
    raise AssertionError("no such event")


@pytest.fixture
def broken_off(stage: Stage, out: Path, torn_line: int) -> Path:
    """A run that was killed in its third part, in the middle of a line of the journal."""
    assert stage.run(out, kill=torn_line).code == -9
    return out
