"""What kind of thing a question asks for, by its words: tables per language, and one rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

ENTITY_KINDS: dict[str, frozenset[str]] = {
    "person": frozenset({"PERSON", "PER", "NORP"}),
    "organization": frozenset({"ORG"}),
    "place": frozenset({"GPE", "LOC", "FAC"}),
    "time": frozenset({"DATE", "TIME"}),
    "number": frozenset({"CARDINAL", "QUANTITY", "MONEY", "PERCENT", "ORDINAL"}),
}
"""Per kind the labels of spaCy's trained pipelines (OntoNotes' and WikiNER's schemes)."""


class _Words(NamedTuple):
    """The words of one language that say what is asked for.

    Attributes:
        alone: Question words that say it by themselves.
        openers: Question words after which a noun says it.
        amounts: Question words before an adjective or "many".
        nouns: Per noun what it asks for.
        measures: Words after an `amounts` word, and what they ask for.
    """

    alone: dict[str, tuple[str, ...]]
    openers: frozenset[str]
    amounts: frozenset[str]
    nouns: dict[str, tuple[str, ...]]
    measures: dict[str, tuple[str, ...]]


def _table(**kinds: str) -> dict[str, tuple[str, ...]]:
    """Words, parted by blanks, to kinds; `person_organization` is both."""
    return {word: tuple(names.split("_")) for names, text in kinds.items() for word in text.split()}


_LANGUAGES: dict[str, _Words] = {
    "en": _Words(
        alone=_table(person_organization="who whom whose", time="when", place_organization="where"),
        openers=frozenset({"what", "which"}),
        amounts=frozenset({"how"}),
        nouns=_table(
            time="year years date day days month months century decade time season era period age",
            place="city country state place town location region continent river area province "
            "nation island street venue village district",
            person="person man woman king queen president author player actor scientist leader "
            "emperor singer coach artist writer director captain",
            organization="company organization team university group party agency school network "
            "band institution club church newspaper",
            number="number percentage percent amount population score size cost price temperature "
            "distance height length",
        ),
        measures=_table(
            number="many much",
            number_time="long old far tall large big often fast high deep wide heavy",
        ),
    ),
    "de": _Words(
        alone=_table(
            person_organization="wer wen wem wessen",
            time="wann",
            place_organization="wo wohin woher",
        ),
        openers=frozenset({"was", "welcher", "welche", "welches", "welchen", "welchem"}),
        amounts=frozenset({"wie"}),
        nouns=_table(
            time="jahr jahre jahren datum tag tage tagen monat jahrhundert jahrzehnt zeit",
            place="stadt land ort region fluss insel gebiet staat kontinent straße dorf",
            person="person mann frau könig königin präsident autor autorin spieler kaiser",
            organization="firma unternehmen organisation mannschaft universität gruppe partei "
            "schule verein",
            number="zahl anzahl prozentsatz prozent betrag bevölkerung preis höhe länge",
        ),
        measures=_table(
            number="viel viele vielen hoch",
            number_time="lange alt weit groß oft schnell tief breit",
        ),
    ),
    "fr": _Words(
        alone=_table(
            person_organization="qui", time="quand", place_organization="où", number="combien"
        ),
        openers=frozenset({"quel", "quelle", "quels", "quelles", "que", "lequel", "laquelle"}),
        amounts=frozenset(),
        nouns=_table(
            time="année années date jour jours mois siècle décennie époque période âge heure",
            place="ville pays lieu région fleuve île province continent rue village endroit",
            person="personne homme femme roi reine président auteur joueur empereur",
            organization="entreprise société organisation équipe université groupe parti école "
            "club",
            number="nombre pourcentage montant population prix taille hauteur longueur distance",
        ),
        measures={},
    ),
}

_NEAR = 5
"""Words after the question word among which the noun is looked for."""


def kinds_asked_for(words: Sequence[str], lang: str) -> frozenset[str]:
    """The kinds (keys of `ENTITY_KINDS`) that can answer a question; none where it is not said.

    Args:
        words: The question's, without case, in their order.
        lang: The language's code; one without a table says nothing.
    """
    table = _LANGUAGES.get(lang)
    if table is None:
        return frozenset()
    for place, word in enumerate(words):
        following = words[place + 1 :]
        if word in table.alone:
            return frozenset(table.alone[word])
        if word in table.amounts and following:
            return frozenset(table.measures.get(following[0], ()))
        if word in table.openers:
            nouns = (table.nouns[near] for near in following[:_NEAR] if near in table.nouns)
            return frozenset(next(nouns, ()))
    return frozenset()


def kinds_of(labels: Iterable[str], *, has_number: bool, has_year: bool) -> frozenset[str]:
    """The kinds of a piece of text.

    Args:
        labels: Of the entities in it.
        has_number: Whether a number stands in it.
        has_year: Whether four figures stand in it, as in a year.
    """
    held = frozenset(labels)
    kinds = {kind for kind, names in ENTITY_KINDS.items() if names & held}
    if has_number:
        kinds.add("number")
    if has_year:
        kinds.add("time")
    return frozenset(kinds)
