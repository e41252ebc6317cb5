"""The languages of the support check: months, numbers in words, and what is said of the others."""

from __future__ import annotations

import importlib.util
import json
from decimal import Decimal
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import pytest
import spacy

from nlp_pipeline.grounding import language_coverage as coverage_module
from nlp_pipeline.grounding.dates import find_dates
from nlp_pipeline.grounding.language_coverage import coverage_note, language_coverage
from nlp_pipeline.grounding.languages import language_data
from nlp_pipeline.grounding.month_names import languages_with_months
from nlp_pipeline.grounding.numbers import find_numbers
from nlp_pipeline.grounding.support import Support
from nlp_pipeline.grounding.text import TextIndex
from nlp_pipeline.runner import manifest

MARCH = (2024, 3, 12)


@pytest.fixture(scope="module")
def words() -> None:
    pytest.importorskip("text_to_num", reason="the extra numbers is missing")


@pytest.mark.parametrize(
    ("lang", "text", "readings"),
    [
        ("de", "12. März 2024", {MARCH}),
        ("de", "12. Mär. 2024", {MARCH}),
        ("de", "3. JÄNNER", {(None, 1, 3)}),
        ("de", "März 2024", {(2024, 3, None)}),
        ("es", "12 de marzo de 2024", {MARCH}),
        ("es", "marzo de 2024", {(2024, 3, None)}),
        ("it", "1º marzo 2024", {(2024, 3, 1)}),
        ("pt", "12 de março de 2024", {MARCH}),
        ("nl", "12 maart 2024", {MARCH}),
        ("da", "12. marts 2024", {MARCH}),
        ("pl", "12 marca 2024", {MARCH}),
        ("ru", "12 марта 2024", {MARCH}),
        ("uk", "12 БЕРЕЗНЯ 2024", {MARCH}),
        ("el", "12 Μαρτίου 2024", {MARCH}),
        ("tr", "12 KASIM 2024", {(2024, 11, 12)}),
        ("fi", "12. maaliskuuta 2024", {MARCH}),
        ("he", "12 במרץ 2024", {MARCH}),
        ("ar", "12 مارس 2024", {MARCH}),
        ("hi", "12 मार्च 2024", {MARCH}),
        ("hu", "2024. március 12", {MARCH}),
        ("lt", "2024 m. kovo 12", {MARCH}),
        ("vi", "12 tháng 3, 2024", {MARCH}),
        ("id", "12 Maret 2024", {MARCH}),
        ("sr", "12. mart 2024", {MARCH}),
        ("ko", "2024년 3월 12일", {MARCH}),
    ],
)
def test_months(lang: str, text: str, readings: set[tuple[int | None, ...]]) -> None:
    (date,) = find_dates(f"({text})", lang)
    assert set(date.readings) == readings
    assert f"({text})"[date.start : date.end] == text


@pytest.mark.parametrize(
    ("lang", "text"),
    [("de", "im Mai"), ("de", "Mai 12"), ("es", "en marzo 12 personas"), ("de", "45. März")],
)
def test_what_is_no_date(lang: str, text: str) -> None:
    assert find_dates(text, lang) == []


def test_two_days_of_a_month() -> None:
    dates = find_dates("vom 10. bis 12. Mai 2021", "de")
    assert [set(date.readings) for date in dates] == [{(2021, 5, 10)}, {(2021, 5, 12)}]


DANISH = [
    ("sytten", "17"),
    ("femogtyve", "25"),
    ("to hundrede og fem", "205"),
    ("tre tusind fire hundrede", "3400"),
    ("halvfemsindstyve", None),
    ("3,8 millioner", "3800000"),
    ("fjortende", "14"),
]
FURTHER = [
    ("de", "siebzehn", "17"),
    ("de", "zweihundertfünf", "205"),
    ("de", "drei Millionen", "3000000"),
    ("es", "ochenta y cinco", "85"),
    ("es", "dos mil trescientos", "2300"),
    ("it", "ventuno", "21"),
    ("it", "duecentocinque", "205"),
    ("nl", "vijfentachtig", "85"),
    ("nl", "tweehonderd", "200"),
    ("pt", "oitenta e cinco", "85"),
    ("pt", "duzentos e cinco", "205"),
]


def values(text: str, lang: str) -> list[tuple[str, set[Decimal]]]:
    return [(text[n.start : n.end], set(n.values)) for n in find_numbers(text, lang)]


@pytest.mark.parametrize(("text", "value"), DANISH)
def test_danish_numbers(text: str, value: str | None) -> None:
    assert values(f"({text})", "da") == ([] if value is None else [(text, {Decimal(value)})])


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(("lang", "text", "value"), FURTHER)
def test_numbers_in_words(lang: str, text: str, value: str) -> None:
    assert values(f"({text})", lang) == [(text, {Decimal(value)})]


@pytest.mark.parametrize(
    ("lang", "text", "value"),
    [
        ("de", "3,8 Millionen", "3800000"),
        ("de", "12,5 Mrd", "12500000000"),
        ("es", "3 mil millones", "3000000000"),
        ("it", "2 miliardi", "2000000000"),
        ("nl", "4 miljoen", "4000000"),
        ("pt", "2 milhões", "2000000"),
    ],
)
def test_figures_with_a_scale(lang: str, text: str, value: str) -> None:
    assert Decimal(value) in values(f"({text})", lang)[0][1]


@pytest.mark.usefixtures("words")
def test_what_parts_numbers() -> None:
    assert values("zwei, drei; hundert. Drei und zwanzig\nMillionen", "de") == [
        ("zwei", {Decimal(2)}),
        ("drei", {Decimal(3)}),
        ("hundert", {Decimal(100)}),
        ("Drei und zwanzig\nMillionen", {Decimal(23_000_000)}),
    ]
    assert [text for text, _ in values("der erste, der zweite und der dritte", "de")] == ["dritte"]


def matches(lang: str, text: str, summary: str) -> dict[str, str | None]:
    nlp = spacy.blank(lang)
    units = Support(TextIndex(nlp(text))).check(nlp(summary))
    return {unit.text: unit.matched for unit in units if unit.kind != "name"}


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    ("lang", "text", "summary", "result"),
    [
        (
            "de",
            "Am 12. März 2024 kamen 17 Gäste.",
            "Am 12. Mai 2024 kamen siebzehn Gäste, am 12. März keine achtzehn.",
            {"12. Mai 2024": None, "siebzehn": "number", "12. März": "date", "achtzehn": None},
        ),
        (
            "es",
            "El 12 de marzo de 2024 llegaron 85 personas.",
            "El 12 de mayo llegaron ochenta y cinco; el 12 de marzo, ochenta y seis.",
            {
                "12 de mayo": None,
                "ochenta y cinco": "number",
                "12 de marzo": "date",
                "ochenta y seis": None,
            },
        ),
        (
            "it",
            "Il 12 marzo 2024 arrivarono 21 persone.",
            "Il 12 maggio arrivarono ventuno persone.",
            {"12 maggio": None, "ventuno": "number"},
        ),
        (
            "pt",
            "Em 12 de março de 2024 chegaram 85 pessoas.",
            "Em 12 de maio chegaram oitenta e cinco pessoas.",
            {"12 de maio": None, "oitenta e cinco": "number"},
        ),
        (
            "nl",
            "Op 12 maart 2024 kwamen er 85 gasten.",
            "Op 12 mei kwamen er vijfentachtig gasten.",
            {"12 mei": None, "vijfentachtig": "number"},
        ),
        (
            "da",
            "Den 12. marts 2024 kom der 25 gæster.",
            "Den 12. maj kom der femogtyve gæster.",
            {"12. maj": None, "femogtyve": "number"},
        ),
    ],
)
def test_a_summary_in_other_words(
    lang: str, text: str, summary: str, result: dict[str, str | None]
) -> None:
    assert matches(lang, text, summary) == result


def test_german_nouns_are_no_names() -> None:
    nlp = spacy.blank("de")
    units = Support(TextIndex(nlp("Ein Text."))).check(nlp("Die Brücke kostete die NATO viel."))
    assert [unit.text for unit in units] == ["NATO"]


def test_every_language_of_the_data_has_twelve_months() -> None:
    for code in languages_with_months():
        assert set(language_data(code).months.values()) == set(range(1, 13))


def test_the_data_is_what_its_script_writes() -> None:
    babel = pytest.importorskip("babel", reason="babel is missing")
    path = Path(__file__).with_name("make_month_names.py")
    spec = importlib.util.spec_from_file_location("make_month_names", path)
    assert spec is not None
    assert spec.loader is not None
    maker: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    if (installed_version("babel"), installed_version("spacy")[:3]) != ("2.19.0", "3.8"):
        pytest.skip(f"babel {babel.__version__} has other data than that which was used")
    assert maker.TARGET.read_text(encoding="utf-8") == maker.text()


@pytest.mark.parametrize(
    ("code", "months", "numbers"),
    [
        ("en", True, True),
        ("da", True, True),
        ("de", True, True),
        ("ru", True, False),
        ("ja", True, False),
        ("xx", False, False),
        ("grc", False, False),
    ],
)
def test_coverage(code: str, months: bool, numbers: bool) -> None:
    coverage = language_coverage(code)
    assert (coverage.months, coverage.number_words) == (months, numbers)


def test_the_note_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert coverage_note("en") is None
    assert coverage_note("da") is None
    assert coverage_note("ru") == (
        "Of what is written about texts in Russian ('ru'), numbers in words cannot be looked up in "
        "them; figures can (docs/languages.md)."
    )
    assert coverage_note("grc") == (
        "Of what is written about texts in 'grc', dates with the name of a month and numbers in "
        "words cannot be looked up in them; figures can (docs/languages.md)."
    )
    assert coverage_note("xx") is None, "it names no language"
    monkeypatch.setattr(coverage_module, "number_finder", lambda: None)
    assert str(coverage_note("de")).endswith(" Type `pip install 'text2num>=3,<4'` for the latter.")
    monkeypatch.setattr(coverage_module, "number_finder", lambda: len)
    assert coverage_note("de") is None


@pytest.mark.parametrize(
    ("code", "version", "mark"),
    [("de", "3.1", {"text2num": "3.1"}), ("de", None, {}), ("en", "3.1", {}), ("da", "3.1", {})],
)
def test_the_fingerprint_has_what_reads_the_numbers(
    monkeypatch: pytest.MonkeyPatch, code: str, version: str | None, mark: dict[str, str]
) -> None:
    monkeypatch.setattr(manifest, "installed_version", lambda _: version)
    assert manifest._number_words(code) == mark


def test_a_run_says_it_once(cli: Any, corpus: Any, tmp_path: Path) -> None:
    texts = [json.loads('"\\u0410\\u0434\\u0430."')] * 3
    ended = cli(
        *("run", corpus(*texts), "-p", "blank_qa", "--lang", "ru", "--echo"),
        *("-o", tmp_path / "out"),
    )
    assert ended.code == 0
    assert ended.err.count("numbers in words cannot be looked up") == 1
