"""Which letters speak of a place, a body or a year: told from the words and columns of the segments, without reading the letters."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rag.arrays import Array, Bools
from rag.embed import Ids
from rag.head import FIRST_YEAR, YEARS, header, is_plain, place_of, years_of
from rag.letter import Letter
from rag.lists import Kept
from rag.order import Order
from rag.postings import Postings
from rag.segment import Segment
from rag.text import fold

_RUN = re.compile("[㐀-鿿]+")
_LATIN = re.compile("[a-z]")
_KEPT = 200  # answers


class Heads(Protocol):
    """What an index tells of its letters; each answer has one entry a letter, by number."""

    def says(self, folded: str) -> Bools:
        """Which letters hold a folded word in their text."""

    def headed(self, folded: str) -> Bools:
        """Which letters hold a folded word in title, subject, issuer or addressee."""

    def tells(self, year: str) -> Bools:
        """Which letters are of a year, or name it."""

    def one_place(self, numbers: Ids) -> bool:
        """Whether the issuers of these letters are all of one place, or none tells its place."""

    def issuers(self, most: int) -> list[str]:
        """The first issuers, or titles where there is none, each once."""

    def newest(self, most: int) -> list[int]:
        """The numbers of the letters with the latest dates, the latest first."""


class ReadHeads:
    """Told from letters that are all read, as a store does that keeps no columns."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self._letters = letters

    def says(self, folded: str) -> Bools:
        """Which letters hold a folded word in their text."""
        return np.array([says(a, folded) for a in self._letters], np.bool_)

    def headed(self, folded: str) -> Bools:
        """Which letters hold a folded word in title, subject, issuer or addressee."""
        return np.array([folded in header(a) for a in self._letters], np.bool_)

    def tells(self, year: str) -> Bools:
        """Which letters are of a year, or name it."""
        return np.array([int(year) in years_of(a) for a in self._letters], np.bool_)

    def one_place(self, numbers: Ids) -> bool:
        """Whether the issuers of these letters are all of one place, or none tells its place."""
        return len({place_of(self._letters[n]) for n in numbers.tolist()}) <= 1

    def issuers(self, most: int) -> list[str]:
        """The first issuers, or titles where there is none, each once."""
        return list(dict.fromkeys(a.issuer or a.title for a in self._letters))[:most]

    def newest(self, most: int) -> list[int]:
        """The numbers of the letters with the latest dates, the latest first."""
        dates = [a.date for a in self._letters]
        return sorted(range(len(dates)), key=lambda n: dates[n], reverse=True)[:most]


def says(letter: Letter, folded: str) -> bool:
    """Say whether the folded text of a letter holds a word. Most letters show it without being folded."""
    if folded in letter.text:
        return True
    return not (is_plain(letter.text) and not _LATIN.search(folded)) and folded in fold(letter.text)


class SegmentHeads:
    """Told from the segments of an index; the letters are read only where a long name has to be looked for in them."""

    def __init__(self, parts: Sequence[Segment], order: Order, letter: Callable[[int], Letter]) -> None:
        self._parts, self._order, self._letter = parts, order, letter
        self._kept: Kept[Bools] = Kept(_KEPT)

    def says(self, folded: str) -> Bools:
        """Which letters hold a folded word in their text."""
        return self._kept.get(("says", folded), lambda: self._all(folded, _said, self._reads))

    def headed(self, folded: str) -> Bools:
        """Which letters hold a folded word in title, subject, issuer or addressee."""
        return self._kept.get(("headed", folded), lambda: self._all(folded, _headed, self._reads_head))

    def tells(self, year: str) -> Bools:
        """Which letters are of a year, or name it."""
        bit = int(year) - FIRST_YEAR
        if not 0 <= bit < YEARS:
            return np.zeros(len(self._order.letters), np.bool_)
        return self._column("years", lambda a: a[:, bit // 8] >> bit % 8 & 1).astype(np.bool_)

    def one_place(self, numbers: Ids) -> bool:
        """Whether the issuers of these letters are all of one place, or none tells its place."""
        places = self._column("places")[numbers]
        return bool((places == places[:1]).all())

    def issuers(self, most: int) -> list[str]:
        """The first issuers, or titles where there is none, each once."""
        _, firsts = np.unique(self._column("names"), return_index=True)
        letters = [self._letter(n) for n in np.sort(firsts)[:most].tolist()]
        return [a.issuer or a.title for a in letters]

    def newest(self, most: int) -> list[int]:
        """The numbers of the letters with the latest dates, the latest first."""
        found: list[int] = np.argsort(-self._column("dates").astype(np.int64), kind="stable")[:most].tolist()
        return found

    def _column(self, name: str, of: Callable[[Array], Array] = lambda a: a) -> Array:
        columns = [of(p.table[name]) for p in self._parts]
        return np.concatenate(columns)[self._order.places] if columns else np.zeros(0, np.uint64)

    def _all(
        self,
        folded: str,
        held: Callable[[Segment, str], Bools],
        reads: Callable[[int, int, str], bool],
    ) -> Bools:
        """By the words first: all that a text must hold; then, where these do not settle it, in the texts that hold them."""
        terms = [
            t
            for run in _RUN.findall(folded)
            for t in ([run[i : i + 2] for i in range(len(run) - 1)] or [run])
        ]
        settled = terms == [folded]
        out = np.zeros(len(self._order.letters), np.bool_)
        for s, part in enumerate(self._parts):
            numbers = self._order.numbers[s]
            found = numbers >= 0
            for term in terms:
                found &= held(part, term)
            if not settled:
                found[[i for i in np.flatnonzero(found).tolist() if not reads(s, i, folded)]] = False
            out[numbers[found]] = True
        return out

    def _reads_head(self, s: int, i: int, folded: str) -> bool:
        return folded.encode() in self._parts[s].head(i)

    def _reads(self, s: int, i: int, folded: str) -> bool:
        part = self._parts[s]
        if folded.encode() in part.text(i):
            return True
        if part.table["plain"][i] and not _LATIN.search(folded):
            return False
        return folded in fold(part.text(i).decode())


def _said(part: Segment, term: str) -> Bools:
    rows = part.sentence_words.holding(term)
    found = np.diff(np.searchsorted(rows, part.sentence_ends.astype(np.uint32))) > 0
    found[_places(part.other_words, term)] = True
    return found


def _headed(part: Segment, term: str) -> Bools:
    found = np.zeros(len(part.versions), np.bool_)
    found[_places(part.head_words, term)] = True
    return found


def _places(words: Postings, term: str) -> npt.NDArray[np.int64]:
    return words.holding(term).astype(np.int64)
