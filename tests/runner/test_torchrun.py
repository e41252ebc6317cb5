"""A run under torchrun: two processes write what one writes, and one of them speaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors.parallel import LeaderStopped
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.distributed import rank0
from nlp_pipeline.generation.distributed.process_group import World
from nlp_pipeline.generation.distributed.rank0 import Rank0, run_on_rank0
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa", "llama_summarizer"]
batch_size = 8

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
max_new_tokens = 8
questions = ["Who is named?"]

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.Llama.v1"
model = "{model}"
device = "cpu"
dtype = "float64"
max_batch_size = 4

[components.llama_summarizer]
factory = "llama_summarizer"
max_new_tokens = 8
generator = ${{components.llama_qa.generator}}
"""
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(tmp_path: Path, tiny_llama: str) -> Launch:
    """Starts `nlp-pipeline run` over a corpus, in some processes."""
    config = tmp_path / "two_llamas.cfg"
    config.write_text(CONFIG.format(model=tiny_llama))

    def start(corpus: str, out: Path, processes: int) -> subprocess.Popen[str]:
        starter = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes)
        command = [
            *(sys.executable, *(starter if processes > 1 else ())),
            *("-m", "nlp_pipeline", "run", corpus, "-p", config, "-o", out, "--json"),
        ]
        return subprocess.Popen(
            [str(word) for word in command],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def texts(count: int) -> list[str]:
    return [f"Anna Berg of Northwind Ltd said {i}. " * (1 + i % 3) for i in range(count)]


def same_run(left: Path, right: Path, but: Sequence[str] = ()) -> None:
    one, other = (
        {
            name: frame.drop(columns=list(but), errors="ignore")
            for name, frame in read_run(out).items()
        }
        for out in (left, right)
    )
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], obj=name)


def wait_for_documents(out: Path, process: subprocess.Popen[str]) -> None:
    """Until the journal holds a document."""
    deadline = time.monotonic() + 100
    while not any(f.stat().st_size for f in out.glob("_wip/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


EVERY_COMMAND = """\
import json, os, runpy, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
for number, words in enumerate(json.loads(sys.argv[1])):
    for name, handle in (("out", 1), ("err", 2)):
        with open(f"{number}.{rank}.{name}", "w") as file:
            os.dup2(file.fileno(), handle)
    sys.argv = ["nlp-pipeline", *words]
    code = 0
    try:
        runpy.run_module("nlp_pipeline", run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    Path(f"{number}.{rank}.new").write_text(str(code))
    Path(f"{number}.{rank}.new").replace(f"{number}.{rank}")
    while not Path(f"{number}.{1 - rank}").exists():
        time.sleep(0.01)
sys.exit(code)
"""
"""Types command after command on every rank, as `torchrun -m nlp_pipeline` does with one."""

COMMANDS = {
    "long run": ["run", "long.jsonl", "-o", "long", "--json"],
    "run": ["run", "corpus.jsonl", "-o", "out", "--json"],
    "evaluate": ["evaluate", "corpus.jsonl", "-o", "evaluated", "--no-rouge"],
    "record": ["golden", "record", "corpus.jsonl", "-d", "golden"],
    "check": ["golden", "check", "golden"],
    "retry": ["retry", "out", "--json"],
}
"""The first finds processes that have done nothing yet; they exit with the code of the last."""


class Ranks(NamedTuple):
    """What two processes left behind that torchrun had started."""

    folder: Path
    launch: subprocess.CompletedProcess[str]

    def said(self, name: str, rank: int = 0) -> tuple[str, str, str]:
        """The exit code of a command on a rank, its output and its errors."""
        files = (f"{list(COMMANDS).index(name)}.{rank}{end}" for end in ("", ".out", ".err"))
        code, out, err = ((self.folder / file).read_text() for file in files)
        return code, out, err


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, tiny_llama: str) -> Ranks:
    """Two processes that have worked off all commands: they need seconds to import everything."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "two_llamas.cfg").write_text(CONFIG.format(model=tiny_llama))
    records: dict[str, list[dict[str, Any]]] = {
        "corpus": [
            {"id": "ada", "text": "Ada.", "questions": [{"text": "Who?", "answers": ["Ada"]}]},
            {"id": "long", "text": "Bo.", "questions": [{"text": "why " * 5000}]},
        ],
        "long": [{"text": text} for text in (*texts(6), "", "word " * 3000, "Ada.")],
    }
    for name, lines in records.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "every.py").write_text(EVERY_COMMAND)
    takes_pipeline = {"run", "evaluate", "record"}
    commands = [
        [*words, *(["-p", "two_llamas.cfg"] * bool(takes_pipeline & set(words)))]
        for words in COMMANDS.values()
    ]
    words = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("every.py", json.dumps(commands)),
    ]
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    return Ranks(folder, done)


def test_two_processes_write_what_one_writes(
    ranks: Ranks, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ranks.folder)
    alone = cli("run", "long.jsonl", "-p", "two_llamas.cfg", "-o", "alone", "--json")
    code, printed, said = ranks.said("long run")
    same_run(Path("alone"), Path("long"))
    for out in (alone.out, printed):
        result = json.loads(out)  # one object
        assert (result["documents"], result["failed"]) == (9, 1)
    assert (alone.code, code) == (3, "3")
    assert said.count("2 processes work together over gloo (no CUDA here)") == 1
    assert said.count("9/9 documents, 8 ok, 1 failed") == 1


def test_every_command_works_in_two_processes(
    ranks: Ranks, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ranks.folder)
    codes = {name: ranks.said(name)[0] for name in COMMANDS}
    expected = dict.fromkeys(COMMANDS, "0") | dict.fromkeys(("run", "retry", "long run"), "3")
    assert codes == expected, [ranks.said(name)[2] for name in COMMANDS]
    others = [ranks.said(name, rank=1) for name in COMMANDS]
    assert [(code, out) for code, out, _ in others] == [("0", "")] * len(COMMANDS)
    first, second = (json.loads(ranks.said(name)[1]) for name in ("run", "retry"))
    assert (first["failed"], second["resumed"]) == (1, 1)
    assert ranks.said("record")[1].count("Recorded") == 1
    errors = [ranks.said(name)[2] for name in COMMANDS] + [err for _, _, err in others]
    assert "RunLocked" not in "".join(errors)
    assert ranks.launch.returncode == 1  # torchrun makes a 1 of all
    assert "rank      : 0" in ranks.launch.stderr
    assert "exitcode  : 3" in ranks.launch.stderr
    assert read_run("out", "errors")["errors"]["attempt"].tolist() == [2]
    same_run(Path("out"), Path("evaluated"), but=["attempt", "reused_tokens"])
    assert cli("golden", "check", "golden").code == 0  # one process finds what two have recorded


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_run(tmp_path: Path, corpus: Any, launch: Launch) -> None:
    source, out = corpus(*texts(300)), tmp_path / "out"
    process = launch(source, out, 2)
    wait_for_documents(out, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (victim,) = [c for c in children if b"\0RANK=1\0" in Path(f"/proc/{c}/environ").read_bytes()]
    os.kill(int(victim), signal.SIGKILL)
    start = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - start < 45
    assert process.returncode == 1
    assert "rank      : 1 (local_rank: 1)" in said
    again = launch(source, out, 2)
    printed, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert json.loads(printed)["resumed"] > 0
    launch(source, tmp_path / "clean", 1).communicate(timeout=200)
    # Where a run begins anew, prefixes are computed anew.
    same_run(out, tmp_path / "clean", but=["reused_tokens"])


@pytest.mark.slow
def test_ctrl_c_is_obeyed_once(tmp_path: Path, corpus: Any, launch: Launch) -> None:
    source, out = corpus(*texts(300)), tmp_path / "out"
    process = launch(source, out, 2)
    wait_for_documents(out, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.count("Interrupted.") == 1
    again = launch(source, out, 2)
    printed, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert json.loads(printed)["resumed"] > 0


@pytest.mark.slow
def test_what_is_wrong_is_said_once(tmp_path: Path, corpus: Any, launch: Launch) -> None:
    process = launch(str(tmp_path / "nowhere.jsonl"), tmp_path / "out", 2)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert said.count("nowhere.jsonl' was not found.") == 1


class Wire:
    """What stands for the other ranks: keeps what is sent, and hands it out again."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def from_main(self, value: Any = None) -> Any:
        if value is None:
            return self.sent.pop(0)
        self.sent.append(value)
        return value


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """As if two processes had been started, of which this is rank 0."""
    made = Wire()
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("nlp_pipeline.generation.distributed.process_group.join", lambda *_: made)
    return made


class Counting:
    """A session that keeps what it is asked."""

    room, running = 3, 1

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def submit(self, request: GenerationRequest) -> None:
        self.calls.append(request.id)

    def step(self) -> list[Completion]:
        self.calls.append("step")
        return []

    def close(self) -> None:
        self.calls.append("close")


class TestOrders:
    def test_alone_the_work_is_done_as_it_is(self) -> None:
        assert run_on_rank0(None, "cpu", lambda: 7, generator=LlamaGenerator) == 7

    def test_the_others_do_the_same(self, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = LlamaSettings("a model")
        own, others = Counting(), Counting()

        def work() -> str:
            with rank0.broadcast("load", settings):
                pass
            session = rank0.mirrored(settings, own)
            session.submit(GenerationRequest("one", "1", SamplingParams(2)))
            session.submit(GenerationRequest("two", "2", SamplingParams(2)))
            session.step()
            session.close()
            assert (session.room, session.running) == (3, 1)
            return "done"

        assert run_on_rank0(None, "cpu", work, generator=LlamaGenerator) == "done"
        loaded: list[LlamaSettings] = []
        monkeypatch.setattr(LlamaGenerator, "load", lambda self: loaded.append(self.settings))
        monkeypatch.setattr(LlamaGenerator, "session", lambda _: others)
        monkeypatch.setenv("RANK", "1")
        never: Any = partial(pytest.fail, "only rank 0 works")
        assert run_on_rank0(None, "cpu", never, generator=LlamaGenerator) == "done"
        assert loaded == [settings]
        assert own.calls == others.calls == ["one", "two", "step", "close"]
        assert not wire.sent

    def test_work_that_fails_lets_the_others_go(self, wire: Wire, monkeypatch: Any) -> None:
        def work() -> None:
            with rank0.broadcast("load", LlamaSettings("a model")):
                pass
            raise KeyError("lost")

        with pytest.raises(KeyError):
            run_on_rank0(None, "cpu", work, generator=LlamaGenerator)
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setattr(LlamaGenerator, "load", lambda _: None)
        with pytest.raises(LeaderStopped) as caught:
            run_on_rank0(None, "cpu", lambda: None, generator=LlamaGenerator)
        said = "Rank 0 ended the work (KeyError); it says why in its own output."
        assert str(caught.value) == said

    def test_in_the_middle_of_a_step_there_is_nobody_to_tell(self, wire: Wire) -> None:
        def work() -> None:
            with rank0.broadcast("step", 1):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_on_rank0(None, "cpu", work, generator=LlamaGenerator)
        assert wire.sent == [[("step", 1)]]

    def test_who_never_met_the_others_tells_them_nothing(self) -> None:
        Rank0(lambda: pytest.fail("joined")).stop(ValueError())

    def test_alone_nothing_is_told(self) -> None:
        session = Counting()
        assert rank0.mirrored(LlamaSettings("a model"), session) is session
        with rank0.broadcast("load", LlamaSettings("a model")):
            pass
        assert World().size == 1
