"""The bar for long work: what it shows, and that it shows nothing where nobody looks."""

import io

import pytest

from rag.progress import Bar, picture


@pytest.mark.parametrize(
    ("done", "total", "seconds", "shown"),
    [
        (500, 1000, 10.0, "reading ############------------ 500/1,000 · 50 a second · 10 s left"),
        (1, 10_000, 1.0, "reading ------------------------ 1/10,000 · 1 a second · 166 min 39 s left"),
        (4, 4, 2.0, "reading ######################## 4/4 · 2 a second · 0 s left"),
    ],
)
def test_bar_shows_share_rate_and_time_left(done, total, seconds, shown):
    assert picture("reading", done, total, seconds) == shown


def test_nothing_is_shown_where_there_is_no_terminal():
    stream = io.StringIO()
    bar = Bar(stream)
    for n in range(5):
        bar("reading", n, 4)
    bar.end()
    assert stream.getvalue() == ""


def test_short_work_shows_no_bar_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    bar = Bar(stream)
    bar("reading", 1, 2)
    bar("reading", 2, 2)
    bar.end()
    assert stream.getvalue() == ""
