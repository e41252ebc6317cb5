"""Whatever is typed is checked at the door: one message, never a traceback, never a silent loss."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_pipeline.cli import group
from nlp_pipeline.errors.run import InvalidNumber, InvalidTimeout, RecordsLost
from nlp_pipeline.runner import run as runner
from nlp_pipeline.runner.request import RunRequest

EXIT_CODES = {0, 1, 2, 3, 65, 75}
EXAMPLES = int(os.environ.get("NLP_PIPELINE_FUZZ_EXAMPLES", "30"))
"""Of each property; set it to thousands to search for hours."""
pytestmark = pytest.mark.timeout(300 if EXAMPLES <= 60 else 0)

NUMBERS = ["0", "-1", "1", "2", "2147483648", "9223372036854775808", "1" + "0" * 18, "1" + "0" * 20]
NUMBERS += [
    "1e3",
    "1.5",
    "",
    " ",
    "inf",
    "-inf",
    "nan",
    "1e308",
    "1e-320",
    "0x10",
    "１",
    "9" * 5000,
]
WORDS = [
    "",
    " ",
    "\udcff",
    "a\udc80b",
    "\x1b[31m",
    "é",
    "x" * 3000,
    "..",
    "-",
    "--",
    "=",
    "a=b",
    "%s",
]
WORDS += ["{}", "[", "null", "\u202e", "0", "auto", "cpu", "cuda:99", "a.b.c", "$HOME", "\n", "'"]
SETTINGS = [
    *(f"nlp.batch_size={n}" for n in ("0", "-1", "1", "null", '"x"', "1.5", "true", "9" * 21)),
    *(f"components.llama_qa.{name}={n}" for name in ("max_new_tokens", "chunk_tokens", "seed")
      for n in ("0", "-1", "1" + "0" * 20, "null", '"x"')),
    *("nlp=1", "components={}", "x", "=", "nlp.pipeline=[]", 'nlp.pipeline=["nope"]', "nlp.lang=7"),
]  # fmt: skip
SKIPPED = {"help", "version", "as_json", "quiet", "debug_log"}


def options(command: str) -> list[click.Option]:
    found = group.get_command(click.Context(group), command)
    assert found is not None
    return [p for p in found.params if isinstance(p, click.Option) and p.name not in SKIPPED]


def values(option: click.Option) -> st.SearchStrategy[str]:
    """What may be typed behind an option."""
    if option.name == "settings":
        return st.sampled_from(SETTINGS + WORDS)
    printable = st.text(st.characters(exclude_characters="\0"), max_size=8)
    return st.sampled_from(NUMBERS + WORDS) | printable | st.integers().map(str)


@st.composite
def arguments(draw: st.DrawFn, command: str) -> list[str]:
    """One or two options of a command, each with what may be typed behind it."""
    chosen = draw(st.lists(st.sampled_from(options(command)), min_size=1, max_size=2))
    typed: list[str] = []
    for option in chosen:
        name = draw(st.sampled_from(option.opts + option.secondary_opts))
        typed += [name] if option.is_flag else [name, draw(values(option))]
    return typed


@pytest.fixture
def folder(tmp_path: Path, quick: Any, corpus: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of four records, and a finished run of it under `done`."""
    monkeypatch.chdir(tmp_path)
    corpus("Ada met Charles.", {"id": "bad"}, "UNSPEAKABLE", "Grace wrote.")
    runner.run("corpus.jsonl", "done", pipeline=quick())
    return tmp_path


def quiet_settings(examples: int) -> Any:
    fixture = HealthCheck.function_scoped_fixture
    return settings(deadline=None, max_examples=examples, suppress_health_check=[fixture])


def check(ended: Any, typed: list[str]) -> None:
    assert ended.code in EXIT_CODES, (typed, ended)
    if ended.code in (1, 2, 65, 75):
        assert "Error: " in ended.err, (typed, ended)
    for text in (ended.out, ended.err):
        assert "Traceback" not in text
        assert "\x1b[31m" not in text


@quiet_settings(EXAMPLES)
@given(typed=arguments("run"))
def test_whatever_is_typed_behind_run(folder: Path, cli: Any, typed: list[str]) -> None:
    ended = cli("run", "corpus.jsonl", "-p", "quick.cfg", "-o", "out", "--fresh", "--quiet", *typed)
    check(ended, typed)


@pytest.mark.parametrize("command", ["retry", "export", "report", "errors", "status", "verify"])
def test_whatever_is_typed_behind_other_commands(folder: Path, cli: Any, command: str) -> None:
    more = ["tables"] if command == "export" else []

    @quiet_settings(max(1, EXAMPLES // 3))
    @given(typed=arguments(command))
    def type_it(typed: list[str]) -> None:
        check(cli(command, "done", *more, *typed), typed)

    if options(command):
        type_it()


@pytest.mark.parametrize("name", [n for n in WORDS if n])
def test_a_document_that_a_run_has_not_is_shown_in_one_line(
    folder: Path, cli: Any, name: str
) -> None:
    ended = cli("show", "done", "--", name)
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-length", 10**18], "max_length (--max-chars) is 1000000000000000000; give an "
         "integer from 1 to 1,000,000,000."),
        (["--batch-size", 10**20], "batch_size (--batch-size) is 100000000000000000000; give an "
         "integer from 1 to 1,000,000."),
        (["--n-process", 10**6], "n_process (--n-process) is 1000000; give an integer from 1 to "
         "1,024."),
        (["--n-process", 2, "--document-timeout", "inf"], "document_timeout (--document-timeout) "
         "is inf; give seconds above 0 and up to 10,000,000, or None."),
        (["--n-process", 2, "--document-timeout", "nan"], "document_timeout (--document-timeout) "
         "is nan; give seconds above 0 and up to 10,000,000, or None."),
        (["-q", "\udcff?"], "The argument '\\udcff?' is not valid UTF-8. Type it in UTF-8; the "
         "name of a file that is there may hold any bytes."),
        (["--set", f"components.llama_qa.max_new_tokens={10**20}"],
         "components.llama_qa.max_new_tokens is an integer of 67 bits; settings hold at most 64 "
         "bits."),
        (["--set", "nlp.batch_size=0"], "nlp.batch_size is 0; give an integer from 1 to "
         "1,000,000."),
        (["--set", "nlp.batch_size=-3"], "nlp.batch_size is -3; give an integer from 1 to "
         "1,000,000."),
    ],
)  # fmt: skip
def test_the_message_of_a_number_out_of_range(
    folder: Path, cli: Any, arguments: list[object], message: str
) -> None:
    ended = cli("run", "corpus.jsonl", "-p", "quick.cfg", "-o", "out", *arguments)
    assert ended.code == 1
    assert ended.err == f"Error: {message}\n"


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, 10**20])
@pytest.mark.parametrize("name", ["max_length", "n_process", "batch_size", "part_size"])
def test_python_is_checked_alike(folder: Path, name: str, value: object) -> None:
    options: dict[str, Any] = {name: value}
    request = RunRequest("corpus.jsonl", folder / "out", **options)
    with pytest.raises(InvalidNumber, match=name):
        runner.check(request)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "2", True, 1e300])
def test_times_are_checked_alike(folder: Path, value: Any) -> None:
    request = RunRequest("corpus.jsonl", folder / "out", document_timeout=value, n_process=2)
    with pytest.raises(InvalidTimeout):
        runner.check(request)


def test_a_corpus_whose_name_is_no_utf8_is_read(folder: Path, cli: Any) -> None:
    os.rename("corpus.jsonl", "c\udcff.jsonl")
    ended = cli("run", "c\udcff.jsonl", "-p", "quick.cfg", "-o", "out", "--quiet")
    assert ended.code == 3
    assert cli("verify", "out").code == 0


@pytest.mark.parametrize("file", ["", ".", "..", "done"])
def test_a_folder_as_the_file_of_a_report_is_refused(folder: Path, cli: Any, file: str) -> None:
    ended = cli("report", "done", "--file", file)
    assert ended.code == (2 if file else 1)
    assert "is a directory" in ended.err.lower()


def test_a_named_pipe_as_a_corpus_is_refused(folder: Path, cli: Any) -> None:
    os.mkfifo("pipe.jsonl")
    ended = cli("run", "pipe.jsonl", "-p", "quick.cfg", "-o", "out")
    assert ended.code == 1
    assert "'pipe.jsonl' is neither a file nor a folder." in ended.err


def test_records_that_nobody_asked_for_are_said(folder: Path, quick: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("nlp_pipeline.runner.stream.batch_size_of", lambda *_: 0)
    with pytest.raises(RecordsLost, match="some records were never asked for"):
        runner.run("corpus.jsonl", folder / "out", pipeline=quick())
