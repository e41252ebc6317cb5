"""What other number formats on the CPU do to speed and answers: a table, then one JSON line.

    python benchmarks/number_formats.py              # default model, corpora/sample.jsonl
    python benchmarks/number_formats.py --kinds bfloat16 int8_dynamic int8 --repeats 3

For every kind, a dtype or a `quantization`, beside the plain float32 weights: CPU seconds of the
same greedy answers (the kinds run in turn, medians), the share of answers with the very same
text, and, over the texts of corpora/varied.jsonl, the perplexity and at how many positions the
likeliest next token is the same.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.devices import DTYPES
from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.models import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ("What is this text about?", "Who is named?", "When does it take place?")
EXACT = "float32"


def texts(name: str, limit: int) -> list[str]:
    lines = (ROOT / "corpora" / name).read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines][:limit]


def answers(llama: Llama, documents: list[str], new_tokens: int) -> tuple[list[str], float]:
    """The answers and the CPU seconds that they took."""
    params = SamplingParams(new_tokens)
    requests = [
        GenerationRequest(f"{d} {q}", Chat((Message("user", f"{text}\n\n{ask}"),)), params, str(d))
        for d, text in enumerate(documents)
        for q, ask in enumerate(QUESTIONS)
    ]
    start = time.process_time()
    found = {done.request_id: done.text for done in llama.stream(requests)}
    return [found[request.id] for request in requests], time.process_time() - start


@torch.inference_mode()
def reading(llama: Llama, documents: list[str], length: int) -> tuple[float, list[int]]:
    """Sum of the negative log-probabilities of all tokens but the first, and the likeliest ones."""
    loss, likeliest = 0.0, []
    for text in documents:
        ids = torch.tensor([llama.encoder.encode(text)[:length]])
        logits = llama.loaded.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        scores = logits.log_softmax(-1)
        loss -= scores.gather(-1, ids[0, 1:, None]).sum().item()
        likeliest += scores.argmax(-1).tolist()
    return loss, likeliest


def setting(kind: str) -> dict[str, str]:
    """The argument of `Llama.build` that a kind is a value of."""
    return {"dtype" if kind in DTYPES else "quantization": kind}


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    kinds = [EXACT, *options.kinds]
    llamas = {
        kind: Llama.build(options.model, device="cpu", threads=1, **setting(kind)) for kind in kinds
    }
    asked, read = texts("sample.jsonl", options.limit), texts("varied.jsonl", 5 * options.limit)
    said: dict[str, list[str]] = {}
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.repeats):
        for kind, llama in llamas.items():
            said[kind], seconds = answers(llama, asked, options.max_new_tokens)
            spent[kind].append(seconds)
    rows = []
    scores = {kind: reading(llama, read, 256) for kind, llama in llamas.items()}
    best = scores[EXACT][1]
    for kind in kinds:
        loss, likeliest = scores[kind]
        pairs, places = zip(said[kind], said[EXACT], strict=True), zip(likeliest, best, strict=True)
        seconds = statistics.median(spent[kind])
        rows.append(
            {
                "kind": kind,
                "cpu_s": round(seconds, 2),
                "speed": round(statistics.median(spent[EXACT]) / seconds, 2),
                "same_answers": round(statistics.mean(a == b for a, b in pairs), 3),
                "perplexity": round(math.exp(loss / len(likeliest)), 2),
                "same_likeliest": round(statistics.mean(a == b for a, b in places), 3),
                "tokens_read": len(likeliest),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--kinds", nargs="*", default=["bfloat16", "int8_dynamic"])
    parser.add_argument("--limit", type=int, default=12, help="documents of the sample corpus")
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    rows = measured(options)
    print("kind            CPU s   speed   same answers   perplexity   same likeliest token")
    for row in rows:
        print(
            f"{row['kind']:<13}{row['cpu_s']:>8.1f}{row['speed']:>7.2f}x"
            f"{row['same_answers']:>14.0%}{row['perplexity']:>13.2f}{row['same_likeliest']:>16.0%}"
        )
    print(json.dumps({"benchmark": "number_formats", "model": options.model, "rows": rows}))


if __name__ == "__main__":
    main()
