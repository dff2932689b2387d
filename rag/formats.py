"""Markdown and web pages to plain text.

Of a web page trafilatura says where the letter begins and ends; between the two the page's own lines are kept whole, because a
paragraph that trafilatura takes for navigation would be lost without a word.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from rag.errors import LetterError

# A code outside the list is not trusted: Python has codecs such as unicode_escape and zlib.
_CHARSETS = {
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "x-gbk", "gb_2312-80", "cp936", "ms936"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5"), "big5hkscs"),
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
}
_CHARSET = re.compile(
    rb"<(?:meta\s[^>]{0,300}?charset|\?xml\s[^>]{0,100}?encoding)\s*=\s*[\"']?\s*([\w-]{2,20})", re.I
)
# The stars of 5*6*7 and the bars of a_b_c are no emphasis: letters or digits stand on both sides of them.
_STRONG = re.compile(r"(\*{2,3})(?=[^\s*])((?:[^*\n]|\*(?!\*)){1,2000}?)(?<=\S)\1")
_STARS = re.compile(
    r"(?:(?<![0-9A-Za-z*])|(?<!\*)(?=\*[^0-9A-Za-z*]))\*(?=[^\s*])([^*\n]{1,2000}?)(?<=\S)"
    r"(?:(?<![0-9A-Za-z])|(?=\*(?![0-9A-Za-z*])))\*(?!\*)"
)
_BARS = re.compile(r"(?<![0-9A-Za-z_])(_{1,3})(?=\S)([^_\n]{1,2000}?)(?<=\S)\1(?![0-9A-Za-z_])")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,500})\]\([^()\s]{0,2000}\)")
_HIDDEN = frozenset(
    re.findall(
        r"\S+",
        "script style noscript template select button input textarea iframe object svg head nav footer",
    )
)
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "address article aside blockquote body br caption center dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4"
        " h5 h6 header hr li main nav ol p pre section table tbody td tfoot th thead tr ul",
    )
)
_WIDE = "⺀-鿿豈-﫿＀-￯、-〿“”‘’—…"
_BREAK_IN_HAN = re.compile(rf"(?<=[{_WIDE}])[ \t]*\n\s*(?=[{_WIDE}])")
_BUTTONS = re.compile(
    r"扫一扫.{0,40}|(?:[【\[]?(?:打印|关闭|分享|收藏|返回顶部)(?:本页|窗口)?[】\]]?[\s|]*)+"
)
_LITTLE = 60  # characters; less is no letter
_LINES = 20_000  # paragraphs and rows; a page that is longer takes trafilatura many seconds
_CELL = 200  # characters; a longer one is a page laid out by a table


def markdown(text: str) -> str:
    """Return the text of a Markdown file: marks of headings, quotes, emphasis, links and tables are dropped."""
    return "\n".join(filter(None, map(_markdown_line, text.split("\n"))))


def _markdown_line(line: str) -> str:
    if not line.strip("-=*_:| \t") or line.startswith("```"):
        return ""
    line, heading = re.subn(r"^\s*(?:>\s?)*#{1,6}\s+", "", line)
    if heading:
        line = line.rstrip().rstrip("#").rstrip()
    line = re.sub(r"^\s*(?:>\s?)*(?:[-*+]\s+)?", "", line)
    if line.startswith("|"):
        line = "\t".join(cell.strip() for cell in line.strip().strip("|").split("|"))
    for pattern, kept in ((_STRONG, r"\2"), (_STARS, r"\1"), (_BARS, r"\2"), (_LINK, r"\1")):
        line = pattern.sub(kept, line)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", line)


def charset(data: bytes) -> str | None:
    """Return the codec that a web page declares, GB2312 widened to GB18030; None for none or one that is not known."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    declared = _CHARSET.search(data, 0, 4096)
    return _CHARSETS.get(declared[1].decode("ascii", "replace").lower()) if declared else None


def web_page(text: str, name: str) -> str:
    """Return the letter on a web page, one paragraph or row of a table a line.

    Raises:
        LetterError: when the page shows no text, or too much.
    """
    from lxml import etree

    tree = etree.fromstring(text.encode(), etree.HTMLParser(encoding="utf-8", remove_comments=True))
    wide = math.isqrt(sum(len(e) ** 2 for e in tree.iter("*"))) if tree is not None else 0
    if wide > _LINES:  # trafilatura takes as long as the square of it
        found = f"{name} is a page of {wide:,} elements side by side"
        raise LetterError(found, f"at most {_LINES:,}", "split it")
    shown = list(_lines(tree)) if tree is not None else []
    if len(shown) > _LINES:
        raise LetterError(f"{name} is a page of {len(shown):,} lines", f"at most {_LINES:,}", "split it")
    if not shown:
        raise LetterError(
            f"{name} is a page without text", "a saved page of a letter", "save its text as .txt"
        )
    return "\n".join(_letter(shown, _found(text)))


def _found(text: str) -> list[str]:
    """The lines trafilatura takes for the page's content, without blanks."""
    import trafilatura

    found = trafilatura.extract(text, favor_precision=True, include_comments=False, include_tables=True) or ""
    return [solid for line in found.split("\n") if (solid := _solid(line))]


def _letter(shown: Sequence[tuple[str, Any]], found: Sequence[str]) -> Sequence[str]:
    """The lines from the first to the last one found, and their neighbours in the same elements: title and sign-off.

    All lines when too little was found, or much left outside.
    """
    lines = [line for line, _ in shown]
    count = sum(map(len, found))
    same = SequenceMatcher(None, list(map(_solid, lines)), found).get_matching_blocks()[:-1]
    if count < _LITTLE or not same:
        return lines
    first, last = same[0].a, same[-1].a + same[-1].size
    while first and shown[first - 1][1] is shown[first][1]:
        first -= 1
    while last < len(lines) and shown[last][1] is shown[last - 1][1]:
        last += 1
    missed = sum(len(x) for x in (*lines[:first], *lines[last:]) if x.endswith("。"))
    return lines if 2 * missed > count else lines[first:last]


def _solid(line: str) -> str:
    return re.sub(r"^\s*-\s|[\s|]", "", line)


def _lines(tree: Any) -> Iterator[tuple[str, Any]]:
    """What the page shows, line by line, each with the element its paragraph stands in."""
    from lxml import etree

    pieces: list[str] = []
    linked = depth = 0  # characters of the line that stand in links; links open
    lined: Any = None  # the element whose line ends are shown
    walk = etree.iterwalk(tree, events=("start", "end"))
    for event, element in walk:
        started, tag = event == "start", element.tag
        if tag in _BLOCKS:
            within = element if not started and tag != "br" else element.getparent()
            if line := _line(pieces, linked):
                yield line, None if within is None else within.getparent()
            pieces, linked = [], 0
        if tag == "pre":
            lined = element if started else None
        depth += (tag == "a") * (1 if started else -1)
        cells = _row(element) if started and tag == "tr" else None
        if cells or (started and (tag in _HIDDEN or _invisible(element))):
            yield from ((line, element.getparent()) for line in table_row(cells or []))
            walk.skip_subtree()
            continue
        piece = (element.text if started else element.tail) or ""
        *ended, piece = piece.split("\n") if lined is not None else [piece]
        for part in ended:
            if line := _line([*pieces, part], linked):
                yield line, lined.getparent()
            pieces, linked = [], 0
        pieces.append(piece)
        linked += len(re.sub(r"\s", "", piece)) if depth else 0
    if line := _line(pieces, linked):
        yield line, None


def _line(pieces: Iterable[str], linked: int) -> str:
    """A line of the page; an empty one for navigation, which is nothing but links or buttons."""
    line = _flat("".join(pieces))
    solid = re.sub(r"[\s>》|·]", "", line)
    return "" if linked >= len(solid) or _BUTTONS.fullmatch(line) else line


def _flat(text: str) -> str:
    return re.sub(r"[ \t\n\r\f]+", " ", _BREAK_IN_HAN.sub("", text)).strip()


def _invisible(element: Any) -> bool:
    style = re.sub(r"\s", "", element.get("style") or "").lower()
    return "display:none" in style or "visibility:hidden" in style or element.get("hidden") is not None


def _row(element: Any) -> list[list[str]] | None:
    """The cells of a row of figures; None for a row that lays out the page."""
    if element.find(".//table") is not None:
        return None
    cells = [[line for line, _ in _lines(x)] for x in element if x.tag in ("td", "th")]
    return cells if any(cells) and max(len(" ".join(x)) for x in cells) < _CELL else None


def table_row(cells: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a row of a table as one line, cells apart by tabs; a row with a long cell as the lines of its cells."""
    cells = list(cells)
    joined = [" ".join(lines) for lines in cells]
    if max(map(len, joined), default=0) < _CELL:
        if any(joined):
            yield "\t".join(joined)
    else:
        yield from (line for lines in cells for line in lines)
