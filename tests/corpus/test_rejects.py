"""Every kind of reject, by the exact message that a user reads."""

from __future__ import annotations

import io

import pytest

from nlp_pipeline.corpus import Record, Reject

QUESTION_HINT = 'Write ["Who?", …] or [{"id": "who", "text": "Who?"}, …].'

CASES = [
    (
        '{"id": "a", "text": "b"',
        "invalid_json",
        "x.jsonl:2 is not valid JSON at column 24 (byte 37 of the file): "
        "expecting ',' delimiter. Write one whole object a line.",
    ),
    (
        '{"id": "é", "text": "b',
        "invalid_json",
        "x.jsonl:2 is not valid JSON at column 21 (byte 35 of the file): "
        "this string is never closed. Write one whole object a line.",
    ),
    (
        '{"text": "a"} {"text": "b"}',
        "invalid_json",
        "x.jsonl:2 is not valid JSON at column 15 (byte 28 of the file): "
        "a second value follows the first. Write one whole object a line.",
    ),
    (
        "{'text': 'a'}",
        "invalid_json",
        "x.jsonl:2 is not valid JSON at column 2 (byte 15 of the file): "
        "a name in double quotes should follow. Write one whole object a line.",
    ),
    (
        b'{"text": "abc\xe9"}',
        "invalid_utf8",
        "x.jsonl:2 is not valid UTF-8 at byte 27 of the file. Convert the file, such as with "
        "`iconv -f latin1 -t utf-8`.",
    ),
    (
        '{"text": "a", "x": ' + "[" * 100 + "]" * 100 + "}",
        "too_deep",
        "x.jsonl:2 is nested deeper than 100 levels. Flatten its fields or leave them out.",
    ),
    (
        '{"text": "a", "x": ' + "[" * 200_000,
        "too_deep",
        "x.jsonl:2 is nested deeper than 100 levels. Flatten its fields or leave them out.",
    ),
    (
        '["a"]',
        "not_an_object",
        "x.jsonl:2 is an array, not an object. Write one object a line, such as "
        '{"id": "1", "text": "…"}.',
    ),
    (
        "3",
        "not_an_object",
        "x.jsonl:2 is a number, not an object. Write one object a line, such as "
        '{"id": "1", "text": "…"}.',
    ),
    (
        '{"id": "a", "body": "b"}',
        "missing_text",
        "x.jsonl:2 has no 'text'; it has: id, body. Name the field with --text-key.",
    ),
    (
        "{}",
        "missing_text",
        "x.jsonl:2 has no 'text'; it has: none. Name the field with --text-key.",
    ),
    (
        '{"a\\u001b[31m": 1, "' + "b" * 60 + '": 2}',
        "missing_text",
        "x.jsonl:2 has no 'text'; it has: a\\x1b[31m, " + "b" * 40 + "…. "
        "Name the field with --text-key.",
    ),
    (
        '{"text": null}',
        "null_text",
        "x.jsonl:2 has null as its 'text'. Give it a text or leave the record out.",
    ),
    (
        '{"text": {"a": 1}}',
        "text_not_string",
        "x.jsonl:2 has an object as its 'text', not a string. Write the text between double "
        "quotes, or name another field with --text-key.",
    ),
    (
        '{"text": false}',
        "text_not_string",
        "x.jsonl:2 has a truth value as its 'text', not a string. Write the text between double "
        "quotes, or name another field with --text-key.",
    ),
    (
        '{"text": " \\n"}',
        "empty_text",
        "x.jsonl:2 has a 'text' that is empty or white space only. Give it a text or leave the "
        "record out.",
    ),
    (
        '{"text": "' + "é" * 1001 + '"}',
        "text_too_long",
        "x.jsonl:2 has 1,001 characters as its 'text' and at most 1,000 are read. Split the "
        "document or raise --max-chars.",
    ),
    (
        '{"id": 1.5, "text": "a"}',
        "bad_id",
        "x.jsonl:2 has a number as its 'id'. Give it a string or an integer, or name another "
        "field with --id-key.",
    ),
    (
        '{"id": "' + "x" * 1200 + '", "text": "a"}',
        "bad_id",
        "x.jsonl:2 has a string of 1,200 characters, more than 500, as its 'id'. Give it a string "
        "or an integer, or name another field with --id-key.",
    ),
    (
        '{"id": "first", "text": "a"}',
        "duplicate_id",
        "x.jsonl:2 has the id 'first', which an earlier record has. Give every record its own, or "
        "name another field with --id-key.",
    ),
    (
        '{"text": "a", "questions": {"id": "q"}}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: they are an object, not an array. "
        + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": ["Who?", 3]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: number 2 has a number as its text. "
        + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": [{"id": "q"}]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: number 1 has no 'text'. " + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": [{"text": "Who?", "ID\\u0007": 1}]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: number 1 has the unknown key 'ID\\x07'. "
        + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": [{"text": "Who?", "id": ""}]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: number 1 has an empty id. " + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": [{"text": "Who?", "id": true}]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: number 1 has a truth value as its id. "
        + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": ["Who?", {"id": "r1", "text": "When?"}]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: the id 'r1' stands there twice. "
        + QUESTION_HINT,
    ),
    (
        '{"text": "a", "questions": ["Who?", "Who?"]}',
        "bad_questions",
        "x.jsonl:2 has questions that cannot be asked: the text 'Who?' stands there twice. "
        + QUESTION_HINT,
    ),
]


@pytest.mark.parametrize(
    ("line", "kind", "message"), CASES, ids=[f"{i}-{case[1]}" for i, case in enumerate(CASES)]
)
def test_a_bad_record_says_where_what_and_what_next(read, line, kind, message):
    # The first line has 14 bytes, which the byte offsets count from.
    first = b'{"text": "a"}\n' if kind != "duplicate_id" else b'{"id": "first", "text": "a"}\n'
    data = line if isinstance(line, bytes) else line.encode()
    before, reject, after = read("x.jsonl", first + data + b'\n{"text": "c"}\n', max_length=1000)
    assert isinstance(before, Record)
    name = "a" if '"id": "a"' in str(line) and kind != "invalid_json" else "x:2"
    assert reject == Reject(1, name, kind, message, "x.jsonl", 2)
    assert (after.index, after.id, after.line) == (2, "x:3", 3)


def test_a_trailing_comma_is_invalid_json(read):
    # Python 3.13 points at the comma and older ones behind it, so this names no column.
    (reject,) = read("x.jsonl", '{"text": "a",}\n')
    assert reject.kind == "invalid_json"
    assert reject.message.startswith("x.jsonl:1 is not valid JSON at column 1")


def test_every_message_is_printable_and_bounded(read):
    evil = "\\u001b]0;owned\\u0007\\u202e\\r\\n"
    lines = [
        f'{{"id": "{evil}", "text": "a"}}',
        f'{{"id": "{evil}", "text": "a"}}',
        f'{{"{evil * 1000}": 1}}',
        f'{{"text": "a", "questions": ["{evil * 1000}", "{evil * 1000}"]}}',
        f'{{"text": "a", "questions": [{{"{evil * 1000}": 1}}]}}',
    ]
    rejects = [row for row in read("x.jsonl", "\n".join(lines)) if isinstance(row, Reject)]
    assert len(rejects) == 4
    assert all(row.message.isprintable() and len(row.message) < 700 for row in rejects)


def test_a_line_of_20_mb_is_refused_and_the_next_one_read(read):
    long = b'{"text": "' + b"x" * 20_000_000 + b'"}\n'
    reject, record = read("x.jsonl", long + b'{"text": "b"}')
    assert reject.kind == "line_too_long"
    assert reject.message == (
        "x.jsonl:1 is too long: at most 16,777,216 bytes are read as one record and it has "
        "20,000,013 bytes. Split the document, close an open quote, or raise --max-chars."
    )
    assert (record.id, record.text) == ("x:2", "b")


def test_a_long_line_is_never_in_memory_as_a_whole(monkeypatch):
    from nlp_pipeline.corpus.notes import Notes
    from nlp_pipeline.corpus.streams import read_lines
    from nlp_pipeline.errors.records import BadRecord

    class Endless(io.BytesIO):
        left, most = 50_000_000, 0

        def readline(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert size > 0
            self.most = max(self.most, size)
            data = b"x" * min(size, self.left)
            self.left -= len(data)
            return data

    stream = Endless()
    (line,) = read_lines(stream, "x.jsonl", 1000, Notes())
    assert isinstance(line.data, BadRecord)
    assert line.data.kind == "line_too_long"
    assert "50,000,000 bytes" in str(line.data)
    assert stream.most <= 2**16


def test_a_longer_text_may_be_asked_for(read):
    text = "x" * 17_000_000
    (record,) = read("x.jsonl", f'{{"text": "{text}"}}', max_length=18_000_000)
    assert record.text == text
