"""The words around an amount or a name: what tells to which thing it belongs.

A sentence is cut into segments at its commas, its list marks and its 和; an amount belongs to the words of its own segment and, less
so, to those of the segments beside it that hold no amount. Lists with 分别 are dealt out one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.facts import Amount, Facts

_SEPARATOR = re.compile(
    r"[、,;:。!?\n]|和(?!谐|睦)|与(?!会)|(?<!以)及(?!以)|以及|另有|另外|(?<=[㐀-鿿])(?=(?:已|其中)[^,;。、]{0,8}\d)|(?:(?<!公)里|中)(?=\d|有\d|已有)"
)
_REST = re.compile("剩下|剩余|还剩|余下")
_EMPTY = frozenset("的了和与及等为是在有对于将被把由从到至其共已还也并都就可会要这那个们个之而且按向给每各")


@dataclass(frozen=True, slots=True)
class Around:
    """The words around an amount: those of its own segment, and those of the segments beside it that hold no amount."""

    near: frozenset[str]
    far: frozenset[str]


_NOTHING = Around(frozenset(), frozenset())


def around(sentence: Facts) -> list[Around]:
    """Return the words around each amount of a sentence, in order. Lists with 分别 are dealt out one by one."""
    told = _without_names(sentence)
    each = [a for a in sentence.amounts if told[max(0, a.start - 1) : a.start] != "每"]
    found = dict(zip(each, _around(told, [(a.start, a.end) for a in each], each), strict=True))
    return _dealt(sentence, [found.get(a, _NOTHING) for a in sentence.amounts])


def around_names(sentence: Facts) -> list[Around]:
    """Return the words around each name of a sentence, in order."""
    told = _without_names(sentence)
    found = _around(told, sentence.names, ())
    near = frozenset[str]().union(*(f.near for f in found))
    shared = frozenset(tokens(told)) - near  # the clauses without a name are about all of them
    return [Around(f.near, shared) for f in found]


def _without_names(sentence: Facts) -> str:
    told = sentence.text
    for start, end in sentence.names:
        told = told[:start] + "\0" * (end - start) + told[end:]
    return told


def _around(told: str, marks: Sequence[tuple[int, int]], amounts: Sequence[Amount]) -> list[Around]:
    cuts = [
        m.end() for m in _SEPARATOR.finditer(told) if not any(a < m.end() and m.start() < b for a, b in marks)
    ]
    pieces = [
        (start, end, [i for i, (a, _) in enumerate(marks) if start <= a < end])
        for start, end in pairwise(sorted({0, *cuts, len(told)}))
    ]
    found = [_NOTHING] * len(marks)
    for n, (start, end, held) in enumerate(pieces):
        far = frozenset(_far(told, pieces, n)) if held else frozenset()
        for place, i in enumerate(held):
            left = marks[held[place - 1]][1] if place else start
            right = marks[held[place + 1]][0] if place + 1 < len(held) else end
            near = tokens(told[left : marks[i][0]]) | tokens(told[marks[i][1] : right])
            near |= set() if place else _listed(told, pieces, n)
            near |= _shared(told, pieces, n, marks)
            if place and amounts:
                near.add(f"@{amounts[held[place - 1]].key}")
            found[i] = Around(frozenset(near), far)
    return found


def _shared(
    told: str, pieces: Sequence[tuple[int, int, list[int]]], n: int, marks: Sequence[tuple[int, int]]
) -> set[str]:
    """The words behind the last amount of the list a piece is in: they hold for the whole list."""
    last = n
    behind = told[marks[pieces[n][2][-1]][1] : pieces[n][1]] if pieces[n][2] else ""
    if tokens(behind):
        return set()
    while last + 1 < len(pieces) and pieces[last + 1][2] and told[pieces[last][1] - 1] not in ",;:。":
        last += 1
    return tokens(told[marks[pieces[last][2][-1]][1] : pieces[last][1]]) if last > n else set()


def _listed(told: str, pieces: Sequence[tuple[int, int, list[int]]], n: int) -> set[str]:
    """The words of the list that leads to a piece: 东风桥、学府路口等15处."""
    found: set[str] = set()
    while n and not pieces[n - 1][2] and told[pieces[n - 1][1] - 1] not in ",;:。":
        n -= 1
        found |= tokens(told[pieces[n][0] : pieces[n][1]])
    return found


def _far(told: str, pieces: Sequence[tuple[int, int, list[int]]], n: int) -> set[str]:
    """The words of the pieces without marks before this one, and of those behind it in its own clause."""
    found: set[str] = set()
    at = n - 1
    while at >= 0 and not pieces[at][2]:
        found |= tokens(told[pieces[at][0] : pieces[at][1]])
        at -= 1
    at = n
    while at + 1 < len(pieces) and not pieces[at + 1][2] and told[pieces[at][1] - 1] not in ",;:。":
        at += 1
        found |= tokens(told[pieces[at][0] : pieces[at][1]])
    return found


def _dealt(sentence: Facts, told: list[Around]) -> list[Around]:
    """Deal A、B、C分别1、2、3 out: A to 1, B to 2, C to 3."""
    for match in re.finditer("分别", sentence.text):
        after = [i for i, a in enumerate(sentence.amounts) if a.start >= match.start()]
        run = after[:1]
        for one, following in pairwise(after):
            between = sentence.text[sentence.amounts[one].end : sentence.amounts[following].start]
            if not re.fullmatch(r"[、,和]|以上、|以内、", between):
                break
            run.append(following)
        items = _items(sentence.text[: match.start()], len(run))
        if len(run) > 1 and items:
            for i, item in zip(run, items, strict=True):
                told[i] = Around(frozenset(tokens(item) | {f"#{item[-4:]}"}), frozenset())
    return told


def _items(before: str, count: int) -> list[str]:
    """The last list of ``count`` items before 分别; empty when there is none."""
    for clause in reversed(re.split("[,;。]", before)):
        items = re.split("[、和与]", clause)
        if len(items) >= count > 1:
            items = items[-count:]
            items[0] = items[0][-6:]
            items[-1] = re.split(r"\d|[三四五六两]个|等|证书|每|取|的", items[-1] or " ")[0]
            return items
    return []


def tokens(text: str) -> set[str]:
    """Return what a text speaks of: its Han characters and their pairs without the empty words, and Latin words."""
    found: set[str] = set()
    for run in re.findall(r"[㐀-鿿]+|[a-z]+|\d+(?:\.\d+)?", text.replace("同比", " ")):
        if run[0] < "㐀":
            found.add(run)
            continue
        words = _REST.sub("其余", run)
        found |= {c for c in words if c not in _EMPTY}
        found |= {a + b for a, b in pairwise(words) if not (a in _EMPTY or b in _EMPTY)}
    return found


def weight(token: str) -> float:
    """What a token counts: a pair twice a character, an amount or an item of a list more."""
    return 4.0 if token[0] in "@#" else 2.0 if len(token) > 1 else 1.0


def mass(words: set[str] | frozenset[str]) -> float:
    """Return what some tokens count together."""
    return sum(map(weight, words))


def likeness(own: Around, there: Around, but: Around | None = None) -> float:
    """Return how much the words around two amounts have in common; ``but``: only what is not around a third."""
    near, far = there.near, there.far
    if but is not None:
        near, far = near - but.near - but.far, far - but.far - but.near
    return (
        mass(own.near & near)
        + 0.4 * (mass(own.near & far) + mass(own.far & near))
        + 0.2 * mass(own.far & far)
    )
