"""spacy-llm's Llama on the CPU: reads a job from standard input, prints what came of it.

Run by `generation.py --also spacy-llm`, in any Python that has spacy-llm and transformers. Its
model class knows Meta's names alone, so that it is told of another folder here; all else is its
own. It takes texts: token ids are put back into the text that they stand for, and its answers
into ids.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import torch
from spacy_llm.models.hf.llama2 import Llama2
from transformers import AutoTokenizer


class AnyLlama(Llama2):
    """Llama2 of any folder."""

    @property
    def hf_account(self) -> str:
        return ""

    def _check_model(self) -> None:
        return


def main() -> None:
    job = json.load(sys.stdin)
    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["folder"])
    texts = [tokenizer.decode(ids) for ids in job["prompts"]]
    settings: dict[str, Any] = {"device": "cpu", "torch_dtype": "float32"}
    # Loaded before the clock starts; its `max_length` is how many new tokens it writes.
    sampling = {"max_length": job["new_tokens"], "do_sample": False}
    model = AnyLlama(job["folder"], settings, sampling, context_length=job["context"])
    model([["Good morning."]])
    before = time.process_time(), time.perf_counter()
    said = [answers[0] for answers in model([[text] for text in texts])]
    after = time.process_time(), time.perf_counter()
    done = {
        "outputs": [tokenizer(text, add_special_tokens=False).input_ids for text in said],
        "cpu_s": after[0] - before[0],
        "wall_s": after[1] - before[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
