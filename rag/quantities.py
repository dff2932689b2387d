"""Numbers with their units, and dates, as they stand in official Chinese text.

Works on folded text (:func:`rag.text.fold`), so that 63家, ６３家 and 六十三家 are the same quantity, and never relies on
the word borders of regular expressions, which do not see where a digit meets a Han character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_HAN_NUMBER = "[〇零一二两三四五六七八九十百千万亿]"

# Units by family; within a family counts can answer one another, but never become one another.
FAMILIES: dict[str, tuple[str, ...]] = {
    "people": ("人次", "人", "名", "位", "户次", "户", "家庭"),
    "bodies": ("家次", "家", "所", "个", "间", "座", "处", "站"),
    "events": ("场次", "场", "期", "届", "次", "轮", "批次", "批", "班", "趟", "班次"),
    "things": (
        "个次",
        "项",
        "件",
        "条",
        "种",
        "类",
        "份",
        "张",
        "本",
        "册",
        "篇",
        "部",
        "台",
        "套",
        "辆次",
        "辆",
        "艘",
        "架",
        "支",
        "只",
        "头",
        "株",
        "棵",
        "栋",
        "幢",
        "组",
        "队",
        "对",
        "宗",
        "起",
        "例",
        "单",
        "把",
        "枚",
        "门",
        "节",
        "课时",
        "学位",
        "床位",
        "泊位",
        "车位",
        "岗位",
        "村",
        "镇",
        "乡",
        "社区",
        "街道",
        "省",
        "市",
        "县",
        "区",
        "国",
        "方面",
        "举措",
        "措施",
        "层",
        "号",
        "级",
        "块",
        "根",
        "口",
        "片",
        "面",
        "段",
        "盏",
        "扇",
        "杆",
    ),
    "money": ("元", "美元", "港元", "欧元", "日元", "块钱"),
    "share": ("%", "个百分点", "‰", "成", "倍"),
    "area": ("平方公里", "平方千米", "平方米", "亩", "公顷"),
    "length": ("公里", "千米", "米", "厘米", "毫米", "海里"),
    "weight": ("吨", "公斤", "千克", "克", "标准煤"),
    "volume": ("立方米", "升", "毫升"),
    "power": ("千瓦时", "千瓦", "兆瓦", "度"),
    "time": ("小时", "分钟", "秒", "个工作日", "工作日", "天", "个月", "周", "学时", "岁", "年"),
}
FAMILY = {unit: family for family, units in FAMILIES.items() for unit in units}
_UNITS = "|".join(sorted(map(re.escape, FAMILY), key=len, reverse=True))
_MORE = "余|多|来|几"

_GAP = " *"  # some letters set a blank between a number and what it counts: 63 家
_HIGH = r"\d+亿(?=\d{1,4}[百千]?万)|\d+万(?=\d{1,4}(?![\d.万亿]))"  # of 1亿2000万 and 3万5千
_VAGUE = "(?<![人户次件总])数(?=[十百千万亿])|几(?=[十百千万亿])|(?<![线网以])上(?=[百千万亿])"
_QUANTITY = re.compile(
    rf"(?:(?P<before>近|约|超过|超|逾|将近|不少于|不低于|至少|不超过|最高|百分之|{_VAGUE}){_GAP})?"
    rf"(?P<high>{_HIGH})?"
    rf"(?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?|{_HAN_NUMBER}+(?:点[零一二三四五六七八九]+)?)"
    rf"(?P<power>(?:{_GAP}[万亿]+|[十百千万亿]+)?)(?:{_GAP}(?P<more>{_MORE}))?(?P<power2>[十百千万亿]*)"
    rf"(?:{_GAP}(?P<unit>{_UNITS}))?(?:{_GAP}(?P<after>左右|以上|以内|以下))?"
)
_MONTH = rf"\d{{1,2}}{_GAP}月(?:{_GAP}(?:\d{{1,2}}{_GAP}日|上旬|中旬|下旬|底|初|末|份))?"
_NUMERAL = "[0-9.〇零一二两三四五六七八九十百千万亿]"
_WITHIN = re.compile(rf"{_NUMERAL}(?:{_NUMERAL}|[余多%‰])|[余多][万亿]")
_DATE = re.compile(
    rf"(?:(?:\d{{4}}{_GAP}年|今年|去年|明年|当年|上年)"
    rf"(?:{_GAP}(?:{_MONTH}|底|初|末|[上下]半年|第?[一二三四1-4]季度|前三季度|全年))?|"
    rf"{_MONTH}|[上下]半年|第?[一二三四]季度|前三季度|年底前?|年内|近期|目前|“?十[二三四五]五”?(?:期间|时期)?)"
    rf"(?:以来|以前|之前|前|起|至今|期间)?"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text.

    Attributes:
        start: first character, with words like 近 and 约.
        end: one past the last, with the unit and words like 左右.
        value: the number, powers included (1.2万 is 12000).
        unit: as written, or empty; ``%`` also for 百分之.
    """

    start: int
    end: int
    value: Decimal
    unit: str

    @property
    def family(self) -> str:
        """The family of the unit, or an empty string."""
        return FAMILY.get(self.unit, "")

    @property
    def key(self) -> tuple[Decimal, str]:
        """What must agree for two quantities to be the same: value and unit."""
        return self.value, self.unit


def quantities(folded: str) -> Iterator[Quantity]:
    """Yield the quantities of a folded text, in order; a Han numeral only counts with a unit behind it."""
    for match in _QUANTITY.finditer(folded):
        number, unit = match["number"], match["unit"] or ""
        percent = match["before"] == "百分之"
        if not number[0].isdigit() and not (unit or percent):
            continue
        begin = match.start("number")
        if folded[max(0, begin - 2) : begin].rstrip(" ")[-1:] in ("第", "."):
            continue
        if unit == "年" and len(number) == 4 and number.isdigit():
            continue
        value = _value(number) * _power(match["power"].lstrip()) * _power(match["power2"])
        if high := match["high"]:
            value += han_value(high[:-1]) * _POWERS[high[-1]]
        start = match.start() if match["before"] != "最高" else begin
        yield Quantity(start, match.end(), value, "%" if percent else unit)


def in_digits(folded: str) -> str:
    """Return the one amount of a short text in plain digits (2.55万人 → 25,500人); empty when there is no 万 or 亿 in it."""
    found = list(quantities(folded))
    if len(found) != 1 or not re.search("[万亿]", folded):
        return ""
    about = "about " if re.search("[余多几近约]", folded) else ""
    return f"{about}{found[0].value.normalize():,f}{found[0].unit}"


def dates(folded: str) -> Iterator[re.Match[str]]:
    """Yield the expressions of time of a folded text, in order."""
    return _DATE.finditer(folded)


def holds(text: str, words: str) -> bool:
    """Say whether words stand in a folded text, with no number of it cut in two where they begin or end: 3家 not in 63家."""
    at = text.find(words)
    while at >= 0:
        if not (_is_cut(text, at) or _is_cut(text, at + len(words))):
            return True
        at = text.find(words, at + 1)
    return False


def _is_cut(text: str, at: int) -> bool:
    return bool(_WITHIN.fullmatch(text[max(0, at - 1) : at + 1]))


def _value(number: str) -> Decimal:
    if number[0].isdigit():
        return Decimal(number.replace(",", ""))
    whole, _, fraction = number.partition("点")
    value = Decimal(han_value(whole))
    return value + Decimal(f"0.{''.join(str(_DIGITS[c]) for c in fraction)}") if fraction else value


def han_value(numeral: str) -> int:
    """Return the value of a Han numeral: 六十三, 三亿五千万, or digit by digit (二〇二五); of plain digits too."""
    if numeral.isdecimal():
        return int(numeral)
    if not any(c in _POWERS for c in numeral):
        return int("".join(str(_DIGITS[c]) for c in numeral))
    for great in "亿万":
        high, found, low = numeral.rpartition(great)
        if found:
            return han_value(high or "一") * _POWERS[great] + (han_value(low) if low else 0)
    total = digit = 0
    for c in numeral:
        if c in _DIGITS:
            digit = _DIGITS[c]
        else:
            total += (digit or 1) * _POWERS[c]
            digit = 0
    return total + digit


def _power(powers: str) -> int:
    result = 1
    for c in powers:
        result *= _POWERS[c]
    return result
