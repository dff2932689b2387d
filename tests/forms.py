"""One letter in every form that it may be saved in: what other tests read back."""

import io
import re
import zipfile

import docx
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

PAGE = """<!DOCTYPE html><html><head><meta charset="{charset}"><title>关于提案的答复_某市</title>
<style>p {{ color: red }}</style><script>var n = 99;</script></head><body>
<div class="top"><ul><li><a href="/">首页</a></li><li><a href="/a">政务公开</a></li><li><a href="/b">办事服务</a></li></ul></div>
<div class="place">当前位置：<a href="/">首页</a> &gt; <a href="/t">建议提案</a></div>
<div class="content"><div class="tools">【<a href="#">打印</a>】【<a href="#">关闭</a>】</div>
<div class="editor">{body}</div>
<div class="code">扫一扫在手机上查看当前页面</div></div>
<div class="foot"><p>版权所有：某市人民政府 主办</p><p>某ICP备00000001号</p><p><a href="/m">网站地图</a> | <a href="/l">联系我们</a></p></div>
</body></html>"""


def blocks(text):
    """The lines of a letter, and its tables as lists of rows of cells."""
    found = []
    for line in filter(str.strip, text.split("\n")):
        if "\t" not in line:
            found.append(line.strip())
        elif found and isinstance(found[-1], list):
            found[-1].append(line.strip().split("\t"))
        else:
            found.append([line.strip().split("\t")])
    return found


def as_txt(text):
    return text.encode()


def as_markdown(text):
    lines = [f"# {text.split(chr(10))[0]}", ""]
    for block in blocks(text)[1:]:
        if isinstance(block, list):
            rows = ["| " + " | ".join(row) + " |" for row in block]
            lines += [rows[0], "|" + " --- |" * len(block[0]), *rows[1:], ""]
        elif block[:2] in ("一、", "二、", "三、", "四、", "五、"):
            lines += [f"## {block}", ""]
        else:
            lines += [f"**{block[:5]}**{block[5:]}", ""]
    return "\n".join(lines).encode()


def as_page(text, charset="utf-8"):
    parts = []
    for block in blocks(text):
        if isinstance(block, list):
            rows = "".join("<tr>" + "".join(f"<td><p>{c}</p></td>" for c in row) + "</tr>" for row in block)
            parts.append(f"<table border=1>{rows}</table>")
        else:
            parts.append(
                f'<p style="text-indent: 2em">&nbsp;　　{block[:5]}<span>{block[5:9]}</span>{block[9:]}</p>'
            )
    return PAGE.format(charset=charset, body="\n".join(parts)).encode(charset)


def saved(document):
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def add_table(document, rows):
    table = document.add_table(len(rows), len(rows[0]))
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text


def as_word(text):
    document = docx.Document()
    for block in blocks(text):
        if isinstance(block, list):
            add_table(document, block)
        else:
            paragraph = document.add_paragraph(block[:5])
            paragraph.add_run(block[5:]).bold = True
    return saved(document)


def as_pdf(text, **options):
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = {"fontName": "STSong-Light", "fontSize": 16, "leading": 28, "wordWrap": "CJK"}
    body = ParagraphStyle("body", firstLineIndent=32, **style)
    flush = ParagraphStyle("flush", **style)
    title = ParagraphStyle("title", alignment=TA_CENTER, **style)
    story = []
    for block in blocks(text):
        if not story and re.search("(?:答复|函)$", block):
            story.append(Paragraph(block, title))
        elif isinstance(block, list):
            story.append(Table(block, style=[("FONT", (0, 0), (-1, -1), "STSong-Light", 12)]))
        else:
            story.append(Paragraph(block, flush if block.endswith((":", "：")) else body))

    def edges(canvas, page):
        canvas.setFont("STSong-Light", 10)
        canvas.drawString(72, 810, "某市人民政府公报")
        canvas.drawCentredString(300, 30, f"— {page.page} —")

    data = io.BytesIO()
    SimpleDocTemplate(data, pagesize=A4, **options).build(story, onFirstPage=edges, onLaterPages=edges)
    return data.getvalue()


FORMS = {".txt": as_txt, ".md": as_markdown, ".html": as_page, ".docx": as_word, ".pdf": as_pdf}


def write(folder, data, name):
    path = folder / name
    path.write_bytes(data)
    return path


def zipped(members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def solid(text):
    return "".join(text.split())


def shape(letter):
    return [(m.path, solid(letter.text[m.start : m.end])) for m in letter.measures]


LEVELS = """<w:abstractNum {ns} w:abstractNumId="90">{levels}</w:abstractNum>"""
LEVEL = (
    '<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{format}"/><w:lvlText w:val="{text}"/></w:lvl>'
)


def numbered(document, levels, lists='<w:num {ns} w:numId="91"><w:abstractNumId w:val="90"/></w:num>'):
    """Give a document a list of its own, with ``levels`` as pairs of number format and template."""
    root = document.part.numbering_part.element
    inner = "".join(LEVEL.format(n=n, format=f, text=t) for n, (f, t) in enumerate(levels))
    root.insert(0, parse_xml(LEVELS.format(ns=nsdecls("w"), levels=inner)))
    for piece in lists.split("\n"):
        root.append(parse_xml(piece.format(ns=nsdecls("w"))))


def add(document, text, level=None, number=91):
    paragraph = document.add_paragraph(text)
    if level is not None:
        properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_ilvl().val = level
        properties.get_or_add_numId().val = number
    return paragraph


_HAN = "[一二三四五六七八九十]+"
_MARKS = [  # a mark as it is written, and the number format and template with which Word makes it
    (re.compile(rf"{_HAN}、"), "chineseCounting", "%{n}、"),
    (re.compile(rf"（{_HAN}）"), "chineseCounting", "（%{n}）"),
    (re.compile(rf"\({_HAN}\)"), "chineseCounting", "(%{n})"),
    (re.compile(r"（\d）"), "decimal", "（%{n}）"),
    (re.compile(r"\d\.(?!\d)"), "decimal", "%{n}."),
]


def as_numbered_word(text):
    """A Word document in which Word makes the numbers: none of them stands in its text."""
    document = docx.Document()
    found = [next((m for m in _MARKS if isinstance(b, str) and m[0].match(b)), None) for b in blocks(text)]
    levels = list(dict.fromkeys(m for m in found if m))
    numbered(document, [(form, mark.replace("{n}", str(n))) for n, (_, form, mark) in enumerate(levels, 1)])
    for block, mark in zip(blocks(text), found, strict=True):
        if mark:
            add(document, mark[0].sub("", block, count=1), levels.index(mark))
        elif isinstance(block, list):
            add_table(document, block)
        else:
            add(document, block)
    return saved(document)


ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16")


def every_form(text):
    """The letter in every format and encoding that can be made here: bytes by a name that tells them apart."""
    found = {f"{encoding}.txt": text.encode(encoding) for encoding in ENCODINGS}
    found |= {f"{encoding}.md": as_markdown(text).decode().encode(encoding) for encoding in ENCODINGS}
    found |= {f"{charset}.html": as_page(text, charset) for charset in ("utf-8", "gbk", "utf-16")}
    found["windows.txt"] = text.replace("\n", "\r\n").encode("gb18030")
    found |= {
        "typed.docx": as_word(text),
        "numbered.docx": as_numbered_word(text),
        "printed.pdf": as_pdf(text),
    }
    return found
