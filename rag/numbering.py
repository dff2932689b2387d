"""The numbers that Word generates: they stand nowhere in a document's text, but they are what a letter is cut by."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DIGITS = "〇一二三四五六七八九"
_LABEL_LIMIT = 40  # characters


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a list: first number, number format, template such as ``（%1）``, what restarts it, whose style it is."""

    start: int = 1
    format: str = "decimal"
    text: str = ""
    restart: int | None = None
    style: str = ""
    legal: bool = False


@dataclass(frozen=True, slots=True)
class _List:
    """A list of a document: the definition it counts with, its levels, and its own first numbers."""

    abstract: str
    levels: dict[int, Level]
    starts: dict[int, int]


@dataclass(slots=True)
class _Style:
    number: str = ""
    level: str = ""
    parent: str = ""


@dataclass(slots=True)
class Numbering:
    """Numbers the paragraphs of a document, to be asked in their order.

    Args:
        numbering: the root of numbering.xml, or None.
        styles: the root of styles.xml.
    """

    numbering: Any
    styles: Any
    _lists: dict[str, _List] = field(init=False, default_factory=dict)
    _styles: dict[str, _Style] = field(init=False, default_factory=dict)
    _counts: dict[str, dict[int, int]] = field(init=False, default_factory=dict)
    _begun: set[tuple[str, int]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._styles = dict(_read_styles(self.styles))
        if self.numbering is not None:
            self._lists = _read_lists(self.numbering, self._styles)

    def label(self, paragraph: Any) -> str:
        """Return the number of the next paragraph (a ``w:p``), with a blank where one is needed, or an empty string."""
        number, depth = self._place(paragraph)
        found = self._lists.get(number)
        if found is None or depth not in found.levels:
            return ""
        level = found.levels[depth]
        self._count(number, found, depth)
        if level.format == "bullet":
            return ""
        label = self._written(found, depth)
        return f"{label} " if label and label[-1].isascii() else label

    def _place(self, paragraph: Any) -> tuple[str, int]:
        """The list and the level of a paragraph: its own, or those of its style."""
        properties = paragraph.find(f"{W}pPr/{W}numPr")
        style = _value(paragraph, f"{W}pPr/{W}pStyle")
        number, level = _value(properties, f"{W}numId"), _value(properties, f"{W}ilvl")
        names = list(self._ancestors(style))
        number = number or next((s.number for s in names if s.number), "")
        level = level or next((s.level for s in names if s.level), "")
        if not level and (found := self._lists.get(number)):
            return number, next((i for i, x in found.levels.items() if style and x.style == style), 0)
        return number, _integer(level, 0)

    def _ancestors(self, style: str) -> Iterator[_Style]:
        seen: set[str] = set()
        while style in self._styles and style not in seen:
            seen.add(style)
            yield self._styles[style]
            style = self._styles[style].parent

    def _count(self, number: str, found: _List, depth: int) -> None:
        counts = self._counts.setdefault(found.abstract, {})
        anew = (number, depth) not in self._begun and depth in found.starts
        if anew or depth not in counts:
            counts[depth] = found.starts.get(depth, found.levels[depth].start)
        else:
            counts[depth] += 1
        self._begun.add((number, depth))
        for deeper in [d for d in counts if d > depth and _restarts(found.levels.get(d), depth)]:
            del counts[deeper]

    def _written(self, found: _List, depth: int) -> str:
        counts, level = self._counts[found.abstract], found.levels[depth]

        def one(match: re.Match[str]) -> str:
            at = int(match[1]) - 1
            shown = found.levels.get(at, Level())
            return written(counts.get(at, shown.start), "decimal" if level.legal else shown.format)

        return re.sub(r"%([1-9])", one, level.text[:_LABEL_LIMIT]).strip()


def _restarts(level: Level | None, above: int) -> bool:
    return level is None or level.restart is None or above < level.restart


def _read_styles(styles: Any) -> Iterator[tuple[str, _Style]]:
    for style in styles.iter(f"{W}style"):
        properties = style.find(f"{W}pPr/{W}numPr")
        number, level = _value(properties, f"{W}numId"), _value(properties, f"{W}ilvl")
        yield style.get(f"{W}styleId", ""), _Style(number, level, _value(style, f"{W}basedOn"))


def _read_lists(numbering: Any, styles: dict[str, _Style]) -> dict[str, _List]:
    abstracts = {x.get(f"{W}abstractNumId", ""): x for x in numbering.iter(f"{W}abstractNum")}
    used = {x.get(f"{W}numId", ""): _value(x, f"{W}abstractNumId") for x in numbering.iter(f"{W}num")}
    lists = {}
    for num in numbering.iter(f"{W}num"):
        name = num.get(f"{W}numId", "")
        abstract = used[name]
        link = _value(abstracts.get(abstract), f"{W}numStyleLink")
        if link in styles:  # a list style: the definition stands with the list that the style names
            abstract = used.get(styles[link].number, abstract)
        levels = dict(_read_levels(abstracts.get(abstract)))
        starts = {}
        for change in num.iter(f"{W}lvlOverride"):
            levels.update(_read_levels(change))
            if start := _value(change, f"{W}startOverride"):
                starts[_integer(change.get(f"{W}ilvl"), 0)] = _integer(start, 1)
        lists[name] = _List(abstract, levels, starts)
    return lists


def _read_levels(parent: Any) -> Iterator[tuple[int, Level]]:
    for level in [] if parent is None else parent.findall(f"{W}lvl"):
        restart = _value(level, f"{W}lvlRestart")
        yield (
            _integer(level.get(f"{W}ilvl"), 0),
            Level(
                _integer(_value(level, f"{W}start"), 0 if level.find(f"{W}start") is None else 1),
                _value(level, f".//{W}numFmt") or "decimal",
                _value(level, f"{W}lvlText"),
                _integer(restart, 0) if restart else None,
                _value(level, f"{W}pStyle"),
                level.find(f"{W}isLgl") is not None,
            ),
        )


def _value(element: Any, path: str) -> str:
    found = None if element is None else element.find(path)
    return "" if found is None else found.get(f"{W}val", "")


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"\d{1,6}", text) else default


def written(number: int, style: str) -> str:
    """Return ``number`` in one of Word's number formats; in decimal digits where the format is not known."""
    return _FORMATS.get(style, str)(number)


def _han(number: int) -> str:
    """一 … 十 … 二十一 … 一百零五 … 九千九百九十九; other numbers in digits."""
    if not 0 < number < 10_000:
        return str(number)
    places = [(_DIGITS[int(d)], unit) for d, unit in zip(f"{number:04d}", "千百十 ", strict=True)]
    text = "".join("零" if d == "〇" else d + unit.strip() for d, unit in places)
    text = re.sub("零+", "零", text).strip("零")
    return text.removeprefix("一") if 10 <= number < 20 else text


def _letter(number: int) -> str:
    """Letters from a to z, then aa to zz and so on, as Word does."""
    if not 0 < number <= 26 * 5:
        return str(number)
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _roman(number: int) -> str:
    if not 0 < number < 40:
        return str(number)
    return "x" * (number // 10) + ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"][number % 10]


def _signs(first: str, count: int) -> Callable[[int], str]:
    return lambda number: chr(ord(first) + number - 1) if 0 < number <= count else str(number)


_FORMATS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(
        (
            "chineseCounting",
            "chineseCountingThousand",
            "japaneseCounting",
            "taiwaneseCounting",
            "taiwaneseCountingThousand",
        ),
        _han,
    ),
    "ideographDigital": lambda n: "".join(_DIGITS[int(d)] for d in str(n)),
    "decimalZero": lambda n: f"{n:02d}",
    "decimalFullWidth": lambda n: "".join(chr(ord(d) + 0xFEE0) for d in str(n)),
    **dict.fromkeys(("decimalEnclosedCircle", "decimalEnclosedCircleChinese"), _signs("①", 20)),
    "decimalEnclosedParen": _signs("⑴", 20),
    "decimalEnclosedFullstop": _signs("⒈", 20),
    "lowerLetter": _letter,
    "upperLetter": lambda n: _letter(n).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda n: _roman(n).upper(),
    "none": lambda _: "",
}
