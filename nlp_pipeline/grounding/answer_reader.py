"""Reads generated text with the pipeline that read the document."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.errors.escapes import escaped

logger = logging.getLogger(__name__)

_FACTORIES = frozenset(
    (
        *("tok2vec", "transformer", "curated_transformer", "tagger", "morphologizer", "parser"),
        *("senter", "sentencizer", "attribute_ruler", "lemmatizer", "trainable_lemmatizer"),
        *("ner", "beam_ner", "beam_parser", "entity_ruler", "span_ruler"),
    )
)
_ASSIGNS = frozenset({"doc.ents", "doc.sents", "token.lemma", "token.pos", "token.is_sent_start"})

_BOUNDARIES = frozenset(["parser", "beam_parser", "senter", "sentencizer"])

_ENDINGS = ".!?…。！？।؟"


class Reader:
    """Annotates texts that a component has generated, with the pipes that stand before it.

    Only pipes are run that tag, lemmatize, split sentences or find entities (by their factory's
    name or by what it says it assigns): never a Llama component, so there is no recursion, and
    nothing with other effects. A pipe that the user has disabled stays so. Nothing of it is
    written to disk: the factory is given the `nlp` again when a pipeline is loaded.

    Args:
        nlp: The pipeline that the component is part of; None gives plain tokens.
        name: The component's name in it.
    """

    def __init__(self, nlp: Language | None, name: str) -> None:
        self.nlp = nlp
        self.name = name
        self._read_ahead: dict[str, Doc] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: there, texts are read as plain tokens.

        A pipeline does not pickle as a part of one of its own pipes.
        """
        return {"nlp": None, "name": self.name, "_read_ahead": {}}

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Reads texts together, for whoever asks for one of them by `read`; forgets those before.

        A pipe takes hardly longer for many texts than for one. No text (`[]`) forgets all: what is
        read must not outlive a memory zone.
        """
        self._read_ahead = {}
        if self.nlp is not None and texts:
            docs = self._read(texts, str(self.nlp.lang))
            self._read_ahead = dict(zip(texts, docs, strict=True))

    def read(self, texts: Sequence[str], lang: str) -> list[Doc]:
        """The texts as Docs, in their order; not to be changed.

        Args:
            texts: What was generated.
            lang: The language's code, where there is no pipeline.
        """
        unread = [text for text in texts if text not in self._read_ahead]
        docs = iter(self._read(unread, lang))
        return [self._read_ahead[t] if t in self._read_ahead else next(docs) for t in texts]

    def tokens(self, text: str, lang: str) -> Doc:
        """A text as tokens alone: the pipeline's tokenizer, and no pipe of it."""
        return (self.nlp or _plain(lang)).make_doc(text)

    def _read(self, texts: Sequence[str], lang: str) -> list[Doc]:
        nlp = self.nlp or _plain(lang)
        docs = [nlp.make_doc(text) for text in texts]
        if not docs or self.nlp is None:
            return docs
        for name, pipe in self._pipes():
            try:
                docs = _run(pipe, docs)
            except Exception as error:  # a pipe may raise anything; the document is not at fault
                message = escaped(error, limit=300)  # it may quote the answer
                logger.warning("[%s] %s cannot read an answer: %s", self.name, name, message)
        return docs

    def sentences_behind(self) -> str | None:
        """The first pipe behind the component that sets sentence boundaries; None without."""
        pipes = [] if self.nlp is None else list(self.nlp.pipe_names)
        for name in pipes[pipes.index(self.name) + 1 :] if self.name in pipes else ():
            meta = self.nlp.get_pipe_meta(name)  # type: ignore[union-attr]
            if meta.factory in _BOUNDARIES or {"doc.sents", "token.is_sent_start"} & set(
                meta.assigns
            ):
                return name
        return None

    def _pipes(self) -> Iterable[tuple[str, Any]]:
        """The linguistic pipes before the component; all of them where it stands elsewhere."""
        if self.nlp is None:
            return
        for name, pipe in self.nlp.pipeline:
            if name == self.name:
                return
            meta = self.nlp.get_pipe_meta(name)
            if meta.factory in _FACTORIES or _ASSIGNS & set(meta.assigns):
                yield name, pipe


def _run(pipe: Any, docs: list[Doc]) -> list[Doc]:
    """One pipe over all texts: not by its `pipe`, which tells the user's error handler."""
    if hasattr(pipe, "predict") and hasattr(pipe, "set_annotations"):
        pipe.set_annotations(docs, pipe.predict(docs))
        return docs
    return [pipe(doc) for doc in docs]


def split_sentences(doc: Doc) -> list[Span]:
    """The sentences of a text: the pipeline's, else after every full stop and its like."""
    if doc.has_annotation("SENT_START"):
        sentences = list(doc.sents)
    else:
        stops = [token.i + 1 for token in doc if token.text and token.text[-1] in _ENDINGS]
        edges = sorted({0, *stops, len(doc)})
        sentences = [doc[a:b] for a, b in pairwise(edges)]
    return [sentence for sentence in sentences if any(char.isalnum() for char in sentence.text)]


@lru_cache(maxsize=8)
def _plain(lang: str) -> Language:
    try:
        return spacy.blank(lang or "xx")
    except ImportError:
        return spacy.blank("xx")
