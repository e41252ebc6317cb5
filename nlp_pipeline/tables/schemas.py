"""Every table and every column, with its type and its meaning.

Offsets are end-exclusive and count Unicode code points (`*_char`) or spaCy tokens (`*_token`).
`document_id` joins all tables; (`document_id`, `token_id`) is a token, (`document_id`,
`sentence_id`) a sentence.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

SCHEMA_VERSION = "3"
"""Raised when a column's name, type or meaning changes: a part of a run's fingerprint."""

FORMER_COLUMN_NAMES = {"alignment": "grounded"}
"""What columns are called in tables of runs of before, which are read under their names of now."""

STRING, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
VECTOR, STRINGS, INTS = pa.list_(pa.float32()), pa.list_(pa.string()), pa.list_(pa.int64())


class Column(NamedTuple):
    """A column: null stands for "there is none" wherever `nullable`.

    A column that is `json` holds one JSON value a cell, as text.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = True
    json: bool = False


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
_ALIGNMENT = (
    Column(
        "alignment",
        STRING,
        "`exact`, `normalized` (but for case, spaces, quotes, punctuation, accents, inflection), "
        "`fuzzy` (most of its words in this order) or `none`: where it stands in the text",
    ),
    *_PLACE,
    Column(
        "alignment_score",
        FLOAT,
        "similarity of it and that piece of the text, up to 1: twice the words they share in "
        "this order over the words of both; at least 0.75",
    ),
)
_EVIDENCE = Column(
    "evidence",
    INTS,
    "sentence_ids of the sentences that hold it, then of those that share the most lemmas and "
    "entities with it, best first",
)
_SUPPORT = (
    Column("support_score", FLOAT, "mean score of its `answer_entities`; null without any"),
    Column("unsupported_entities", STRINGS, "names in it that the text lacks"),
    Column("unsupported_numbers", STRINGS, "numbers and dates in it that the text lacks"),
)
_CONFIDENCE = (
    Column("first_token_prob", FLOAT, "probability of the first generated token, from 0 to 1"),
    Column(
        "sum_logprob",
        FLOAT,
        "sum of the tokens' log-probabilities (natural) and that of the end of sequence, where "
        "that ended it",
    ),
)
_COST = (
    Column("prompt_tokens", INT, "length of the prompt in model tokens"),
    Column(
        "reused_tokens",
        INT,
        "prompt tokens that another request had computed already; depends on the order of the work",
    ),
    Column("output_tokens", INT, "tokens generated, those of a reasoning included"),
    Column(
        "reasoning",
        STRING,
        "what a reasoning model wrote before its answer; null where there is none. No figure of "
        "the answer counts it",
    ),
    Column("reasoning_tokens", INT, "how many of the output tokens are of it, where that is known"),
    Column(
        "model",
        STRING,
        "who answered: the model that generated it, or the spaCy component (the setting `first`) "
        "that was sure without it",
    ),
    Column("error", STRING, "what went wrong, where the status is `error`"),
)
_GENERATED = (
    Column("finish_reason", STRING, "`stop`, `length` (max_new_tokens reached) or `error`"),
    Column("mean_logprob", FLOAT, "mean log-probability (natural) of the generated tokens"),
    Column("min_logprob", FLOAT, "the lowest of them"),
    *_CONFIDENCE,
    *_COST,
)

_CHUNKED = (Column("n_chunks", INT, "chunks that the document was split into; 1 where it was not"),)

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
        Column("meta", STRING, "the record's other fields, as a JSON object", json=True),
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
        Column("component", STRING, "the component whose answer it is; null for other spans"),
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
        *_ALIGNMENT,
        _EVIDENCE,
        *_SUPPORT,
        Column(
            "no_answer_prob",
            FLOAT,
            "probability that the text holds no answer, where the mode of asking knows it",
        ),
        Column(
            "masked_logprob",
            FLOAT,
            "in the extractive mode: sum of the log-probabilities among the allowed tokens alone, "
            "that of the stop included; no measure of confidence",
        ),
        Column(
            "candidate_score",
            FLOAT,
            "in the extractive mode: what the features of the answer count together "
            "(docs/components.md); the figures of tokens are those of the search's best text",
        ),
        Column(
            "answerable",
            FLOAT,
            "in the extractive mode: probability that the text holds an answer",
        ),
        Column("confidence", FLOAT, "in the extractive mode: probability that the answer is right"),
        Column(
            "log_share",
            FLOAT,
            "logarithm of the answer's share of the softmax of all candidates' scores",
        ),
        Column("coverage", FLOAT, "share of the question's words in the answer's sentence"),
        Column("opposites", FLOAT, "words of the question whose opposite stands there instead"),
        Column("negation", FLOAT, "1 where the question negates and that sentence does not"),
        Column("missing_numbers", FLOAT, "numbers of the question that the text lacks"),
        *_CHUNKED,
        Column("asked_chunks", INTS, "chunk_ids that were asked; null where it was one prompt"),
        Column("chunk_id", INT, "the chunk whose answer was taken; null where it was one prompt"),
        Column(
            "asked_sentences",
            INTS,
            "sentence_ids of the evidence that was asked about before the rest of the document; "
            "null where there was none",
        ),
        *_GENERATED,
    ),
    "answer_candidates": (
        _DOCUMENT_ID,
        _key("question_id", STRING, "the question's id"),
        _key("component", STRING, "the component that asked, with `keep_candidates = true`"),
        _key("rank", INT, "0 for the best, which is the answer unless that counts as none"),
        Column("text", STRING, "a piece of the document that may be the answer"),
        *_PLACE,
        Column("score", FLOAT, "what its features count together: `candidate_weights`"),
        Column("logprob", FLOAT, "log-probability of the search's text that says this"),
        Column("votes", FLOAT, "mean share of words in common with the search's texts"),
        Column("sentence_overlap", FLOAT, "share of the question's words in its sentence"),
        Column("near_overlap", FLOAT, "the same within 10 tokens of it"),
        Column("kind_fit", FLOAT, "1 of the kind that is asked for, -1 of another, 0 not known"),
        Column("in_question", FLOAT, "share of its words that stand in the question"),
        Column("is_entity", FLOAT, "1 where it is a named entity"),
        Column("is_noun_chunk", FLOAT, "1 where it is a noun chunk"),
        Column("log_words", FLOAT, "logarithm of its number of words"),
        Column("is_hypothesis", FLOAT, "1 where the Llama's search has ended it"),
    ),
    "answer_entities": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that wrote the text"),
        Column("question_id", STRING, "the question's id; null for a summary"),
        Column("sentence", INT, "0-based number of the summary's sentence; null for an answer"),
        _key("text", STRING, "a name, a number or a date, as the answer or the summary has it"),
        _key("kind", STRING, "`name`, `number` or `date`"),
        Column("label", STRING, "the entity's label; `PROPN`, `NUMBER` or `DATE` outside of any"),
        _key("answer_start", INT, "first character in the answer or the summary"),
        _key("answer_end", INT, "one past the last character there"),
        _key("supported", BOOL, "whether the document's text has it, wherever it is said there"),
        Column(
            "matched",
            STRING,
            "how: `exact`, `normalized`, `title` (another title or none), `acronym`, `words` (in "
            "another order), `number` or `date`; null where it is not supported",
        ),
        _key("score", FLOAT, "1 for the same words or value, less the looser, at most 0.5 if not"),
        Column("start_char", INT, "first character of its place in the document's text"),
        Column("end_char", INT, "one past the last character"),
    ),
    "summaries": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that summarized"),
        Column("summary", STRING, "the summary; null unless the status is `ok`"),
        _key("status", STRING, "`ok`, `no_answer` (the model wrote no whole sentence) or `error`"),
        *_SUPPORT,
        *_CHUNKED,
        Column("rounds", INT, "rounds of summaries of pieces before the last; 0 for one prompt"),
        *_GENERATED,
        Column(
            "cut",
            STRING,
            "why the end of what the model wrote is left out: `repetition` (it says a sentence "
            "again, or loops), `length` (`max_new_tokens` was reached in mid-sentence) or "
            "`sentences` (it wrote more than `max_sentences`); null where it is whole",
        ),
        Column(
            "dropped",
            STRINGS,
            'sentences left out for what the text lacks, with `on_unsupported = "drop"`',
        ),
        Column(
            "n_tries",
            INT,
            'how often it was written: more than once only with `on_unsupported = "retry"`',
        ),
    ),
    "summary_sentences": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that summarized"),
        _key("sentence", INT, "0-based number of the sentence in the summary"),
        _key("text", STRING, "the sentence"),
        _key("summary_start", INT, "first character in the summary"),
        _key("summary_end", INT, "one past the last character there"),
        *_ALIGNMENT,
        _EVIDENCE,
        *_SUPPORT,
    ),
    "extractions": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that extracted"),
        Column(
            "extraction",
            STRING,
            "the object as JSON; null where the status is `error`",
            json=True,
        ),
        _key("status", STRING, "`ok`, `no_answer` (every value is empty) or `error`"),
        *_GENERATED,
    ),
    "extraction_fields": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that extracted"),
        _key("field", STRING, "where the value stands in the object: a JSON pointer"),
        Column("value", STRING, "the value as text; null where the object has null"),
        Column("alignment", STRING, "how it stands in the document's text, as in `answers`"),
        *_PLACE,
    ),
    "classifications": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that classified"),
        Column("labels", STRINGS, "the labels it chose, likeliest first"),
        _key("status", STRING, "`ok`, `no_answer` (no label reaches the threshold) or `error`"),
        Column(
            "logprobs",
            STRING,
            "log-probability of each label (or reply) as a JSON object",
            json=True,
        ),
        *_COST,
    ),
    "generations": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that generated"),
        Column("attribute", STRING, "the Doc extension that holds the text"),
        Column("text", STRING, "the text; null unless the status is `ok`"),
        _key("status", STRING, "`ok`, `no_answer` (the model wrote nothing) or `error`"),
        *_GENERATED,
    ),
    "chunks": (
        _DOCUMENT_ID,
        _key("component", STRING, "the component that split the document"),
        _key("chunk_id", INT, "0-based number of the chunk in its document"),
        *_PLACE,
        Column("start_sentence", INT, "first sentence; null where the pipeline sets none"),
        Column("end_sentence", INT, "one past the last sentence"),
        Column("n_model_tokens", INT, "its length in the tokens of the model"),
        Column("overlap", INT, "sentences at its beginning that the chunk before holds too"),
        Column(
            "ends",
            STRING,
            "where it ends: at the end of a `sentence`, or, where one is too long for the budget, "
            "at a `token` outside names and noun phrases; inside a `name` or a token "
            "(`character`) where even that is too long",
        ),
    ),
    "layout": (
        _DOCUMENT_ID,
        Column("page", INT, "1-based page or slide; null where the format knows none"),
        _key(
            "kind",
            STRING,
            "`page`, `heading`, `paragraph`, `list_item`, `table`, `code` or what else the "
            "document's format calls it",
        ),
        _key("start_char", INT, "first character in the document's text"),
        _key("end_char", INT, "one past the last character"),
        Column("level", INT, "of a heading, from 1"),
        Column("section", STRING, "the headings above it, outermost first, with ` / ` between"),
        Column(
            "bbox",
            pa.list_(pa.float64()),
            "its box on the page in points: left, bottom, right, top; null where it is not known",
        ),
    ),
    "errors": (
        _DOCUMENT_ID,
        Column("source", STRING, "the file of the record"),
        Column("line", INT, "1-based line or row of that file"),
        _key("stage", STRING, "`read`, `annotate`, `generate` or `write`"),
        Column("component", STRING, "the component that failed"),
        Column("question_id", STRING, "the question that it failed on"),
        _key("type", STRING, "the kind of error, such as `missing_text`"),
        _key("message", STRING, "what went wrong and what to do"),
        _key("attempt", INT, "1 for the first try"),
        _key("retryable", BOOL, "whether trying again can help"),
    ),
    "reviews": (
        _DOCUMENT_ID,
        _key(
            "target",
            STRING,
            "the table of what was judged: `answers`, `categories`, `entities`, "
            "`extraction_fields`",
        ),
        Column("component", STRING, "of an answer or a field: the component that generated it"),
        Column("question_id", STRING, "of an answer: the question's id"),
        Column("field", STRING, "of an extracted value: its place in the object, as there"),
        Column("entity_id", INT, "of an entity; null where the run lacks it"),
        Column(
            "label", STRING, "of a category: the one that was judged; of an entity: the right one"
        ),
        _key("verdict", STRING, "`accept`, `reject` (what is right is not said) or `correct`"),
        Column(
            "answer",
            STRING,
            "what was judged: the answer, the value, the entity's text or the label; null for none",
        ),
        Column(
            "text",
            STRING,
            "what is right: the answer, the value, the entity's text or the label; null with "
            "`reject`, and where it is right that there is none",
        ),
        Column("start_char", INT, "first character of what is right in the document's text"),
        Column("end_char", INT, "one past the last character"),
        Column("note", STRING, "what the reviewer remarks"),
        Column("reviewer", STRING, "who judged"),
        _key("reviewed_at", STRING, "when, in UTC, as ISO 8601 has it"),
        _key("text_digest", STRING, "BLAKE2b (16 bytes) of the document's text in UTF-8"),
    ),
}


def _schema(columns: tuple[Column, ...]) -> pa.Schema:
    return pa.schema(
        pa.field(c.name, c.type, nullable=c.nullable, metadata={"meaning": c.meaning})
        for c in columns
    )


REVIEWS = "reviews"
"""The table that people write and no run does: it is there once a review was brought in."""

SCHEMAS: dict[str, pa.Schema] = {name: _schema(columns) for name, columns in COLUMNS.items()}
"""The Arrow schema of each table."""

TABLES: dict[str, pa.Schema] = {n: schema for n, schema in SCHEMAS.items() if n != REVIEWS}
"""Those that a run writes, in that order."""

JSON_COLUMNS: dict[str, frozenset[str]] = {
    name: frozenset(column.name for column in columns if column.json)
    for name, columns in COLUMNS.items()
}
"""The columns of each table whose texts are JSON values."""
