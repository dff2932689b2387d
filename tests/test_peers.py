"""The harness that measures this program beside others: what it compares is comparable, and its report says what was measured."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "bench" / "peers"))

import corpus
import peer
import report

SEED = "某单位:\n武汉建成食堂63家,比2024年增加1.5万平方米。\n武汉市民政局\n2025年7月31日\n"


def test_a_variation_has_another_town_and_other_figures_and_the_same_dates():
    varied = corpus.letter(1, SEED)
    assert len(varied) == len(SEED)
    assert "武汉" not in varied
    assert "63家" not in varied
    assert "2024年" in varied
    assert varied.endswith("2025年7月31日\n")
    assert corpus.letter(0, SEED) == SEED


def test_towns_differ():
    assert len({corpus.town(n) for n in range(1600)}) == 1600


def test_passages_hold_every_character_but_line_ends():
    text = "甲" * 700 + "\n乙\n丙"
    assert [len(p) for p in peer.passages(text)] == [300, 300, 104]
    assert "".join(peer.passages(text)).replace("\n", "") == text.replace("\n", "")


def test_percentiles_are_of_the_second_round():
    asked = []
    times = peer.timed(asked.append, ["a", "b"])
    assert asked == ["a", "b", "a", "b"]
    assert times["p50_ms"] <= times["p99_ms"]


@pytest.fixture
def measured():
    """A report with one peer that was not given the larger collection."""
    cost = {"wall_s": 8.0, "cpu_s": 6.0, "peak_mib": 900}
    ours = {"wall_s": 0.5, "cpu_s": 0.4, "peak_mib": 90}
    index = {
        "chunks": 20,
        "letters_per_s": 2.0,
        "chunks_per_s": 40.0,
        "letters_per_cpu_s": 2.0,
        "peak_mib": 1,
        "store_mib": 1,
    }
    fast = {**index, "letters_per_s": 50.0, "chunks_per_s": 1000.0, "letters_per_cpu_s": 60.0}
    return {
        "date": "2026-11-25",
        "machine": {"cores": 2, "python": "3.11", "system": "Linux"},
        "load_before": 0.1,
        "load_after": 0.2,
        "threads": 1,
        "cold": {"letter-rag": ours, "langchain": cost},
        "indexing": {
            "1": {"letter-rag": index, "langchain": index},
            "500": {"letter-rag": {**fast, "chunks": 10000}},
        },
        "warm": {},
        "http": {},
    }


def test_the_report_says_how_many_times_better(measured):
    lines = report.table(measured).splitlines()
    assert "| cold start to answer, CPU | 0.40 s | 6.00 s | 15.0 |" in lines
    assert "| indexing 1 letter, letters a second | 2.00 | 2.00 | 1.0 |" in lines


def test_a_rate_over_more_letters_is_compared_with_the_peers_rate_over_its_most(measured):
    lines = report.table(measured).splitlines()
    assert "| indexing 500 letters, letters a second | 50.00 |  | 25.0 |" in lines
    assert "| indexing 500 letters, letters a CPU second | 60.00 |  | 30.0 |" in lines
