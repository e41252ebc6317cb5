"""A run's progress: the figures, plain lines off a terminal, a bar on one."""

from __future__ import annotations

import pytest

from nlp_pipeline.cli import progress
from nlp_pipeline.cli.progress import BarProgress, Figures, PlainProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test turns."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def turn(seconds: float) -> None:
        now[0] += seconds

    return turn


def test_the_line(clock) -> None:
    figures = Figures()
    figures.start(12, 0)
    clock(10)
    for i in range(5):
        figures.add(failed=i == 0, output_tokens=42)
    assert figures.line() == (
        "5/12 documents, 4 ok, 1 failed, 0.5 documents/s, 21 tokens/s, 0:00:14 left"
    )


def test_documents_of_an_earlier_process_do_not_make_this_one_faster(clock) -> None:
    figures = Figures()
    figures.start(7300, 100)
    clock(1)
    figures.add(failed=False, output_tokens=0)
    assert figures.line() == (
        "101/7300 documents (100 from before), 1 ok, 0 failed, 1.0 documents/s, 0 tokens/s, "
        "1:59:59 left"
    )


def test_no_total_no_time_left(clock) -> None:
    figures = Figures()
    figures.start(None, 0)
    clock(1)
    figures.add(failed=False, output_tokens=0)
    assert figures.line().startswith("1 document, 1 ok")
    assert "left" not in figures.line()


def test_plain_lines_come_now_and_then_and_at_the_end(clock, capsys) -> None:
    with PlainProgress() as shown:
        shown.start(4, 1)
        shown.warn("a \x1b[31m[b]")
        for _ in range(2):
            clock(6)
            shown.document(failed=False, output_tokens=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Going on after 1 document.",
        "Warning: a \\x1b[31m[b]",
        "3/4 documents (1 from before), 2 ok, 0 failed, 0.2 documents/s, 0 tokens/s, 0:00:06 left",
        "3/3 documents (1 from before), 2 ok, 0 failed, 0.2 documents/s, 0 tokens/s",
    ]


def test_an_error_leaves_the_line_as_it_stood(clock, capsys) -> None:
    shown = PlainProgress()
    shown.start(4, 0)
    clock(1)
    shown.document(failed=True, output_tokens=0)
    shown.__exit__(RuntimeError)
    assert capsys.readouterr().err.startswith("1/4 documents, 0 ok, 1 failed")


def test_nothing_is_said_of_a_run_that_did_nothing(capsys) -> None:
    with PlainProgress():
        pass
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch, capsys) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "150")
    with BarProgress() as shown:
        shown.start(2, 0)
        shown.warn("[b] \x1b]0;x")
        shown.document(failed=False, output_tokens=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/1 document, 1 ok, 0 failed" in err
    assert "Warning: [b] \\x1b]0;x" in err
    assert "━" in err
