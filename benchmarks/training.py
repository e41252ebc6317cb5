"""How fast a training step is beside a plain `Trainer` of transformers: two lines, then JSON.

    python benchmarks/training.py                      # five questions about each of 12 documents
    python benchmarks/training.py --model DIR --documents 20 --questions 3

Both train LoRA of one rank on the same examples, made by the extractive `llama_qa`, in mini-batches
of as many answers, with AdamW, on one thread. The `Trainer` gets each prompt by itself, padded to
the longest of its batch, and the loss on the answers alone. Tokens are those of all prompts with
their answers, each by itself, whoever shares them: what a second gets done of the same work.
Documents are those of `corpora/varied.jsonl`; what is asked and answered does not change the time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.models import DEFAULT_MODEL
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.training.materials import make_examples, read_materials
from nlp_pipeline.training.shared_sequences import TrainingExample, shared_sequences
from nlp_pipeline.training.trained_weights import TrainedWeights
from nlp_pipeline.training.trainer import Trainer, planned_steps
from nlp_pipeline.training.training_corpus import write_corpus
from nlp_pipeline.training.training_settings import TrainingSettings

CORPUS = Path(__file__).resolve().parent.parent / "corpora" / "varied.jsonl"
ASKED = ["Who?", "What?", "Where?", "When?", "Why?", "How many?", "Which one?", "Since when?"]


def examples_of(model: str, n_documents: int, n_questions: int) -> list[TrainingExample]:
    """Examples about the first documents, whose answers are their first words."""
    records = [r for r in read_corpus(CORPUS) if isinstance(r, Record)][:n_documents]
    asked = [
        Record(
            number,
            record.id,
            record.text,
            questions=tuple(
                Question(f"q{n}", f"{ASKED[n % len(ASKED)]}", (record.text.split()[n],))
                for n in range(n_questions)
            ),
        )
        for number, record in enumerate(records)
    ]
    settings = TrainingSettings(held_out=0.0, early_stopping=0.0, unanswerable=0.0)
    spec = PipelineSpec(
        "en_qa", model=model, device="cpu", settings=("components.llama_qa.mode=extractive",)
    )
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(asked, Path(folder) / "asked.jsonl")
        materials = read_materials(str(Path(folder) / "asked.jsonl"), spec, {}, settings)
        return make_examples(materials, settings).training


def shared_seconds(
    model: str, examples: list[TrainingExample], settings: TrainingSettings
) -> tuple[float, int]:
    """CPU seconds of all steps as `nlp-pipeline train` takes them, and tokens computed."""
    loaded = load(model, device="cpu")
    weights = TrainedWeights(loaded.model, loaded.name, settings)
    steps = planned_steps(shared_sequences(examples, settings.batch_size), settings)
    trainer = Trainer(weights, steps, [], max_tokens=1024)
    start, computed = time.process_time(), 0
    while not trainer.is_done:
        computed += trainer.take_step().tokens
    return time.process_time() - start, computed


def plain_seconds(
    model: str, examples: list[TrainingExample], settings: TrainingSettings
) -> tuple[float, int]:
    """CPU seconds of `Trainer`, and tokens computed, padding counted."""
    from transformers import Trainer as PlainTrainer
    from transformers import TrainingArguments

    loaded = load(model, device="cpu")
    weights = TrainedWeights(loaded.model, loaded.name, settings)
    computed = 0

    def padded(batch: list[TrainingExample]) -> dict[str, torch.Tensor]:
        nonlocal computed
        width = max(example.n_tokens for example in batch)
        computed += width * len(batch)
        rows: dict[str, list[Any]] = {"input_ids": [], "attention_mask": [], "labels": []}
        for example in batch:
            rest = width - example.n_tokens
            ids = [*example.prompt_ids, *example.target_ids]
            rows["input_ids"].append(ids + [0] * rest)
            rows["attention_mask"].append([1] * len(ids) + [0] * rest)
            unlabelled = [-100] * len(example.prompt_ids)
            rows["labels"].append([*unlabelled, *example.target_ids] + [-100] * rest)
        return {name: torch.tensor(values) for name, values in rows.items()}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=settings.batch_size,
            num_train_epochs=1,
            learning_rate=settings.learning_rate,
            max_grad_norm=0.0,
            remove_unused_columns=False,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            seed=settings.seed,
        )
        trainer = PlainTrainer(
            model=weights.model, args=arguments, train_dataset=examples, data_collator=padded
        )
        start = time.process_time()
        trainer.train()
        return time.process_time() - start, computed


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both ways over the same examples, once each."""
    examples = examples_of(options.model, options.documents, options.questions)
    tokens = sum(example.n_tokens for example in examples)
    settings = TrainingSettings(batch_size=options.batch_size, seed=1)
    report: dict[str, Any] = {"answers": len(examples), "tokens": tokens, "threads": 1}
    for name, way in {"plain": plain_seconds, "shared": shared_seconds}.items():
        seconds, computed = way(options.model, examples, settings)
        report[name] = {
            "cpu_s": round(seconds, 2),
            "tokens_per_cpu_s": round(tokens / seconds, 1),
            "computed_tokens": computed,
        }
    times = report["shared"]["tokens_per_cpu_s"] / report["plain"]["tokens_per_cpu_s"]
    return {**report, "times": round(times, 2)}


def main(arguments: list[str] | None = None) -> None:
    """Prints a line per way, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--documents", type=int, default=12)
    parser.add_argument("--questions", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=10)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    report = measure(options)
    for name in ("plain", "shared"):
        figures = report[name]
        print(
            f"{name:>6}: {figures['cpu_s']:8.2f} CPU seconds, {figures['tokens_per_cpu_s']:8.1f} "
            f"tokens per CPU second, {figures['computed_tokens']} tokens computed"
        )
    print(json.dumps(report))


if __name__ == "__main__":
    main()
