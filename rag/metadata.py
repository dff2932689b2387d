"""Who wrote to whom, about what, and when: read from the head and the foot of a letter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.letter import Span
from rag.text import fold

_DATE = re.compile(r"((?:19|20)\d{2})\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
_ZEROS = "〇○零0o"  # as they are typed
_HAN_DATE = re.compile(
    rf"([{_ZEROS}一二三四五六七八九]{{4}})\s*年\s*([一二三四五六七八九十]{{1,3}})\s*月\s*([一二三四五六七八九十]{{1,3}})\s*日"
)
_NUMBER = re.compile(r"[一-鿿]{1,12}[〔\[(【](?:19|20)\d{2}[〕\])】]\s*第?\s*\d+\s*号")
_SUBJECT = re.compile(r"《(关于[^《》]*(?:《[^《》]*》[^《》]*)*)》")
_SUBJECT_PLAIN = re.compile(r"[“\"](关于[^”\"]+)[”\"]")
_SALUTATION = re.compile(r"([^。,;!?《》]{2,60}):(?:你们?好|您好)?[!,。]?$")
_PROPOSAL = re.compile(
    r"第\s*\d{1,6}\s*号(?=\s*(?:提案|建议|议案))|(?<=提案)第\s*\d{1,6}\s*号|(?<=建议)第\s*\d{1,6}\s*号"
)
_CONTACT = re.compile(
    r"(?:联系人|经办人|承办人)(?:(?:及|和|、)?(?:联系)?(?:电话|方式))?\s*:\s*([㐀-鿿·]{2,4}(?:\s*、\s*[㐀-鿿·]{2,4})*)"
)
_PHONE_WORD = re.compile(r"电话|手机|联系人|联系方式|经办人|承办人")
_PHONE = re.compile(
    r"(?<!\d)(?:(?:\(0\d{2,3}\)|0\d{2,3})[-— ]?)?[1-9]\d{6,7}(?:[-—转]\d{1,5})?(?!\d)|(?<!\d)1[3-9]\d{9}(?!\d)"
)
_DISCLOSURE = re.compile(r"(?:公开属性|公开方式|是否公开)\s*:\s*((?:主动|依申请|不予?|同意|部分)?公开|是|否)")
_BODY = re.compile(
    r"(?:局|委|委员会|办|办公室|厅|部|院|政府|中心|处|署|会|公司|银行|支队|总队|大队|集团|社|学校|[大中小]学|[分支]行|联|协)(?:\([^)]*\))?$"
)
_PRINTED = re.compile(
    r"日\s*印(?:发|制)?$"
)  # whoever printed the letter, and when: below the date it was signed
_SIGN = re.compile(r"^\(?(?:联系|电话|抄送|抄报|附件|此件|公开属性|公开方式|承办人|签发人|邮编|地址)")


@dataclass(slots=True)
class Metadata:
    """Where each field stands (``spans``), the date as ISO, and where the sign-off begins (or the text's end)."""

    spans: dict[str, Span] = field(default_factory=dict)
    date: str = ""
    signoff: int = -1

    def value(self, text: str, name: str) -> str:
        """Return the field as written, in one line, or an empty string."""
        span = self.spans.get(name)
        return re.sub(r"\s*\n\s*", "", span.of(text)) if span else ""


def signoff_start(meta: Metadata) -> int:
    """Return where the sign-off begins, in code points."""
    return meta.signoff


def find_metadata(text: str, lines: Sequence[Span]) -> Metadata:
    """Find the metadata of a letter.

    Args:
        text: the letter.
        lines: its lines without furniture, in order, none blank.
    """
    folded = fold(text)
    meta = Metadata(signoff=len(text))
    _head(folded, lines, meta)
    _foot(folded, lines, meta)
    _rest(folded, lines, meta)
    if "issuer" not in meta.spans and "title" in meta.spans:
        _issuer_from_title(folded, meta)
    return meta


def _head(folded: str, lines: Sequence[Span], meta: Metadata) -> None:
    head = lines[:15]
    greeting = next((i for i, s in enumerate(head) if _SALUTATION.match(s.of(folded))), None)
    if greeting is not None:
        span = head[greeting]
        named = _SALUTATION.match(span.of(folded))
        meta.spans["addressee"] = Span(span.start, span.start + len(named[1])) if named else span
    opening_end = head[min(len(head), (greeting or 0) + 4) - 1].end
    if number := _NUMBER.search(folded, 0, opening_end):
        meta.spans["number"] = Span(number.start(), number.end())
    begin = head[greeting].end if greeting is not None else 0
    for at in (begin, 0):
        subject = _SUBJECT.search(folded, at, opening_end) or _SUBJECT_PLAIN.search(folded, at, opening_end)
        if subject:
            meta.spans["subject"] = Span(subject.start(1), subject.end(1))
            break
    titles = [s for s in head[: greeting or 0] if not _NUMBER.fullmatch(s.of(folded))]
    about = [s for s in titles if re.search(r"关于|答复|复函|的函|回复", s.of(folded))]
    if about:
        meta.spans["title"] = Span(about[0].start, about[-1].end)


def _rest(folded: str, lines: Sequence[Span], meta: Metadata) -> None:
    """The number of the proposal, whom to call, and who may read the letter: from lines at its head and foot."""
    head, foot = lines[:15], lines[-15:]
    for line in head:
        if found := _PROPOSAL.search(folded, line.start, line.end):
            meta.spans.setdefault("proposal", Span(found.start(), found.end()))
    for line in dict.fromkeys((*foot, *head)):
        if line.end - line.start > 120:
            continue
        for name, pattern in (("contact", _CONTACT), ("disclosure", _DISCLOSURE)):
            if found := pattern.search(folded, line.start, line.end):
                meta.spans.setdefault(name, Span(found.start(1), found.end(1)))
        said = _PHONE_WORD.search(folded, line.start, line.end)
        if said and (found := _PHONE.search(folded, said.end(), line.end)):
            meta.spans.setdefault("phone", Span(found.start(), found.end()))


def _foot(folded: str, lines: Sequence[Span], meta: Metadata) -> None:
    """Walk up over what can be part of a sign-off, from the last line that is a date."""
    tail = range(max(0, len(lines) - 10), len(lines))
    dated = [i for i in tail if _date_line(lines[i].of(folded))]
    dated = [i for i in dated if not _PRINTED.search(lines[i].of(folded))] or dated
    i = dated[-1] + 1 if dated else len(lines)
    while i > 0:
        span = lines[i - 1]
        line = span.of(folded)
        if (date := _date_line(line)) and not meta.date:
            meta.date = _iso(date)
            meta.spans["date"] = Span(span.start + date.start(), span.start + date.end())
            before = line[: date.start()].strip()
            if _BODY.search(before):
                _add_issuer(Span(span.start, span.start + len(before)), meta)
        elif len(line) <= 40 and _BODY.search(line) and not re.search(r"[。,;:!?]", line):
            _add_issuer(span, meta)
        elif not (_SIGN.match(line) and len(line) < 120):
            break
        i -= 1
    if {"date", "issuer"} & meta.spans.keys() and i < len(lines):
        meta.signoff = lines[i].start


def is_date_line(folded: str) -> bool:
    """Say whether a line is the date of a sign-off, with at most a name before it."""
    return _date_line(folded) is not None


def _date_line(line: str) -> re.Match[str] | None:
    """Match the date of a line that holds a date and at most a name: a sign-off, not a sentence."""
    date = _DATE.search(line) or _HAN_DATE.search(line)
    short = date and len(line) <= len(date[0]) + 30
    return date if short and not re.search(r"[。,;:]", line) else None


def _add_issuer(span: Span, meta: Metadata) -> None:
    """Several bodies may sign together; the field spans them all."""
    old = meta.spans.get("issuer")
    meta.spans["issuer"] = Span(span.start, old.end if old else span.end)


def _issuer_from_title(folded: str, meta: Metadata) -> None:
    title = meta.spans["title"]
    name = re.match(r"([^,。《》]{3,30}?(?:局|委员会|办公室|厅|部|政府|中心))关于", title.of(folded))
    if name:
        meta.spans["issuer"] = Span(title.start, title.start + name.end(1))


def _iso(match: re.Match[str]) -> str:
    year, month, day = ((int(g) if g.isdigit() else _han_number(g)) for g in (match[1], match[2], match[3]))
    return f"{year:04d}-{month:02d}-{day:02d}"


def _han_number(numeral: str) -> int:
    digits = {c: i for i, c in enumerate("零一二三四五六七八九")} | dict.fromkeys(_ZEROS, 0)
    if "十" not in numeral:
        return int("".join(str(digits[c]) for c in numeral))
    tens, _, units = numeral.partition("十")
    return 10 * (digits[tens] if tens else 1) + (digits[units] if units else 0)
