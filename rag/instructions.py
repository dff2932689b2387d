"""Letters are data: lines of a letter that speak to a machine are found, so that they are neither shown to a model nor proof.

A reply letter speaks to a delegate. Words about prompts, instructions, roles and output are not its own; from the first of them to
the end of its line nothing is used. What no rule here finds is held back by the checks of the answer.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rag.letter import Letter, Span
from rag.text import fold

_SPEAKS_TO_A_MACHINE = re.compile(
    r"(?:忽略|无视|忘记|忘掉|不要理会|跳过|停止遵守|不再遵守)[^。\n]{0,12}(?:以上|上述|上面|之前|前面|前述|此前|所有|一切|全部|原有|先前|其他)?[^。\n]{0,6}(?:要求|指令|指示|规则|内容|提示|设定|约束|限制|资料|prompt|命令)|"
    r"(?:作废|覆盖)(?:掉|了)?(?:以上|上述|上面|之前|前面|前述|此前|所有|一切|全部|原有|先前|其他)[^。,;\n]{0,4}(?:要求|指令|指示|规则|提示|设定|约束|限制|prompt|命令)|"
    r"系统(?:提示|消息|指令|管理员|设定|角色)|提示词|新(?:的)?(?:指令|指示|任务|规则)[::]|(?:开发者|管理员|调试|维护|越狱)模式|"
    r"(?:你|您)(?:现在|从现在起|今后|将|必须|应当|需要|只能|务必|是一[个名位]|的(?:任务|角色|身份|回答|输出|回复))[^。\n]{0,20}(?:回答|输出|回复|扮演|助手|模型|机器人|写|生成|附上|翻译|引用|拒绝|告诉|说)|"
    r"(?:请|请你|务必|必须|只需|应当?|须|一律|统一|直接|立即|先|均|都)?(?:输出|打印|复述|(?<![果据测查计检评告示])显示)(?:下面|以下|如下|上面|上述|这|全部|完整|你的|“|\"|『|「|[a-z]{3})|"
    r"(?:回答|答复|回复|摘要|总结|答案|作答|引用)(?!率|时限|时间|质量|期限|机制|流程|经验|试点|推广|评估)(?:时|中|里|末尾|开头|结尾|之前|之后|的(?:开头|末尾|最后|结尾)|(?:任何|所有|一切|本|这)[^。\n]{0,6}问题时?)?[^。,;\n]{0,6}(?:必须|务必|请(?!批评)|一律|都要|均须|统一|应当|须(?!知)|只能|附上|加上|写上|改为|改成)(?![^。\n]{0,4}(?:提案|建议|代表|委员))|"
    r"(?:人工智能|ai|大?语言模型|大模型|聊天机器人|智能助手|智能问答|llm|chatgpt|gpt|机器人|assistant|模型)[^。\n]{0,10}(?:(?<![申邀聘提报])请|必须|务必|应当|应该|注意[:,]|你|看到(?:这|本|此)|读到|在?(?:处理|阅读)(?:本|这|此)|只能|输出|遵守)|"
    r"(?:致|给|供|写给)(?:ai|人工智能|模型|助手|机器人|读取|大模型|语言模型)(?!企业|产业|公司|行业|领域|项目|人才|应用|团队|技术|研发|训练|创新)|"
    r"(?:ignore|disregard|forget|override|bypass)[^\n]{0,40}(?:instruction|prompt|above|previous|prior|rule|context|system|everything)|"
    r"(?:system|assistant|user|developer|human|ai)\s*[::>\]]|<\|?/?\s*(?:system|im_start|im_end|assistant|user|inst|eot|start_header|endoftext|s>)|\[/?inst\]|<<\s*sys|###\s*(?:system|instruction|response|human|assistant|指令|系统)|"
    r"\b(?:you are|you must|you should|your task|your new|act as|pretend|respond with|reply with|answer with|output|print|repeat after|say exactly|do not cite|new instructions?)\b|"
    r"\b(?:api[ _-]?key|system prompt|jailbreak)\b|(?:密钥|口令|访问令牌)|"
    r"!\[[^\]]*\]\(|\]\(https?:|https?://[^\s]*[?&={]|(?:访问|点击|打开|请求|加载|跳转)[^。\n]{0,12}(?:https?:|链接|网址)[^。\n]{0,30}(?:问题|提问|参数|\?)|base64|"
    r"(?:资料|来源|以下|上述)(?:\[?\d+\]?)?(?:已)?(?:失效|作废|均不可信|不可信)|\[\d{1,2}\](?:[::]|已|号)|引用编号|标注(?:为)?\[\d"
)


def left_out(letter: Letter) -> tuple[Span, ...]:
    """Return the stretches of a letter that speak to a machine: from the sentence of the first such word to the end of its line."""
    return _left_out(letter.text)


@lru_cache(maxsize=512)
def _left_out(text: str) -> tuple[Span, ...]:
    folded = fold(text)
    found: list[Span] = []
    at = 0
    for line in text.splitlines(keepends=True):
        first = _first(folded[at : at + len(line)])
        if first >= 0:
            begin = max(folded.rfind(c, at, at + first) for c in "。!?;\n")
            found.append(Span(max(at, begin + 1), at + len(line)))
        at += len(line)
    return tuple(found)


def _first(line: str) -> int:
    """Where a line first speaks to a machine, −1 if it does not; blanks and unseen characters between its own do not hide it."""
    kept = [i for i, c in enumerate(line) if not c.isspace() and unicodedata.category(c) != "Cf"]
    found = [match.start()] if (match := _SPEAKS_TO_A_MACHINE.search(line)) else []
    if len(kept) < len(line.rstrip()) and (
        match := _SPEAKS_TO_A_MACHINE.search("".join(line[i] for i in kept))
    ):
        found.append(kept[match.start()])
    return min(found, default=-1)


def touches(letter: Letter, start: int, end: int) -> bool:
    """Say whether a span of a letter touches what is left out."""
    return any(s.start < end and start < s.end for s in left_out(letter))
