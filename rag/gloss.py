"""English out of Chinese, word by word through a dictionary: questions in English for texts that have none.

A static embedding takes a text as a bag of pieces, so that a row of glosses teaches it nearly as much as a translation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

_LONGEST = 8
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NOTE = re.compile(r"variant of|surname|see also|used in|abbr\.|old name|also called|Japanese|^see ")
_LEAD = re.compile(r"^\s*(?:to be|to|a|an|the|lit\.|fig\.)\s+")
_LATIN = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?%?")
_FUNCTION_WORDS = frozenset(
    [
        "的",
        "了",
        "是",
        "在",
        "和",
        "与",
        "或",
        "及",
        "也",
        "都",
        "就",
        "被",
        "把",
        "对",
        "于",
        "以",
        "而",
        "之",
        "其",
        "为",
        "由",
        "从",
        "到",
        "上",
        "中",
        "下",
        "有",
        "不",
        "这",
        "那",
        "一",
        "个",
        "等",
        "请",
        "吗",
        "呢",
        "吧",
    ]
)


class Glosses:
    """A dictionary from Chinese words to their English glosses."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        self._glosses: dict[str, list[str]] = {}
        for word, text in entries:
            if found := glosses(text):
                self._glosses.setdefault(word, []).extend(found)

    def pairs(self, most: int = 4) -> list[tuple[str, str]]:
        """Return every word with each of its first glosses."""
        return [(word, gloss) for word, found in self._glosses.items() for gloss in found[:most]]

    def english(self, text: str, rng: random.Random) -> str:
        """Return a gloss for each word of a text, longest words first; Latin words and numbers as they stand."""
        out: list[str] = []
        at = 0
        while at < len(text):
            word = next((text[at : at + n] for n in range(_LONGEST, 0, -1) if self._has(text, at, n)), "")
            latin = None if word else _LATIN.match(text, at)
            if word and word not in _FUNCTION_WORDS and (len(word) > 1 or rng.random() < 0.5):
                out.append(rng.choice(self._glosses[word][:4]))
            elif latin:
                out.append(latin[0])
            at += len(word) or (len(latin[0]) if latin else 1)
        return " ".join(out)

    def _has(self, text: str, at: int, length: int) -> bool:
        return at + length <= len(text) and text[at : at + length] in self._glosses


def glosses(text: str) -> list[str]:
    """Return the plain glosses of a dictionary entry, without notes: ``"to rain; (fig.) to fall"`` gives ``rain``, ``fall``."""
    text = _ASIDE.sub("", text)
    if _NOTE.search(text):
        text = re.split(r"variant of|see also|abbr\.|also called", text)[0]
    parts = [_LEAD.sub("", p.strip()).strip(" ,.") for p in re.split(r"[;/]", re.sub(r"[㐀-鿿]+", "", text))]
    return [p for p in parts if len(p) < 40 and re.search(r"[A-Za-z]", p)]
