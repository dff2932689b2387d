"""The bundled model's tokenizer without its library: opened in a fifth of the time, and with the same pieces to the last one.

It knows one chain of steps: NFKC, lower case, cut at blanks, punctuation and digits alone, cut where the script changes, Unigram.
Texts with characters whose steps are not told here, and tokenizers of another chain, are left to ``tokenizers``.
Source: Kudo, Subword Regularization, ACL 2018; the order of equal paths and the unknown are those of ``tokenizers``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any

_CHAIN = {
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Punctuation", "behavior": "Isolated"},
            {"type": "Digits", "individual_digits": True},
            {"type": "UnicodeScripts"},
        ],
    },
    "added_tokens": [],
}
# Characters whose steps are those below: ASCII, general punctuation, enclosed numbers, Han, full-width forms, a few signs.
_KNOWN = re.compile(
    "[\t\n\r -~\u00a0\u00b0\u00b1\u00b7\u00d7\u00f7\u2010-\u2027\u2030\u2103\u2160-\u2169\u2190-\u2193\u2264\u2265"
    "\u2460-\u249b\u25a0\u25a1\u25b2\u25b3\u25cb\u25cf\u3000-\u3003\u3005-\u3011\u3014\u3015\u3220-\u3229"
    "\u338e\u338f\u339c-\u33a1\u3400-\u4db5\u4e00-\u9fa5\uff01-\uff5e\uffe5]*"
)
_PARTS = re.compile(
    r"(?P<han>[々〇\u3400-\u4db5\u4e00-\u9fa5]+)|(?P<latin>[a-z]+)|(?P<common>[^\s々〇\u3400-\u4db5\u4e00-\u9fa5a-z]+)"
)
_UNKNOWN_PENALTY = 10.0
_KEPT = 50_000  # parts of texts

Pieces = list[tuple[int, int, int]]  # number, first character, one past the last


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as pieces.

    Attributes:
        ids: numbers of the pieces.
        offsets: first character and one past the last, in the text as given.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Unigram:
    """A tokenizer of the one chain that is known here."""

    def __init__(self, data: dict[str, Any]) -> None:
        vocabulary: list[tuple[str, float]] = data["model"]["vocab"]
        self._unknown: int = data["model"]["unk_id"]
        self._pieces = {piece: (score, n) for n, (piece, score) in enumerate(vocabulary)}
        self._longest = max(map(len, self._pieces))
        self._longest_han = max([1, *[len(p) for p in self._pieces if p >= "㐀"]])
        self._least = min(map(itemgetter(1), vocabulary)) - _UNKNOWN_PENALTY
        self._part = lru_cache(_KEPT)(self._split)

    def encode(self, text: str) -> Encoded | None:
        """Return the pieces of a text; None where it holds a character whose steps are not known here."""
        if not _KNOWN.fullmatch(text):
            return None
        plain, places = _normalized(text)
        ids: list[int] = []
        offsets: list[tuple[int, int]] = []
        for start, part in _parts(plain):
            for n, begin, end in self._part(part):
                ids.append(n)
                if places is None:
                    offsets.append((start + begin, start + end))
                else:
                    offsets.append((places[start + begin], places[start + end - 1] + 1))
        return Encoded(ids, offsets)

    def encode_all(self, texts: Sequence[str]) -> list[Encoded] | None:
        """Return the pieces of texts; None where one of them holds a character whose steps are not known here."""
        found = []
        for text in texts:
            encoded = self.encode(text)
            if encoded is None:
                return None
            found.append(encoded)
        return found

    def _split(self, part: str) -> Pieces:
        """The likeliest pieces of a part; of equal ones those found first."""
        pieces, unknown = self._pieces, self._least
        many = len(part)
        longest = self._longest_han if part[0] >= "㐀" else self._longest
        best = [(0.0, -1, -1)] + [(-1e300, -1, -1)] * many  # score, start, number; by end
        for start in range(many):
            so_far = best[start][0]
            single = False
            for end in range(start + 1, min(many, start + longest) + 1):
                found = pieces.get(part[start:end])
                if found is None:
                    continue
                score = found[0] + so_far
                if best[end][1] < 0 or score > best[end][0]:
                    best[end] = (score, start, found[1])
                single = single or end == start + 1
            if not single:
                score = unknown + so_far
                if best[start + 1][1] < 0 or score > best[start + 1][0]:
                    best[start + 1] = (score, start, self._unknown)
        out: Pieces = []
        end = many
        while end > 0:
            _, start, n = best[end]
            if n == self._unknown and out and out[-1][0] == n:
                out[-1] = (n, start, out[-1][2])
            else:
                out.append((n, start, end))
            end = start
        return out[::-1]


def open_unigram(path: Path) -> Unigram | None:
    """Open a ``tokenizer.json``; None when it is of another chain."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    same = all(data.get(name) == wanted for name, wanted in _CHAIN.items())
    model = data["model"]
    if not same or model["type"] != "Unigram" or model.get("byte_fallback") or model["unk_id"] is None:
        return None
    return Unigram(data)


def _normalized(text: str) -> tuple[str, list[int] | None]:
    """A text by NFKC in lower case, and for each character where it comes from; None when all are in place."""
    plain = unicodedata.normalize("NFKC", text).lower()
    if len(plain) == len(text):
        return plain, None
    made = [(c, i) for i, character in enumerate(text) for c in _character(character)]
    return "".join(c for c, _ in made), [i for _, i in made]


@lru_cache(maxsize=4096)
def _character(character: str) -> str:
    return unicodedata.normalize("NFKC", character).lower()


def _parts(text: str) -> list[tuple[int, str]]:
    """Cut at blanks and where the script changes; punctuation and digits stand alone."""
    found: list[tuple[int, str]] = []
    for m in _PARTS.finditer(text):
        start, part = m.start(), m[0]
        if m.lastgroup == "latin":
            found.append((start, part))
            continue
        begin = 0
        for i, c in enumerate(part):
            if _stands_alone(c):
                if begin < i:
                    found.append((start + begin, part[begin:i]))
                found.append((start + i, c))
                begin = i + 1
        if begin < len(part):
            found.append((start + begin, part[begin:]))
    return found


@lru_cache(maxsize=65536)
def _stands_alone(character: str) -> bool:
    return character in "$+<=>^`|~" or unicodedata.category(character)[0] in "PN"
