"""How near the words of a question stand to the words that may answer it, in one sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from rag.seam import Searchable
from rag.text import terms

_SEPARATOR = re.compile(r"[,;:。!?]")
_AND = re.compile(r"[和及与、]$")


class Nearness:
    """The words of one question, weighted by how rare they are in the letters; words no letter knows do not count."""

    def __init__(self, index: Searchable, asked: str) -> None:
        many = len(index.measures)
        asked_for = [t for t in dict.fromkeys(terms(asked)) if len(t) > 1 or not "㐀" <= t[0] <= "鿿"]
        found = zip(asked_for, index.frequencies(asked_for), strict=True)
        self._weights = {t: math.log(1 + many / (f + 0.5)) for t, f in found if f}
        self._total = sum(self._weights.values())

    def of(self, sentence: str, start: int, end: int, *, amount: bool) -> float:
        """Return how near the words stand to ``sentence[start:end]``, in [0, 1].

        What a word counts is halved, about, at each comma between, and falls with the distance. Words inside an amount's own span
        count in full; inside a name or a list they tell little.
        """
        if not self._total:
            return 0.0
        near = (w * _near(sentence, t, start, end, amount) for t, w in self._weights.items() if t in sentence)
        return sum(near) / self._total


def _near(sentence: str, term: str, start: int, end: int, amount: bool) -> float:
    best = 0.0
    for at in _places(term, sentence):
        stop = at + len(term)
        if at < end and stop > start:
            best = max(best, 1.0 if amount else 0.5)
            continue
        before = stop <= start
        between = sentence[stop:start] if before else sentence[end:at]
        commas, rows = len(_SEPARATOR.findall(between)), between.count("、")
        value = 0.55**commas * (0.75 if before else 0.5) ** rows * math.exp(-len(between) / 50)
        if amount and before and _AND.search(between):
            value *= 0.6  # 8家甲企业和3家乙企业: what stands before 和 belongs to the amount before it
        best = max(best, value * (1.0 if before else 0.7 if commas + rows else 0.95))
    return best


def _places(term: str, text: str) -> Iterator[int]:
    at = text.find(term)
    while at >= 0:
        yield at
        at = text.find(term, at + 1)
