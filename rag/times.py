"""What 今年, 上半年 or 截至6月底 means in a letter of a given date, and whether a thing is done, under way or planned."""

from __future__ import annotations

import re

_YEARS = {"今年": 0, "本年": 0, "去年": -1, "上年": -1, "前年": -2, "明年": 1, "后年": 2}
_QUARTERS = {"一": "1—3月", "二": "4—6月", "三": "7—9月", "四": "10—12月"} | {
    "1": "1—3月",
    "2": "4—6月",
    "3": "7—9月",
    "4": "10—12月",
}
_TAIL = (
    r"(?P<half>[上下])半年|第?(?P<quarter>[一二三四1-4])季度|(?P<nine>前三季度)|"
    r"(?P<month>\d{1,2})月(?P<part>\d{1,2}日|底|末|初|份|上旬|中旬|下旬)?|(?P<end>年?底|年?末)|(?P<since>以来)"
)
_INSIDE = "(?<!目前年|当前年|以前年|之前年|此前年|年前年|以后年|之后年|此后年|以上年|基本年|成本年|说明年)"  # 目前|年产量
_PHRASE = re.compile(rf"(?P<year>(?:{'|'.join(_YEARS)}){_INSIDE})?(?P<until>截至)?(?:{_TAIL})?")
_MARKS = ",，;；:：。\n"
_PLANNED = re.compile(
    r"(?<![”》动])计划(?!单列)|预计|力争|(?<![草虚模])拟|争取|目标|确保|到2\d{3}年|"
    r"(?:^|[^㐀-鿿]|[局市县区我们还即也并均都])将(?=[于在会新再建开完达投陆逐推启继]|全[面部力])|还将|即将|将[于在会]"
)
_SHARE_OF_PLAN = re.compile(r"(?:完成|占)[^,;。]{0,8}(?:计划|目标)[^,;。]{0,14}的$")
_UNDER_WAY = re.compile(r"正在|正(?:抓紧|加快|有序|积极)|在建|推进中|建设中|筹建|有序推进")
_DROPPED = re.compile(r"取消|暂不|暂缓|中止|终止|停止|不再|不予")


def resolve(folded: str, date: str) -> dict[str, str]:
    """Return the times of a text that hang on the date of its letter, with what they mean.

    Args:
        folded: the text, folded.
        date: of the letter, ``YYYY-MM-DD``; without one nothing is resolved.

    Returns:
        For example ``{"今年上半年": "2025年1—6月"}``, in the order of the text.
    """
    if not date:
        return {}
    year, month = int(date[:4]), int(date[5:7])
    found: dict[str, str] = {}
    for match in _PHRASE.finditer(folded):
        relative = match["year"]
        bare = match["since"] or match["end"] or (match["month"] and not match["until"])
        dated = folded[max(0, match.start() - 1) : match.start()]  # 2024年|上半年 has a year of its own
        if not relative and (bare or match[0] in ("", "截至") or dated == "年" or dated.isdigit()):
            continue
        late = not relative and match["month"] and int(match["month"]) > month
        when = year + _YEARS.get(relative or "", 0) - bool(late)
        found.setdefault(match[0], f"{match['until'] or ''}{when}年{_rest(match)}")
    return found


def _rest(match: re.Match[str]) -> str:
    if match["half"]:
        return "1—6月" if match["half"] == "上" else "7—12月"
    if match["quarter"]:
        return _QUARTERS[match["quarter"]]
    if match["nine"]:
        return "1—9月"
    if match["month"]:
        return f"{match['month']}月{(match['part'] or '').replace('份', '')}"
    return "底" if match["end"] else "1月以来" if match["since"] else ""


def status(folded: str, start: int, end: int) -> str:
    """Return what a text says of the thing at ``[start, end)``: ``planned``, ``under way``, ``dropped``, or empty for done.

    Only the clause of the span counts, to a few characters behind it.
    """
    begin = max(folded.rfind(c, 0, start) for c in _MARKS) + 1
    before = _SHARE_OF_PLAN.sub("", folded[begin:start])
    clause = before + folded[start:end] + re.split(f"[{_MARKS}]", folded[end : end + 6])[0]
    for name, pattern in (("dropped", _DROPPED), ("planned", _PLANNED), ("under way", _UNDER_WAY)):
        if pattern.search(clause):
            return name
    return ""
