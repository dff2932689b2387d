"""Text to letter: numbering, measures, sentences, and who wrote to whom and when.

A letter is read line by line. Lines of page furniture go; a line that opens with the next number of a numbering style
(``一、`` ``(一)`` ``1.`` ``(1)`` ``1)`` ``①`` ``第一，`` ``首先，`` ``建议一：`` ``关于…的建议`` ``一是``) opens a section or a measure, also
where several follow one another on one line. The outermost style of the letter makes its sections, the next style inside a section
its measures; a letter with one style has measures only, and a letter with none has one measure a paragraph. Everything before is
前言, everything after 结尾; annexes behind the sign-off have measures of their own (``附件1/一``). Lines of head and foot that say
whom to call or who may read the letter belong to 前言 and 结尾, but are no sentences: no answer comes from them unasked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from rag.errors import LetterError
from rag.letter import CLOSING, PREFACE, Letter, Measure, Span
from rag.markers import INLINE, NUMERAL, STYLES, WORDS, label_of, marker
from rag.metadata import Metadata, find_metadata, is_date_line, signoff_start
from rag.read import Source
from rag.text import fold

_ANNEX = re.compile(rf"附件\s*([{NUMERAL}]{{1,3}}|\d{{1,2}})?\s*(?:[:.、]?\s*[^。]{{0,60}})?$")
_PRIVATE = re.compile(
    r"^[(【\[]?(?:联系人|联系电话|联系方式|联系单位|经办人|承办人|签发人|公开属性|公开方式|是否公开|(?:办公)?电话|手机|传真|电子邮箱|邮箱|邮编|抄送|抄报)"
    r"(?:(?:及|和|、)?(?:联系)?(?:电话|方式))?\s*:"
)
_FURNITURE = re.compile(
    r"扫一扫|版权所有|icp备|公网安备|网站标识码|网站地图|^主办(?:单位)?\s*:.*(?:承办|技术支持|维护)|打印本页|关闭窗口|关闭本页|"
    r"^(?:[【\[]?(?:打印|关闭|分享|收藏|纠错)[】\]]?\s*)+$|^附件下载|隐私声明|^联系我们|^分享到|^字[体号]\s*[:\[]|^上一篇|^下一篇|^当前位置|^(?:浏览|阅读|访问)(?:次数|量)|^首页\s*[>》]|"
    r"^发布(?:时间|日期)\s*:|^(?:信息)?来源\s*:|^索引号|^[-=_—*·.\s]+$|"
    r"^[-—–·]+\s*\d{1,4}\s*[-—–·]+$|^第\s*\d+\s*页(?:\s*[,/]?\s*共\s*\d+\s*页)?$"
)
_CLOSING = re.compile(
    r"下一步|下一阶段|今后|接下来|再次感谢|衷心感谢|最后,|感谢您?|诚挚|特此|专此|此复|以上(?:答复|意见|是|为)|综上|欢迎|"
    r"(?:联系人|联系电话|联系方式)\s*:"
)
_ONE_MORE = bytes(min(n + 1, 255) for n in range(256))
_NOT_ONCE = re.compile(rb"[^\x01]")
_BLANK = r"\s\u200b\u2060\ufeff"  # editors on the web leave blanks of no width
_LINE = re.compile(rf"[^{_BLANK}](?:[^\n]*[^{_BLANK}])?")
_END = re.compile(r"[。!?;！？；]+[”’」』》)）\]]*")
_HEADING_LIMIT = 45


@dataclass(frozen=True, slots=True)
class _Line:
    """A non-blank line, without the blanks around it; ``seen`` is its folded text."""

    start: int
    end: int
    seen: str
    style: str = ""
    label: str = ""


def parse(source: Source, letter_id: str | None = None) -> Letter:
    """Parse one letter.

    Args:
        source: what :func:`rag.read.read` gave.
        letter_id: defaults to the file's name without its suffix.

    Raises:
        LetterError: when a character of the letter belongs to no measure, heading or furniture, or to two.
    """
    text = source.text
    lines, furniture = _lines(text)
    if not lines:
        raise LetterError(f"{source.name} holds nothing but page furniture", "the text of a letter")
    body, annexes = _annexes(lines)
    body = _number(list(_split_inline(body)))
    meta = find_metadata(text, [Span(x.start, x.end) for x in body])
    measures, headings = _measures(text, body, meta)
    for label, inside in annexes:
        more, above = _annex(text, label, inside)
        measures += more
        headings += above
    measures = list(_unique(measures))
    stem = PurePath(source.name).stem
    letter = Letter(
        id=letter_id or stem,
        text=text,
        sha256=source.sha256,
        source=source.name,
        title=meta.value(text, "title") or meta.value(text, "subject") or stem,
        subject=meta.value(text, "subject"),
        addressee=meta.value(text, "addressee"),
        issuer=meta.value(text, "issuer"),
        date=meta.date,
        number=meta.value(text, "number"),
        measures=tuple(measures),
        headings=tuple(headings),
        furniture=tuple(_outside(furniture, measures)),
        fields=meta.spans,
    )
    check_coverage(letter)
    return letter


def check_coverage(letter: Letter) -> None:
    """Check that every non-blank character belongs to exactly one measure, heading or piece of furniture.

    Raises:
        LetterError: naming the letter, the share covered and the first character that is not covered once.
    """
    count = bytearray(len(letter.text))
    ranges = [(m.start, m.end) for m in letter.measures]
    ranges += [(s.start, s.end) for s in (*letter.headings, *letter.furniture)]
    for start, end in ranges:
        count[start:end] = count[start:end].translate(_ONE_MORE)
    wrong = [at for m in _NOT_ONCE.finditer(count) if _LINE.match(letter.text, at := m.start())]
    if wrong:
        solid = sum(not c.isspace() for c in letter.text)
        near = letter.text[wrong[0] : wrong[0] + 20].split("\n")[0]
        raise LetterError(
            f"{letter.source}: {100 - 100 * len(wrong) / solid:.1f}% of the text was understood, "
            f"not “{near}” at character {wrong[0]}",
            "100%",
        )


def sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the sentences of ``text[start:end]``: they end in 。!?; of either width, or with the line."""
    for line in re.finditer(r"[^\n]+", text[start:end]):
        at = line.start() + start
        stop = line.end() + start
        while at < stop:
            mark = _END.search(text, at, stop)
            cut = mark.end() if mark else stop
            piece = text[at:cut]
            solid = piece.strip()
            if solid:
                head = at + len(piece) - len(piece.lstrip())
                yield Span(head, head + len(solid))
            at = cut


def _lines(text: str) -> tuple[list[_Line], list[Span]]:
    lines: list[_Line] = []
    furniture: list[Span] = []
    folded = fold(text)
    for match in _LINE.finditer(text):
        start, end = match.span()
        seen = folded[start:end]
        if len(seen) < 200 and _is_furniture(seen):
            furniture.append(Span(start, end))
        else:
            lines.append(_Line(start, end, seen))
    return lines, furniture


def _is_furniture(seen: str) -> bool:
    """Whether a folded line is of the page; a sentence, or what has a number, only speaks of such things."""
    return bool(_FURNITURE.search(seen)) and not seen.endswith(("。", ";")) and not marker(seen)[0]


def _number(lines: Sequence[_Line]) -> list[_Line]:
    """Mark the lines that open with a number that follows the last one of its style, or with the first."""
    last: dict[str, int] = {}
    marked: list[_Line] = []
    asked = 0
    for line in lines:
        style, label, value = marker(line.seen)
        if style == "关于":
            asked += 1
            label, value = label_of(style, str(asked)), asked
            last.setdefault(style, 0)
        if style and (value == 1 or value in range(last.get(style, 99) + 1, last.get(style, 99) + 4)):
            last[style] = value
            for inner in list(STYLES)[list(STYLES).index(style) + 1 :]:
                if inner not in WORDS or style in ("一、", "(一)"):
                    last.pop(inner, None)
            line = _Line(line.start, line.end, line.seen, style, label)  # noqa: PLW2901 (the line, marked)
        marked.append(line)
    return marked


def _measures(text: str, lines: Sequence[_Line], meta: Metadata) -> tuple[list[Measure], list[Span]]:
    outer = _outermost(lines)
    first = next((i for i, x in enumerate(lines) if x.style == outer), None) if outer else None
    if first is None:
        first = _after_opening(lines, meta)
        outer = ""
    last = _closing(lines, first, meta)
    blocks = [("", PREFACE, lines[:first], 0)] if first else []
    headings: list[Span] = []
    if outer:
        blocks += _numbered(text, lines[first:last], outer, headings)
    else:
        blocks += [("", f"第{n}段", [x], 0) for n, x in enumerate(lines[first:last], 1)]
    if last < len(lines):
        blocks.append(("", CLOSING, lines[last:], 0))
    return [_measure(text, *block) for block in blocks], headings


def _annexes(lines: Sequence[_Line]) -> tuple[Sequence[_Line], list[tuple[str, Sequence[_Line]]]]:
    """Split a letter from what is annexed behind its sign-off; each annex with its name. A date above the salutation signs nothing."""
    above = (i for i, x in enumerate(lines[:15]) if x.seen.endswith(":") and not _ANNEX.match(x.seen))
    greeted = next(above, 0)
    dated = next((i for i, x in enumerate(lines) if i > greeted and is_date_line(x.seen)), len(lines))
    starts = [i for i in range(dated + 1, len(lines)) if _ANNEX.match(lines[i].seen)]
    if not starts:
        return lines, []
    found: list[tuple[str, Sequence[_Line]]] = []
    for n, (begin, end) in enumerate(itertools.pairwise([*starts, len(lines)]), 1):
        number = _ANNEX.match(lines[begin].seen)
        label = (number and number[1]) or (str(n) if len(starts) > 1 else "")
        found.append((f"附件{label}", lines[begin:end]))
    return lines[: starts[0]], found


def _annex(text: str, label: str, lines: Sequence[_Line]) -> tuple[list[Measure], list[Span]]:
    """Cut an annex as a letter of its own is cut; its first line is a heading."""
    head, inside = lines[0], _number(list(_split_inline(lines[1:])))
    headings = [Span(head.start, head.end)]
    outer = _outermost(inside)
    first = next((i for i, x in enumerate(inside) if x.style == outer), 0) if outer else 0
    blocks: list[_Block] = [("", "前言", inside[:first], 0)] if first else []
    if outer:
        blocks += _numbered(text, inside[first:], outer, headings)
    else:
        blocks += [("", f"第{n}段", [x], 0) for n, x in enumerate(inside, 1)]
    name = text[head.start : head.end]
    measures = [
        _measure(text, section or name, f"{label}/{path}", x, body) for section, path, x, body in blocks
    ]
    return measures, headings


def _split_inline(lines: Iterable[_Line]) -> Iterator[_Line]:
    """Split lines on which several numbers of one style follow one another, each behind the end of a sentence."""
    for line in lines:
        cuts = [m.end() for m in INLINE.finditer(line.seen)]
        styles = [marker(line.seen[c:])[0] for c in cuts]
        style = next((s for s in styles if s), "")
        first = marker(line.seen)
        values = [marker(line.seen[c:])[2] for c, s in zip(cuts, styles, strict=True) if s == style]
        chosen = [c for c, s in zip(cuts, styles, strict=True) if s == style]
        run = [first[2], *values] if first[0] == style else values
        if style and len(run) > 1 and run == list(range(1, len(run) + 1)):
            bounds = [0, *(c for c in chosen if c), len(line.seen)]
            for begin, end in itertools.pairwise(bounds):
                seen = line.seen[begin:end].rstrip()
                yield _Line(line.start + begin, line.start + begin + len(seen), seen)
        else:
            yield line


def _outside(furniture: Iterable[Span], measures: Sequence[Measure]) -> Iterator[Span]:
    """Furniture between two lines of a measure belongs to its extent, though to none of its sentences."""
    for span in furniture:
        if not any(m.start <= span.start < m.end for m in measures):
            yield span


_Block = tuple[str, str, Sequence[_Line], int]


def _outermost(lines: Sequence[_Line]) -> str:
    counts = dict.fromkeys(STYLES, 0)
    for line in lines:
        if line.style:
            counts[line.style] += 1
    found = next((style for style, n in counts.items() if n > 1), "")
    styles = [x.style for x in lines]
    for style in WORDS if found not in ("", "一、") else ():
        if counts[style] > 1 and styles.index(style) < styles.index(found):
            return style  # counted in words or not at all, with numbers inside
    return found


def _numbered(text: str, lines: Sequence[_Line], outer: str, headings: list[Span]) -> Iterator[_Block]:
    """Cut the numbered part into measures; section headings that stand alone go to ``headings``."""
    starts = [i for i, x in enumerate(lines) if x.style == outer] + [len(lines)]
    for begin, stop in itertools.pairwise(starts):
        section, inside = lines[begin], lines[begin + 1 : stop]
        inner = _inner(inside, outer)
        if not inner:
            yield "", section.label, lines[begin:stop], _heading_end(text, lines[begin:stop])
            continue
        name = text[section.start : section.end]
        cuts = [i for i, x in enumerate(inside) if x.style == inner] + [len(inside)]
        if (
            cuts[0]
            or len(name) > 2 * _HEADING_LIMIT
            or len(list(sentences(text, section.start, section.end))) > 1
        ):
            opening = lines[begin : begin + 1 + cuts[0]]
            yield "", section.label, opening, _heading_end(text, opening)
            name = text[section.start : _heading_end(text, opening) or section.end].strip()
        else:
            headings.append(Span(section.start, section.end))
        for a, b in itertools.pairwise(cuts):
            block = inside[a:b]
            yield name, f"{section.label}/{block[0].label}", block, _heading_end(text, block)


def _inner(lines: Sequence[_Line], outer: str) -> str:
    """The style that numbers the measures of a section: the outermost one in it that is no 一是."""
    order = list(STYLES)
    later = order if outer in WORDS else order[order.index(outer) + 1 :]
    styles = [s for s in later if s not in ("一是", "首先", outer)]
    return next((s for s in styles if sum(x.style == s for x in lines) > 1), "") or next(
        (s for s in styles[:1] if any(x.style == s for x in lines)), ""
    )


def _heading_end(text: str, lines: Sequence[_Line]) -> int:
    """Where the heading of a measure ends: its first short sentence, or its first line when that is short."""
    line = lines[0]
    own_line = text[line.start : line.end]
    if mark := re.search(r"[。:：](?!\S{0,2}$)", own_line):
        if mark.end() <= _HEADING_LIMIT:
            return line.start + mark.end()
        return line.start
    if len(own_line) <= _HEADING_LIMIT and len(lines) > 1:
        return line.end
    return line.start


def _measure(text: str, section: str, path: str, lines: Sequence[_Line], body: int) -> Measure:
    start, end = lines[0].start, lines[-1].end
    body = max(body, start)
    open_to_all = [x for x in lines if not (path in (PREFACE, CLOSING) and _PRIVATE.match(x.seen))]
    found = tuple(s for x in open_to_all for s in sentences(text, max(x.start, body), x.end))
    return Measure(path, section, text[start:body].strip(), start, end, body, found)


def _unique(measures: Iterable[Measure]) -> Iterator[Measure]:
    """Give a path that comes again (numbering that restarts in an annex) a ``#2``."""
    seen: dict[str, int] = {}
    for m in measures:
        seen[m.path] = n = seen.get(m.path, 0) + 1
        path = m.path if n == 1 else f"{m.path}#{n}"
        yield Measure(path, m.section, m.heading, m.start, m.end, m.body, m.sentences)


def _after_opening(lines: Sequence[_Line], meta: Metadata) -> int:
    """In a letter without numbers: the first line after the salutation and the line that says 收悉."""
    opening = [
        i
        for i, x in enumerate(lines[:12])
        if "收悉" in x.seen or x.start == getattr(meta.spans.get("addressee"), "start", -1)
    ]
    return min(opening[-1] + 1, len(lines)) if opening else 0


def _closing(lines: Sequence[_Line], first: int, meta: Metadata) -> int:
    """The first line of the closing: after the last number, a line like 下一步…, 感谢…; else the sign-off."""
    numbered = max((i for i, x in enumerate(lines) if x.style and x.style != "一是"), default=first - 1)
    sign = next((i for i, x in enumerate(lines) if x.start >= signoff_start(meta)), len(lines))
    at = max(sign, numbered + 1)
    for i in range(max(numbered, first) + 1, sign):
        if _CLOSING.match(lines[i].seen):
            return i
    return min(at, len(lines))
