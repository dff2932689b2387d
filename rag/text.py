"""Text as the search sees it: folded character by character, so that offsets never move."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

HAN = "㐀-鿿"
_TERM = re.compile(rf"[{HAN}]+|[a-z]+|\d+(?:\.\d+)?")
_QUOTES = str.maketrans("「」『』", "“”“”")
_FOLDABLE = re.compile(rf"[^{HAN}a-z0-9 \n,.:;!?()%。、]")


@lru_cache(maxsize=1)
def _opencc() -> Any:
    import opencc

    return opencc.OpenCC("t2s")


@lru_cache(maxsize=65536)
def _fold_character(character: str) -> str:
    if "①" <= character <= "⑳":  # a number of an item, not a digit of the text
        return character
    folded = unicodedata.normalize("NFKC", character.translate(_QUOTES)).lower()
    return folded if len(folded) == 1 else character


def simplify(text: str) -> str:
    """Return ``text`` in Simplified characters, as long as it was.

    OpenCC is opened only for text that holds a Han character outside GB 2312, the set of Simplified characters.
    """
    try:
        text.encode("gb2312")
        return text
    except UnicodeEncodeError:
        pass
    outside = set(text).difference(text.encode("gb2312", "ignore").decode("gb2312"))
    if not any("㐀" <= c <= "鿿" for c in outside):
        return text
    simple: str = _opencc().convert(text)
    if len(simple) == len(text):
        return simple
    return "".join(s if len(s := _opencc().convert(c)) == 1 else c for c in text)


def fold(text: str) -> str:
    """Return ``text`` half-width, lower case and Simplified; the same length, so offsets stay true."""
    return simplify(_FOLDABLE.sub(lambda found: _fold_character(found[0]), text))


def terms(text: str) -> list[str]:
    """Split into the terms of the lexical index: Han characters and their pairs, Latin words, numbers whole.

    Source: BM25 over character unigrams and bigrams, as measured in bench/notes.md.
    """
    found: list[str] = []
    for run in _TERM.findall(fold(text)):
        found += _han_terms(run) if run[0] >= "㐀" else [run]
    return found


def _han_terms(run: str) -> list[str]:
    return [*run, *(run[i : i + 2] for i in range(len(run) - 1))]


def has_han(text: str) -> bool:
    """Say whether ``text`` holds a Han character."""
    return any("㐀" <= c <= "鿿" for c in text)
