"""Near misses made by rule: one word of a question is exchanged for a word of a text on a like subject.

A question for 制造业 becomes one for 服务业, and its text no longer answers it. Where the word is exchanged in the text as well, it
still does: both are shown to the reader in training, so that an odd word alone tells it nothing.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag.reader import Encoder, Ints, Tokens

_LIGHTEST = 33.0  # norm of the static vector of a word that is worth exchanging
_LENGTHS = (2, 3, 4)  # characters of a word


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece of a text: the numbers of its characters, its row, and the Han characters before and after it, 0 for none."""

    ids: tuple[int, ...]
    row: int
    before: int
    after: int

    def replaces(self, old: _Word) -> bool:
        """Whether it is as long, has no character in common, and stands beside one of the same characters."""
        beside = (self.before and self.before == old.before) or (self.after and self.after == old.after)
        return bool(beside) and len(self.ids) == len(old.ids) and not set(self.ids) & set(old.ids)


class Swaps:
    """Exchanges words of questions and windows given as tokens; ``texts`` are those that new words come from."""

    def __init__(self, encode: Encoder, texts: Mapping[str, Tokens]) -> None:
        self._han = [False] * 3 + ["㐀" <= c <= "鿿" for c in encode.characters]
        self._heavy = np.linalg.norm(encode.embedder.table.astype(np.float32), axis=1) >= _LIGHTEST
        self._texts = texts
        self._known: dict[str, list[_Word]] = {}

    def swap(
        self, asked: Tokens, window: Tokens, others: Sequence[str], rng: random.Random, *, both: bool
    ) -> tuple[Tokens, Tokens] | None:
        """Exchange a word that question and window share for a word that stands beside the same character elsewhere.

        Args:
            asked: the question.
            window: a text that answers it.
            others: texts that the new word may come from.
            rng: chooses the words.
            both: exchange it in the window too, wherever it stands.

        Returns:
            The new question and window, of the same lengths; None where there is no such pair of words.
        """
        shared = [w for w in self._words(asked) if len(places(window.ids, w.ids))]
        rng.shuffle(shared)
        for old in shared[:3]:
            found = [new for text in others for new in self._of(text) if new.replaces(old)]
            found = [new for new in found if not len(places(window.ids, new.ids))]
            if found:
                new = rng.choice(found)
                return _put(asked, old, new), _put(window, old, new) if both else window
        return None

    def _of(self, text: str) -> list[_Word]:
        if text not in self._known:
            self._known[text] = list(self._words(self._texts[text]))
        return self._known[text]

    def _words(self, tokens: Tokens) -> Iterator[_Word]:
        """The heavy words of a text: pieces of two to four Han characters."""
        edges = [0, *(np.flatnonzero(np.diff(tokens.rows)) + 1).tolist(), len(tokens.rows)]
        ids = tokens.ids.tolist()
        for a, b in itertools.pairwise(edges):
            if b - a in _LENGTHS and self._heavy[tokens.rows[a]] and all(self._han[i] for i in ids[a:b]):
                before, after = ids[a - 1] if a else 0, ids[b] if b < len(ids) else 0
                yield _Word(
                    tuple(ids[a:b]), int(tokens.rows[a]), before * self._han[before], after * self._han[after]
                )


def places(ids: Ints, word: Sequence[int]) -> Ints:
    """Return where the numbers ``word`` stand in a row in ``ids``: shape ``(found,)``."""
    if len(word) > len(ids):
        return np.zeros(0, np.int32)
    same = np.ones(len(ids) - len(word) + 1, bool)
    for i, n in enumerate(word):
        same &= ids[i : i + len(same)] == n
    return np.flatnonzero(same).astype(np.int32)


def _put(tokens: Tokens, old: _Word, new: _Word) -> Tokens:
    ids, rows = tokens.ids.copy(), tokens.rows.copy()
    for at in places(tokens.ids, old.ids).tolist():
        ids[at : at + len(new.ids)], rows[at : at + len(new.ids)] = new.ids, new.row
    return replace(tokens, ids=ids, rows=rows)
