"""Follow-up questions, made whole from what was asked before: 那培训了多少人? after a question on 残疾人. No LLM is needed.

The history is held by whoever asks; nothing is kept here. A follow-up that nothing before explains cannot be resolved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.errors import QuestionError
from rag.question import is_no_question, understand
from rag.text import fold, has_han, terms

MOST_TURNS = 20  # of the history that are looked at, the latest
_LEAD = re.compile(
    r"^\s*(?:那么|那(?!些|里|个|边|家|年)|还有|另外|然后|接着|其中|而且?|再(?:问|说)?(?!就业|生|婚|造|融|保险)|以及|(?:and|so|but)\b(?=.*\?)|(?:what|how) about\b)[,,、\s]*",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"它们?|他们|她们|(?:这|那)(?:个|些|项|家|里|边|方面|件|位|类|几[个项家])|(?<![应本我你您谁])该(?![怎去找向由交到在办做用从给走带问]|如何|不该)|上述|前者|后者|(?<![尤与极及和或])其(?![他中余它实次])|"
    r"\b(?:it|they|them|its|their|those|these|there)\b",
    re.IGNORECASE,
)
_ASKS = "多[少大长久高远]|几|什么|哪|谁|何|怎|咋|啥|是否|有没有|吗"
_ALONE = re.compile(
    r"\s*(?:是|有|要|在)?(?:为什么|为何|为啥|怎么样?|怎样|如何|怎么办|什么时候|何时|多久|多长时间|多少|几|哪里|哪儿|哪些|谁)(?:个|家|人|钱|元)?[呢啊呀的]?[??。\s]*"
)
_WHAT_OF = re.compile(rf"^(?P<what>(?:(?!{_ASKS}).){{1,20}}?)(?:呢|又(?:如何|怎么样))[??。\s]*$")
_OWN_LETTER = re.compile(r"这(?:封|份|个|件|篇)(?:信|函|复函|答复|文件)|本函|该函")
_SUBJECT = re.compile(
    r"^(?:请问|想问|我想(?:知道|了解))?(?:对于?|关于|针对|给|为|在|跟)?(?P<subject>[^,,。??]{2,20}?)(?:现在|目前|今年|去年|20\d\d|一共|总共|共|都?有(?!限)|都|的|是|怎么|如何|怎样|总?投资|总|面积|规模|采取|享受|可以|能|补[贴助]?多|补多|发[了放]|建[了成]|每|方面|在哪|位于|为什么|为何|为啥|什么|多少|几|哪|开展|举办|实施|培训|投入|覆盖|占|达|办|\s|[,,??]|$)"
)
_PLACE = re.compile(
    r"(?:请问|想问)?(?:在)?(?P<place>[㐀-鿿]{2,5}?(?:市|县|区|省|州|镇)(?!民|场|级|域|政|直|属|内|长))的?"
)
_GENERAL = re.compile(
    r"培训|补贴|补助|投入|建设|新建|建成|建了?|服务|覆盖|惠及|发放?|完成|实现|达到?|增加|提高|开展|举办|安排|人数|资金|面积|钱|地址|地点|时间|电话|数量|比例|占比|效果|标准|条件|期限|范围|对象|金额|费用|"
    r"帮助|帮扶|支持|办|做|给|花|用|共|已|了|的|过|着|有|能|会|还|又|也|就|都|人|个|家|次|今后|下一步|现在|目前|计划|打算|申请|领取?|享受"
)
_TIME = re.compile(
    r"(?:20\d\d年|今年|去年|明年)?(?:[上下]半年|第?[一二三四]季度|前三季度|\d{1,2}月份?)|20\d\d年|今年|去年|明年"
)


@dataclass(frozen=True, slots=True)
class Meant:
    """What a question may mean: the whole question, and what an answer has to speak of (empty: nothing in particular)."""

    question: str
    topic: str = ""


def questions_of(history: Sequence[Mapping[str, str]], longest: int = 2000) -> list[str]:
    """Return what was asked before, oldest first, of messages as chat services know them: ``{"role", "content"}``.

    Raises:
        QuestionError: a message that is none.
    """
    found = []
    for message in list(history)[-MOST_TURNS:]:
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant", "system") or not isinstance(content, str):
            raise QuestionError("the history holds something else than messages", '{"role", "content"} each')
        if role == "user" and content.strip():
            found.append(content.strip()[:longest])
    return found


def is_follow_up(question: str) -> bool:
    """Say whether a question leans on what was said before."""
    folded = fold(question)
    if _OWN_LETTER.search(folded):
        return False
    return bool(_LEAD.match(folded) or _POINTING.search(folded) or _WHAT_OF.match(folded) or is_bare(folded))


def is_bare(folded: str) -> bool:
    """Say whether a question names hardly a thing of its own: 今年培训了多少人?"""
    if not has_han(folded):
        return False
    if _ALONE.fullmatch(folded):
        return True
    asked = _GENERAL.sub("", _TIME.sub("", understand(folded).asked))
    return len(re.sub(r"[^㐀-鿿a-z0-9]", "", asked)) <= 1


def resolve(question: str, before: Sequence[str]) -> list[Meant]:
    """Make a question whole.

    Args:
        question: as typed.
        before: what was asked before, oldest first.

    Returns:
        What it may mean, the likeliest first; nothing when it cannot be told.
    """
    if not is_follow_up(question):
        return [Meant(question)]
    last = ""
    for earlier in before:
        if not is_no_question(fold(earlier)):
            last = _whole_before(earlier, last)
    rest = _LEAD.sub("", fold(question)).strip()
    found = _whole(rest, last) if re.sub(r"[?。\s]", "", rest) else []
    if not (is_bare(rest) or _POINTING.search(rest) or _WHAT_OF.match(rest)) and rest:
        found.append(Meant(rest))
    first = not before and not _LEAD.match(fold(question)) and not _WHAT_OF.match(rest)
    return found or ([Meant(question)] if first else [])  # the first question of all is taken at its word


def _whole_before(earlier: str, last: str) -> str:
    """An earlier question made whole, to lean on; the one before it when it cannot be."""
    meant = resolve(earlier, [last] if last else [])
    return meant[0].question if meant else last


def is_made_of(question: str, before: Sequence[str]) -> bool:
    """Say whether a question that a model rewrote holds nothing but what was said before."""
    said = fold(" ".join(before))
    if not question or "\n" in question:
        return False
    new = [t for t in terms(question) if (len(t) > 1 or not has_han(t)) and t not in said]
    numbers = [t for t in new if t[0].isdigit()]
    return not numbers and len(new) <= max(2, len(terms(question)) // 5)


def subject_of(question: str) -> str:
    """Return what a question is about, without the place it names: its words up to what it asks of them."""
    return _subject(question)[1]


def _subject(question: str) -> tuple[str, str]:
    """The place a question begins with, and what it is about."""
    folded = _LEAD.sub("", fold(question))
    if not has_han(folded):
        return "", " ".join(understand(question).asked.split()) if question.strip() else ""
    place = _PLACE.match(folded)
    rest = folded[place.end() :] if place else folded
    match = _SUBJECT.match(rest)
    subject = match["subject"].strip() if match else ""
    return place["place"] if place else "", "" if re.match(_ASKS, subject) else subject


def _whole(rest: str, last: str) -> list[Meant]:
    """What a follow-up, without the word that leads it in, may mean after the question before it."""
    place, topic = _subject(last) if last else ("", "")
    what = _WHAT_OF.match(rest)
    if what and "的" in (thing := what["what"].strip()):
        return [Meant(f"{thing}是多少?", thing.partition("的")[0])]
    if not topic:
        return []
    if what:
        return _instead(what["what"].strip(), place, topic, fold(last))
    before = "" if place and place in rest else place
    if _POINTING.search(rest):
        return [Meant(before + _POINTING.sub(topic, rest, count=1), topic if has_han(topic) else "")]
    joint = "" if has_han(rest) else " "
    return [Meant(f"{before}{topic}{joint}{rest}", topic if has_han(topic) else "")]


def _instead(what: str, place: str, topic: str, last: str) -> list[Meant]:
    """The last question with another thing, place or time in place of its own, or about something else of its thing."""
    if _TIME.fullmatch(what):
        whole = _TIME.sub(what, last, count=1) if _TIME.search(last) else f"{what}{last}"
        return [Meant(whole, topic)]
    if place and (other := _PLACE.fullmatch(what)):
        return [Meant(last.replace(place, other["place"], 1), topic)]
    if is_bare(what):
        return [Meant(f"{place}{topic}的{what}是多少?", topic)]
    return [Meant(last.replace(topic, what, 1), what)]
