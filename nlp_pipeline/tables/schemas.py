"""Every table and every column, with its type and its meaning.

Offsets are end-exclusive and count Unicode code points (`*_char`) or spaCy tokens (`*_token`).
`document_id` joins all tables; (`document_id`, `token_id`) is a token, (`document_id`,
`sentence_id`) a sentence.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

SCHEMA_VERSION = "1"
"""Raised when a column's name, type or meaning changes: a part of a run's fingerprint."""

STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
VECTOR, STRINGS, INTS = pa.list_(pa.float32()), pa.list_(pa.string()), pa.list_(pa.int64())


class Column(NamedTuple):
    """A column: null stands for "there is none" wherever `nullable`."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True


def _key(name: str, type_: pa.DataType, meaning: str) -> Column:
    return Column(name, type_, meaning, nullable=False)


_DOCUMENT_ID = _key("document_id", STRING, "the record's id")
_SENTENCE_ID = Column("sentence_id", INT, "0-based number of the sentence in its document")
_PLACE = (
    Column("start_char", INT, "first character in the document's text"),
    Column("end_char", INT, "one past the last character"),
    Column("start_token", INT, "first token"),
    Column("end_token", INT, "one past the last token"),
)
_GENERATED = (
    Column("finish_reason", STRING, "`stop`, `length` (max_new_tokens reached) or `error`"),
    Column("mean_logprob", FLOAT, "mean log-probability (natural) of the generated tokens"),
    Column("min_logprob", FLOAT, "the lowest of them"),
    Column("prompt_tokens", INT, "length of the prompt in model tokens"),
    Column(
        "reused_tokens",
        INT,
        "prompt tokens that another request had computed already; depends on the order of the work",
    ),
    Column("output_tokens", INT, "tokens generated"),
    Column("model", STRING, "the model that generated it"),
    Column("error", STRING, "what went wrong, where the status is `error`"),
)

COLUMNS: dict[str, tuple[Column, ...]] = {
    "documents": (
        _DOCUMENT_ID,
        _key("position", INT, "0-based place of the record in the corpus"),
        Column("source", STRING, "the file it stands in"),
        Column("line", INT, "1-based line or row of that file"),
        _key("status", STRING, "`ok`, or `error` where any part of it failed"),
        Column("text", STRING, "the text; null where none could be read"),
        Column("language", STRING, "the pipeline's language code"),
        Column("n_chars", INT, "length of the text in code points"),
        Column("n_tokens", INT, "tokens"),
        Column("n_sentences", INT, "sentences; null where the pipeline sets none"),
        Column("n_entities", INT, "named entities; null where the pipeline sets none"),
        Column("vector", VECTOR, "mean word vector; null where the pipeline has none"),
        Column("meta", STRING, "the record's other fields, as a JSON object"),
        Column("error", STRING, "the first error, where the status is `error`"),
    ),
    "sentences": (
        _DOCUMENT_ID,
        _key("sentence_id", INT, "0-based number of the sentence in its document"),
        *_PLACE,
        Column("text", STRING, "the sentence"),
        Column("vector", VECTOR, "mean word vector; null where the pipeline has none"),
    ),
    "tokens": (
        _DOCUMENT_ID,
        _key("token_id", INT, "0-based number of the token in its document"),
        _SENTENCE_ID,
        Column("text", STRING, "the token"),
        Column("start_char", INT, "first character in the document's text"),
        Column("end_char", INT, "one past the last character"),
        Column("whitespace", STRING, "the space after it: one space or nothing"),
        Column("lemma", STRING, "base form"),
        Column("pos", STRING, "universal part-of-speech tag"),
        Column("tag", STRING, "the language's own fine tag"),
        Column("morph", STRING, "morphological features, such as `Number=Sing`"),
        Column("dep", STRING, "label of the arc to its head"),
        Column("head", INT, "token_id of its head; a root is its own head"),
        Column("ent_iob", STRING, "`B`, `I` or `O`: where it stands in an entity"),
        Column("ent_type", STRING, "the entity's label"),
        Column("is_stop", BOOL, "whether it is a stop word"),
        Column("has_vector", BOOL, "whether the pipeline has a word vector for it"),
    ),
    "entities": (
        _DOCUMENT_ID,
        _key("entity_id", INT, "0-based number of the entity in its document"),
        _SENTENCE_ID,
        Column("text", STRING, "the entity"),
        Column("label", STRING, "its label, such as `PERSON`"),
        *_PLACE,
        Column("kb_id", STRING, "knowledge-base id, where an entity linker sets one"),
    ),
    "spans": (
        _DOCUMENT_ID,
        _key("group", STRING, "key of the group in `doc.spans`"),
        Column("span_id", STRING, "the span's id: for answers the question's"),
        Column("text", STRING, "the text from its first to its last token"),
        Column("label", STRING, "its label"),
        *_PLACE,
    ),
    "categories": (
        _DOCUMENT_ID,
        _key("label", STRING, "a label of `doc.cats`"),
        Column("score", FLOAT, "its score"),
    ),
    "answers": (
        _DOCUMENT_ID,
        _key("question_id", STRING, "the question's id"),
        _key("component", STRING, "the component that asked"),
        Column("question", STRING, "the question"),
        Column("answer", STRING, "the answer; null unless the status is `ok`"),
        _key("status", STRING, "`ok`, `no_answer` (the model found none) or `error`"),
        Column("grounded", STRING, "`exact`, `normalized` or `none`: where it stands in the text"),
        *_PLACE,
        Column("evidence", INTS, "sentence_ids of the sentences that hold the answer"),
        *_GENERATED[:6],
        Column("unsupported_entities", STRINGS, "names in the answer that the text lacks"),
        Column("unsupported_numbers", STRINGS, "numbers in the answer that the text lacks"),
        *_GENERATED[6:],
    ),
    "summaries": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that summarized"),
        Column("summary", STRING, "the summary; null unless the status is `ok`"),
        _key("status", STRING, "`ok`, `no_answer` (the model wrote nothing) or `error`"),
        *_GENERATED,
    ),
    "extractions": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that extracted"),
        Column("extraction", STRING, "the object as JSON; null where the status is `error`"),
        _key("status", STRING, "`ok`, `no_answer` (every value is empty) or `error`"),
        *_GENERATED,
    ),
    "extraction_fields": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that extracted"),
        _key("field", STRING, "where the value stands in the object: a JSON pointer"),
        Column("value", STRING, "the value as text; null where the object has null"),
        Column("grounded", STRING, "how it stands in the document's text, as in `answers`"),
        *_PLACE,
    ),
    "classifications": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that classified"),
        Column("labels", STRINGS, "the labels it chose, likeliest first"),
        _key("status", STRING, "`ok`, `no_answer` (no label reaches the threshold) or `error`"),
        Column("logprobs", STRING, "log-probability of each label (or reply) as a JSON object"),
        *_GENERATED[3:],
    ),
    "generations": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that generated"),
        Column("attribute", STRING, "the Doc extension that holds the text"),
        Column("text", STRING, "the text; null unless the status is `ok`"),
        _key("status", STRING, "`ok`, `no_answer` (the model wrote nothing) or `error`"),
        *_GENERATED,
    ),
    "errors": (
        _DOCUMENT_ID,
        Column("source", STRING, "the file of the record"),
        Column("line", INT, "1-based line or row of that file"),
        _key("stage", STRING, "`read`, `annotate` or `generate`"),
        Column("component", STRING, "the component that failed"),
        Column("question_id", STRING, "the question that it failed on"),
        _key("type", STRING, "the kind of error, such as `missing_text`"),
        _key("message", STRING, "what went wrong and what to do"),
        _key("attempt", INT, "1 for the first try"),
        _key("retryable", BOOL, "whether trying again can help"),
    ),
}


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema(
        pa.field(c.name, c.type, nullable=c.nullable, metadata={"meaning": c.meaning})
        for c in columns
    )


TABLES: dict[str, pa.Schema] = {name: _schema(columns) for name, columns in COLUMNS.items()}
"""The Arrow schema of each table, in the order in which a run writes them."""
