"""Short answers: the spans of a sentence that can answer a kind of question."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rag.quantities import Quantity, dates, quantities
from rag.question import Kind, Question

_HAN = "[㐀-鿿]"
_QUOTED = re.compile(r"《[^》]+》|“[^”]+”")
_QUOTED_ROW = re.compile(r"(?:(?:《[^》]+》|“[^”]+”)[、和及与]?){2,}")
_PHONE = re.compile(r"(?<!\d)(?:\d{3,4}-\d{7,8}|1\d{10}|\d{5,8})(?!\d|\.|万|亿|元|人|个|家|名)")
_TIMES = re.compile(
    r"(?:夜间|每[日天周月年]|早|晚)?[\d:]{1,5}[时点](?:\d{1,2}分)?(?:至(?:次日)?\d{1,2}[时点](?:\d{1,2}分)?)?"
)
_REGULAR = re.compile(r"每(?:周|月|年|逢|日|天|季度)[一二三四五六日、周逢\d]{1,16}")
_ADDRESS = re.compile(
    r"(?:位于|坐落于?|选址(?:于|在)?|设在|设于|落户|地址[为是:]|地点[为是:]|在)(?P<place>[^,。;、:“”]{2,30}?)"
    r"(?=[,。;、]|的|建设|建成|设立|启用|开展|开园|成立|举办|召开|增设|基础上|开启|$)"
)
_STREET = re.compile(
    rf"{_HAN}{{2,16}}(?:路|街|大道|巷)(?:与{_HAN}{{2,8}}(?:路|街|大道)交叉口[^,。;]{{0,6}})?(?:\d+号)?{_HAN}{{0,14}}?(?=[,。;、的])"
)
_AREA = re.compile(
    rf"{_HAN}{{2,8}}?(?:区|县|镇|乡|街道|村|园区|市|湖|广场|公园|中心)(?!{_HAN}?(?:建设|工作|政府))"
)
_BODY = re.compile(
    rf"(?:{_HAN}|[a-z0-9()]){{2,24}}?(?:局|委员会|委|办公室|厅|公司|集团|大学|学院|学校|医院|中心|协会|银行|法院|检察院|研究院|"
    r"联合会|商会|机构|部门|企业|合作社|工会|总队|支队|政府|中学|小学|幼儿园|服务站|群体|人员|学生|家庭|居民|职工|农民|老人|青年|妇女)"
    rf"(?!{_HAN})?"
)
_LEAD = re.compile(
    r"^.*(?:包括|涵盖|包含|分别为|分别是|分别由|分为|主要是|主要有|重点是|围绕|聚焦|针对|推出|推行|采取|提供|开展|设有|例如|通过|"
    r"联合|会同|由|向|对|如|为|是|与|以|在|将|用好|举办|加装|建立|实行|安排|加强)"
)
_CLAUSE = re.compile(r"(?:“[^”]*”|《[^》]*》|\([^)]*\)|[^,:;。!?])+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of a sentence, in code points of that sentence.

    Attributes:
        start: first character.
        end: one past the last.
        quantity: the amount it is, if it is one.
        label: what the amount belongs to in a row like A、B分别x、y; or empty.
    """

    start: int
    end: int
    quantity: Quantity | None = None
    label: str = ""


def candidates(question: Question, folded: str) -> list[Candidate]:
    """Return the spans of a folded sentence that can answer the question; may be empty."""
    find = _FINDERS.get(question.kind)
    return list(find(question, folded)) if find else clauses(folded)


def clauses(folded: str) -> list[Candidate]:
    """Return the clauses of a folded sentence: parted by commas and colons outside quotation marks and brackets."""
    return _spans(_CLAUSE.finditer(folded))


def _amounts(question: Question, folded: str) -> Iterator[Candidate]:
    taken = [(m.start(), m.end()) for m in dates(folded)]
    found = [q for q in quantities(folded) if not any(a <= q.start < b for a, b in taken)]
    labels = _labels(folded, found)
    wanted = {Kind.MONEY: "money", Kind.SHARE: "share"}.get(question.kind, question.family)
    for q in found:
        if not wanted or q.family == wanted:
            yield Candidate(q.start, q.end, q, labels.get(q.start, ""))


def _labels(folded: str, found: list[Quantity]) -> dict[int, str]:
    """Pair the members of A、B、C with the amounts of 分别…x、y、z, by the start of the amount."""
    mark = folded.find("分别")
    if mark < 0:
        return {}
    after = [q for q in found if q.start > mark]
    for match in reversed(
        list(re.finditer(rf"(?:{_HAN}|[()“”a-z0-9])+(?:[、和](?:{_HAN}|[()“”a-z0-9])+)+", folded[:mark]))
    ):
        parts = re.split(r"[、和]", match[0])
        if len(parts) == len(after) or (len(parts) > 1 and len(after) > len(parts)):
            return {q.start: part for q, part in zip(after, parts, strict=False)}
    return {}


def _dates(question: Question, folded: str) -> Iterator[Candidate]:
    del question
    yield from _spans(dates(folded))
    yield from _spans(_TIMES.finditer(folded))
    yield from _spans(_REGULAR.finditer(folded))


def _places(question: Question, folded: str) -> Iterator[Candidate]:
    del question
    for match in _ADDRESS.finditer(folded):
        yield Candidate(match.start("place"), match.end("place"))
    for pattern in (_STREET, _AREA):
        for match in pattern.finditer(folded):
            lead = re.match(r"(?:的|位于|选址|坐落于|在|于|由|与|和)+", match[0])
            yield Candidate(match.start() + (lead.end() if lead else 0), match.end())


def _who(question: Question, folded: str) -> Iterator[Candidate]:
    del question
    yield from _spans(_BODY.finditer(folded))
    yield from _lists_in(folded)
    yield from _spans(_QUOTED_ROW.finditer(folded))
    for clause in clauses(folded):
        done = re.search(
            r"获得|获评|荣获|牵头|承担|负责|承办|主办|开展|组织|提供", folded[clause.start : clause.end]
        )
        if done and done.start() > 1:
            yield Candidate(clause.start, clause.start + done.start())


def _names(question: Question, folded: str) -> Iterator[Candidate]:
    yield from _spans(_QUOTED.finditer(folded))
    if asked := re.search(r"(?:什么|哪[个项部一]+)([㐀-鿿]{2,4}?)(?=[?的是,]|$)", question.folded):
        noun = asked[1]
        yield from _spans(re.finditer(rf"[^,。;:、!?的]{{2,16}}?{re.escape(noun)}", folded))


def _lists(question: Question, folded: str) -> Iterator[Candidate]:
    yield from _lists_in(folded)
    yield from _spans(_QUOTED_ROW.finditer(folded))
    if re.search(r"多少|几", question.folded):
        found = list(_amounts(question, folded))
        for clause in clauses(folded):
            inside = [c for c in found if clause.start <= c.start < clause.end]
            if len(inside) > 1:
                yield Candidate(inside[0].start, inside[-1].end)
    yield from clauses(folded)


def _lists_in(folded: str) -> Iterator[Candidate]:
    """Yield the enumerations (A、B和C), without the words that lead to them."""
    for clause in clauses(folded):
        text = folded[clause.start : clause.end]
        bare = re.sub(r"“[^”]*”|《[^》]*》|\([^)]*\)", lambda m: "·" * len(m[0]), text)
        if "、" not in bare:
            continue
        lead = _LEAD.match(bare.split("、")[0])
        first = len(bare.split("、")[0])
        start = clause.start + (lead.end() if lead and lead.end() < first else 0)
        yield Candidate(start, clause.end)


def _phones(question: Question, folded: str) -> Iterator[Candidate]:
    del question
    yield from _spans(_PHONE.finditer(folded))


def _spans(matches: Iterable[re.Match[str]]) -> list[Candidate]:
    return [Candidate(m.start(), m.end()) for m in matches]


_FINDERS: dict[Kind, Callable[[Question, str], Iterable[Candidate]]] = {
    Kind.NUMBER: _amounts,
    Kind.MONEY: _amounts,
    Kind.SHARE: _amounts,
    Kind.DATE: _dates,
    Kind.PLACE: _places,
    Kind.WHO: _who,
    Kind.NAME: _names,
    Kind.LIST: _lists,
    Kind.PHONE: _phones,
}
