"""The lexical index: BM25 over Han characters and their pairs, Latin words and whole numbers.

Contract: texts are numbered from 0; higher is better; rarer terms weigh more; text that holds no term is not found; the scores are
those of the formula, however the texts are spread over files, and without those that are gone.
"""

import math
import random
from collections import Counter

import numpy as np
import pytest

from rag.postings import Postings, write_postings
from rag.text import terms
from rag.words import Words

TEXTS = ["建成零工驿站63家", "建成公园8座", "5G与AI新媒体", "驿站里的驿站和驿站", ""]
SYLLABLES = "建成公园驿站就业补贴学校道路供水养老医院书屋电梯"


def opened(folder, *texts, live=None, **limits):
    """Open texts that lie in several files."""
    for n, some in enumerate(texts):
        write_postings(folder / f"{n}.bin", some)
    parts = [Postings(folder / f"{n}.bin") for n in range(len(texts))]
    return Words(parts, live or [None] * len(parts), **limits)


def search(words, wanted, limit, within=None, firsts=(0,)):
    """Numbers to scores, the best first."""
    found = {
        firsts[f.part] + int(row): float(score)
        for f in words.search(wanted, limit, within)
        for row, score in zip(f.rows, f.scores, strict=True)
    }
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def kept(length):
    """The length that BM25 sees: exact up to 40, then by steps that double after each eight."""
    step, start = 1, 40
    while length > start:
        step *= 2
        if length < start + 8 * step:
            return start + (length - start) // step * step
        start += 8 * step
    return min(length, start)


def bm25(texts, wanted):
    """The formula, text by text."""
    counted = [Counter(terms(t)) for t in texts]
    mean = sum(sum(c.values()) for c in counted) / len(texts)
    out = {}
    for n, c in enumerate(counted):
        norm = 1.2 * (0.25 + 0.75 * kept(sum(c.values())) / mean)
        score = 0.0
        for t in set(wanted):
            many = sum(t in other for other in counted)
            if c[t]:
                score += math.log(1 + (len(texts) - many + 0.5) / (many + 0.5)) * 2.2 * c[t] / (c[t] + norm)
        if score:
            out[n] = score
    return out


def made_up(many, seed=1):
    """Texts of some length and of common and rare words."""
    rng = random.Random(seed)
    return [
        "".join(rng.choice(SYLLABLES[: rng.choice((4, 8, 24))]) for _ in range(rng.randint(1, 70)))
        + f" {n % 9}号"
        for n in range(many)
    ]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("words"), TEXTS)


def test_every_text_is_counted_even_an_empty_one(words):
    assert words.count == 5


def test_texts_that_hold_a_term_are_found_by_number(words):
    assert set(search(words, ["建成"], 10)) == {0, 1}
    assert set(search(words, ["驿站", "公园"], 10)) == {0, 1, 3}


def test_text_that_holds_the_term_more_often_scores_higher(words):
    scores = search(words, ["驿站"], 10)
    assert scores[3] > scores[0] > 0


def test_rarer_term_scores_higher(words):
    scores = search(words, ["建成", "公园"], 10)
    assert scores[1] > scores[0]


def test_limit_keeps_the_best(words):
    assert list(search(words, ["驿站"], 1)) == [3]


def test_latin_words_and_numbers_are_found_whole(words):
    assert list(search(words, ["ai"], 10)) == [2]
    assert list(search(words, ["63"], 10)) == [0]
    assert search(words, ["6"], 10) == {}


def test_term_given_twice_counts_once(words):
    assert search(words, ["公园", "公园"], 10) == search(words, ["公园"], 10)


@pytest.mark.parametrize("wanted", [[], ["飞船"], ["AND"], ["建成 OR"], [""]])
def test_nothing_is_found_for_no_or_unknown_terms(words, wanted):
    assert search(words, wanted, 10) == {}


def test_frequency_is_the_number_of_texts(words):
    assert words.frequencies(["驿站", "飞船", "ai"]) == [2, 0, 1]
    assert words.frequencies([]) == []


def test_index_of_no_texts_finds_nothing(tmp_path):
    assert search(opened(tmp_path, []), ["建成"], 10) == {}
    assert search(opened(tmp_path), ["建成"], 10) == {}


def test_terms_of_the_postings_are_those_of_the_text(tmp_path):
    texts = ["５Ｇ与Ai 3.14 x9 ９家", "", "臺灣體育①②12.5%", "\n\n一、某某。\n某", "a" * 70_000]
    write_postings(tmp_path / "p.bin", texts)
    postings = Postings(tmp_path / "p.bin")
    for n, text in enumerate(texts):
        counted = Counter(terms(text))
        assert postings.lengths[n] == sum(counted.values())
        for term, many in counted.items():
            begin, end = postings.spans([term])[0]
            at = postings.rows(begin, end).tolist().index(n)
            assert postings.counts(begin, end)[at] == many


def test_scores_are_those_of_the_formula(tmp_path):
    texts = made_up(300)
    words = opened(tmp_path, texts)
    for question in ("公园驿站", "学校道路 7号", "电梯"):
        assert search(words, terms(question), 300) == pytest.approx(bm25(texts, terms(question)), rel=1e-5)


def test_texts_spread_over_files_score_as_in_one(tmp_path):
    texts = made_up(300)
    words = opened(tmp_path, texts[:120], [], texts[120:])
    found = search(words, terms("学校道路 7号"), 300, firsts=(0, 120, 120))
    assert found == pytest.approx(bm25(texts, terms("学校道路 7号")), rel=1e-5)


def test_texts_that_are_gone_count_for_nothing(tmp_path):
    texts = made_up(200)
    live = np.arange(200) % 5 > 0
    words = opened(tmp_path, texts, live=[live])
    numbers = np.flatnonzero(live).tolist()
    wanted = bm25([texts[n] for n in numbers], terms("学校道路"))
    assert words.count == 160
    assert search(words, terms("学校道路"), 200) == pytest.approx(
        {numbers[n]: s for n, s in wanted.items()}, rel=1e-5
    )


@pytest.mark.parametrize("few", [True, False])
def test_search_within_some_texts_finds_these_with_the_same_scores(tmp_path, few):
    texts = made_up(200)
    words = opened(tmp_path, texts)
    rows = np.arange(3, 200, 7)
    mask = np.zeros(200, np.bool_)
    mask[rows] = True
    whole = search(words, terms("学校道路"), 200)
    found = search(words, terms("学校道路"), 200, [rows if few else mask])
    assert found == pytest.approx({n: s for n, s in whole.items() if mask[n]}, rel=1e-5)


def test_rare_terms_first_gives_the_same_best_texts(tmp_path):
    texts = made_up(3_000)
    (tmp_path / "all").mkdir()
    (tmp_path / "rare").mkdir()
    whole = opened(tmp_path / "all", texts)
    rare = opened(tmp_path / "rare", texts, budget=1_500, leading=200)
    for question in ("供水养老补贴 7号", "公园里的书屋和电梯", "建成医院"):
        best = list(search(whole, terms(question), 10).items())[:10]
        found = list(search(rare, terms(question), 10).items())[:10]
        assert [n for n, _ in found] == [n for n, _ in best]
        assert [s for _, s in found] == pytest.approx([s for _, s in best], rel=1e-5)
