"""Every kind of difference is found, and nothing else is taken for one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nlp_pipeline.errors.golden import InvalidTolerance
from nlp_pipeline.golden.compare import Difference, compare, merged
from nlp_pipeline.golden.difference_text import render
from nlp_pipeline.golden.store import Table
from nlp_pipeline.tables.equality import Tolerance, equal
from nlp_pipeline.tables.schemas import COLUMNS, JSON_COLUMNS

TOLERANCE = Tolerance(relative=0.01, absolute=0.001)


def answers(*rows: dict[str, Any]) -> dict[str, Table]:
    columns = list(rows[0]) if rows else []
    return {"answers": Table(columns, list(rows))}


def row(document: str = "d1", question: str = "q1", **values: Any) -> dict[str, Any]:
    return {"document_id": document, "question_id": question, "component": "llama_qa", **values}


def differences(expected: Any, found: Any) -> list[Difference]:
    return compare(expected, found, TOLERANCE)


def report(expected: Any, found: Any, per_table: int = 8) -> str:
    return render(differences(expected, found), TOLERANCE, per_table)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("Anna", "Anna"),
        (None, None),
        (3, 3),
        (True, True),
        (1.0, 1.0109),
        (0.0, 0.001),
        (-2.0, -2.02),
        (math.nan, math.nan),
        (math.inf, math.inf),
        ([1.0, "a", [2]], [1.005, "a", [2]]),
        ([], []),
    ],
)
def test_equal(expected: Any, found: Any) -> None:
    assert equal(expected, found, TOLERANCE)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ("Anna", "anna"),
        ("Anna", "Anna "),
        ("é", "e\u0301"),
        ("", None),
        (None, 0),
        ([], None),
        (3, 4),
        (1, 1.0),
        (1, True),
        ("1", 1),
        (1.0, 1.02),
        (0.0, 0.0011),
        (math.inf, -math.inf),
        (1.0, math.inf),
        (math.inf, 1.0),
        (math.nan, 0.0),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
    ],
)
def test_not_equal(expected: Any, found: Any) -> None:
    assert not equal(expected, found, TOLERANCE)
    assert not equal(found, expected, TOLERANCE)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "1", None])
def test_a_tolerance_is_a_number(value: Any) -> None:
    with pytest.raises(InvalidTolerance, match=r"The tolerance relative=.* must be a number"):
        Tolerance(relative=value)


def test_a_changed_short_text() -> None:
    text = report(answers(row(answer="Nora Falk")), answers(row(answer="Nora Volk")))
    assert text == (
        "answers: 1 difference\n"
        "  document_id=d1, question_id=q1, component=llama_qa\n"
        '    answer: expected "Nora Falk"\n'
        '            found    "Nora Volk"\n'
        "                           ^^"
    )


def test_a_changed_long_text_shows_the_words() -> None:
    words = " ".join(f"word{i}" for i in range(60))
    old, new = f"{words} twelve {words}", f"{words} thirteen\n{words}"
    assert report(answers(row(answer=old)), answers(row(answer=new))) == (
        "answers: 1 difference\n"
        "  document_id=d1, question_id=q1, component=llama_qa\n"
        "    answer: … word54 word55 word56 word57 word58 word59 "
        "[-twelve -]{+thirteen\\n+}word0 word1 word2 word3 word4 word5 …"
    )


def test_characters_that_look_alike_are_named() -> None:
    text = report(answers(row(answer="Zo\u00eb")), answers(row(answer="Zoe\u0308")))
    assert "  the first difference, at character 2: U+00EB → U+0065" in text


def test_a_control_character_cannot_reach_the_terminal() -> None:
    text = report(answers(row(answer="x")), answers(row(answer="\x1b[31m\u202e")))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_null_and_an_empty_text_are_two_values() -> None:
    assert report(answers(row(answer=None)), answers(row(answer=""))) == (
        "answers: 1 difference\n"
        "  document_id=d1, question_id=q1, component=llama_qa\n"
        "    answer: expected null\n"
        '            found    ""'
    )


def test_a_number_off_by_more_than_the_tolerance() -> None:
    assert report(answers(row(mean=-0.5)), answers(row(mean=-0.7))) == (
        "answers: 1 difference\n"
        "  document_id=d1, question_id=q1, component=llama_qa\n"
        "    mean: expected -0.5, found -0.7 (off by 0.2, allowed 0.006)"
    )


def test_lists() -> None:
    short = report(answers(row(evidence=[0, 1])), answers(row(evidence=[0, 2])))
    assert short.endswith("evidence: expected [0, 1]\n              found    [0, 2]")
    old, new = [0.0] * 96, [0.0] * 90 + [1.0] * 6
    long = report(answers(row(vector=old)), answers(row(vector=new)))
    assert long.endswith("vector: 6 of 96 elements differ, first [90]: expected 0.0, found 1.0")
    longer = report(answers(row(vector=old)), answers(row(vector=old[:95])))
    assert longer.endswith("vector: expected 96 elements, found 95")


def test_columns() -> None:
    old, new = answers(row(a=1, b=2)), answers(row(a=1, c=2))
    assert report(old, new) == (
        "answers: 2 differences\n"
        "  the column 'b' is missing\n"
        "  the column 'c' is not in the golden output"
    )
    assert report(answers(row(a=1, b=2)), answers(row(b=2, a=1))) == (
        "answers: 1 difference\n"
        "  the columns are in another order\n"
        "    expected document_id, question_id, component, a, b\n"
        "    found    document_id, question_id, component, b, a"
    )


def test_columns_of_an_empty_table() -> None:
    old, new = {"answers": Table(["a"], [])}, {"answers": Table(["a", "b"], [])}
    assert [d.kind for d in differences(old, new)] == ["unexpected column"]


def test_rows() -> None:
    old, new = answers(row("d1"), row("d2")), answers(row("d2"), row("d3"))
    assert report(old, new) == (
        "answers: 2 differences\n"
        "  document_id=d1, question_id=q1, component=llama_qa\n"
        '    the row is missing: {"document_id": "d1", "question_id": "q1", '
        '"component": "llama_qa"}\n'
        "  document_id=d3, question_id=q1, component=llama_qa\n"
        '    the row is new: {"document_id": "d3", "question_id": "q1", "component": "llama_qa"}'
    )


def test_the_order_of_rows() -> None:
    old, new = answers(row("d1"), row("d2"), row("d3")), answers(row("d1"), row("d3"), row("d2"))
    assert report(old, new) == (
        "answers: 1 difference\n"
        "  the rows are in another order; the first that is out of place:\n"
        "    expected document_id=d2, question_id=q1, component=llama_qa\n"
        "    found    document_id=d3, question_id=q1, component=llama_qa"
    )


def test_rows_of_one_name_are_told_apart() -> None:
    old = answers(row(answer="x"), row(answer="y"))
    new = answers(row(answer="x"), row(answer="z"))
    assert "document_id=d1, question_id=q1, component=llama_qa (number 2)\n" in report(old, new)
    assert [d.kind for d in differences(old, answers(row(answer="x")))] == ["missing row"]


def test_a_table_without_names_counts_its_rows() -> None:
    old, new = {"mine": Table(["n"], [{"n": 1}, {"n": 2}])}, {"mine": Table(["n"], [{"n": 1}] * 2)}
    assert report(old, new) == ("mine: 1 difference\n  row 2\n    n: expected 2\n       found    1")


def test_tables() -> None:
    empty, table = Table([], []), Table(["n"], [{"n": 1}])
    assert report({"a": empty}, {"b": table}) == (
        "a: 1 difference\n  the table is missing\n"
        "b: 1 difference\n  the table is not in the golden output"
    )
    # A table that has come since the golden was recorded, and is empty, is no difference.
    assert differences({"a": empty}, {"a": empty, "b": empty}) == []


def test_of_many_differences_the_rest_is_counted() -> None:
    old = answers(*(row(f"d{i}", a=1, b=1) for i in range(9)))
    new = answers(*(row(f"d{i}", a=2, b=2) for i in range(8)))
    lines = report(old, new, per_table=3).splitlines()
    assert lines[0] == "answers: 17 differences"
    assert lines[-1] == "  … and 14 more (a 7, b 7)"


def test_a_huge_changed_text_is_shown_in_part() -> None:
    old, new = "a b " * 50_000, "c d " * 50_000
    assert len(report(answers(row(answer=old)), answers(row(answer=new)))) < 5_000


def test_an_update_keeps_the_digits_of_what_is_within_the_tolerance() -> None:
    old = answers(row("d1", a=1.0, b="x"), row("d2", a=1.0, b="x"))
    new = answers(row("d1", a=1.001, b="y"), row("d2", a=2.0, b="x"), row("d3", a=3.0, b="z"))
    kept = merged(old, new, TOLERANCE)["answers"].rows
    assert [(r["a"], r["b"]) for r in kept] == [(1.0, "y"), (2.0, "x"), (3.0, "z")]


def cells(column: str, value: Any, table: str = "classifications") -> dict[str, Table]:
    values = {"document_id": "d1", "component": "c", column: value}
    return {table: Table(list(values), [values])}


class TestNumbersInsideJson:
    """They are compared like those of float columns, in every column that holds JSON."""

    def test_every_column_that_is_said_to_hold_json_is_declared(self) -> None:
        said = {
            (table, column.name)
            for table, columns in COLUMNS.items()
            for column in columns
            if "JSON" in column.meaning.replace("JSON pointer", "")
        }
        assert said == {(table, name) for table, names in JSON_COLUMNS.items() for name in names}
        assert ("classifications", "logprobs") in said

    @pytest.mark.parametrize(
        ("expected", "found"),
        [
            ('{"water": -2.0, "data": -1.5}', '{"water": -2.0000000000001, "data": -1.5}'),
            ('{"a": [1.0, {"b": 2.5}]}', '{"a": [1.005, {"b": 2.51}]}'),
            ('{"a": 1e-9}', '{"a": 0.0}'),
            ('{"a": NaN}', '{"a": NaN}'),
            ('{"a": 1}', '{ "a":1 }'),
            ("2.0", "2.01"),
            (None, None),
        ],
    )
    @pytest.mark.parametrize(
        ("table", "column"),
        [("classifications", "logprobs"), ("extractions", "extraction"), ("documents", "meta")],
    )
    def test_the_same(self, table: str, column: str, expected: Any, found: Any) -> None:
        old, new = cells(column, expected, table), cells(column, found, table)
        assert differences(old, new) == []
        # An update on another machine changes no digit of them.
        assert merged(old, new, TOLERANCE)[table].rows[0][column] == expected

    @pytest.mark.parametrize(
        ("expected", "found", "where", "values"),
        [
            ('{"water": -2.0, "b": 1}', '{"water": -2.5, "b": 1}', "/water", (-2.0, -2.5)),
            ('{"a": [1, {"b/~": 2.5}]}', '{"a": [1, {"b/~": 3.5}]}', "/a/1/b~1~0", (2.5, 3.5)),
            ('{"a": 1}', '{"a": 1.0}', "/a", (1, 1.0)),
            ('{"a": true}', '{"a": 1}', "/a", (True, 1)),
            ('{"a": [1.0]}', '{"a": [1.0, 2.0]}', "/a", ([1.0], [1.0, 2.0])),
            ('{"a": 1.0}', '{"b": 1.0}', "", ({"a": 1.0}, {"b": 1.0})),
            ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "", ({"a": 1, "b": 2}, {"b": 2, "a": 1})),
            ('{"a": "1.0"}', '{"a": "1.00001"}', "/a", ("1.0", "1.00001")),
            ('{"a": 1.0}', None, "", ('{"a": 1.0}', None)),
            ('{"a": 1.0}', '{"a": 1.0', "", ('{"a": 1.0}', '{"a": 1.0')),
            ("[" * 100_000, "[" * 99_999, "", ("[" * 100_000, "[" * 99_999)),
        ],
    )
    def test_not_the_same(self, expected: Any, found: Any, where: str, values: Any) -> None:
        (difference,) = differences(cells("logprobs", expected), cells("logprobs", found))
        assert difference.column == f"logprobs{where}"
        assert (difference.expected, difference.found) == values

    def test_how_it_is_shown(self) -> None:
        shown = report(cells("logprobs", '{"a": -2.0}'), cells("logprobs", '{"a": -2.5}'))
        assert "logprobs/a: expected -2.0, found -2.5 (off by 0.5, allowed 0.021)" in shown

    def test_a_text_that_looks_like_json_is_a_text(self) -> None:
        old, new = cells("text", "[1.0]", "documents"), cells("text", "[1.0001]", "documents")
        assert [d.column for d in differences(old, new)] == ["text"]
