"""llama.cpp through `xllamacpp`: reads a job from standard input, prints what came of it.

Run by `generation.py --also llama.cpp`, in any Python that has xllamacpp; needs no other package.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import xllamacpp


def main() -> None:
    job = json.load(sys.stdin)
    params = xllamacpp.CommonParams()
    params.model.path = job["model"]
    params.n_parallel = job["slots"]
    params.n_ctx = job["slots"] * job["context"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    params.n_gpu_layers = 0
    params.port, params.warmup = 0, False
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def complete(prompt: list[int], new_tokens: int) -> list[int]:
        request = {
            "prompt": prompt,
            "n_predict": new_tokens,
            "temperature": 0,
            "cache_prompt": True,
            "return_tokens": True,
        }
        body = urllib.request.Request(
            f"{server.listening_address}/completion", json.dumps(request).encode()
        )
        with urllib.request.urlopen(body) as answer:  # the in-process call returns no token ids
            return list(json.load(answer)["tokens"])

    complete(job["prompts"][0][:20], 2)
    before = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(job["slots"]) as pool:
        counts = [job["new_tokens"]] * len(job["prompts"])
        outputs = list(pool.map(complete, job["prompts"], counts))
    after = time.process_time(), time.perf_counter()
    done = {
        "outputs": outputs,
        "cpu_s": after[0] - before[0],
        "wall_s": after[1] - before[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
