"""The numbers that open sections and measures in official letters, from the outermost style to the innermost."""

from __future__ import annotations

import re

NUMERAL = "一二三四五六七八九十百"
# From the outermost to the innermost; 一是 only numbers measures where nothing else does.
STYLES: dict[str, re.Pattern[str]] = {
    "一、": re.compile(rf"([{NUMERAL}]{{1,4}})[、.](?=\s*\S)"),
    "(一)": re.compile(rf"(?:[(]\s*([{NUMERAL}]{{1,4}})\s*[)]|([㈠-㈩]))[、.,]?"),
    "1.": re.compile(r"(?:(\d{1,2})(?:[.、](?!\d)|[.、](?=\d{4}年))|([⒈-⒛]))"),
    "(1)": re.compile(r"(?:[(](\d{1,2})[)]|([⑴-⒇]))[、.,]?"),
    "1)": re.compile(r"(\d{1,2})[)][、.,]?"),
    "①": re.compile(r"([①-⑳])"),
    "第一": re.compile(rf"第([{NUMERAL}]{{1,3}})[,、:是]"),
    "首先": re.compile(r"(首先|其次|再次|再者|最后)[,、:](?!.{0,8}感谢)"),
    "建议一": re.compile(rf"(?:建议|问题|意见|诉求)([{NUMERAL}]{{1,3}}|\d{{1,2}})[、.:]"),
    "关于": re.compile(
        r"(?:\d、)?[“\"]?关于[^。;:]{2,60}?(?:的)?(?:建议|问题|意见|诉求|提议)[”\"]?(?:的?(?:答复|回复|办理情况))?(?:[:。]|$)"
    ),
    "一是": re.compile(rf"([{NUMERAL}]{{1,3}})是"),
}
_LABELS = {
    "一、": "{}",
    "(一)": "({})",
    "1.": "{}",
    "(1)": "({})",
    "1)": "{})",
    "①": "{}",
    "首先": "{}",
    "关于": "建议{}",
    "建议一": "建议{}",
}
WORDS = ("关于", "建议一", "第一", "首先")  # styles that may stand outside of any other
_ORDER = {"首先": 1, "其次": 2, "再次": 3, "再者": 3, "最后": 4}
INLINE = re.compile(
    rf"(?<=[。;:!?])\s*(?=[(]\s*[{NUMERAL}]{{1,3}}\s*[)]|[㈠-㈩⑴-⒇①-⑳]|[(]\d{{1,2}}[)]|\d{{1,2}}[.、](?!\d))"
)


def marker(seen: str) -> tuple[str, str, int]:
    """Return the style, the label and the value of the number that a folded line opens with; empty and 0 for none."""
    for style, pattern in STYLES.items():
        if match := pattern.match(seen):
            number = next((g for g in match.groups() if g), "")
            value = _value(number)
            return style, label_of(style, _plain_number(number, value)), value
    return "", "", 0


def label_of(style: str, number: str) -> str:
    """Return the label of a number: its place in a path."""
    return _LABELS.get(style, style.replace("一", "{}")).format(number)


def _plain_number(number: str, value: int) -> str:
    """A number of one character that holds its brackets or point (㈠ ⑴ ⒈) as the number inside."""
    if "㈠" <= number <= "㈩":
        return NUMERAL[value - 1]
    return str(value) if "⑴" <= number <= "⒛" else number


def _value(number: str) -> int:
    if number.isdigit() and number.isascii():
        return int(number)
    for first, last in ("①⑳", "⑴⒇", "⒈⒛", "㈠㈩"):
        if first <= number <= last:
            return ord(number) - ord(first) + 1
    if number in _ORDER:
        return _ORDER[number]
    tens, found, units = number.rpartition("十")
    digits = "零一二三四五六七八九"
    if not found:
        return digits.find(number)
    return 10 * (digits.find(tens) if tens else 1) + (digits.find(units) if units else 0)
