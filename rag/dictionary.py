"""Which words are names of places and bodies, which are common words, and which sound alike.

The lists are package data, made by ``rag train lexicon`` (see ``rag/data/README.md``).
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"
_LONGEST = 8

# What a name of a place or a body ends in; the weak ones also end plain nouns.
_STRONG = "市|县|区|省|州|镇|乡|村|湖|江|河|大学|学院|街道|中学|小学|一中|新区|开发区|机场"
_WEAK = "学校|医院|公司|集团|小区|社区|公园|广场|中心|产业园|基地|委员会|研究院"
_SUFFIXED = re.compile(rf"[㐀-鿿]{{2,8}}?(?:{_STRONG}|{_WEAK})(?![生场民政级域村道线灯口镇流长委属内里])")
_ENDING = re.compile(rf"(?:{_STRONG}|{_WEAK})$")
_STRONG_ENDING = re.compile(rf"(?:{_STRONG})$")
# What makes one body of the name of a place and the words behind it: 某市职业技术学院.
_BODY_OF = re.compile(r"[㐀-鿿]{0,10}?(?:大学|学院|中学|小学|医院|集团|公司)(?!生|堂|化)")
_PLACES = frozenset("市县省州镇乡村")
_PLAIN = frozenset(
    [
        "示范",
        "贫困",
        "农业",
        "重点",
        "先进",
        "试点",
        "模范",
        "人口",
        "经济",
        "工业",
        "百强",
        "特色",
        "传统",
        "美丽",
        "最大",
        "城区",
        "乡镇",
        "开放",
        "旅游",
        "中心",
        "相关",
    ]
)
_CUT = re.compile(
    r"[位落处属设建]于|[年月日的在和与跟及了是有由到从请问吗呢哪几这那各每所个去被把给向对为来帮让叫我你您他她它们全本该某多少]"
)


@lru_cache(maxsize=2)
def _load(name: str) -> frozenset[str]:
    return frozenset(gzip.decompress((_DATA / f"{name}.txt.gz").read_bytes()).decode().split())


@lru_cache(maxsize=1)
def _sounds() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in gzip.decompress((_DATA / "pinyin.txt.gz").read_bytes()).decode().splitlines():
        sound, characters = line.split(" ")
        for character in characters:
            found.setdefault(character, set()).add(sound)
    return {character: frozenset(sounds) for character, sounds in found.items()}


def sound_alike(a: str, b: str) -> bool:
    """Say whether two words of one length can be read alike, tones apart."""
    known = _sounds()
    return len(a) == len(b) and all(
        x == y or known.get(x, frozenset()) & known.get(y, frozenset()) for x, y in zip(a, b, strict=True)
    )


def is_common(word: str) -> bool:
    """Say whether ``word`` (Simplified) is a common word."""
    return word in _load("common")


def is_name(word: str) -> bool:
    """Say whether ``word`` (Simplified) is the name of a place or a body."""
    return word in _load("names")


def names(folded: str) -> list[str]:
    """Return the names of places and bodies in a folded question: known ones, and unknown ones by their ending."""
    found = _known(folded)
    for run in re.findall(r"[㐀-鿿]+", folded):
        for part in _CUT.split(run):
            for match in _SUFFIXED.finditer(part):
                name = _unknown(match[0], match.start() == 0)
                if name and not any(name in f or f.endswith(name) for f in found):
                    found.append(name)
    return found


def _known(folded: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(folded) - 1:
        for length in range(min(_LONGEST, len(folded) - at), 1, -1):
            word = folded[at : at + length]
            if is_name(word):
                body = _BODY_OF.match(folded, at + length)
                found.append(word + body[0] if body else word)
                at += length - 1
                break
            if length > 2 and is_common(word):
                at += length - 1
                break
        at += 1
    return found


def _unknown(phrase: str, at_start: bool) -> str:
    """The name at the end of ``phrase``, a run that ends like one; empty when what stands before is a common word.

    Two characters and 市, 县, 省 … at the start of a run are a name even where they are a common word as well.
    """
    ending = _ENDING.search(phrase)
    if not ending:
        return ""
    stem = phrase[: ending.start()]
    if len(stem) == 2 and ending[0] in _PLACES and at_start and stem not in _PLAIN and not is_common(phrase):
        return phrase
    if len(stem) < 2 or any(is_common(phrase[i:]) for i in range(len(phrase) - 1)):
        return ""
    tails = [stem[-n:] for n in range(2, min(4, len(stem)) + 1)]
    common = next((t for t in reversed(tails) if is_common(t)), "")
    before = stem[: len(stem) - len(common)]
    if not common:
        return stem[-2:] + ending[0] if _STRONG_ENDING.search(phrase) or len(stem) <= 3 else ""
    if len(before) >= 2 and not any(is_common(before[-n:]) for n in (2, 3)):
        return before[-2:] + common + ending[0]
    return ""
