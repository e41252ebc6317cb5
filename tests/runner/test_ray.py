"""Runs on real Ray: two nodes on this machine, with logical GPUs, and what is done to them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run, run
from nlp_pipeline.errors.cluster import ClusterUnreachable, TooFewGpus
from nlp_pipeline.errors.run_folder import RunNotFound
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.request import ClusterOptions

ray = pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

TESTS = Path(__file__).parents[1]
DOCUMENTS = 60
Corpus = Callable[..., str]

HARM = """\
import os, time
from spacy.language import Language

@Language.component("harm")
def harm(doc):
    if "POISON" in doc.text:
        os._exit(9)
    if "ENDLESS" in doc.text:
        time.sleep(3600)
    time.sleep(float(os.environ.get("NAP", 0)))
    return doc
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module of spaCy components that every process finds."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "harm_of_a_test-1.0.dist-info"
    info.mkdir()
    (folder / "harm_of_a_test.py").write_text(HARM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: harm_of_a_test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[spacy_factories]\nharm = harm_of_a_test:harm\n")
    return folder


@pytest.fixture(scope="module")
def cluster(site: Path) -> Iterator[Any]:
    """Two nodes with two CPUs and one logical GPU each, which this process is connected to."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{site}{os.pathsep}{paths}"
    os.environ["NAP"] = "0.05"
    sys.path.insert(0, str(site))
    __import__("harm_of_a_test")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1})
    nodes.add_node(num_cpus=2, num_gpus=1)
    ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
    yield nodes
    ray.shutdown()
    nodes.shutdown()
    sys.path.remove(str(site))
    os.environ["PYTHONPATH"] = paths
    del os.environ["NAP"]


@pytest.fixture
def config(tmp_path: Path, quick: Callable[..., str], cluster: Any) -> str:
    return quick("harm")


def texts(number: int = DOCUMENTS, **others: str) -> list[dict[str, Any]]:
    records = [{"id": f"d{i}", "text": f"Ada met Charles, number {i}."} for i in range(number)]
    for name, text in others.items():
        records[int(name.removeprefix("d"))]["text"] = text
    return records


def go(source: str, out: Path, config: str, **options: Any) -> Any:
    return run(source, out, pipeline=config, part_size=5, executor="ray", **options)


def tree(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if path.name not in ("manifest.json", ".lock")
    }


def test_a_run_on_two_nodes_is_a_local_one(tmp_path: Path, config: str, corpus: Corpus) -> None:
    source = corpus(*texts(), {"id": "d3", "text": "The id again."}, {"id": "no text"})
    run(source, tmp_path / "local", pipeline=config, part_size=5)
    result = go(source, tmp_path / "ray", config)
    assert (result.documents, result.failed) == (DOCUMENTS + 2, 2)
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    nodes = json.loads((tmp_path / "ray" / "manifest.json").read_text())["nodes"]
    assert len(nodes) == 2
    assert sum(node["documents"] for node in nodes.values()) == DOCUMENTS + 2
    again = go(source, tmp_path / "ray", config, retry=False)
    assert again.resumed == DOCUMENTS + 2


class Stop:
    """Ctrl-C after so many documents."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def start(self, total: int | None, done: int) -> None: ...

    def warn(self, message: str) -> None: ...

    def document(self, *, failed: bool, output_tokens: int) -> None:
        self.patience -= 1
        if not self.patience:
            raise KeyboardInterrupt


def test_a_run_changes_its_executor_and_back(tmp_path: Path, config: str, corpus: Corpus) -> None:
    source, out = corpus(*texts()), tmp_path / "out"
    run(source, tmp_path / "clean", pipeline=config, part_size=5)
    with pytest.raises(KeyboardInterrupt):
        run(source, out, pipeline=config, part_size=5, progress=Stop(13))
    with pytest.raises(KeyboardInterrupt):
        go(source, out, config, progress=Stop(20))
    safe = run_status(out)
    assert safe.state == "interrupted"
    assert safe.done >= 33
    result = run(source, out, pipeline=config, part_size=5)
    assert (result.documents, result.resumed) == (DOCUMENTS, safe.done)
    assert tree(out) == tree(tmp_path / "clean")


def test_documents_that_end_their_actor_are_found(
    tmp_path: Path, config: str, corpus: Corpus
) -> None:
    source, out = corpus(*texts(20, d7="POISON", d13="POISON")), tmp_path / "out"
    result = go(source, out, config)
    assert (result.documents, result.failed) == (20, 2)
    frames = read_run(out)
    assert frames["documents"].document_id.tolist() == [f"d{i}" for i in range(20)]
    errors = frames["errors"]
    assert errors.document_id.tolist() == ["d7", "d13"]
    assert errors.type.tolist() == ["actor_died"] * 2
    assert frames["answers"].document_id.tolist() == [f"d{i}" for i in range(20)]


def test_a_document_that_never_ends_is_found(tmp_path: Path, config: str, corpus: Corpus) -> None:
    source, out = corpus(*texts(2, d1="ENDLESS")), tmp_path / "out"
    result = go(source, out, config, unit_timeout=10)
    assert (result.documents, result.failed) == (2, 1)
    assert read_run(out)["errors"].type.tolist() == ["actor_stalled"]


class Harm:
    """Does something each time that so many more documents are done."""

    def __init__(self, action: Callable[[], None], after: Iterable[int]) -> None:
        self.action, self.after = action, deque(after)
        self.documents = 0

    def start(self, total: int | None, done: int) -> None: ...

    def warn(self, message: str) -> None: ...

    def document(self, *, failed: bool, output_tokens: int) -> None:
        self.documents += 1
        if self.after and self.documents >= self.after[0]:
            self.after.popleft()
            self.action()


def test_actors_killed_at_random(tmp_path: Path, config: str, corpus: Corpus) -> None:
    source, out = corpus(*texts(100)), tmp_path / "out"
    run(source, tmp_path / "clean", pipeline=config, part_size=5)
    chance = random.Random(5)

    def kill() -> None:
        os.kill(chance.choice(actor_processes()), signal.SIGKILL)

    harm = Harm(kill, sorted(chance.sample(range(1, 90), 4)))
    result = go(source, out, config, progress=harm)
    assert not harm.after
    assert (result.documents, result.failed) == (100, 0)
    assert tree(out) == tree(tmp_path / "clean")


def actor_processes() -> list[int]:
    """The processes of actors, as Ray names them."""
    processes = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if words.startswith(b"ray::PartActor"):
                processes.append(int(folder.name))
    return processes


def test_a_node_that_goes_down_costs_no_row(
    tmp_path: Path, config: str, corpus: Corpus, cluster: Any
) -> None:
    source, out = corpus(*texts(100)), tmp_path / "out"
    run(source, tmp_path / "clean", pipeline=config, part_size=5)
    node = cluster.add_node(num_cpus=2, num_gpus=1)
    harm = Harm(lambda: cluster.remove_node(node, allow_graceful=False), [30])
    result = go(source, out, config, actors=3, progress=harm)
    assert not harm.after
    assert (result.documents, result.failed) == (100, 0)
    assert tree(out) == tree(tmp_path / "clean")


def test_the_driver_killed_and_interrupted_and_the_command_typed_again(
    tmp_path: Path, config: str, corpus: Corpus, cluster: Any
) -> None:
    source, out = corpus(*texts(600)), tmp_path / "out"
    run(source, tmp_path / "clean", pipeline=config)
    command = [sys.executable, "-m", "nlp_pipeline", "run", source, "--out", str(out)]
    command += ["-p", config, "--executor", "ray", "--address", cluster.address]

    def end(done: int, *signals: int) -> tuple[int, str]:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and documents_done(out) < done:
            time.sleep(0.1)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.05)
        message = process.communicate(timeout=60)[1]
        return process.returncode, message

    code, message = end(30, signal.SIGKILL)
    assert code == -signal.SIGKILL, message
    safe = documents_done(out)
    assert safe >= 30
    code, message = end(safe + 40, signal.SIGINT)
    assert code == 130
    done = int(re.findall(r"Interrupted\. (\d+) documents? (?:is|are) safe", message)[0])
    assert done >= safe + 40
    assert not list(out.glob(".driver*"))
    assert end(done + 40, signal.SIGINT, signal.SIGINT)[0] in (-signal.SIGINT, 130)
    assert documents_done(out) >= done + 40
    result = run(source, out, pipeline=config, executor="ray")
    assert (result.documents, result.failed) == (600, 0)
    assert result.resumed >= done + 40
    assert tree(out) == tree(tmp_path / "clean")


def documents_done(out: Path) -> int:
    try:
        return run_status(out).done
    except RunNotFound:
        return 0


def test_an_object_store_and_its_disk_are_full(tmp_path: Path, config: str, corpus: Corpus) -> None:
    from ray.cluster_utils import Cluster

    options: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
    options["_system_config"] = {"local_fs_capacity_threshold": 0.0}
    full = Cluster(initialize_head=True, head_node_args=options)
    record = {"id": "large", "text": "Ada. " * 20_000_000}
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nlp_pipeline", "run", corpus(record), "--out", str(out)]
    command += ["-p", config, "--max-length", "200000000", "--executor", "ray"]
    try:
        done = subprocess.run(
            [*command, "--address", full.address], capture_output=True, text=True, timeout=200
        )
    finally:
        full.shutdown()
    assert "Ray's object store is full, or the disk that it spills to" in done.stderr
    assert done.returncode == 28
    assert run_status(out).state == "interrupted"


def test_more_gpus_than_there_are(tmp_path: Path, config: str, corpus: Corpus) -> None:
    with pytest.raises(TooFewGpus, match="3 actors with 1 GPU each"):
        go(corpus("One."), tmp_path / "out", config, actors=3, gpus_per_actor=1)
    assert not (tmp_path / "out").exists()


def test_two_gpus_share_the_tiny_llama(
    tmp_path: Path, corpus: Corpus, cluster: Any, tiny_llama: str, quick_text: str
) -> None:
    """On CPUs: the two ranks of an actor split the model as two GPUs would."""
    block = f'@llama_generators = "nlp_pipeline.Llama.v1"\nmodel = "{tiny_llama}"\n'
    block += 'device = "auto"\ndtype = "float64"\n'
    config = tmp_path / "tiny.cfg"
    config.write_text(quick_text.partition("@llama_generators")[0] + block)
    source = corpus(*texts(6))
    cluster.add_node(num_cpus=2, num_gpus=2)
    alone = run(source, tmp_path / "local", pipeline=str(config), part_size=3)
    shared = go(source, tmp_path / "ray", str(config), gpus_per_actor=2, actors=1)
    assert alone.failed == shared.failed == 0
    answers = [read_run(tmp_path / name)["answers"].answer.tolist() for name in ("local", "ray")]
    assert answers[0] == answers[1]


def test_an_address_where_nobody_answers(tmp_path: Path) -> None:
    code = (
        "from nlp_pipeline.runner.executors.ray_cluster import connected\n"
        "from nlp_pipeline.runner.request import ClusterOptions\n"
        "with connected(ClusterOptions(address='127.0.0.1:9')): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ClusterUnreachable.__name__ in done.stderr
    assert "No Ray cluster answers at '127.0.0.1:9'" in done.stderr
    assert ClusterOptions().address is None
