from __future__ import annotations

from dataclasses import replace
from math import log

import pytest

from nlp_pipeline.components.answer_overlap import exact_match, f1, normalized
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.outcomes import LENGTHS, Outcome, length_class, question_type
from nlp_pipeline.evaluation.plot import reliability_svg
from nlp_pipeline.evaluation.reliability import reliability
from nlp_pipeline.evaluation.rouge import rouge
from nlp_pipeline.evaluation.thresholds import best_threshold

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


class TestThreshold:
    def test_lies_between_what_is_kept_and_what_is_not(self) -> None:
        found = [
            replace(ONE, score=-1.0),
            replace(ONE, score=-9.0, answerable=False, f1=0.0, exact_match=0.0),
            replace(ONE, score=-5.0, answerable=False, f1=0.0, exact_match=0.0),
            replace(ONE, score=-3.0, f1=0.5, exact_match=0.0),
        ]
        best = best_threshold(found, "f1")
        assert best is not None
        assert (best.threshold, best.before, best.after) == (-4.0, 1.5 / 4, 3.5 / 4)

    def test_is_the_best_of_all(self) -> None:
        """The sweep in one pass equals trying every threshold."""
        import random

        draws = random.Random(7)
        for _ in range(50):
            found = [
                replace(
                    ONE,
                    score=float(-draws.randint(1, 10)),
                    answerable=(right := draws.random() < 0.6),
                    f1=draws.random() if right else 0.0,
                    status=draws.choice(["ok", "ok", "no_answer"]),
                )
                for _ in range(12)
            ]

            def mean(threshold: float, found: list[Outcome] = found) -> float:
                return sum(
                    float(not o.answerable)
                    if o.status == "ok" and (o.score or 0) < threshold
                    else o.f1
                    for o in found
                ) / len(found)

            best = best_threshold(found, "f1")
            assert best is not None
            most = max(mean(t - 10.5) for t in range(11))
            assert best.after == pytest.approx(max(most, mean(-99)))
            if best.threshold is not None:
                assert mean(best.threshold) == pytest.approx(best.after)

    def test_none_where_none_helps(self) -> None:
        best = best_threshold([ONE, replace(ONE, score=-7.0)], "f1")
        assert best is not None
        assert best.threshold is None
        assert best_threshold([], "f1") is None


class TestReliability:
    def test_bins_error_and_area(self) -> None:
        found = [
            replace(ONE, score=log(0.95)),
            replace(ONE, score=log(0.95), exact_match=0.0),
            replace(ONE, score=log(0.25), exact_match=0.0),
            replace(ONE, score=None),
            replace(ONE, status="no_answer"),
        ]
        curve = reliability(found)
        assert curve is not None
        assert curve.n == 3
        assert [b.n for b in curve.bins] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 2]
        assert curve.bins[9].accuracy == 0.5
        assert curve.expected_calibration_error == pytest.approx((2 * 0.45 + 0.25) / 3)
        assert curve.auroc == 0.75
        svg = reliability_svg(curve)
        assert svg.startswith("<svg ")
        assert svg.count("<rect") == 4, "the page, the frame and two bins"

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
