"""Words that can stand in the place of their opposites, in the forms of a sentence."""

from __future__ import annotations

_ENGLISH = """
first last, before after, largest smallest, biggest smallest, big small, large small, largest
tiniest, highest lowest, high low, higher lower, longest shortest, long short, longer shorter,
oldest youngest, old new, older younger, oldest newest, early late, earlier later, earliest
latest, more fewer, more less, most least, most fewest, many few, best worst, better worse, good
bad, increase decrease, increased decreased, increases decreases, rise fall, rose fell, rises
falls, gain lose, gained lost, win lose, won lost, buy sell, bought sold, open close, opened
closed, opening closing, begin end, began ended, begins ends, start finish, started finished,
starts stops, start stop, arrive leave, arrived left, enter leave, entered left, accept reject,
accepted rejected, allow forbid, allowed forbidden, permitted banned, build demolish, built
demolished, built destroyed, create destroy, created destroyed, support oppose, supported opposed,
supports opposes, include exclude, included excluded, includes excludes, north south, northern
southern, east west, eastern western, inside outside, above below, over under, upper lower, left
right, front back, top bottom, public private, rich poor, strong weak, stronger weaker, strongest
weakest, fast slow, faster slower, fastest slowest, hot cold, warm cool, wet dry, light dark,
white black, male female, man woman, men women, boy girl, boys girls, son daughter, sons
daughters, father mother, brother sister, brothers sisters, husband wife, king queen, teacher
pupil, teachers pupils, winner loser, winners losers, friend enemy, friends enemies, ally enemy,
allies enemies, victory defeat, success failure, successful unsuccessful, advantage disadvantage,
advantages disadvantages, strength weakness, positive negative, possible impossible, legal
illegal, common rare, important unimportant, necessary unnecessary, known unknown, popular
unpopular, normal abnormal, natural artificial, modern ancient, major minor, maximum minimum, same
different, similar different, single married, alive dead, born buried, birth death, join leave,
joined left, give take, gave took, given taken, send receive, sent received, borrow lend, borrowed
lent, hire dismiss, hired dismissed, appointed dismissed, remember forget, remembered forgot, love
hate, loved hated, love dislike, likes dislikes, agree disagree, agreed disagreed, approve reject,
approved rejected, praise criticise, praised criticised, attack defend, attacked defended, save
waste, saved wasted, add remove, added removed, raise lower, raised lowered, expand shrink,
expanded shrank, grow shrink, grew shrank, improve worsen, improved worsened, import export,
imports exports, imported exported, always never, often rarely, usually rarely, everyone nobody,
everything nothing, all none, both neither, beginning end, winter summer, spring autumn, morning
evening, day night, heavy light, heavier lighter, deep shallow, wide narrow, thick thin, full
empty, expensive cheap, cheapest dearest, hard soft, easy difficult, simple complex, safe
dangerous, clean dirty, sick healthy, young old, near far, nearest farthest, internal external,
local foreign, domestic foreign, urban rural, upstream downstream, income expense, profit loss,
supply demand, cause prevent, caused prevented, causes prevents, protect endanger, protected
endangered, discover conceal, revealed concealed, marry divorce, married divorced, elected
deposed, founded dissolved, established abolished, introduced abolished, signed cancelled,
published suppressed, require forbid, required forbidden, used avoided, minority majority,
temporary permanent, voluntary compulsory, failed succeeded, lacked had, lack have, retreat
advance, innocent guilty, hardware software, teach learn, taught learned
"""
"""Parted by commas: two words of like form, each the opposite of the other. A list of our own.

`components/opposites.py` has lemmas, to tell opposites apart; here a verb stands in its tense and a
noun in its number, so that the sentence stays one.
"""


def _read(text: str) -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for pair in text.split(","):
        first, second = pair.split()
        words[first] = (*words.get(first, ()), second)
        words[second] = (*words.get(second, ()), first)
    return words


_OPPOSITE_FORMS = {"en": _read(_ENGLISH)}


LANGUAGES = tuple(_OPPOSITE_FORMS)
"""Codes of the languages with a list."""


def opposite_forms(word: str, language: str) -> tuple[str, ...]:
    """The opposites of a word in the form that it has, capitalized as it is.

    Args:
        word: As it stands in a sentence.
        language: Its code.
    """
    forms = _OPPOSITE_FORMS.get(language, {}).get(word.lower(), ())
    return tuple(form.capitalize() if word[:1].isupper() else form for form in forms)
