"""Measures to windows, and the ranking after reading.

Contract: windows are whole sentences, cover all of them and overlap by one; a measure that answers rises.
"""

from rag.letter import Span
from rag.rank import search
from rag.reader import Reading
from rag.reading import Read, rerank, windows


def spans(*lengths):
    at, found = 0, []
    for n in lengths:
        found.append(Span(at, at + n))
        at += n
    return found


def test_short_sentences_share_a_window():
    assert windows(spans(30, 40, 50), limit=200) == [Span(0, 120)]


def test_next_window_opens_with_the_last_sentence_of_the_one_before():
    assert windows(spans(90, 90, 90), limit=200) == [Span(0, 180), Span(90, 270)]


def test_long_sentence_is_cut_with_overlap():
    assert windows(spans(300), limit=200) == [Span(0, 200), Span(140, 300)]


def test_no_sentences_have_no_windows():
    assert windows([]) == []


def test_hit_whose_window_answers_rises(engine):
    hits = search(engine.index, "加装电梯补助", k=3)
    close = [(hits[0], 0, -9.0), (hits[1], 1, 9.0), (hits[2], 2, -9.0)]
    reads = [Read(h, n, Span(h.measure.body, h.measure.end), Reading(a, ())) for h, n, a in close]
    ranked, moved = rerank(hits, reads)
    gain = {h.measure.path: h.score for h in ranked}
    base = {h.measure.path: h.score / hits[0].score for h in hits}
    assert gain[hits[1].measure.path] - base[hits[1].measure.path] > 0.29
    assert gain[hits[0].measure.path] - base[hits[0].measure.path] < 0.001
    assert [r.rank for r in moved] == [0, 1, 2]
    assert all(r.hit is ranked[r.rank] for r in moved)


def test_nothing_read_changes_no_order(engine):
    hits = search(engine.index, "加装电梯补助", k=3)
    ranked, moved = rerank(hits, [])
    assert [h.measure for h in ranked] == [h.measure for h in hits]
    assert moved == []
