"""The curve of a cascade, the threshold that is proposed, and `evaluate --first`."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_students import saved_textcat

from nlp_pipeline.cli.cascade_text import cascade_advice
from nlp_pipeline.errors.cascade import NoCascade, RunHasFirst, WantedAccuracyInvalid
from nlp_pipeline.evaluation import evaluate_run
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.cascade import CascadeCase, cascade_curve, judge_cascade
from nlp_pipeline.runner.run import run

BOOTSTRAP = Bootstrap(resamples=50)
CONFIG = """\
[nlp]
lang = "en"
pipeline = ["llama_classifier"]

[components]

[components.llama_classifier]
factory = "llama_classifier"
labels = ["sport", "money"]

[components.llama_classifier.generator]
@llama_generators = "nlp_pipeline.echo.v1"
"""


def case(number: int, certainty: float, *, first: float, llama: float) -> CascadeCase:
    return CascadeCase(f"d{number}", certainty, first_right=first, llama_right=llama)


class TestCurve:
    def test_from_the_llama_alone_to_nothing_of_it(self) -> None:
        cases = [
            case(0, 0.9, first=1, llama=1),
            case(1, 0.8, first=1, llama=0),
            case(2, 0.8, first=0, llama=1),
            case(3, 0.4, first=0, llama=1),
        ]
        points = cascade_curve(cases)
        assert [
            2 if point.threshold is None else point.threshold for point in points
        ] == pytest.approx([2, 0.85, 0.6, 0.0])
        assert [point.llama_share for point in points] == pytest.approx([1, 0.75, 0.25, 0])
        assert [point.accuracy for point in points] == [0.75, 0.75, 0.75, 0.5]

    def test_a_threshold_does_what_its_point_says(self) -> None:
        numbers = random.Random(3)
        cases = [
            case(n, numbers.random(), first=numbers.randint(0, 1), llama=numbers.randint(0, 1))
            for n in range(30)
        ]
        for point in cascade_curve(cases)[1:]:
            assert point.threshold is not None
            written = float(f"{point.threshold:.4g}")
            firsts = [c for c in cases if c.certainty >= written]
            assert point.llama_share == pytest.approx(1 - len(firsts) / 30)
            right = sum(c.first_right if c in firsts else c.llama_right for c in cases)
            assert point.accuracy == pytest.approx(right / 30)


class TestProposal:
    def test_the_fewest_calls_that_reach_the_llamas_accuracy(self) -> None:
        """The first is right where it is sure above 0.5, the Llama always."""
        cases = [case(n, n / 100, first=float(n > 50), llama=1.0) for n in range(100)]
        report = judge_cascade(cases, None, BOOTSTRAP)
        assert report.verdict == "proposed"
        assert report.goal == 1.0
        assert report.threshold == pytest.approx(0.5, abs=0.05)
        assert report.llama_share == pytest.approx(0.5, abs=0.12)
        assert report.accuracy is not None
        assert report.accuracy.value > 0.9
        assert report.accuracy.n < 100, "reported on the half it was not chosen on"

    def test_less_accuracy_costs_fewer_calls(self) -> None:
        cases = [case(n, n / 100, first=float(n > 50), llama=1.0) for n in range(100)]
        shares = [judge_cascade(cases, w, BOOTSTRAP).llama_share for w in (1.0, 0.8, 0.5)]
        assert shares[0] > shares[1] > shares[2]

    def test_none_where_the_first_is_always_wrong(self) -> None:
        cases = [case(n, n / 100, first=0.0, llama=1.0) for n in range(100)]
        report = judge_cascade(cases, None, BOOTSTRAP)
        assert (report.verdict, report.threshold) == ("not reached", None)
        assert judge_cascade(cases[:8], None, BOOTSTRAP).verdict == "too few documents"

    def test_what_is_said(self) -> None:
        mean = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40}
        report: dict[str, Any] = {
            "component": "llama_classifier",
            "first": "models/fast",
            "goal": 0.8,
            "verdict": "proposed",
            "threshold": 0.62345,
            "llama_share": 0.3,
            **dict.fromkeys(("accuracy", "llama_accuracy", "first_accuracy", "difference"), mean),
        }
        text = cascade_advice(report)
        assert "--set components.llama_classifier.first=models/fast" in text
        assert "--set components.llama_classifier.first_threshold=0.6234 reaches 80.0%" in text
        assert "the Llama is asked about 30% of 40 documents" in text
        assert "No threshold reaches" in cascade_advice({**report, "verdict": "not reached"})
        assert "Too few documents" in cascade_advice({**report, "verdict": "too few documents"})


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_textcat(tmp_path_factory.mktemp("first"))


@pytest.fixture
def labelled_run(tmp_path: Path, corpus: Callable[..., str]) -> tuple[Path, str]:
    """A run of the echo's classifier over 30 labelled documents."""
    records = [
        {
            "id": f"d{number}",
            "text": f"Number {number} of the {('goal', 'bank')[number % 2]}",
            "meta": {"label": ("sport", "money")[number % 2]},
        }
        for number in range(30)
    ]
    config = tmp_path / "classify.cfg"
    config.write_text(CONFIG, encoding="utf-8")
    path = corpus(*records)
    return run(path, tmp_path / "run", pipeline=str(config)).out, path


class TestEvaluate:
    def test_the_command(
        self, cli: Callable[..., Any], labelled_run: tuple[Path, str], first: str, tmp_path: Path
    ) -> None:
        folder, path = labelled_run
        curve = tmp_path / "curve.svg"
        options = ("--run", folder, "--first", first, "--curve", curve)
        done = cli("evaluate", path, *options, "--json")
        assert done.code == 0, done.err
        cascade = json.loads(done.out)["cascade"]
        assert (cascade["n"], cascade["component"]) == (30, "llama_classifier")
        assert cascade["first_accuracy"]["value"] == 1.0
        assert cascade["curve"][-1] == {"threshold": 0.0, "llama_share": 0.0, "accuracy": 1.0}
        assert curve.read_text().startswith("<svg")
        shown = cli("evaluate", path, *options)
        assert "the Llama alone" in shown.out.casefold() or "the Llama alone" in shown.out
        assert "first_threshold=" in shown.out
        wrong = cli("evaluate", path, "--run", folder, "--wanted-accuracy", 0.5)
        assert wrong.code == 2
        assert "need --first" in wrong.err

    def test_refusals(self, labelled_run: tuple[Path, str], first: str, tmp_path: Path) -> None:
        folder, path = labelled_run
        with pytest.raises(WantedAccuracyInvalid, match="80 and must be"):
            evaluate_run(folder, path, first=first, wanted_accuracy=80)
        settings = [f"components.llama_classifier.first={first}"]
        config = str(tmp_path / "classify.cfg")
        cascade = run(path, tmp_path / "cascade", pipeline=config, settings=settings).out
        with pytest.raises(RunHasFirst, match=r"llama_classifier\.first=null"):
            evaluate_run(cascade, path, first=first)

    def test_a_run_without_a_classifier(
        self, corpus: Callable[..., str], quick: Callable[..., str], tmp_path: Path, first: str
    ) -> None:
        path = corpus({"id": "a", "text": "x", "questions": [], "meta": {"answers": {"who": "x"}}})
        run(path, tmp_path / "out", pipeline=quick())
        with pytest.raises(NoCascade, match="needs a `llama_classifier`"):
            evaluate_run(tmp_path / "out", path, first=first)


def test_the_digest_of_the_first_stands_in_the_fingerprint(
    labelled_run: tuple[Path, str], first: str, tmp_path: Path
) -> None:
    """Another component of the same path is another run; without the setting nothing changes."""
    _, path = labelled_run
    config = str(tmp_path / "classify.cfg")
    settings = [f"components.llama_classifier.first={first}"]
    out = run(path, tmp_path / "cascade", pipeline=config, settings=settings).out
    marks = json.loads((out / "manifest.json").read_text())["fingerprint"]
    assert len(marks["spacy_pipelines"][first]) == 64
    assert marks["components.llama_classifier.first"] == json.dumps(first)
    plain = json.loads((tmp_path / "run" / "manifest.json").read_text())["fingerprint"]
    assert plain["spacy_pipelines"] == {}
