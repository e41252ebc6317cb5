"""spaCy components that are trained in a moment: they know a word or two, and nothing else."""

from __future__ import annotations

from pathlib import Path

import spacy
from spacy.language import Language
from spacy.training import Example
from spacy.util import fix_random_seed

BAG_OF_WORDS = {
    "@architectures": "spacy.TextCatBOW.v3",
    "exclusive_classes": True,
    "ngram_size": 1,
    "no_output_layer": False,
    "length": 1024,
}


def saved_textcat(folder: Path) -> str:
    """A text categorizer of `sport`, which is "goal", and `money`, which is "bank"."""
    fix_random_seed(1)
    nlp = spacy.blank("xx")
    nlp.add_pipe("textcat", config={"model": BAG_OF_WORDS})
    examples = [
        Example.from_dict(nlp.make_doc(text), {"cats": {"sport": 1 - money, "money": money}})
        for text, money in (("goal", 0.0), ("bank", 1.0))
    ]
    return _saved(nlp, examples, folder, steps=100)


def saved_spancat(folder: Path) -> str:
    """A span categorizer of `who`, which is Anna Berg."""
    fix_random_seed(1)
    nlp = spacy.blank("xx")
    nlp.add_pipe("spancat")
    examples = []
    for text in ("Anna Berg left", "Then Anna Berg came", "It rained here"):
        start = text.find("Anna")
        spans = [(start, start + len("Anna Berg"), "who")] if start >= 0 else []
        examples.append(Example.from_dict(nlp.make_doc(text), {"spans": {"sc": spans}}))
    return _saved(nlp, examples, folder, steps=60)


def _saved(nlp: Language, examples: list[Example], folder: Path, *, steps: int) -> str:
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(folder)
    return str(folder)
