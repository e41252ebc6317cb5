from __future__ import annotations

from dataclasses import asdict, replace
from math import log
from typing import Any

import pytest

from nlp_pipeline.cli.evaluate import threshold_advice
from nlp_pipeline.components.answer_overlap import exact_match, f1, normalized
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.document_halves import halves, in_first_half
from nlp_pipeline.evaluation.outcomes import LENGTHS, Outcome, length_class, question_type
from nlp_pipeline.evaluation.plot import reliability_svg
from nlp_pipeline.evaluation.reliability import reliability
from nlp_pipeline.evaluation.rouge import rouge
from nlp_pipeline.evaluation.thresholds import (
    Threshold,
    advised_threshold,
    best_threshold,
)

ONE = Outcome("d", "q", "who", LENGTHS[0], True, "ok", -1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("answer", "references", "exact", "overlap"),
    [
        ("The Council.", ["council"], 1, 1),
        ("Ines Falk, architect", ["Ines Falk"], 0, 0.8),
        ("14 March", ["March 2021", "14 March 2021"], 0, 0.8),
        ("", ["x"], 0, 0),
        ("the", ["a"], 1, 1),
        (None, [], 1, 1),
        (None, ["x"], 0, 0),
        ("x", [], 0, 0),
        ("« à l’aube »", ["à l'aube"], 0, 1 / 3),  # as SQuAD's evaluation has it
        ("港口建于1901年", ["1901年"], 0, 4 / 8),
        ("「港口」。", ["港口"], 1, 1),
    ],
)
def test_exact_match_and_f1(
    answer: str | None, references: list[str], exact: float, overlap: float
) -> None:
    assert exact_match(answer, references) == exact
    assert f1(answer, references) == pytest.approx(overlap)


def test_normalization_is_that_of_squad() -> None:
    assert normalized("The U.S.  Navy's an idea") == ["us", "navys", "idea"]
    assert normalized("theatre another") == ["theatre", "another"], "articles are whole words"
    assert normalized("Straße “so”, b–c") == ["straße", "“so”", "b–c"], "ASCII punctuation alone"
    assert normalized("a-the-an b.a.n") == ["athean", "ban"], "punctuation goes before articles"


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many boats sank?", "how many"),
        ("In which year did it open?", "which"),
        ("To whom did he sell it?", "who"),
        ("Name the ship.", "other"),
        ("Combien coûte le moulin ?", "how many"),
        ("Où vit-elle ?", "where"),
        ("Qu'est-ce que c'est ?", "what"),
        ("By when was it done, and who did it?", "when"),
    ],
)
def test_question_types(question: str, kind: str) -> None:
    assert question_type(question) == kind


def test_length_classes() -> None:
    found = [length_class(n) for n in (None, 127, 128, 511, 512, 2047, 2048)]
    assert found == [LENGTHS[i] for i in (0, 0, 1, 1, 2, 2, 3)]


class TestBootstrap:
    def test_the_same_seed_gives_the_same_interval(self) -> None:
        values = [0.9, 0.1, 0.7, 1.0, 0.3]
        groups = list("abcde")
        first = Bootstrap(seed=3).mean(values, groups)
        assert first == Bootstrap(seed=3).mean(values, groups)
        assert first != Bootstrap(seed=4).mean(values, groups)
        assert first is not None
        assert 0 <= first.low < first.value == 0.6 < first.high <= 1

    def test_covers_the_truth_about_as_often_as_it_says(self) -> None:
        """Of 200 samples of a coin, the 90% interval must hold a half in most."""
        import numpy as np

        draws = np.random.default_rng(0)
        hits = 0
        for _ in range(200):
            values = draws.integers(2, size=40).astype(float).tolist()
            found = Bootstrap(200, 1, 0.9).mean(values, range(40))
            assert found is not None
            hits += found.low <= 0.5 <= found.high
        assert 165 <= hits <= 195

    def test_draws_documents_not_questions(self) -> None:
        """Answers about one text that all go the same way say no more than one answer."""
        values = [1.0] * 10 + [0.0] * 10
        together = Bootstrap().mean(values, ["a"] * 10 + ["b"] * 10)
        apart = Bootstrap().mean(values, range(20))
        assert together is not None
        assert apart is not None
        assert (together.low, together.high) == (0, 1)
        assert apart.high - apart.low < 0.5

    def test_of_nothing(self) -> None:
        assert Bootstrap().mean([], []) is None


def questions(*values: tuple[float | None, bool, float], document: str = "d") -> list[Outcome]:
    """Outcomes with a score, whether there is an answer, and the F1."""
    return [
        replace(ONE, document_id=document, score=s, answerable=a, f1=f, exact_match=f)
        for s, a, f in values
    ]


class TestThreshold:
    def test_lies_between_what_is_kept_and_what_is_not(self) -> None:
        results = questions((-1.0, True, 1.0), (-9.0, False, 0.0), (-5.0, False, 0.0))
        assert best_threshold([*results, *questions((-3.0, True, 0.5))], "f1") == -4.0

    def test_is_the_best_of_all_that_leave_an_answer(self) -> None:
        """The sweep in one pass equals trying every threshold."""
        import random

        draws = random.Random(7)
        for _ in range(50):
            results = [
                replace(
                    ONE,
                    score=float(-draws.randint(1, 10)),
                    answerable=(right := draws.random() < 0.6),
                    f1=draws.random() if right else 0.0,
                    status=draws.choice(["ok", "ok", "no_answer"]),
                )
                for _ in range(12)
            ]

            def mean(threshold: float, results: list[Outcome] = results) -> float:
                return sum(
                    float(not o.answerable)
                    if o.status == "ok" and (o.score or 0) < threshold
                    else o.f1
                    for o in results
                ) / len(results)

            highest = max([o.score or 0 for o in results if o.status == "ok"], default=-99)
            best = best_threshold(results, "f1")
            tried = [t - 10.5 for t in range(11) if t - 10.5 < highest]
            most = max(mean(threshold) for threshold in [*tried, -99])
            assert mean(-99 if best is None else best) == pytest.approx(most)

    def test_none_where_none_helps_or_no_answer_would_be_left(self) -> None:
        assert best_threshold(questions((-1.0, True, 1.0), (-7.0, True, 1.0)), "f1") is None
        assert best_threshold(questions((-1.0, False, 0.0)), "f1") is None
        assert advised_threshold([], "f1") is None


def two_halves(*values: tuple[float | None, bool, float]) -> list[Outcome]:
    """The same outcomes for a document of either half."""
    first = next(name for name in "abcdefgh" if in_first_half(name))
    second = next(name for name in "abcdefgh" if not in_first_half(name))
    return [o for name in (first, second) for o in questions(*values, document=name)]


class TestAdvice:
    def test_is_reported_on_the_half_it_was_not_chosen_on(self) -> None:
        good = [(-1.0, True, 1.0)] * 8 + [(-5.0, False, 0.0)] * 4
        results = two_halves(*good)
        advice = advised_threshold(results, "f1")
        assert advice == Threshold(-3.0, "better", 12, 12, 8, 8 / 12, 1.0, 4 / 12)

    def test_refuses_what_gains_nothing_there(self) -> None:
        results = two_halves(*[(-1.0, True, 1.0)] * 8, *[(-5.0, False, 0.0)] * 4)
        turned = [
            o if in_first_half(o.document_id) else replace(o, answerable=True, f1=1.0)
            for o in results
        ]
        advice = advised_threshold(turned, "f1")
        assert advice is not None
        assert (advice.verdict, advice.mean_before, advice.mean_after) == ("no gain", 1.0, 8 / 12)

    def test_refuses_what_is_no_better_than_none_always(self) -> None:
        """The degenerate advice: most answers are wrong, and silence looks like skill."""
        wrong = [(-1.0, True, 0.0)] + [(-2.0 - n, False, 0.0) for n in range(11)]
        advice = advised_threshold(two_halves(*wrong), "f1")
        assert advice is not None
        assert advice.verdict == "none always is as good"
        assert (advice.answered_before, advice.answered_after) == (12, 1)
        assert advice.mean_after == advice.none_always == 11 / 12

    def test_too_few_to_tell(self) -> None:
        advice = advised_threshold(two_halves(*[(-1.0, True, 1.0)] * 9), "f1")
        assert advice is not None
        assert (advice.threshold, advice.verdict) == (None, "too few questions")

    def test_a_failure_is_right_in_no_case(self) -> None:
        results = [replace(o, status="error", f1=0.0) for o in two_halves((None, False, 0.0))] * 10
        advice = advised_threshold(results, "f1")
        assert advice is not None
        assert advice.none_always == 0

    @pytest.mark.parametrize(
        ("threshold", "verdict", "n_left", "words"),
        [
            (
                -3.0,
                "better",
                8,
                "--set components.llama_qa.no_answer_threshold=-3 is better on the half of the "
                "documents that it was not chosen on (12 questions: F1 50.0 to 75.0, 8 of 12 "
                "answers left; none always: 25.0).",
            ),
            (
                -3.0,
                "none always is as good",
                1,
                "No threshold is advised for F1: -3 was best on one half of the documents, and on "
                "the other none always is as good (F1 50.0 to 75.0, 1 of 12 answers left; none "
                "always: 25.0).",
            ),
            (
                None,
                "no gain",
                12,
                "No threshold on the score gives a better F1 here (F1 50.0 to 75.0, 12 of 12 "
                "answers left; none always: 25.0).",
            ),
            (
                None,
                "too few questions",
                12,
                "Too few questions to choose a threshold for F1 on one half (F1 50.0 to 75.0, 12 "
                "of 12 answers left; none always: 25.0).",
            ),
        ],
    )
    def test_is_told_in_one_line(
        self, threshold: float | None, verdict: Any, n_left: int, words: str
    ) -> None:
        advice = Threshold(threshold, verdict, 12, 12, n_left, 0.5, 0.75, 0.25)
        assert threshold_advice("F1", asdict(advice)) == words


def test_halves_depend_on_the_id_alone() -> None:
    names = [f"document {n}" for n in range(1000)]
    first, second = halves(names, str)
    assert 450 < len(first) < 550
    assert halves(reversed(names), str)[0] == first[::-1]
    assert [in_first_half(name) for name in ("a", "b", "c")] == [False, True, True]
    assert len(first) + len(second) == 1000


class TestReliability:
    def test_bins_of_equal_count_error_and_area(self) -> None:
        results = [
            replace(ONE, score=log(0.95)),
            replace(ONE, score=log(0.95), exact_match=0.0),
            replace(ONE, score=log(0.25), exact_match=0.0),
            replace(ONE, score=None),
            replace(ONE, status="no_answer"),
        ]
        curve = reliability(results)
        assert curve is not None
        assert curve.n == 3
        assert [(b.n, b.accuracy) for b in curve.bins] == [(1, 0), (1, 0), (1, 1)]
        assert curve.expected_calibration_error == pytest.approx((0.25 + 0.95 + 0.05) / 3)
        assert curve.auroc == 0.75
        svg = reliability_svg(curve)
        assert svg.startswith("<svg ")
        assert svg.count("<rect") == 5, "the page, the frame and three bins"

    def test_crowded_answers_fill_several_bins(self) -> None:
        """Of 100 answers under 0.1, bins of equal width would show one bar."""
        results = [
            replace(ONE, confidence=n / 1000, exact_match=float(n >= 50)) for n in range(100)
        ]
        curve = reliability(results)
        assert curve is not None
        assert [b.n for b in curve.bins] == [10] * 10
        assert [b.accuracy for b in curve.bins] == [0] * 5 + [1] * 5
        assert (curve.bins[0].low, curve.bins[-1].high) == (0, 0.099)

    def test_the_confidence_goes_before_the_score(self) -> None:
        curve = reliability([replace(ONE, score=-9.0, confidence=0.75)])
        assert curve is not None
        assert curve.bins[0].confidence == 0.75

    def test_of_nothing_to_rank(self) -> None:
        assert reliability([replace(ONE, score=None)]) is None
        curve = reliability([ONE])
        assert curve is not None
        assert curve.auroc is None


def test_rouge_knows_letters_with_accents_and_ideographs() -> None:
    assert rouge("Le moulin a été vendu", "Le moulin a été vendu hier")["rouge1"] == pytest.approx(
        10 / 11
    )
    assert rouge("港口建于", "港口建成")["rouge2"] == pytest.approx(2 / 3)
    assert rouge("", "x")["rougeL"] == 0
