from __future__ import annotations

import pytest
import spacy

from nlp_pipeline.chunking import Query
from nlp_pipeline.chunking.question_kinds import kinds_of


@pytest.mark.parametrize(
    ("lang", "question", "kinds"),
    [
        ("en", "Who drew it?", {"person", "organization"}),
        ("en", "In what year was it drawn?", {"time"}),
        ("en", "Which small northern city paid?", {"place"}),
        ("en", "How many boats lay there?", {"number"}),
        ("en", "How long did it take?", {"number", "time"}),
        ("en", "How did they do it?", set()),
        ("en", "What happened then?", set()),
        ("de", "In welchem Jahr wurde sie gebaut?", {"time"}),
        ("de", "Wie viele Boote gab es?", {"number"}),
        ("fr", "Combien de bateaux ?", {"number"}),
        ("fr", "Quelle ville a payé ?", {"place"}),
        ("cs", "Kdo to byl?", set()),
    ],
)
def test_what_a_question_asks_for(lang: str, question: str, kinds: set[str]) -> None:
    assert Query.of(spacy.blank(lang)(question)).kinds == kinds


def test_what_a_piece_holds() -> None:
    assert kinds_of(["PER", "ORG"], has_number=False, has_year=False) == {"person", "organization"}
    assert kinds_of([""], has_number=True, has_year=True) == {"number", "time"}
