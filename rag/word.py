"""Word documents (docx) to plain text: paragraphs and tables in order, with the numbers that Word generates.

The text is walked by element and not by python-docx's ``paragraph.text``, which passes over insertions, smart tags and content
controls. Dropped are: deletions, hidden text, field codes, headers, footers, footnotes and comments.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from rag.archive import open_zip
from rag.formats import table_row
from rag.numbering import Numbering, W

_SIGNS = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_DROPPED = frozenset(
    f"{W}{tag}" for tag in ("del", "moveFrom", "pPr", "rPr", "txbxContent", "instrText", "rt")
)
_WRAPPERS = frozenset(
    f"{W}{tag}" for tag in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "body")
)
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def word_document(data: bytes, name: str) -> str:
    """Return the text of a docx file, one paragraph or row of a table a line.

    Raises:
        LetterError: when the file is no zip archive, or one of hostile size; what else is wrong with it is an error of
            python-docx or lxml.
    """
    open_zip(data, name).close()
    import docx

    document = docx.Document(io.BytesIO(data))
    lists = [r.target_part for r in document.part.rels.values() if r.reltype.endswith("/numbering")]
    numbering = Numbering(getattr(lists[0], "element", None) if lists else None, document.styles.element)
    return "\n".join(_blocks(document.element.body, numbering))


def _blocks(parent: Any, numbering: Numbering) -> Iterator[str]:
    held = ""  # of paragraphs whose end is deleted: they go on in the next one
    for child in parent:
        if child.tag == f"{W}p":
            text, ended = "".join(_text(child)).strip(), not _end_deleted(child)
            if text or ended:
                held += text if held else numbering.label(child) + text
            if ended:
                yield held
                held = ""
            for box in _boxes(child):
                yield from _blocks(box, numbering)
        elif child.tag == f"{W}tbl":
            for row in _inside(child, f"{W}tr"):
                cells = [list(filter(None, _blocks(cell, numbering))) for cell in _inside(row, f"{W}tc")]
                yield from table_row(cells)
        elif child.tag in _WRAPPERS:
            yield from _blocks(child, numbering)
    if held:
        yield held


def _end_deleted(paragraph: Any) -> bool:
    """Whether the mark that ends a paragraph was deleted or moved away under tracked changes."""
    return any(paragraph.find(f"{W}pPr/{W}rPr/{W}{tag}") is not None for tag in ("del", "moveFrom"))


def _inside(parent: Any, tag: str) -> Iterator[Any]:
    """The rows of a table or the cells of a row, also those in content controls."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _inside(child, tag)


def _text(parent: Any) -> Iterator[str]:
    for child in parent:
        if child.tag == f"{W}t":
            yield child.text or ""
        elif child.tag in _SIGNS:
            yield _SIGNS[child.tag]
        elif isinstance(child.tag, str) and child.tag not in _DROPPED and not _hidden(child):
            yield from _text(child)


def _hidden(run: Any) -> bool:
    mark = run.find(f"{W}rPr/{W}vanish")
    shown = mark is None or mark.get(f"{W}val") in ("0", "false", "off")
    return run.tag == _FALLBACK or not shown


def _boxes(parent: Any) -> Iterator[Any]:
    """The text boxes that hang on a paragraph; each is written twice, the second time as a fallback."""
    for child in parent:
        if child.tag == f"{W}txbxContent":
            yield child
        elif child.tag != _FALLBACK:
            yield from _boxes(child)
