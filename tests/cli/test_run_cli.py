"""`nlp-pipeline run`: exit codes, streams, and messages in place of tracebacks."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fresh
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.cli.interrupts import command_line
from nlp_pipeline.errors.base import noun_form
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.status import run_status

HOSTILE = Path(__file__).parents[2] / "corpora" / "hostile"
SLOW = """\
import time
from spacy.language import Language

@Language.component("slow")
def slow(doc):
    time.sleep(0.03)
    return doc
"""

TYPED = """\
import os, sys
os.dup2(os.open({terminal!r}, os.O_RDWR | os.O_NOCTTY), 2)
sys.argv = {words!r}
from nlp_pipeline.cli import main
main()
"""
"""A command whose errors and progress go to a terminal."""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_ends_by_saying_where_the_tables_lie_and_what_the_answers_are(
    cli, quick, corpus
) -> None:
    source = corpus({"id": "one", "text": "Ada met Charles."}, {"id": "two", "text": "b"})
    done = cli("run", source, "-p", quick(), "-q", "Who?", "-q", "Where?")
    assert done.code == 0
    assert re.search(
        r"^2 documents \(2 ok, 0 failed\) in [\d.]+ s. The tables lie in runs/corpus-quick/$",
        done.out,
        re.MULTILINE,
    )
    assert "answers (4 rows):" in done.out
    assert "Where?" in done.out
    assert "\x1b" not in done.out + done.err
    assert re.fullmatch(
        r"2/2 documents, 2 ok, 0 failed, [\d.]+ documents/s, \d+ tokens/s\n", done.err
    )
    assert len(read_run("runs/corpus-quick")["answers"]) == 4


def test_failed_documents_exit_with_3_and_the_preview_hides_no_control_character(cli) -> None:
    done = cli("run", HOSTILE / "records.jsonl", "-o", "out", "--echo")
    assert done.code == 3
    assert done.err.rstrip().endswith("All of it: nlp-pipeline errors out")
    assert "Traceback" not in done.err
    for stream in (done.out, done.err):
        assert all(line.isprintable() for line in stream.split("\n"))


def test_the_preview_escapes_what_a_document_could_do_to_a_terminal(cli, quick, corpus) -> None:
    source = corpus({"id": "[red]\x1b[31m\u202e", "text": "[bold]x[/bold] \x1b]0;title\x07"})
    done = cli("run", source, "-p", quick(), "-q", "\x1b[2J?")
    assert r"[red]\x1b[31m\u202e" in done.out
    assert "\x1b" not in done.out + done.err


def test_json_alone_on_stdout(cli, quick, corpus) -> None:
    done = cli("run", corpus("a", ""), "-p", quick(), "-o", "out", "--json")
    assert done.code == 3
    result = json.loads(done.out)
    assert {key: result[key] for key in ("out", "documents", "ok", "failed", "resumed")} == {
        "out": "out",
        "documents": 2,
        "ok": 1,
        "failed": 1,
        "resumed": 0,
    }
    assert "documents/s" in done.err


def test_quiet_says_nothing(cli, quick, corpus) -> None:
    source = corpus("a", {"id": 1, "text": "UNSPEAKABLE"}, {"id": 1, "text": "twice"})
    done = cli("run", source, "-p", quick(), "-o", "out", "--quiet")
    assert done == (3, "", "")
    done = cli("run", source, "-p", quick(), "-o", "out", "--quiet", "--json")
    assert (json.loads(done.out)["documents"], done.err) == (3, "")


def test_the_same_command_again_and_another_one(cli, quick, corpus) -> None:
    command = ["run", corpus("a"), "-p", quick(), "-o", "out"]
    assert cli(*command).code == 0
    assert cli(*command).code == 0
    done = cli(*command, "--max-length", "99", "--set", "components.llama_qa.seed=5")
    assert done.code == 65
    assert done.out == ""
    assert done.err.splitlines() == [
        "Error: The output folder 'out' holds a different run. What differs (then → now):",
        "  max_length: 100000 → 99",
        "  components.llama_qa.seed: 1 → 5",
        "Name another folder with --out, or start over in this one with --fresh.",
    ]
    assert cli(*command, "--limit", "1", "--fresh").code == 0


def test_a_busy_folder(cli, quick, corpus) -> None:
    with open_run(Path("out"), {}, "parquet"):
        done = cli("run", corpus("a"), "-p", quick(), "-o", "out")
    assert done.code == 75
    assert done.err == (
        f"Error: Another run holds the output folder 'out' (process {os.getpid()}). Wait for it "
        "to end, or name another folder with --out.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "The corpus 'nowhere.jsonl' was not found."),
        (["x.odt"], "has no format that is read here"),
        (["c.jsonl", "-p", "nope"], "There is no pipeline 'nope'."),
        (["c.jsonl", "-p", "broken.cfg"], "The pipeline 'broken.cfg' cannot be built: "),
        (["c.jsonl", "--set", "a.b=1"], "--set a.b: the pipeline has no such setting."),
        (["c.jsonl", "--set", "a"], "--set a: write it as key=value"),
        (["c.jsonl", "-p", "en_summary", "-q", "Who?"], "it has no llama_qa component"),
        (["c.jsonl", "-o", "c.jsonl"], "The output folder 'c.jsonl' cannot be written to"),
        (["c.jsonl", "-o", "/proc/x/y"], "The output folder '/proc/x/y' cannot be written to"),
        (["c.jsonl", "-o", "mine"], "The output folder 'mine' is not empty and holds no run"),
        (["c.csv"], "Name the column with --text-key"),
        (["c.jsonl", "--device", "cuda:99"], "cuda:99"),
        (["c.jsonl", "--model", "./no/where"], "./no/where"),
        (["c.jsonl", "--set", "components.ner.source=xx_none"], "python -m spacy download xx_none"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_1(cli, corpus, quick, arguments, said) -> None:
    corpus("a", name="c.jsonl")
    Path("c.csv").write_text("body\na\n")
    Path("x.odt").write_text("")
    Path("broken.cfg").write_text("[nlp\n")
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("")
    real_model = {"--device", "--model"} & set(arguments)
    options = [] if real_model else ["--echo"]
    if "-p" not in arguments and not {"--set", "--model", "--device"} & set(arguments):
        options += ["-p", quick()]
    done = cli("run", *arguments, *options)
    assert done.code == 1
    assert done.out == ""
    assert said in done.err
    (line,) = [line for line in done.err.splitlines() if "documents" not in line][-1:]
    assert done.err.startswith("Error: ") or line.startswith("Error: ")
    assert "Traceback" not in done.err


def test_ctrl_c_on_a_terminal_leaves_a_bar_and_the_command_to_go_on(
    cli, quick, corpus, register, tmp_path
) -> None:
    register("slow_of_a_test", SLOW)
    source, out = corpus(*(f"Text {i}." for i in range(2000))), tmp_path / "out"
    ours, theirs = pty.openpty()
    command = ["run", source, "-p", quick("slow"), "-o", str(out), "--batch-size", "1"]
    code = TYPED.format(terminal=os.ttyname(theirs), words=["nlp-pipeline", *command])
    child = fresh.start(code, tmp_path, env={"TERM": "xterm", "COLUMNS": "150"})
    seen: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(ours, seen))
    reader.start()
    deadline = time.monotonic() + 90
    while not re.search(rb"[1-9]\d*/2000 doc", b"".join(seen)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert child.process.pid is not None
    os.kill(child.process.pid, signal.SIGINT)
    ended = child.wait(60)
    os.close(theirs)
    reader.join(timeout=10)
    os.close(ours)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(seen).decode())
    assert ended[:2] == (130, "")
    assert re.search(r"━ \d+/2000 documents, \d+ ok, 0 failed, [\d.]+ documents/s, \d+ tok", shown)
    assert re.search(r"\d+ tokens/s, 0:\d\d:\d\d left", shown)
    assert "Traceback" not in shown
    said, command_line = (line.strip() for line in shown.strip().splitlines()[-2:])
    done = run_status(out).done
    documents = noun_form(done, "document is", "documents are")
    assert said == f"Interrupted. {done} {documents} safe in {out}/. To go on, type:"
    assert shlex.split(command_line) == ["nlp-pipeline", *command]
    assert done >= 1
    status = cli("status", out)
    assert status.out.startswith(f"interrupted: {done} of 2000 documents, {done} ok, 0 failed\n")
    assert status.out.endswith(f"To go on, type:\n  {command_line}\n")


def test_the_command_to_go_on_is_quoted_and_never_starts_over() -> None:
    words = ["run", "my corpus.jsonl", "-q", "Who's it?", "--fresh", "--force"]
    assert command_line(words) == """nlp-pipeline run 'my corpus.jsonl' -q 'Who'"'"'s it?'"""


def test_a_second_ctrl_c_ends_the_process_at_once(tmp_path) -> None:
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from nlp_pipeline.cli.interrupts import resumable\n"
        "with resumable(Path(sys.argv[1])):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=30)
    assert done.returncode == -signal.SIGINT


def test_too_many_errors_end_with_the_command_that_goes_on(cli, quick, corpus) -> None:
    source = corpus("UNSPEAKABLE", "b")
    done = cli("run", source, "-p", quick(), "-o", "out", "--on-error", "stop")
    assert done.code == 1
    assert "Error: Stopped: 1 of 1 document failed (--on-error stop)." in done.err
    assert f"\n  nlp-pipeline run {source} " in done.err
    assert cli("run", source, "-p", quick(), "-o", "out", "--max-errors", "1").code == 3
    done = cli("run", source, "-p", quick(), "-o", "out", "--max-errors", "many")
    assert (done.code, done.out) == (1, "")
    assert "Error: --max-errors many: give a number of documents" in done.err


def test_no_retry(cli, quick, corpus) -> None:
    command = ["run", corpus("UNSPEAKABLE"), "-p", quick(), "-o", "out"]
    assert cli(*command).code == 3
    assert "1 document failed before and is tried again." in cli(*command).err
    assert read_run("out")["errors"].attempt.tolist() == [2]
    done = cli(*command, "--no-retry")
    assert (done.code, "tried again" in done.err) == (3, False)
    assert read_run("out")["errors"].attempt.tolist() == [2]


def _read_all(handle: int, seen: list[bytes]) -> None:
    while True:
        try:
            data = os.read(handle, 4096)
        except OSError:
            return
        if not data:
            return
        seen.append(data)


def test_how_the_model_is_held_is_in_the_manifest_and_answers_anew_where_it_differs(
    cli, quick, corpus, tiny_llama
) -> None:
    block = json.dumps({"@llama_generators": "nlp_pipeline.Llama.v1", "model": tiny_llama})
    command = ["run", corpus("Ada."), "-p", quick(), "-o", "out", "--device", "cpu", "--quiet"]
    command += ["--set", f"components.llama_qa.generator={block}"]
    command += ["--set", "components.llama_qa.max_new_tokens=2"]
    done = cli(*command, "--dtype", "float32", "--quantization", "int8_dynamic")
    assert done.code == 0, done.err
    mark = json.loads(Path("out/manifest.json").read_text())["fingerprint"]
    (generator,) = mark["generators"]
    assert generator["quantization"] == "int8_dynamic"
    assert generator["activation_bits"] in (7, 8)
    assert mark["components.llama_qa.generator.dtype"] == '"float32"'
    tokens = json.loads(Path("out/_receipts/part-00000.json").read_text())["digests"]
    done = cli(*command, "--dtype", "float32")
    assert done.code == 0
    mark = json.loads(Path("out/manifest.json").read_text())["fingerprint"]
    assert "quantization" not in mark["generators"][0]
    assert json.loads(Path("out/_receipts/part-00000.json").read_text())["digests"] != tokens


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--quantization", "int2"], "quantization='int2' is not possible: it must be int8, int4"),
        (["--device-map", "balanced"], "device_map='balanced' is not possible: it must be auto"),
        (["--tensor-parallel-size", "4"], "tensor_parallel_size=4 was asked for and 1 process was"),
        (
            ["--device-map", "auto", "--device", "cpu"],
            "it must be left out where the device is named (device='cpu')",
        ),
    ],
)
def test_a_way_to_hold_the_model_that_is_not_possible(
    cli, quick, corpus, tiny_llama, options, said
) -> None:
    block = json.dumps({"@llama_generators": "nlp_pipeline.Llama.v1", "model": tiny_llama})
    setting = f"components.llama_qa.generator={block}"
    done = cli("run", corpus("Ada."), "-p", quick(), "-o", "out", "--set", setting, *options)
    assert done.code != 0
    assert said in done.err
    assert "Traceback" not in done.err
