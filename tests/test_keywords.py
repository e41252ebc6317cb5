"""A mistyped argument is named, with the nearest right one."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import nlp_pipeline
from nlp_pipeline.errors.config import UnknownKeyword
from nlp_pipeline.keywords import known_keywords

PUBLIC = [nlp_pipeline.run, nlp_pipeline.retry, nlp_pipeline.evaluate_run]


@known_keywords
def painted(wall: str, /, *, color: str = "white", coats: int = 1) -> str:
    """Says what was done."""
    return f"{wall}: {coats} of {color}"


def test_right_ones_pass() -> None:
    assert painted("north", coats=2) == "north: 2 of white"
    assert painted.__doc__ == "Says what was done."
    assert list(inspect.signature(painted).parameters) == ["wall", "color", "coats"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"colour": "red"}, "'colour'. Did you mean 'color'? It takes: color, coats."),
        ({"zebra": 1}, "'zebra'. It takes: color, coats."),
        ({"wall": "south"}, "'wall'. It takes: color, coats."),
    ],
)
def test_wrong_ones_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownKeyword) as caught:
        painted("north", **given)
    assert str(caught.value) == f"painted() has no argument {said}"


def test_what_is_missing_stays_pythons_own() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        painted(coats=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "wrong", "right"),
    [
        (nlp_pipeline.run, "modle", "model"),
        (nlp_pipeline.run, "max_error", "max_errors"),
        (nlp_pipeline.retry, "n_proces", "n_process"),
        (nlp_pipeline.evaluate_run, "textkey", "text_key"),
    ],
)
def test_of_the_front_door(call: Any, wrong: str, right: str, tmp_path: Path) -> None:
    given = ("a", "b")[: 1 if call is nlp_pipeline.retry else 2]
    with pytest.raises(UnknownKeyword, match=f"{wrong}'. Did you mean '{right}'?"):
        call(*given, **{wrong: 1})


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_every_argument_is_typed_and_described(function: Any) -> None:
    parameters = inspect.signature(function).parameters.values()
    described = inspect.getdoc(function) or ""
    for parameter in parameters:
        assert parameter.annotation is not parameter.empty, parameter.name
        assert parameter.kind is not parameter.VAR_KEYWORD, parameter.name
        assert f"\n    {parameter.name}: " in described, parameter.name
        if parameter.default is not parameter.empty:
            assert parameter.kind is parameter.KEYWORD_ONLY, parameter.name
