"""What a clause says of its thing: done, under way, planned or dropped; denied or not; more or less than before.

Works on plain text (:func:`rag.facts.plain`). A plan holds for the clauses after it until something done is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CLAUSE = re.compile(r"[^,;:。!?\n]+")
_PLANNED = re.compile(
    r"计划(?=[在于新再将对到达有投建开完增实争启推改扩])|(?<![”》度造养项])(?<![三五]年)计划(?!的|总|任务|单列|”|》|,|生育|年度)|预计|力争|争取(?=到?20|到?今|到?明|到?年|在|尽|早日|实现|完成|全|将|用|于|覆盖)|(?<![草虚])拟(?!定了)|打算|准备(?!好|金)|有望|预期|确保(?!了)|"
    r"目标(?:是|为|到)|下阶段|下一步|还要|还将|即将|将(?=于|在|会|继续|对|建|新|再|开|完|实现|启动|进一步|推|加|全面|全部|全力|持续|达|陆续|逐步|不|取消|举办|增|扩|组织|提供|培|发|探|落|制|投|出|按|改|覆盖|为|使|让|着力|积极|认真|结合|统筹|充分|重点|安排)|"
    r"到20\d\d年[^,。;]{0,12}(?:要|达|将|实现|完成)|明年"
)
# 将 as it may also stand before an object: held against an answer only, where the source has none.
_SHALL = re.compile(
    r"将(?=[提取更配纳整招移接培惠获建举安引采聘签立查拆缩减增优深健强搭打创升降改扩修种放关推新开])"
)
# Said of a plan in free wording; too common to be held against what is done.
_PLANNED_LOOSELY = re.compile(
    r"计划|将|要|目标|会(?!议|同|计)|希望|规划|未来|今后|后续|接下来|年底前|之前|以前"
)
_UNDER_WAY = re.compile(
    r"正在|正(?:抓紧|加快|有序|积极|在|与|和)|在建|推进中|建设中|施工中|进行中|筹建|还在(?!.{0,2}内)|仍在|尚在"
)
_DONE = re.compile(
    r"已(?!有之)|累计|截至|目前|建成了|完成了|实现了|投用了|现有|共有|(?:建成|完成|发放|开工|培训|服务|投用|改造)了"
)
_FINISHED = re.compile(r"已|建成|完成|建好|完工|竣工|投用|投入使用|开通|落成|结束")
_DROPPED = re.compile(r"取消|停止|终止|中止|暂停|暂缓|暂不|叫停|停办|不再|撤销|废止")
_DENIED = re.compile(
    r"不(?![能得可会应]?(?:少于|低于|超过|超出|多于|高于|大于|小于)|足|断|妥|同|仅|但|动产|良|到|限|打烊|停|论|管|懈|出|等|满意|一)|"
    r"(?<![从])未(?!来|成年|满|必)|没有?|尚无|并无|并非|从未|毫无|无法|无(?=需|须|权)|别(?=再)"
)
_WAITING = re.compile(r"未|没有?|尚无")
_UP = re.compile(
    r"提高|提升|增长|增加|增至|增到|上升|上涨|升到|升至|升了|涨|扩大|扩充|扩到|高(?=\d)|多出|延长|增收|新增|上调"
)
_DOWN = re.compile(r"下降|降低|降到|降至|降了|减少|减至|缩短|压缩|压减|缩减|少了|下调|减(?=\d)|低(?=\d)|下滑")


@dataclass(frozen=True, slots=True)
class Stance:
    """What one clause says; offsets in the plain sentence.

    Attributes:
        start: first character of the clause.
        end: one past the last.
        text: its characters.
        planned: it, or a clause before it that reaches this far, tells a plan.
        shall: it tells a plan itself, or may.
        under_way: work goes on.
        done: it tells what is done.
        dropped: something was given up.
        denied: the words after each denial in it.
        direction: ``+`` up, ``-`` down, empty for neither or both.
    """

    start: int
    end: int
    text: str
    planned: bool
    shall: bool
    under_way: bool
    done: bool
    dropped: bool
    denied: tuple[str, ...]
    direction: str


def stances(told: str, *, may_plan: bool = False) -> list[Stance]:
    """Return the stance of each clause of a plain sentence, in order; ``may_plan``: it stands under a heading of plans."""
    found: list[Stance] = []
    reaching = may_plan
    for match in _CLAUSE.finditer(told):
        clause = match[0]
        own, done = bool(_PLANNED.search(clause)), bool(_DONE.search(clause))
        under_way = bool(_UNDER_WAY.search(clause))
        reaching = own or (reaching and not done and not under_way)
        found.append(
            Stance(
                match.start(),
                match.end(),
                clause,
                reaching,
                own or may_plan or bool(_SHALL.search(clause)),
                under_way,
                done,
                bool(_DROPPED.search(clause)),
                tuple(clause[m.end() : m.end() + 4] for m in _DENIED.finditer(clause)),
                _direction(clause),
            )
        )
    return found


def _direction(clause: str) -> str:
    up, down = bool(_UP.search(clause)), bool(_DOWN.search(clause))
    return "" if up == down else "+" if up else "-"


def disagreement(
    said: Stance,
    following: Stance | None,
    source: Sequence[Stance],
    whole: Sequence[Stance],
    *,
    sure: bool,
) -> str:
    """Return in what a clause disagrees with what it rests on: ``status``, ``negation``, ``direction``, or nothing.

    Args:
        said: the clause of the answer.
        following: the one after it in its sentence, which may tell the plan.
        source: the clauses it rests on.
        whole: all clauses of their sentences.
        sure: whether amounts or times tell that it rests on them.
    """
    if not source:
        return ""
    if fault := _denial(said, source, whole, sure):
        return fault
    if fault := _status(said, following, source, whole, sure):
        return fault
    directions = {s.direction for s in source} - {""}
    if said.direction and len(directions) == 1 and said.direction not in directions:
        return "direction"
    return ""


def _status(
    said: Stance, following: Stance | None, source: Sequence[Stance], whole: Sequence[Stance], sure: bool
) -> str:
    wrong = (
        _dropped(said, source, whole)
        or _plan_told_as_done(said, following, source)
        or _said_already(said, whole)
        or _work_told_as_done(said, source, whole)
        or _told_as_plan(said, source, whole, sure)
    )
    return "status" if wrong else ""


def _dropped(said: Stance, source: Sequence[Stance], whole: Sequence[Stance]) -> bool:
    return not any(s.dropped for s in whole) if said.dropped else all(s.dropped for s in source)


def _finished(said: Stance) -> bool:
    open_text = re.sub(r"未[㐀-鿿]{2}|没有?[㐀-鿿]{2,3}|(?:要|将|拟|计划|力争|争取)[^,]*", "", said.text)
    return bool(_FINISHED.search(open_text))


def _plan_told_as_done(said: Stance, following: Stance | None, source: Sequence[Stance]) -> bool:
    if not all(s.planned and not s.done for s in source):
        return False
    if "已" in said.text:
        return True
    if said.planned or _PLANNED_LOOSELY.search(said.text):
        return False
    later = following is not None and (following.planned or bool(_PLANNED_LOOSELY.search(following.text)))
    return _finished(said) or not (later or _is_size(said.text) or said.under_way or said.denied)


def _said_already(said: Stance, whole: Sequence[Stance]) -> bool:
    """Whether what is told as 已… stands in clauses of plans alone."""
    for words in re.findall("已(?:经)?([㐀-鿿]{2})", said.text):
        holding = [s for s in whole if words in s.text]
        if holding and all((s.planned or s.under_way) and not s.done for s in holding):
            return True
    return False


def _work_told_as_done(said: Stance, source: Sequence[Stance], whole: Sequence[Stance]) -> bool:
    if said.under_way:
        return not any(s.under_way or s.planned for s in (*source, *whole))
    if not all(s.under_way and not s.planned for s in source):
        return False
    return _finished(said) or (said.planned and not any(s.planned for s in whole))


def _told_as_plan(said: Stance, source: Sequence[Stance], whole: Sequence[Stance], sure: bool) -> bool:
    if said.shall and not any(s.planned or s.shall for s in (source if sure else whole)):
        return True
    return said.planned and not any(s.planned or s.shall for s in (*source, *whole))


def _is_size(clause: str) -> bool:
    """Say whether a clause tells how large a thing is, planned or not."""
    return bool(re.search("总投资|概算|面积|占地|全长|工期|总投", clause))


def _denial(said: Stance, source: Sequence[Stance], whole: Sequence[Stance], sure: bool) -> str:
    """A denial must stand on one; what is denied must not be told as true."""
    if said.denied and not any(s.denied for s in source) and not (not sure and _alike(said, whole)):
        if any("免" in s.text for s in source) and re.search("不用|不收|无需|不需|不必|无须", said.text):
            return ""
        waiting = (
            _WAITING.search(said.text)
            and not said.planned
            and not re.search("(?:未|没有?)(?:计划|打算|准备|拟|将)", said.text)
        )
        if not (waiting and _ahead(said, source, whole, sure)):
            return "negation"
    for clause in source:
        for words in clause.denied:
            focus = words[:2]
            if len(focus) == 2 and focus in said.text and not any(focus in d for d in said.denied):
                return "negation"
    return ""


def _ahead(said: Stance, source: Sequence[Stance], whole: Sequence[Stance], sure: bool) -> bool:
    """Whether what is told as not yet done is planned or under way."""
    holding = [s for s in whole if any(len(d) > 1 and d[:2] in s.text for d in said.denied)]
    if sure or not holding:
        return any(s.planned or s.under_way for s in source)
    return all(s.planned or s.under_way for s in holding)


def _alike(said: Stance, whole: Sequence[Stance]) -> bool:
    """Whether another clause denies words like those denied here."""
    words = set("".join(said.denied))
    return any(words & set(d[:2]) for s in whole for d in s.denied)
