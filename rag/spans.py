"""Short answers: the spans of a sentence that can answer a kind of question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.quantities import Quantity, dates, quantities
from rag.question import Kind

_QUOTED = re.compile(r"《[^》]+》|“[^”]+”")
_ADDRESS = re.compile(
    r"(?:位于|坐落于?|选址(?:于|在)?|设在|设于|落户|地址[为是:]|地点[为是:]|在)(?P<place>[^,。;、:“”]{2,30}?)"
    r"(?=[,。;、]|建设|建成|设立|启用|开展|开园|成立|举办|召开|增设|基础上|开启|$)"
)
_STREET = re.compile(r"[㐀-鿿]{2,16}(?:路|街|大道|巷)(?:与[㐀-鿿]{2,8}(?:路|街|大道)交叉口[^,。;]{0,6})?(?:\d+号)?[㐀-鿿\d]{0,14}?(?=[,。;、])")
_AREA = re.compile(r"[㐀-鿿]{2,8}?(?:区|县|镇|乡|街道|村|园区|市|湖|广场|公园|中心)(?![㐀-鿿]?(?:建设|工作|政府))")
_BODY = re.compile(
    r"[㐀-鿿a-z0-9()]{2,24}?(?:局|委员会|委|办公室|厅|公司|集团|大学|学院|学校|医院|中心|协会|银行|法院|检察院|研究院|"
    r"联合会|商会|机构|部门|企业|合作社|工会|总队|支队|政府|中学|小学|幼儿园|服务站|群体|人员|学生|家庭|居民|职工|农民|老人|青年|妇女)(?![㐀-鿿])?"
)
_LEAD = re.compile(
    r"^.*(?:包括|涵盖|包含|分别为|分别是|分别由|分为|主要是|主要有|重点是|围绕|聚焦|针对|推出|推行|采取|提供|开展|设有|例如|通过|联合|会同|由|向|对|如|为|是|与|以|在|将|用好|举办|加装|建立|实行|安排|加强)"
)
_PART = re.compile(r"[^,。;:!?、]+")
_LIST = re.compile(r"[^,。;:!?]*?、[^。;:!?,]*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of a sentence, in code points of that sentence, and the quantity in it, if it is one."""

    start: int
    end: int
    quantity: Quantity | None = None


def candidates(kind: Kind, folded: str) -> list[Candidate]:
    """Return the spans of a folded sentence that can answer a question of this kind; may be empty."""
    if kind in (Kind.NUMBER, Kind.MONEY, Kind.SHARE):
        return list(_amounts(kind, folded))
    if kind is Kind.DATE:
        return [Candidate(m.start(), m.end()) for m in dates(folded)]
    if kind is Kind.PLACE:
        return _places(folded)
    if kind is Kind.WHO:
        return [Candidate(m.start(), m.end()) for m in _BODY.finditer(folded)] + list(lists(folded))
    if kind is Kind.NAME:
        return [Candidate(m.start(), m.end()) for m in _QUOTED.finditer(folded)]
    if kind is Kind.LIST:
        return list(lists(folded))
    return clauses(folded)


def clauses(folded: str) -> list[Candidate]:
    """Return the clauses of a folded sentence, split at commas and colons but not inside quotation marks."""
    return [Candidate(m.start(), m.end()) for m in re.finditer(r"(?:“[^”]*”|《[^》]*》|[^,:;。!?])+", folded)]


def lists(folded: str) -> Iterator[Candidate]:
    """Yield the enumerations (A、B和C), without the words that lead to them; commas inside brackets do not part them."""
    for match in _LIST.finditer(folded):
        first = match[0].split("、")[0]
        lead = _LEAD.match(first)
        start = match.start() + (lead.end() if lead and lead.end() < len(first) else 0)
        yield Candidate(start, match.end())


def _amounts(kind: Kind, folded: str) -> Iterator[Candidate]:
    taken = [(m.start(), m.end()) for m in dates(folded)]
    for q in quantities(folded):
        if any(a <= q.start < b for a, b in taken):
            continue
        if kind is Kind.MONEY and q.family != "money":
            continue
        if kind is Kind.SHARE and q.family != "share":
            continue
        yield Candidate(q.start, q.end, q)


def _places(folded: str) -> list[Candidate]:
    found = [Candidate(m.start("place"), m.end("place")) for m in _ADDRESS.finditer(folded)]
    for pattern in (_STREET, _AREA):
        found += [Candidate(m.start(), m.end()) for m in pattern.finditer(folded)]
    return found
