"""A corpus with references, a tiny Llama of our own weights, and sequences of its tokens."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_corpus import records

from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.training.shared_sequences import TrainingExample


@pytest.fixture
def labelled(tmp_path: Path) -> Callable[..., str]:
    """Writes a corpus of so many documents, or of some records."""

    def write(what: int | list[dict[str, Any]] = 10, name: str = "labelled.jsonl") -> str:
        lines = records(what) if isinstance(what, int) else what
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_llama: str) -> str:
    """A pipeline that answers by pieces of the document, with the tiny Llama."""
    torch.set_num_threads(1)
    text = f"""\
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
mode = "extractive"
num_beams = 1

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.Llama.v1"
model = {json.dumps(tiny_llama)}
"""
    path = tmp_path_factory.mktemp("pipeline") / "qa.cfg"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def loaded(tiny_llama: str) -> LoadedModel:
    """The tiny Llama in float64, for one test alone: it may change the weights."""
    torch.set_num_threads(1)
    return load(tiny_llama, device="cpu", dtype="float64")


@pytest.fixture
def examples() -> list[TrainingExample]:
    """Five questions about one document, two about another, one about a third."""
    numbers = random.Random(2)

    def ids(n: int) -> tuple[int, ...]:
        return tuple(numbers.randrange(3, 600) for _ in range(n))

    made = []
    for document, (length, questions) in enumerate([(40, 5), (25, 2), (31, 1)]):
        prefix = ids(length)
        made += [
            TrainingExample(f"d{document}", f"q{n}", prefix + ids(4 + n), ids(1 + n % 3))
            for n in range(questions)
        ]
    return made
