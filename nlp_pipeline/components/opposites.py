"""Words of opposite meaning, in English, and whether two words are opposites."""

from __future__ import annotations

from collections.abc import Collection, Iterable

_ENGLISH = """
abandon adopt embrace keep, able unable, abolish introduce start, above below, abundant scarce,
accept refuse reject, acquit convict, active passive, add remove subtract, admit deny, advance
retreat, advantage disadvantage, affirm deny, agree disagree, alive dead, allow ban deny forbid
prevent prohibit, ally enemy rival, always never, amateur professional, ancestor descendant,
ancient modern, appear disappear vanish, approve disapprove reject, arrive depart leave, ascend
descend, assemble dismantle disperse, asset liability, attack defend, attract repel, back front,
backward forward, before after, begin end finish, beginning end, believe doubt, benefit harm,
best worst, better worse, big little small tiny, birth death, bottom top, boy girl, bright dark
dim, brother sister, build demolish destroy, buy sell, calm stormy, capable incapable,
centralize decentralize, centralized decentralized, certain uncertain, cheap expensive, cheaper
dearer, child adult, civil military, civilian military, clean dirty, clear unclear, clockwise
counterclockwise, close open, cold hot warm, colony homeland, combine separate, common rare
uncommon, commonly rarely, competition cooperation, complete incomplete partial, completely
partially, complex simple, complicated simple, concrete abstract, connect disconnect, conscious
unconscious, consistent inconsistent, constant changing variable, construct demolish, contain
exclude, continue discontinue stop, contradict support, convex concave, cool warm, cooperate
compete, correct incorrect wrong, cowardly brave, create destroy, critic supporter, criticize
praise, crowded empty, dark light, darker lighter, day night, dead living, decelerate
accelerate, decrease boost grow raise rise, deep shallow, defeat victory, defense attack,
deficit surplus, demand supply, democracy dictatorship, democratic authoritarian, deny confirm,
dependence independence, dependent independent, descend rise, different same, difficult easy,
direct indirect, discourage encourage, discover hide, dislike like, domestic foreign
international, dominant subordinate, dominate submit, down up, dry wet, earlier later, early
late, ease worsen, easily hardly, east west, eastern western, elect depose, employ dismiss,
employer employee, empty full, enable disable prevent, enemy friend, enter exit leave, entrance
exit, equal unequal, establish abolish end, even odd uneven, evening morning, exclude include,
exhaust replenish, expand contract shrink, expansion contraction, expel admit, explicit
implicit, export import, exterior interior, external internal, fact fiction, fail succeed,
failure success, fair unfair, fall rise, false true, famous unknown, far near, fast slow, father
mother, female male, fertile barren, few many, fewer greater more, fewest most, final first
initial, finite infinite, first last, flexible rigid, flourish decline, forget remember, former
latter, found abolish disband, freeze melt thaw, frequently rarely, friend foe, gain lose loss,
gather scatter, generous stingy, give receive, good bad evil poor, gradual sudden, great small,
greater less lesser smaller, greatest smallest, grow shrink, growth decline, guest host, guilty
innocent, happy sad unhappy, hard easy, harmful beneficial harmless, harmony discord, hate like
love, heat cool, heaven hell, help hinder hurt, hide reveal show, high low, higher lower,
highest lowest, hire fire, horizontal vertical, hostile friendly, husband wife, ignore notice,
ill healthy, illegal legal, import sell, improve deteriorate worsen, include omit, increase
decline decrease diminish drop fall lessen reduce, indoor outdoor, inefficient efficient,
inferior superior, inhale exhale, inland coastal, inner outer, innocence guilt, input output,
insert remove, inside outside, integrate segregate, integration segregation, intentional
accidental, invade withdraw, inward outward, join leave quit, junior senior, kill save spare,
known unknown, landlord tenant, large small tiny, larger smaller, largest smallest, laugh cry,
lawyer client, lead follow, leader follower, least greatest most, leave remain stay, left right,
legal unlawful, legalize ban outlaw prohibit, lend borrow, less more, liberal conservative,
liquid gas solid, literate illiterate, local foreign global national, long short, longer
shorter, longest shortest, loose tight, lose win won, loser winner, loss profit victory win,
loud quiet, lower upper, lowest top, major minor, majority few minority, man woman, manual
automatic, mature immature, max min, maximal minimal, maximize minimize, maximum minimum, mental
physical, merge split, miss hit, moral immoral, much little, multiply divide, narrow broad wide,
native alien foreign, natural artificial, nearly barely, necessary unnecessary, negative
positive, neglect tend, new old, newest oldest, nobility peasantry, noble commoner peasant,
noisy quiet, normal abnormal, north south, northeast southwest, northern southern, northwest
southeast, obey disobey, obsolete current, occupy vacate, offense defense, offensive defensive,
often rarely seldom, old young, older younger, oldest youngest, open shut, opponent proponent
supporter, oppose favor favour support, optimist pessimist, optimistic pessimistic, optional
mandatory, orderly chaotic, organic inorganic, outgoing incoming, over under, overestimate
underestimate, overt covert, part whole, partially fully, partly fully, pass fail, past future
present, pause resume, peace war, peak trough, permanent temporary, permit ban forbid prohibit,
plaintiff defendant, plentiful scarce, poor rich wealthy, popular unpopular, positive adverse,
possible impossible, poverty wealth, praise blame condemn, predecessor successor, prefix suffix,
presence absence, present absent, preserve destroy, prevent cause encourage lead, primary
secondary, private public, probable improbable, professional recreational, prohibit encourage
require, promote demote hinder, protect endanger expose, pull push, punish reward, purchase
sell, pure impure, qualify disqualify, quantity quality, quick slow, quickly slowly, raise cut
lower reduce, rapid slow, rapidly slowly, rare frequent, rational irrational, raw cooked, reduce
boost expand, regress progress, regular irregular, reject adopt, relax tense, relevant
irrelevant, religious secular, remove install, repair damage, republic monarchy, request offer,
require forbid, rescue abandon, resist surrender yield, restore destroy, restrain free, restrict
allow, retain lose, reveal conceal, rich impoverished, right wrong, rigid loose, rise decline
drop, rough smooth, rural urban, sacred profane secular, sad joyful, safe dangerous, safety
danger, satisfied dissatisfied, save spend, seldom frequently, seller buyer, send receive,
sender recipient, sharp blunt dull, shortage surplus, shrink enlarge, sick healthy, similar
different dissimilar, similarity difference, simultaneous successive, single married multiple,
sink float, slow swift, sober drunk, soft hard, solution problem, sour sweet, stable unstable,
stand sit, start end ending finish stop, stop begin, strength weakness, strengthen weaken,
strong weak, stronger weaker, strongest weakest, succeed precede, summer winter, sunny cloudy,
sunrise sunset, support undermine, surrender conquer, survive die perish, symmetric asymmetric,
tame wild, temporary lasting, thick thin, tight slack, together apart, tragedy comedy,
transparent opaque, true untrue, trust distrust, ugly beautiful, uniform varied, unify divide,
union division, unite divide separate, unlikely likely, upstream downstream, useful useless,
usually rarely, vacant occupied, vague precise, vertical flat, violent peaceful, virtue vice,
visible invisible, voluntary compulsory mandatory, vowel consonant, wake sleep, weak powerful,
wealth debt, wet arid, white black, win lost, wise foolish, with without, withdraw advance
deploy, within beyond outside, won lost, worker manager, worst greatest, worthy unworthy, young
elderly, youth age
"""
"""Parted by commas: a lemma, then its opposites. A list of our own, each pair once."""

_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "non", "dis", "anti", "counter", "de", "mis")
_SHORTEST_STEM = 4


def _read(text: str) -> dict[str, frozenset[str]]:
    pairs: dict[str, set[str]] = {}
    for entry in text.split(","):
        word, *opposites = entry.split()
        for opposite in opposites:
            pairs.setdefault(word, set()).add(opposite)
            pairs.setdefault(opposite, set()).add(word)
    return {word: frozenset(opposites) for word, opposites in pairs.items()}


_OPPOSITES = {"en": _read(_ENGLISH)}


def are_opposites(forms: Iterable[str], other_forms: Collection[str], language: str) -> bool:
    """Whether two words are opposites: listed, or one is the other with a negative prefix.

    Args:
        forms: Those of one word without case, such as itself and its lemma.
        other_forms: Those of the other.
        language: Its code. Of another language than English none are known.
    """
    listed = _OPPOSITES.get(language)
    if listed is None:
        return False
    return any(
        form in listed.get(word, ()) or _negates(word, form) or _negates(form, word)
        for word in forms
        for form in other_forms
    )


def _negates(word: str, stem: str) -> bool:
    """Whether a word is a stem with a negative prefix, or has `-less` where it has `-ful`."""
    if len(stem) < _SHORTEST_STEM:
        return False
    if word.endswith("less") and stem == word[:-4] + "ful":
        return True
    return any(word in (prefix + stem, f"{prefix}-{stem}") for prefix in _NEGATIVE_PREFIXES)
