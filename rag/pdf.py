"""PDF to plain text: lines rejoined into paragraphs, without what repeats at the edges of the pages."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rag.errors import LetterError

PAGES = 2_000
CHARACTERS = 5_000_000
_LOCK = threading.Lock()  # PDFium is not safe in threads
_EDGE = 2  # lines at the top and at the foot of a page that may be furniture
_END = "。；：！？;:!?"
_STOPS = f"{_END}，,、"
_ABOVE = 4  # paragraphs at the beginning that may be centred
_NUMERAL = "一二三四五六七八九十百"
_NUMBERED = re.compile(
    rf"[{_NUMERAL}]{{1,4}}、|[（(]\s*(?:[{_NUMERAL}]{{1,4}}|\d{{1,2}})\s*[）)]|\d{{1,2}}[.．、](?!\d)|[①-⑳]|第[{_NUMERAL}]{{1,3}}[，,、]"
)
# What begins a line and cannot be broken from it: a run of Latin letters or digits, or a character, with the marks beside it.
_RUN = re.compile(r"[（(“《‘【]*([!-~—–]{2,40}|.)([，。；、！？：）”》’】]*)")
_PAGE_NUMBER = re.compile(r"[-—–－·]+\s*\d{1,4}\s*[-—–－·]+|第\s*\d+\s*页(?:\s*[,，/]?\s*共\s*\d+\s*页)?")
# Radicals of the supplement that PDF writers put for characters, and that Unicode does not fold.
_RADICALS = str.maketrans(
    "⺁⺇⺌⺎⺟⺠⺬⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳",
    "厂几小兀母民示虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟",
)
_COMPATIBLE = re.compile("[⺀-⿟豈-﫿]")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page: its text, where it begins and ends and how high it is, in points."""

    text: str
    left: float
    right: float
    height: float


def pdf_document(data: bytes, name: str) -> str:
    """Return the text of a PDF, one paragraph a line.

    Raises:
        LetterError: when it asks for a password, holds pictures instead of text, or is too long; what else is wrong with it is
            an error of pypdfium2.
    """
    with _LOCK:
        pages = _pages(data, name)
    lines = [line for page in _without_edges(pages) for line in page]
    if not lines:
        raise _scanned(f"{name} holds no text, only pictures of it (scanned pages)")
    text = "\n".join(_paragraphs(lines)).translate(_RADICALS)
    return _COMPATIBLE.sub(lambda c: unicodedata.normalize("NFKC", c[0]), text)


def _scanned(found: str) -> LetterError:
    return LetterError(found, "a PDF with text", "run OCR first, and add what it gives as .txt, .docx or PDF")


def _pages(data: bytes, name: str) -> list[list[_Line]]:
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise LetterError(
                f"{name} is encrypted", "a PDF without a password", "save it again without one"
            ) from error
        raise
    with document:
        if len(document) > PAGES:
            raise LetterError(f"{name} has {len(document):,} pages", f"at most {PAGES:,}", "split it")
        pages: list[list[_Line]] = []
        pictures: list[int] = []
        for number, page in enumerate(document, 1):
            count = sum(len(line.text) for lines in pages for line in lines)
            pages.append(list(_page(page, f"{name}: page {number}", CHARACTERS - count)))
            if not pages[-1] and any(page.get_objects([raw.FPDF_PAGEOBJ_IMAGE])):
                pictures.append(number)
            page.close()
    if pictures and any(pages):
        raise _scanned(f"{name}: page {pictures[0]} holds only a picture (a scanned page)")
    return [lines for lines in pages if lines]


def _page(page: Any, name: str, left: int) -> Iterator[_Line]:
    from pypdfium2 import raw

    text = page.get_textpage()
    if text.count_chars() > left:
        raise LetterError(f"{name} passes {CHARACTERS:,} characters", "a letter", "split it")
    line: list[tuple[str, int]] = []
    for i in range(text.count_chars()):
        character = chr(raw.FPDFText_GetUnicode(text, i))
        if character in "\r\n":
            yield from _line(text, line)
            line = []
        elif character != " " or not raw.FPDFText_IsGenerated(text, i) or _apart(text, i):
            line.append((character, i))
    yield from _line(text, line)


def _apart(text: Any, i: int) -> bool:
    """Whether a blank that PDFium put into a gap stands for one: between Latin words, or between the cells of a table."""
    from pypdfium2 import raw

    beside = (max(i - 1, 0), min(i + 1, text.count_chars() - 1))
    if all(chr(raw.FPDFText_GetUnicode(text, n)).isascii() for n in beside):
        return True
    (_, bottom, right, top), (left, _, _, _) = (text.get_charbox(n, loose=True) for n in beside)
    return bool(left - right > 0.8 * (top - bottom))


def _line(text: Any, line: Sequence[tuple[str, int]]) -> Iterator[_Line]:
    solid = [(c, i) for c, i in line if not c.isspace()]
    if solid:
        left, bottom, _, top = text.get_charbox(solid[0][1], loose=True)
        right = text.get_charbox(solid[-1][1], loose=True)[2]
        yield _Line("".join(c for c, _ in line).strip(), left, right, top - bottom)


def _without_edges(pages: Sequence[Sequence[_Line]]) -> Iterator[Sequence[_Line]]:
    """Drop the page numbers, and the first and last lines that are the same on at least half the pages."""
    counts = Counter(key for page in pages for key in _edges(page))
    repeated = {key for key, n in counts.items() if n >= max(2, len(pages) / 2)}
    for page in pages:
        first = 0
        while first < min(_EDGE, len(page)) and _is_edge(page, first, repeated):
            first += 1
        last = -1
        while last >= -min(_EDGE, len(page) - first) and _is_edge(page, last, repeated):
            last -= 1
        yield page[first : len(page) + last + 1]


def _edges(page: Sequence[_Line]) -> Iterator[tuple[int, str]]:
    for at in (*range(_EDGE), *range(-_EDGE, 0)):
        if -len(page) <= at < len(page):
            yield at, re.sub(r"\d+", "#", page[at].text)


def _is_edge(page: Sequence[_Line], at: int, repeated: set[tuple[int, str]]) -> bool:
    line = page[at].text
    return (at, re.sub(r"\d+", "#", line)) in repeated or bool(_PAGE_NUMBER.fullmatch(line))


def _paragraphs(lines: Sequence[_Line]) -> Iterator[str]:
    rights = sorted(line.right for line in lines)
    margin = rights[9 * (len(rights) - 1) // 10]  # a line or two may stick out
    edge = min(line.left for line in lines)
    block: list[_Line] = []
    done = 0
    for line in lines:
        last = block[-1] if block else None
        above = last is not None and done < _ABOVE
        if (
            last
            and not (above and _under(last, line))
            and ((above and _centred(last, edge, margin)) or not _goes_on(block, line, margin))
        ):
            yield _joined(block)
            block = []
            done += 1
        block.append(line)
    yield _joined(block)


def _centred(line: _Line, edge: float, margin: float) -> bool:
    """Whether a line stands in the middle as a title does, as far from the left edge of the text as from the right one."""
    left, right = line.left - edge, margin - line.right
    return left > 0.15 * line.height and abs(left - right) < line.height / 3 and line.text[-1] not in _STOPS


def _under(last: _Line, line: _Line) -> bool:
    """Whether a line stands centred under the last one, as the second line of a title does."""
    em = last.height
    middle = abs((last.left + last.right) - (line.left + line.right)) / 2
    return (
        middle < em / 3
        and line.left > last.left + em
        and abs(line.height - em) <= em / 4
        and last.text[-1] not in _STOPS
        and line.text[-1] not in _STOPS
        and not _NUMBERED.match(last.text)
    )


def _goes_on(block: Sequence[_Line], line: _Line, margin: float) -> bool:
    """Whether ``line`` goes on with the paragraph: the last line fills the width, and neither number nor indent begins anew."""
    last = block[-1]
    em = last.height
    if (
        last.right < margin - max(1.6 * em, _unbroken(line.text) * em)
        or line.left > last.left + em
        or _NUMBERED.match(line.text)
    ):
        return False
    if abs(line.height - em) > em / 4:
        return False
    return last.text[-1] not in _END or block[0].left > line.left + em


def _unbroken(text: str) -> float:
    """How wide what begins a line is at most that could not be broken, in em: 2025—2027年 moves to the next line whole."""
    run = _RUN.match(text)
    assert run is not None  # a line is never empty
    ascii_only = sum(c < "\u0080" or c in "—–" for c in run[0])
    return 0.6 + 0.6 * ascii_only + (len(run[0]) - ascii_only)


def _joined(block: Sequence[_Line]) -> str:
    text = block[0].text
    for line in block[1:]:
        latin = (
            text[-1].isascii() and text[-1].isalnum() and line.text[0].isascii() and line.text[0].isalnum()
        )
        text += f" {line.text}" if latin else line.text
    return text
