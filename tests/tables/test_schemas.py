"""Every table is declared before it is filled, and an empty one looks like any other."""

from __future__ import annotations

import pyarrow as pa
import pytest

from nlp_pipeline.tables import TABLES, to_frames
from nlp_pipeline.tables.frames import to_arrow
from nlp_pipeline.tables.schemas import COLUMNS


def test_the_tables_are_those_of_the_specification() -> None:
    assert list(TABLES) == [
        "documents",
        "sentences",
        "tokens",
        "entities",
        "spans",
        "categories",
        "answers",
        "answer_candidates",
        "answer_entities",
        "summaries",
        "summary_sentences",
        "extractions",
        "extraction_fields",
        "classifications",
        "generations",
        "chunks",
        "layout",
        "errors",
    ]
    assert all(schema.names[0] == "document_id" for schema in TABLES.values())


def test_answers_hold_what_the_specification_lists() -> None:
    assert set(TABLES["answers"].names) == {
        *("document_id", "question_id", "component", "question", "answer", "status"),
        *("finish_reason", "alignment", "start_char", "end_char", "start_token", "end_token"),
        *("evidence", "mean_logprob", "min_logprob", "prompt_tokens", "reused_tokens"),
        *(
            "output_tokens",
            "reasoning",
            "reasoning_tokens",
            "unsupported_entities",
            "unsupported_numbers",
            "model",
            "error",
        ),
        *("alignment_score", "support_score", "first_token_prob", "sum_logprob"),
        *("no_answer_prob", "masked_logprob"),
        *("n_chunks", "asked_chunks", "chunk_id", "asked_sentences"),
        *("candidate_score", "answerable", "confidence"),
        *("log_share", "coverage", "opposites", "negation", "missing_numbers"),
    }


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_named_once_and_explained(name: str) -> None:
    names = [column.name for column in COLUMNS[name]]
    assert len(set(names)) == len(names)
    for column in COLUMNS[name]:
        field = TABLES[name].field(column.name)
        assert field.metadata == {b"meaning": column.meaning.encode()}
        assert column.meaning == column.meaning.strip()
        assert (field.type, field.nullable) == (column.type, column.nullable)


def test_an_empty_corpus_has_all_columns_and_the_types_of_a_full_one(nlp_en) -> None:
    empty = to_frames([])
    full = to_frames([nlp_en("Ada Lovelace met Charles Babbage. They talked.")])
    assert list(empty) == list(full) == list(TABLES)
    for name, frame in empty.items():
        assert len(frame) == 0
        assert list(frame.columns) == TABLES[name].names
        assert list(frame.dtypes) == list(full[name].dtypes), name


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(pa.ArrowException):
        to_arrow("tokens", [{"document_id": "a", "token_id": "first"}])
