"""What a question asks for: its kind, the unit it wants, the words to search for, the names and times it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from rag.dictionary import is_common, names, sound_alike
from rag.errors import QuestionError
from rag.quantities import FAMILY
from rag.text import fold, has_han


class Kind(StrEnum):
    """The kinds of answer."""

    NUMBER = "number"
    MONEY = "money"
    SHARE = "share"
    DATE = "date"
    PLACE = "place"
    WHO = "who"
    NAME = "name"
    PHONE = "phone"
    LIST = "list"
    EXPLAIN = "explain"
    WHETHER = "whether"
    FACT = "fact"


_UNITS = "|".join(sorted(map(re.escape, FAMILY), key=len, reverse=True))
_SOME = "(?<![近这那前后])几"  # asks how many; 近几年 does not
_COUNT = re.compile(
    rf"(?:多少|{_SOME}|好多)(?:万|亿|余)?(?P<unit>{_UNITS})?(?P<noun>[㐀-鿿]{{0,6}})|how (?:many|much)|number of"
)
_SUM = "钱|资金|经费|补贴|补助|津贴|奖金|奖励|贷款|投资|费用|款项|金额|产值|工资|租金|收入|标准|营收|生产总值|gdp|成本|零售额|价格|票价|罚款"
_MONEY = re.compile(
    rf"(?:多少|几)(?:万|亿)?(?:元|钱|{_SUM})|几块钱|花了?多少(?!时间|个|人)|投了多少(?!个|人)|(?:{_SUM})[^,。?个家人名]{{0,6}}多少(?!{_UNITS})|补多少|how much|(?<!many )\b(?:cost|price)\b"
)
_SIZE = re.compile(
    r"多(?:长时间|久(?!前|以前)|大|高|长|远|重|宽|快)|how (?:long|big|large|far|high)|total (?:investment|number|area|amount)"
)
_FAMILIES = {
    "time": re.compile(rf"多长时间|多久|{_SOME}(?:年|个月|天)|how long"),
    "area": re.compile(r"面积|多少(?:平方|亩)|多大(?:的)?(?:面积|地方)"),
    "length": re.compile(r"多长(?!时间)|多远|长度|里程|how far"),
    "people": re.compile(
        r"多少人|几个人|人数|how many (?:people|persons|workers|students|residents|graduates)"
    ),
    "weight": re.compile(r"多重|重量|产量|多少吨"),
}
_PHONE = re.compile(r"电话|手机号|热线|号码|phone|hotline")
_OF_PHONES = re.compile(  # how many, not which
    rf"(?:多少|几)(?:{_UNITS})[^,。?]{{0,4}}(?:电话|热线|手机)|(?:电话|热线|手机)[^,。?]{{0,6}}(?:多少|几)(?:{_UNITS})(?!码)|how many"
)
_ITS_PHONE = re.compile(
    r"(?:请问|想问一?下?|我想知道)?(?:你们)?(?:(?:答复|承办|办理)?(?:单位|部门)|(?P<body>[㐀-鿿]*(?:局|委|办|厅|院|政府|办公室|委员会)))?的?(?:办公|联系|咨询|值班)?"
    r"(?:电话|手机)?(?:电话|号码|联系方式)(?:是|为)?(?:多少|几号|什么|啥|呢)?\??"
)
_PLANNED = re.compile(
    r"计划|打算|预计|目标|想(?!问|知道|了解)|将|力争|拟|未来|下一步|年底前?|准备|还要|\bwill\b|\bplan|expect"
)
_DONE = re.compile(r"已经|已|目前|现在|截至|累计|实际|了多少|了几|\bso far\b|already|\bnow\b")
_SHARE = re.compile(
    r"多少[^,。?]{0,4}(?:率|比例|百分)|百分之[几多]|百分比|(?:率|占比|比例|比重|增幅|涨幅|降幅|百分点)[^,。?]{0,10}(?:多少|几|多高|什么)|多少(?:的)?(?:比例|百分)|(?:增长|提高|下降|上升|降低|缩短|完成)了?(?:全年[^,。?]{0,6})?(?:多少|几成)(?!个|家|人|名|公里)|percent|share|proportion|rate\b|what fraction"
)
_DATE = re.compile(
    r"什么时候|何时|几时|多咱|哪[一几]?[年天日月]|几点|几月|几号|多久(?:前|之前)|什么时间|啥时候?|哪个月|时间是|日期|when\b|what (?:date|year|month|day|time)"
)
_PLACE = re.compile(
    r"在哪|哪里|哪儿|何处|什么地方|啥地方|地址|地点|位置|位于(?:什么|哪)|哪个(?:区|县|市|镇|街道|乡|村|地方|园区)|where\b|address|located"
)
_WHO = re.compile(
    r"谁|(?:哪|什么|何)(?:一)?[个家所座间些]?(?:单位|部门|机构|公司|企业|学校|大学|学院|医院|局|组织|人员|人群|群体|对象|人)|who\b|whom|which (?:department|company|school|university|body|bureau|organi)"
)
_LIST = re.compile(
    r"哪些|哪[几两二三四五六七八九]|分?哪几?档|有什么|装些什么|包括什么|包含什么|都有啥|有啥|分别|几(?:方面|类|种)[^,。?]*(?:是|有)|which\b[^?]*s\b|what are|list\b"
)
_EXPLAIN = re.compile(
    r"怎么(?!样)|如何|怎样|怎么样|咋|为什么|为何|为啥|原因|什么(?:措施|办法|举措|做法|作用|意义|好处|工作|用)|干什么|做什么|做了啥|how\b|why\b"
)
_NAME = re.compile(
    r"叫什么|什么名字|名称|叫啥|名字|什么(?:计划|工程|活动|文件|政策|条例|项目|平台|品牌|大赛|行动|贷款|制度|模式|政策|系统)|哪(?:个|项|部|一)|called|name of"
)
_WHETHER = re.compile(
    r"是否|有没有|是不是|能不能|可不可以|会不会|(?:吗|嘛|(?<![什怎这那])么)\??$|^(?:is|are|does|do|did|has|have|can)\b"
)

# Words that ask and say nothing about what is asked for.
_ASKING = re.compile(
    r"请问一下|请问|想问一?下?|我想知道|想知道|我想了解|告诉我|一共|总共|大概|到底|究竟|具体|"
    rf"(?:多少|几|好多)(?:{_UNITS})?|哪些|哪几|哪个|哪一|哪里|哪儿|哪家|哪|什么时候|什么时间|什么地方|什么|为什么|为何|何时|"
    r"怎么样|怎么|怎样|如何|是否|有没有|是不是|能不能|分别|都有|叫做?|名字|名称|[吗呢吧啊呀么嘛]|谁|啥|咋|多大|多长|多久|"
    r"\b(?:how|many|much|what|which|who|whom|when|where|why|is|are|was|were|did|does|do|the|of|in|to|a|an|has|have|been|by|for|it|there|at|on|and)\b|[?!。,;]"
)
_NO_QUESTION = re.compile(
    r"^(?:你好|您好|嗨|哈喽|hello|hi|hey|谢谢|多谢|感谢|再见|拜拜|早上好|晚上好|在吗|ok|好的?|thanks?|thank you|bye|test|测试)[!。,~\s?吗啊呀]*$|"
    r"(?:讲|说|来)一?个?(?:笑话|故事)(?!活动|会|大?赛|团|员|进)|(?:写|作|编)一?(?:首|篇|个|段)(?:诗|歌|作文|文章|故事|代码|小说|情书)|你(?:是谁|叫什么|会什么|能做什么|几岁|多大|喜欢|觉得|吃|是什么|是不是|(?:能不能|有没有)(?![^?]{0,12}(?:告诉|说|讲|查|找|介绍|解释|回答|帮|数据|资料|信息|复函)))|"
    r"谁(?:开发|创造|训练)了?你|天气怎么样|今天星期几|现在几点|陪我聊|你.{0,4}(?:心情|爱好|模型|机器人)|tell me a joke|who are you|how are you"
)
_ORDERS = re.compile(
    r"忽略|无视|忘(?:掉|记)(?:以上|之前|前面|所有|你)|不要(?:理会|遵守)|系统提示(?:词|语)|提示词|system prompt|(?:ignore|disregard|forget).{0,30}(?:instruction|prompt|above|previous|rules)|"
    r"从现在(?:起|开始).{0,8}你|你现在是|假装你|扮演|jailbreak|开发者模式|developer mode|越狱|(?:输出|打印|显示|泄露|说出|告诉我)(?:你|你的)(?:的)?(?:指令|设定|规则|密钥|密码)|api.?key|<\|?(?:system|im_start)"
)
_MEASURES = "元|块|人(?!均|大|社|才|口|工|力)|名(?!单)|位(?!于)|户|家(?!庭)|个|所|套|件|条(?!例)|项(?!目)|台|辆|张|份|亩|平方|公里|米|吨|次|场(?!馆)|万|亿|余|多|%|\\."
_YEAR = re.compile(rf"(?<![\d.])(?:19|20)\d{{2}}(?!\d|{_MEASURES})")
_QUOTED = re.compile(r"[《“\"]([^》”\"]{2,40})[》”\"]")
_LETTER = "答复|回复|复函|(?<![通征诚短微电守失亲])信(?![息用贷访任号托心念誉])|(?<!保)函|(?:这|该|此|本)[份个件]?文件"
_BY = "谁|哪个(?:单位|部门|机构|局)|什么(?:单位|部门)"
_WHEN = "什么时候|何时|哪天|哪一天|几号"
_META = {
    "issuer": re.compile(
        rf"(?:{_BY})[^,。?]{{0,6}}(?:答复|回复|写|落款|签发|回信)的?|(?:{_BY})(?:发|出具|办理)[^,。?]{{0,6}}(?:{_LETTER})|^(?:是|由)?(?:{_BY})(?:发|出具|办理)的?\??$|(?:{_LETTER}|提案|建议)[^,。?]{{0,8}}(?:{_BY})[^,。?]{{0,6}}(?:发|出具|办理)|(?:答复|回复|发文|落款|承办|办理|答复的|发函)(?:单位|部门|机关)|(?:{_LETTER})[^,。?]{{0,8}}(?:是|由)(?:谁|哪个(?:单位|部门))|who (?:wrote|issued|sent|signed) (?:the|this) (?:letter|reply)"
    ),
    "addressee": re.compile(
        rf"(?:答复|回复|写|寄|(?:{_LETTER})[^,。?]{{0,8}}发|^是?发)给(?:谁|了谁|哪|的是谁|什么)|(?:提案|建议)[^,。?]{{0,8}}(?:是谁|谁|哪个单位|哪位)[^,。?]{{0,4}}提|谁提(?:出|的|了)|提案(?:人|方|者)|(?:提出|提交)(?:这|该|此)?[^,。?]{{0,6}}(?:提案|建议)的?(?:是|人|单位)|addressed to|who proposed|who submitted"
    ),
    "date": re.compile(
        rf"(?:{_LETTER}|落款|成文)[^,。?]{{0,8}}(?:什么时候|何时|哪[一]?[天年日]|日期|几月|几号|(?<![长少])时间(?!多[长久少]))|(?:成文|落款|发文)(?:日期|时间)|(?:{_WHEN})(?:答复|回复|成文)|^(?:是|在)?(?:{_WHEN})(?:发|写|出具)的?\??$|date of (?:the|this) (?:letter|reply)|when was (?:the|this) (?:letter|reply)"
    ),
    "subject": re.compile(
        r"(?:答复|回复|回应|针对)的?(?:是)?(?:什么|哪[个份件项]|哪一[个份件项])(?:提案|建议)|(?:提案|建议)(?:的)?(?:题目|标题|名称|叫什么|名字|全称|是什么(?!时候|时间|人|单位|部门)|主题|案由)|subject of"
    ),
    "proposal": re.compile(
        r"(?:提案|建议)的?(?:编号|号码|案号|案由号)|第?(?:几|多少)号(?:提案|建议)|(?:提案|建议)是?第?(?:几|多少)号|proposal number|number of the proposal"
    ),
    "number": re.compile(r"文号|发文字号|编号是"),
    "contact": re.compile(r"联系人(?!次|数)|找谁联系|(?:跟|和|与)谁联系|contact person|whom? to contact"),
    "phone": re.compile(
        r"(?:答复|回复|复函|信|函|提案|建议|单位|部门)的?联系(?:电话|方式|号码)|(?:承办|经办|答复|回复)(?:单位|部门|人)?的?电话|(?:怎么|如何)联系(?:你们|答复|承办|经办|该局|贵局)|contact (?:number|phone)"
    ),
    "disclosure": re.compile(
        r"公开属性|(?:答复|复函|信|函)[^,。?]{0,6}(?:是否|能否|可否)(?:主动|对外)?公开|disclosure"
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question as understood.

    Attributes:
        text: as typed, without blanks around it.
        folded: as the search sees it.
        asked: what to search for: the text without the words that only ask.
        kind: of the answer.
        unit: the unit asked for (多少家 → 家), or empty.
        noun: what is counted (多少企业 → 企业), or empty.
        names: places and bodies it names.
        quoted: what it puts in quotation marks.
        years: years it names, as four digits.
        family: of the unit, where words like 多长时间 or 面积 tell it; or empty.
        planned: whether it asks for what is planned (True), done (False), or does not say (None).
        meta: the field of the letter asked for (issuer, date …), or empty.
        body: whose phone number is asked for, or empty.
        language: ``zh`` or ``en``, of the answer.
    """

    text: str
    folded: str
    asked: str
    kind: Kind
    unit: str
    noun: str
    names: tuple[str, ...]
    quoted: tuple[str, ...]
    years: tuple[str, ...]
    family: str
    planned: bool | None
    meta: str
    body: str
    language: str


def understand(text: str, longest: int = 2000) -> Question:
    """Understand a question.

    Raises:
        QuestionError: when it is empty or longer than ``longest`` characters.
    """
    text = text.strip()
    if not text:
        raise QuestionError("the question is empty", "a question in one line")
    if len(text) > longest:
        raise QuestionError(
            f"the question has {len(text):,} characters", f"at most {longest:,}", "ask for one fact"
        )
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise QuestionError("the question holds broken characters", "Unicode text (UTF-8)")
    folded = fold(text)
    kind = _kind(folded)
    count = _COUNT.search(folded)
    its = _ITS_PHONE.fullmatch(folded)
    asked = re.sub(r"\s+", " ", _ASKING.sub(" ", folded)).strip()
    return Question(
        text=text,
        folded=folded,
        asked=asked or folded,
        kind=kind,
        unit=(count["unit"] or "") if count else "",
        noun=_noun(count["noun"] or "") if count else "",
        names=tuple(names(folded)),
        quoted=tuple(_QUOTED.findall(folded)),
        years=tuple(_YEAR.findall(folded)),
        family=next((name for name, pattern in _FAMILIES.items() if pattern.search(folded)), ""),
        planned=_planned(folded),
        meta="phone"
        if its
        else next((name for name, pattern in _META.items() if pattern.search(folded)), ""),
        body=(its["body"] or "") if its else "",
        language="zh" if has_han(text) else "en",
    )


def with_words(question: Question, asked: str) -> Question:
    """Return the question with other words to search for, mended in what the reader reads as well."""
    folded = question.folded
    for wrong, right in zip(question.asked.split(), asked.split(), strict=True):
        folded = folded.replace(wrong, right)
    return replace(question, asked=asked, folded=folded)


def is_no_question(folded: str) -> bool:
    """Say whether a text is small talk, an order to the program, or no words at all."""
    solid = re.sub(r"[^0-9a-z㐀-鿿]", "", folded)
    return len(solid) < 2 or bool(_NO_QUESTION.search(folded) or _ORDERS.search(folded))


def _kind(folded: str) -> Kind:
    if _PHONE.search(folded) and not _OF_PHONES.search(folded):
        return Kind.PHONE
    tests = (
        (Kind.DATE, re.compile(r"几点")),
        (
            Kind.LIST,
            re.compile(
                r"(?:各|分别)(?:自|为|是|有|给|补|达|由)?[^,。?]{0,6}(?:多少|几|哪|谁|什么)|(?:多少|哪)[^,。?]*和(?:多少|哪)|从多少|多(?:少|长时间).*(?:多少|什么时候|何时)"
            ),
        ),
        (Kind.NUMBER, re.compile(r"how many|number of")),
        (Kind.SHARE, _SHARE),
        (Kind.MONEY, _MONEY),
        (Kind.LIST, re.compile(r"哪[几两二三四五六七八九](?![天日年月点])")),
        (Kind.DATE, _DATE),
        (Kind.NUMBER, _COUNT),
        (Kind.NUMBER, _SIZE),
        (Kind.LIST, _LIST),
        (Kind.PLACE, _PLACE),
        (Kind.EXPLAIN, _EXPLAIN),
        (Kind.WHO, _WHO),
        (Kind.NAME, _NAME),
        (Kind.WHETHER, _WHETHER),
    )
    return next((kind for kind, pattern in tests if pattern.search(folded)), Kind.FACT)


def mend(asked: str, texts: Iterable[str]) -> str:
    """Mend typing errors against texts that may answer.

    A character that makes no pair the texts know is replaced where one other would make two: 零步件 becomes 零部件 when a text says
    零部件 and none says 零步 or 步件. A pair that neither the texts nor the language know is replaced by the one pair of
    the texts that sounds like it: 公机 becomes 公积.
    """
    known = "\n".join(map(fold, texts))
    return _mend_sounds(_mend_characters(asked, known), known)


def _mend_characters(asked: str, known: str) -> str:
    out = list(asked)
    for i in range(1, len(asked) - 1):
        before, wrong, after = out[i - 1], asked[i], asked[i + 1]
        if (
            not all(has_han(c) for c in (before, wrong, after))
            or before + wrong in known
            or wrong + after in known
        ):
            continue
        found = {c for c in re.findall(f"{before}(.){after}", known) if has_han(c)}
        if len(found) == 1:
            out[i] = found.pop()
    return "".join(out)


def _mend_sounds(asked: str, known: str) -> str:
    strange = [
        i
        for i in range(len(asked) - 1)
        if has_han(asked[i]) and has_han(asked[i + 1]) and asked[i : i + 2] not in known
    ]
    out = asked
    for i in strange:
        pair = out[i : i + 2]
        if pair in known or any(is_common(out[j : j + 2]) for j in (i - 1, i, i + 1) if j >= 0):
            continue
        found = set(re.findall(f"{pair[0]}[㐀-鿿]|[㐀-鿿]{pair[1]}", known))
        alike = {f for f in found if sound_alike(f, pair)}
        if len(alike) == 1:
            out = out[:i] + alike.pop() + out[i + 2 :]
    return out


def _planned(folded: str) -> bool | None:
    planned, done = bool(_PLANNED.search(folded)), bool(_DONE.search(folded))
    return planned if planned != done else None


def _noun(words: str) -> str:
    """The counted thing behind 多少: up to the first word that cannot belong to it."""
    return re.split(r"[的了在是有被来去能会参和与就才还呢吗]", words)[0][:6]
