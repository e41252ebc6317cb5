"""openvino-genai on the same GGUF: reads a job from standard input, prints what came of it.

Run by `generation.py --also openvino-genai`, in any Python that has openvino-genai.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import openvino
import openvino_genai


def main() -> None:
    job = json.load(sys.stdin)
    scheduling = openvino_genai.SchedulerConfig()
    scheduling.cache_size = 1  # GB
    scheduling.max_num_seqs = job["slots"]
    scheduling.max_num_batched_tokens = 512
    scheduling.enable_prefix_caching = True
    threads = {"INFERENCE_NUM_THREADS": job["threads"]}
    pipe = openvino_genai.ContinuousBatchingPipeline(job["model"], scheduling, "CPU", threads)

    def complete(prompts: list[list[int]], new_tokens: int) -> list[list[int]]:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens, config.do_sample = new_tokens, False
        config.set_eos_token_id(job["eos"][0])
        config.stop_token_ids = set(job["eos"])
        tensors = [openvino.Tensor(np.array([prompt], dtype=np.int64)) for prompt in prompts]
        results = pipe.generate(tensors, [config] * len(prompts))
        return [list(result.m_generation_ids[0]) for result in results]

    complete([job["prompts"][0][:20]], 2)
    before = time.process_time(), time.perf_counter()
    outputs = complete(job["prompts"], job["new_tokens"])
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
