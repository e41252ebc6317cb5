"""Docs made of the rows that a run has of them: the way back from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

Row = Mapping[str, Any]


def doc_of_rows(vocab: Vocab, tokens: Sequence[Row], entities: Sequence[Row] | None) -> Doc:
    """A Doc from its rows of `tokens` and `entities`: what the run says of the document.

    Args:
        vocab: Of the pipeline's language.
        tokens: All columns but the offsets; None for what is missing.
        entities: `start_token`, `end_token` and `label` of each; None where nobody looked for
            any. None may overlap.
    """

    def column(name: str) -> list[str] | None:
        """The values as spaCy takes them; None where the pipeline set none."""
        values = [row[name] for row in tokens]
        return None if all(v is None for v in values) else [v or "" for v in values]

    heads = [row["head"] for row in tokens]
    sentences = [row["sentence_id"] for row in tokens]
    starts = [n == 0 or sentences[n] != sentences[n - 1] for n in range(len(sentences))]
    parsed = column("dep") is not None and all(head is not None for head in heads)
    doc = Doc(
        vocab,
        words=[row["text"] for row in tokens],
        spaces=[bool(row["whitespace"]) for row in tokens],
        tags=column("tag"),
        pos=column("pos"),
        morphs=column("morph"),
        lemmas=column("lemma"),
        heads=[int(head) for head in heads] if parsed else None,
        deps=column("dep") if parsed else None,
        sent_starts=None if parsed or not tokens or sentences[0] is None else starts,
    )
    if entities is not None:
        doc.set_ents([_span(doc, row) for row in entities if row["start_token"] is not None])
    return doc


def _span(doc: Doc, row: Row) -> Span:
    return Span(doc, int(row["start_token"]), int(row["end_token"]), label=row["label"])
