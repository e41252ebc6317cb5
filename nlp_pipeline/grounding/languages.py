"""Words for numbers, months, titles: tables, one per language.

English and French have all of them; the months of the others come from CLDR (`month_names`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from nlp_pipeline.grounding.month_names import RANGE_LINKS, date_forms
from nlp_pipeline.grounding.number_words import SCALES_AFTER_FIGURES


@dataclass(frozen=True)
class LanguageData:
    """What looking names and numbers up needs to know of a language.

    Attributes:
        numbers: Number words below 100, and ordinals from the third on (below that they are
            ordinary words).
        scales: Multipliers: hundred, thousand and so on.
        joiners: Words inside a spelled-out number: the `and` of "two hundred and five".
        suffixes: What may stick to a number in figures: the `m` of "£3m".
        thousands: The mark that parts thousands, beside spaces and apostrophes.
        months: Names and abbreviations, to 1 to 12.
        month_first: Whether a month may stand before its day.
        year_first: Whether a year may stand before its month.
        date_links: Words between a day and its month.
        year_links: Words between a month and its year.
        year_marks: Words behind a year that stands before its month.
        day_marks: Signs that may stand behind a day: a regular expression.
        range_links: Words between two days of one month.
        polite: Titles that say only how to address somebody, to the forms that agree.
        titles: Other titles and offices, abbreviated or not, to one spelling each.
        particles: Words that an acronym leaves out.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    scales: dict[str, int] = field(default_factory=dict)
    joiners: frozenset[str] = frozenset()
    suffixes: dict[str, int] = field(default_factory=dict)
    thousands: str = ""
    months: dict[str, int] = field(default_factory=dict)
    month_first: bool = True
    year_first: bool = False
    date_links: tuple[str, ...] = ()
    year_links: tuple[str, ...] = ()
    year_marks: tuple[str, ...] = ()
    day_marks: str = "st|nd|rd|th|er|ère|e"
    range_links: tuple[str, ...] = ()
    polite: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    particles: frozenset[str] = frozenset()


def _counted(text: str, first: int = 0, step: int = 1) -> dict[str, int]:
    """Words to the numbers from `first` on."""
    return {word: first + step * i for i, word in enumerate(text.split())}


def _unchanged(text: str) -> dict[str, str]:
    """Every spelling of a group to its first: groups by `;`, spellings by blanks."""
    groups = [group.split() for group in text.split(";")]
    return {word: group[0] for group in groups for word in group}


_SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9}

EN = LanguageData(
    numbers={
        **_counted(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen "
            "fourteen fifteen sixteen seventeen eighteen nineteen"
        ),
        **_counted("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10),
        **_counted(
            "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
            "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
            3,
        ),
        **_counted("thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth", 30, 10),
        "dozen": 12,
    },
    scales={
        **{"hundred": 100, "hundreds": 100, "hundredth": 100},
        **{"thousand": 10**3, "thousands": 10**3, "million": 10**6, "millions": 10**6},
        **{"billion": 10**9, "billions": 10**9, "trillion": 10**12},
    },
    joiners=frozenset({"and"}),
    suffixes=_SUFFIXES,
    thousands=",",
    months={
        **_counted(
            "january february march april may june july august september october november december",
            1,
        ),
        **_counted("jan feb mar apr may jun jul aug sep oct nov dec", 1),
        "sept": 9,
    },
    date_links=("of", "day of"),
    range_links=("to", "and", "or"),
    polite=_unchanged("mr mister;ms mrs miss"),
    titles=_unchanged(
        "dr doctor;prof professor;rev reverend;capt captain;sgt sergeant;lt lieutenant;"
        "col colonel;gen general;sen senator;gov governor;president;insp inspector;"
        "supt superintendent;hon honourable honorable;sir;lady;lord;dame;judge;justice;king;"
        "queen;prince;princess;count;countess;duke;duchess;baron;mayor;minister;"
        "chancellor;archbishop;bishop;cllr councillor;"
        "ambassador;admiral;major;commander;chief;sister;brother;father;nurse;chairman;"
        "secretary;treasurer;director;curator;constable;detective;corporal;marshal;sheriff;"
        "emperor;cardinal;pope;rabbi;imam;premier;coach;attorney;spokesman "
        "spokeswoman spokesperson;congressman congresswoman;ceo"
    ),
    particles=frozenset({"of", "the", "and", "for", "in", "on", "at", "to", "a", "an"}),
)

FR = LanguageData(
    numbers={
        **_counted(
            "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
            "quinze seize"
        ),
        **_counted("vingt trente quarante cinquante soixante", 20, 10),
        **_counted("troisième quatrième cinquième sixième septième huitième neuvième dixième", 3),
        **{"une": 1, "vingts": 20, "septante": 70, "huitante": 80, "octante": 80, "nonante": 90},
        **{"quinzaine": 15, "vingtaine": 20, "douzaine": 12, "trentaine": 30, "centaine": 100},
    },
    scales={
        **{"cent": 100, "cents": 100, "mille": 10**3, "million": 10**6, "millions": 10**6},
        **{"milliard": 10**9, "milliards": 10**9},
    },
    joiners=frozenset({"et"}),
    suffixes={**_SUFFIXES, "md": 10**9},
    thousands=".",
    months={
        **_counted(
            "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
            1,
        ),
        **{"janv": 1, "févr": 2, "fév": 2, "avr": 4, "juil": 7, "sept": 9, "oct": 10, "nov": 11},
        **{"déc": 12, "fevrier": 2, "aout": 8, "decembre": 12},
    },
    date_links=("du mois de", "de", "d’", "d'"),
    range_links=("au", "et", "ou"),
    polite=_unchanged("m mr monsieur;mme mlle madame mademoiselle"),
    titles=_unchanged(
        "dr docteur docteure;pr prof professeur professeure;me maître;maire;président présidente;"
        "ministre;roi;reine;prince;princesse;comte comtesse;duc duchesse;baron;"
        "capitaine;colonel;général;commandant;évêque;abbé;"
        "inspecteur inspectrice;juge;directeur directrice;sénateur sénatrice"
    ),
    particles=frozenset(
        [
            "de",
            "du",
            "des",
            "la",
            "le",
            "les",
            "l",
            "d",
            "et",
            "en",
            "au",
            "aux",
            "pour",
            "sur",
            "à",
        ]
    ),
)

_DANISH_UNITS = "en to tre fire fem seks syv otte ni"
_DANISH_TENS = _counted("tyve tredive fyrre halvtreds tres halvfjerds firs halvfems", 20, 10)
DA = LanguageData(
    numbers={
        **_counted(
            f"nul {_DANISH_UNITS} ti elleve tolv tretten fjorten femten seksten sytten atten nitten"
        ),
        **_DANISH_TENS,
        **{
            f"{unit}og{ten}": n_tens + n_units
            for ten, n_tens in _DANISH_TENS.items()
            for unit, n_units in _counted(_DANISH_UNITS, 1).items()
        },
        **{f"{unit}hundrede": 100 * n for unit, n in _counted(_DANISH_UNITS, 1).items()},
        **_counted(
            "tredje fjerde femte sjette syvende ottende niende tiende ellevte tolvte trettende "
            "fjortende femtende sekstende syttende attende nittende tyvende",
            3,
        ),
        **{"et": 1, "én": 1, "ét": 1, "ethundrede": 100, "tredivte": 30, "dusin": 12},
    },
    scales={
        **{"hundrede": 100, "hundred": 100, "tusind": 10**3, "tusinde": 10**3},
        **{"million": 10**6, "millioner": 10**6, "mio": 10**6},
        **{"milliard": 10**9, "milliarder": 10**9, "mia": 10**9},
    },
    joiners=frozenset({"og"}),
    suffixes=_SUFFIXES,
    range_links=("til", "og", "eller"),
)
_DAY_MARKS = "[.ºª°]"
_TABLES = {"en": EN, "fr": FR, "da": DA}


@lru_cache
def language_data(code: str) -> LanguageData:
    """A language's tables; for one that has none, those that hold everywhere.

    Args:
        code: As spaCy has it, such as `de`.
    """
    data = _TABLES.get(code, LanguageData(suffixes=_SUFFIXES))
    forms = date_forms(code)
    if forms is None:
        return data
    return replace(
        data,
        scales=data.scales or SCALES_AFTER_FIGURES.get(code, {}),
        months=forms.months,
        month_first=forms.month_first,
        year_first=forms.year_first,
        date_links=forms.date_links,
        year_links=forms.year_links,
        year_marks=forms.year_marks,
        day_marks=_DAY_MARKS,
        range_links=data.range_links or RANGE_LINKS.get(code, ()),
    )


OWN_LANGUAGES = {"en": "English", "fr": "French"}
"""The languages whose months stand here too."""
NUMBER_TABLES = {**OWN_LANGUAGES, "da": "Danish"}
"""The languages whose number words stand here."""
