"""Annotation against gold annotation, with spaCy's own scorer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import spacy
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.converters.conllu_to_docs import conllu_to_docs
from spacy.vocab import Vocab

from nlp_pipeline.corpus.conllu import ConlluDocument
from nlp_pipeline.errors.evaluation import GoldUnreadable, two_label_schemes
from nlp_pipeline.tables.row_docs import doc_of_rows

_PLAIN = (
    "token_acc",
    "sents_f",
    "tag_acc",
    "pos_acc",
    "morph_acc",
    "lemma_acc",
    "dep_uas",
    "dep_las",
    "ents_f",
)

_RELATIONS = """
acl advcl advmod amod appos aux case cc ccomp clf compound conj cop csubj dep det
discourse dislocated expl fixed flat goeswith iobj list mark nmod nsubj nummod obj obl
orphan parataxis punct reparandum root vocative xcomp
"""
UNIVERSAL_RELATIONS = frozenset(_RELATIONS.split())
"""The 37 relations of Universal Dependencies 2 (de Marneffe et al. 2021), without subtypes."""

_FOREIGN = 0.1
"""Share of tokens with relations that the gold scheme has not, above which there are two."""


def annotation_scores(
    gold: Mapping[str, ConlluDocument], tables: Mapping[str, pd.DataFrame], language: str
) -> tuple[dict[str, float], list[str]]:
    """SpaCy's scores of the documents that have gold annotations, and what to know about them.

    Args:
        gold: By document id.
        tables: `tokens` and `entities` of the run.
        language: The pipeline's language code.

    Returns:
        Scores by name, from 0 to 1, and warnings. No scores where no document has gold
        annotations; one is left out where either side has not this annotation.

    Raises:
        GoldUnreadable: Gold annotations cannot be converted.
    """
    vocab = spacy.blank(language).vocab
    tokens = dict(list(tables["tokens"].groupby("document_id", sort=False)))
    entities = dict(list(tables["entities"].groupby("document_id", sort=False)))
    no_entities = tables["entities"].iloc[:0]
    examples = [
        Example(
            predicted(vocab, tokens[name], entities.get(name, no_entities)),
            gold_doc(vocab, name, document),
        )
        for name, document in gold.items()
        if name in tokens
    ]
    if not examples:
        return {}, []
    scores = Scorer().score(examples)
    if any(example.predicted.has_annotation("LEMMA") for example in examples):
        # The scorer's own list of pipes has no lemmatizer.
        scores |= Scorer.score_token_attr(examples, "lemma")
    foreign = foreign_relations(
        {token.dep_ for example in examples for token in example.reference},
        [token.dep_ for example in examples for token in example.predicted if not token.is_space],
    )
    plain = {name: float(scores[name]) for name in _PLAIN if scores.get(name) is not None}
    return plain, [two_label_schemes(foreign)] if foreign else []


def foreign_relations(gold: set[str], predicted: Sequence[str]) -> list[str]:
    """Relations of the pipeline that the gold annotation's scheme does not have.

    Case and subtypes aside. Gold annotation in Universal Dependencies has the whole scheme, also
    the relations that happen not to stand in it.

    Args:
        gold: Every relation of the gold annotation.
        predicted: That of every token of the pipeline's.

    Returns:
        The commonest first; none where both sides seem to be of one scheme, or one has none.
    """
    known_labels = {_relation(label) for label in gold if label}
    if not known_labels:
        return []
    if known_labels <= UNIVERSAL_RELATIONS:
        known_labels = set(UNIVERSAL_RELATIONS)
    counts = Counter(label for label in predicted if label and _relation(label) not in known_labels)
    labelled = sum(bool(label) for label in predicted)
    several = sum(counts.values()) > _FOREIGN * labelled
    return [label for label, _ in counts.most_common()] if several else []


def _relation(label: str) -> str:
    return label.casefold().partition(":")[0]


def predicted(vocab: Vocab, tokens: pd.DataFrame, entities: pd.DataFrame) -> Doc:
    """A Doc from its rows of `tokens` and `entities`: what the run says of the document."""
    rows: list[Any] = tokens.astype(object).where(tokens.notna(), None).to_dict("records")
    places: list[Any] = entities[["start_token", "end_token", "label"]].to_dict("records")
    is_tagged = any(row["ent_iob"] is not None for row in rows)
    return doc_of_rows(vocab, rows, places if is_tagged else None)


def gold_doc(vocab: Vocab, name: str, document: ConlluDocument) -> Doc:
    """A Doc from its lines of CoNLL-U, by spaCy's own converter.

    Raises:
        GoldUnreadable: It cannot be made.
    """
    lines = "\n".join(document.lines) + "\n\n"
    try:
        convert: Callable[..., Iterable[Doc]] = conllu_to_docs
        converted = convert(lines, n_sents=1, merge_subtokens=True, no_print=True)
        sentences = [Doc(vocab).from_json(doc.to_json()) for doc in converted]
    except Exception as error:  # the converter checks nothing and fails in many ways
        raise GoldUnreadable(name, str(error) or type(error).__name__) from error
    if not sentences:
        raise GoldUnreadable(name, "it holds no sentences")
    return Doc.from_docs(sentences, ensure_whitespace=False) or sentences[0]
