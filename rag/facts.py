"""The facts of a sentence that can be checked: amounts, times and names in quotation marks, each with the words around it.

Everything here works on *plain* text (:func:`plain`): folded, without blanks at numbers, with Han years and months in digits, so
that 六十三家, ６３ 家 and 63家 are one amount, and 1.2万 and 12,000 are one value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from rag.quantities import FAMILY, han_value, quantities
from rag.text import fold, has_han

_HAN_DIGIT = "〇零一二三四五六七八九"
_RANGE = "(?:至|到|[-—–~]+)"
_MARK = re.compile(r"\[\d+\]")
_BLANKS = re.compile(r"(?<=[\d%])[ \t\u3000]+(?=[㐀-鿿%])|(?<=[㐀-鿿])[ \t\u3000]+(?=\d)")
_STRAIGHT = re.compile(r'"([^"]{1,200})"')
_SAME_PERIOD = re.compile("[比较与](?:去年|上年)同期(?:相比)?")
_FIRST = re.compile("首(?=[个家批届次座条所项款部支])|头一(?=[个家批次])")
_HAN_YEAR = re.compile(f"[{_HAN_DIGIT}]{{4}}(?=年)")
_HAN_MONTH = re.compile(
    r"(?<![一二三四五六七八九十百个])(?P<month>十[一二]?|[一二三四五六七八九])月(?P<day>(?:三十一?|二十[一二三四五六七八九]?|十[一二三四五六七八九]?|[一二三四五六七八九])(?=日))?"
)
_YEARS = re.compile(rf"(\d{{4}})年?{_RANGE}(\d{{4}})(?=年)")
_SAME_UNIT = {"名": "人", "位": "人", "千米": "公里", "平方千米": "平方公里", "千克": "公斤", "块钱": "元"}
_ORDINAL = re.compile(r"第(\d+|[一二三四五六七八九十百]+)([㐀-鿿])")
_PARTS = re.compile(r"(\d+|[一二两三四五六七八九十]+)分之(\d+|[一二两三四五六七八九十]+)")
_MEASURED = frozenset({"money", "share", "area", "length", "weight", "volume"})  # 一元 is an amount
# A Han numeral without a unit, of two characters or more.
_BARE = re.compile(
    r"(?<![第〇零一二两三四五六七八九十百千万亿分之])(?!十[一二三四]五)"
    r"((?:[一二两三四五六七八九]?十[一二三四五六七八九]|[二三四五六七八九]十|[一二两三四五六七八九][百千万亿][零一二两三四五六七八九十百千万]*))(?=[余多]?(?:[,。;:、!?]|$))"
)
# 陆拾叁, and 玖 before a unit; not the 伍 of 队伍人数.
_FORMAL = re.compile(
    rf"[壹贰叁肆伍陆柒捌玖拾佰仟廿卅]{{2,}}|(?<![队登大着水内新收])[壹贰叁肆伍陆柒捌玖拾佰仟廿卅](?={'|'.join(map(re.escape, FAMILY))})"
)
_HALF = re.compile("一半|半数|过半|[多大]半(?!年)")
_MORE = re.compile(
    r"(?<![不能得可会应])(?:超过|超出|多于|高于)|不少于|不低于|不小于|至少|最少|突破|逾|(?<!高)超(?=\d|$)"
)
_LESS = re.compile(
    r"不[能得可会应]?(?:超过|超出|多于|高于|大于)|(?<!不)(?:低于|少于|小于)|至多|不足|不到|限额|上限|封顶"
)
_MOST = re.compile("最[高长大多](?![的档])")
_MORE_AFTER = re.compile(r"以上|及以上|多|余")
_LESS_AFTER = re.compile(r"以内|以下|及以下|之内")

_YEAR_WORDS = {"今年": 0, "本年": 0, "去年": -1, "上年": -1, "前年": -2, "明年": 1, "后年": 2}
_QUARTER = {"一": 1, "二": 2, "三": 3, "四": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_TAIL = (
    rf"(?P<half>[上下])半年|第?(?P<quarter>[一二三四1-4])季度|前(?P<nine>三)季度|前(?P<months>\d{{1,2}})个月|"
    rf"(?P<first>\d{{1,2}})月?{_RANGE}(?P<last>\d{{1,2}})月(?!\d)|"
    r"(?P<month>\d{1,2})月(?:(?P<day>\d{1,2})日|(?P<part>上旬|中旬|下旬|底|末|初|份))?|(?P<end>年?[底末](?=前|[^㐀-鿿]|[㐀-鿿]))|(?P<whole>全年)"
)
_TIME = re.compile(
    rf"(?:(?P<year>\d{{4}})年(?!龄|级)|(?P<relative>{'|'.join(_YEAR_WORDS)}))(?:{_TAIL})?|(?<![\d第年])(?:{_TAIL.replace('(?P<', '(?P<b_').replace('年?[底末]', '年[底末]')})"
)
_SINCE = re.compile(r"(?:份|[底末初])?(?:[^,。;]{0,6}以来|至今|以来)")
_FROM = re.compile(r"(?:份|[底末初])?(?:起|开始)")
_BEFORE = re.compile(r"[自从](?:今年|去年)?$")

_OPENING, _CLOSING = "《“‘", "》”’"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit; offsets in the plain text.

    Attributes:
        start: first character.
        end: one past the last.
        value: exact.
        unit: normalised (名 and 位 are 人); an unknown unit is the character behind the number.
        bound: ``>`` for 超过, 以上, 余 …, ``<`` for 不超过, 以内 …, ``≤`` for 最高, 最多 …, else empty.
    """

    start: int
    end: int
    value: Fraction
    unit: str
    bound: str

    @property
    def key(self) -> tuple[Fraction, str]:
        """What must agree."""
        return self.value, self.unit


@dataclass(frozen=True, slots=True)
class Time:
    """An expression of time; offsets in the plain text.

    Attributes:
        start: first character.
        end: one past the last.
        years: the years it may mean; empty when it tells none and none can be told.
        parts: from coarse to fine: months as ``(first, last)``, then day, third of the month or end; () for a whole year.
        since: 2 for 以来 and 至今, 1 for 起 and 自, else 0.
        current: whether it speaks of the year of the letter.
        word: 今年, 明年 and the like as written; tells the year where the letter has no date.
    """

    start: int
    end: int
    years: frozenset[int]
    parts: tuple[object, ...]
    since: int
    current: bool
    word: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A plain sentence and what can be checked in it; ``names`` are the outermost spans inside 《》, “” and ‘’."""

    text: str
    amounts: tuple[Amount, ...]
    times: tuple[Time, ...]
    names: tuple[tuple[int, int], ...]

    def named(self) -> tuple[str, ...]:
        """The names themselves, without their marks."""
        return tuple(self.text[start:end] for start, end in self.names)


def facts(text: str, date: str = "", *, masked: Sequence[str] = ()) -> Facts:
    """Read the facts of one sentence.

    Args:
        text: as written.
        date: of the letter (``YYYY-MM-DD``), which 今年 and a month without a year hang on; or empty.
        masked: names whose characters hold no amounts and times of their own.
    """
    told = plain(text)
    names = tuple(outermost(told))
    open_text = told
    for name in masked:
        open_text = open_text.replace(name, "\0" * len(name))
    times = tuple(_times(open_text, date))
    for time in times:
        open_text = open_text[: time.start] + "\0" * (time.end - time.start) + open_text[time.end :]
    return Facts(told, tuple(_amounts(open_text)), times, names)


def outermost(told: str) -> Iterator[tuple[int, int]]:
    """Yield the spans inside the outermost 《》, “” and ‘’; a mark that is never closed reaches to the end."""
    depth = start = 0
    for at, character in enumerate(told):
        if character in _OPENING:
            start = at + 1 if not depth else start
            depth += 1
        elif character in _CLOSING and depth:
            depth -= 1
            if not depth and at > start:
                yield start, at
    if depth and start < len(told):
        yield start, len(told)


def unread(told: str) -> list[str]:
    """Return the numerals of a plain text that are no amounts here, so that they can only be looked up as they are: 陆拾叁, Ⅸ, ⑨, ⅔."""
    marks = [c for c in told if unicodedata.category(c) in ("Nl", "No") and c != "〇"]
    return [*_FORMAL.findall(told), *marks]


def plain(text: str) -> str:
    """Return a text as the checks see it; not as long as it was."""
    told = _BLANKS.sub("", _MARK.sub("", fold(text)).replace("周岁", "岁"))
    told = _FIRST.sub("第一", told)
    told = _STRAIGHT.sub(r"“\1”", _SAME_PERIOD.sub("同比", told))
    told = _HAN_YEAR.sub(lambda m: "".join(str(max(0, _HAN_DIGIT.index(c) - 1)) for c in m[0]), told)
    told = _HAN_MONTH.sub(_month_in_digits, told)
    return _YEARS.sub(r"\1年至\2", told)


def _month_in_digits(match: re.Match[str]) -> str:
    day = match["day"]
    return f"{han_value(match['month'])}月{han_value(day) if day else ''}"


def _amounts(told: str) -> Iterator[Amount]:
    found = [
        Amount(m.start(), m.end(), Fraction(han_value(m[1])), "第" + m[2], "")
        for m in _ORDINAL.finditer(told)
    ]
    found += [
        Amount(
            m.start(),
            m.end(),
            Fraction(100 * han_value(m[2]), han_value(m[1])),
            "%",
            _bound(told, m.start(), m.end()),
        )
        for m in _PARTS.finditer(told)
    ]
    found += [Amount(m.start(), m.end(), Fraction(50), "%", "") for m in _HALF.finditer(told)]
    taken = [(a.start, a.end) for a in found]
    for q in quantities(told):
        if any(s < q.end and q.start < e for s, e in taken):
            continue
        if told[q.start] == "一" and q.value == 1 and q.unit and FAMILY.get(q.unit) not in _MEASURED:
            continue  # the article: 一个, 一批
        value, unit = Fraction(q.value), _SAME_UNIT.get(q.unit, q.unit)
        if unit == "成":
            value, unit = 10 * value, "%"
        end = q.end
        found.append(Amount(q.start, end, value, unit or _unknown(told, end), _bound(told, q.start, end)))
    taken = [(a.start, a.end) for a in found]
    found += [
        Amount(m.start(), m.end(), Fraction(han_value(m[1])), _unknown(told, m.end()), "")
        for m in _BARE.finditer(told)
        if not any(s < m.end() and m.start() < e for s, e in taken)
    ]
    found.sort(key=lambda a: a.start)
    yield from _completed(told, list(_ranges(told, found)))


def _unknown(told: str, end: int) -> str:
    following = told[end : end + 1]
    return following if following and (has_han(following) or following.isalpha()) else ""


def _ranges(told: str, found: Sequence[Amount]) -> Iterator[Amount]:
    """Give the first number of 5至9名 its unit."""
    for one, following in pairwise(found):
        if following.start - one.end in (1, 2) and re.fullmatch(_RANGE, told[one.end : following.start]):
            unit = one.unit if one.unit not in ("", *"至到") else following.unit
            yield Amount(one.start, one.end, one.value, unit, one.bound)
        else:
            yield one
    yield from found[-1:]


def _completed(told: str, found: Sequence[Amount]) -> Iterator[Amount]:
    """Give 12个 at the end of a clause the unit that an amount before it has: 从45个工作日压缩至12个."""
    longer = ""
    for one in found:
        if one.unit == "个" and longer and not re.match("[㐀-鿿]", told[one.end : one.end + 1]):
            yield Amount(one.start, one.end, one.value, longer, one.bound)
        else:
            yield one
        longer = one.unit if one.unit.startswith("个") and one.unit != "个" else longer


def _bound(told: str, start: int, end: int) -> str:
    """The side on which a number is open: from the words just before, in and just behind it."""
    before = re.split("[,;:。、\\d]", told[max(0, start - 8) : start])[-1]
    inside, after = told[start:end], told[end : end + 3]
    head = before + re.split(r"\d", inside)[0]
    if _MOST.search(head):
        return "≤"
    if _LESS.search(head) or _LESS_AFTER.match(after) or _LESS_AFTER.search(inside):
        return "<"
    if _MORE.search(head) or _MORE_AFTER.match(after) or re.search("以上|[余多]", inside):
        return ">"
    return ""


def _times(told: str, date: str) -> Iterator[Time]:
    year = int(date[:4]) if date else 0
    month = int(date[5:7]) if date else 0
    last: frozenset[int] = frozenset()
    for match in _TIME.finditer(told):
        group = {k.removeprefix("b_"): v for k, v in match.groupdict().items() if v is not None}
        parts = _parts(group)
        if "year" in group:
            years = frozenset({int(group["year"])})
        elif "relative" in group:
            years = frozenset({year + _YEAR_WORDS[group["relative"]]} if year else ())
        else:
            years = last | _implied(parts, year, month)
        if "year" in group or "relative" in group:
            last = years
        yield Time(
            match.start(),
            match.end(),
            years,
            parts,
            _since(told, match),
            years == {year},
            group.get("relative", ""),
        )


def _implied(parts: tuple[object, ...], year: int, month: int) -> frozenset[int]:
    """The years that a month without a year may be of: the letter's, and the one before for a month that was still to come."""
    if not year:
        return frozenset()
    first = parts[0][0] if parts and isinstance(parts[0], tuple) else 1
    return frozenset({year, year - 1} if first > month else {year})


def _since(told: str, match: re.Match[str]) -> int:
    if _SINCE.match(told, match.end()):
        return 2
    return int(bool(_FROM.match(told, match.end()) or _BEFORE.search(told[: match.start()])))


def _parts(group: dict[str, str]) -> tuple[object, ...]:
    """What a time says within its year: the months, then a day or a part of the month."""
    if month := group.get("month"):
        part = group.get("part", "")
        fine = group.get("day") or {"末": "底", "份": ""}.get(part, part)
        return ((int(month), int(month)), fine) if fine else ((int(month), int(month)),)
    if "end" in group:
        return ((12, 12), "底")
    months = _months(group)
    return (months,) if months else ()


def _months(group: dict[str, str]) -> tuple[int, int] | None:
    if half := group.get("half"):
        return (1, 6) if half == "上" else (7, 12)
    if quarter := group.get("quarter"):
        return 3 * _QUARTER[quarter] - 2, 3 * _QUARTER[quarter]
    if first := group.get("first"):
        return int(first), int(group["last"])
    last = "9" if "nine" in group else group.get("months")
    return (1, int(last)) if last else None


def agrees(said: Time, source: Time) -> bool:
    """Say whether a time that was said is that of the source, or a coarser one that holds it."""
    if said.years and source.years and not said.years & source.years:
        return False
    if said.parts != source.parts[: len(said.parts)]:
        return False
    if not said.parts and not said.years and said.word != source.word:
        return False
    since = source.since == 2 and not said.since and not source.current
    return not since and not (said.since == 2 and not source.since and not source.current)
