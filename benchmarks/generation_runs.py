"""Runs a way in a process of its own, and says what it took: CPU and wall seconds, memory."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from ways import Outputs, Prompt, Way

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Run:
    """What one run took. On a GPU `cpu_s` is that of the host, and memory the device's."""

    outputs: Outputs
    computed: int
    cpu_s: float
    wall_s: float
    peak_mb: float


def measured(way: Way, prompts: list[Prompt], new_tokens: int, device: torch.device) -> Run:
    """Runs a way here, after a warm-up."""
    way([Prompt(prompt.ids[:20], "warm-up") for prompt in prompts[:2]], 2)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    before = time.process_time(), time.perf_counter()
    done = way(prompts, new_tokens)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    after = time.process_time(), time.perf_counter()
    return Run(*done, after[0] - before[0], after[1] - before[1], peak)


def forked(way: Way, prompts: list[Prompt], new_tokens: int, threads: int) -> Run:
    """Runs a way in a fork, which has the weights already and whose peak is its own.

    torch must have used one thread only before: its pool does not survive a fork.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def work() -> None:
        torch.set_num_threads(threads)
        theirs.send(measured(way, prompts, new_tokens, torch.device("cpu")))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    theirs.close()
    try:
        return ours.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        raise SystemExit(f"a run ended with exit code {process.exitcode}") from None
    finally:
        process.join()


class Peer:
    """Another engine on the same GGUF, in a Python that has it.

    Args:
        name: Its distribution's name.
        script: Of `peers/`: reads a job, prints what came of it.
        package: What to import.
        variable: Environment variable that may name another Python.
    """

    def __init__(self, name: str, script: str, package: str, variable: str) -> None:
        self.name = name
        self._script = PEERS / script
        here = sys.executable if find_spec(package) else None
        self._python = os.environ.get(variable) or here
        self._missing = f"pip install {package}, or name a Python that has it in {variable}"

    def run(self, prompts: list[Prompt], new_tokens: int, job: dict[str, Any]) -> Run:
        """Runs it; token ids without those that end a completion."""
        if self._python is None:
            raise SystemExit(f"{self.name} is not here: {self._missing}")
        job = job | {"prompts": [prompt.ids for prompt in prompts], "new_tokens": new_tokens}
        environment = os.environ | {"OMP_NUM_THREADS": str(job["threads"])}
        answer = subprocess.run(
            [self._python, str(self._script)],
            input=json.dumps(job), env=environment, text=True, stdout=-1, stderr=-1, check=False,
        )  # fmt: skip
        if answer.returncode != 0:
            raise SystemExit(f"{self.name} failed:\n{answer.stderr[-2000:]}")
        found = json.loads(answer.stdout.splitlines()[-1])
        outputs = [[i for i in ids if i not in job["eos"]] for ids in found.pop("outputs")]
        return Run(outputs, sum(len(prompt.ids) for prompt in prompts), **found)


ALSO = {
    "llama.cpp": Peer("llama.cpp", "run_llama_cpp.py", "xllamacpp", "NLP_PIPELINE_XLLAMACPP"),
    "openvino-genai": Peer(
        "openvino-genai", "run_openvino_genai.py", "openvino_genai", "NLP_PIPELINE_OPENVINO"
    ),
    "spacy-llm": Peer("spacy-llm", "run_spacy_llm.py", "spacy_llm", "NLP_PIPELINE_SPACY_LLM"),
}
