"""One letter, however it was saved: Markdown, web page, Word, PDF, zip and standard input; and what is refused.

Contract: every form gives the measures of the plain text; whatever is no letter is one ``LetterError`` of one line that
names the file, also inside an archive; nothing is written to disk.
"""

import hashlib
import io
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls
from fakes import LETTERS, clean_environment
from forms import FORMS, PAGE, add, as_page, as_pdf, as_word, numbered, saved, shape, write, zipped
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from rag.errors import LetterError
from rag.index import parse_all
from rag.numbering import written
from rag.parse import parse
from rag.read import letter_files, read, read_all

TEXT = "某委员:\n您的提案收悉。\n一、建站点。建成站点63家。\n二、办培训。办了5期。\n"


def lines_of(folder, data, name):
    return [line.strip() for line in read(write(folder, data, name)).text.split("\n") if line.strip()]


def refusal(folder, data, name):
    with pytest.raises(LetterError) as caught:
        read_all(write(folder, data, name))
    message = str(caught.value)
    assert "\n" not in message
    assert name in message
    return message


# Markdown


def test_marks_of_markdown_are_dropped_and_its_text_kept(tmp_path):
    data = "## 一、建**站点** ##\n\n> *建成*[63家](http://x/y)\n\n***\n\n1\\. 办了`5`期".encode()
    assert lines_of(tmp_path, data, "a.md") == ["一、建站点", "建成63家", "1. 办了`5`期"]


def test_stars_between_numbers_are_not_emphasis(tmp_path):
    assert lines_of(tmp_path, "面积5*6*7米,编号a_b_c。".encode(), "a.md") == ["面积5*6*7米,编号a_b_c。"]


# Web pages


def test_page_gives_the_letter_without_navigation_and_footer(tmp_path):
    found = lines_of(tmp_path, as_page(TEXT * 3), "a.html")
    assert found == TEXT.strip().split("\n") * 3


@pytest.mark.parametrize(
    ("charset", "declared"),
    [("gb2312", "gb2312"), ("gb18030", "GBK"), ("utf-8", "utf-8"), ("utf-8", "gb2312")],
)
def test_charset_of_a_page_is_recognised(tmp_path, charset, declared):
    page = as_page(TEXT * 3).decode().replace('charset="utf-8"', f"charset={declared}")
    assert "建成站点63家。" in read(write(tmp_path, page.encode(charset), "a.htm")).text


def test_charset_in_http_equiv_and_wider_than_declared_is_read(tmp_path):
    meta = '<meta http-equiv="Content-Type" content="text/html; charset=gb2312">'
    page = as_page(TEXT * 3 + "朱镕基㐂。\n").decode().replace('<meta charset="utf-8">', meta)
    assert "朱镕基㐂" in read(write(tmp_path, page.encode("gb18030"), "a.html")).text


def test_big5_is_read_where_the_page_declares_it(tmp_path):
    page = "<meta charset=big5><body><p>某委員：建成驛站63家。</p>".encode("big5")
    assert lines_of(tmp_path, page, "a.html") == ["某委員：建成驛站63家。"]


def test_page_in_utf_16_is_read_by_its_mark(tmp_path):
    assert lines_of(tmp_path, "<p>建成63家。</p>".encode("utf-16"), "a.html") == ["建成63家。"]


def test_unknown_charset_is_not_trusted(tmp_path):
    page = "<meta charset=unicode_escape><p>建成63家。</p>".encode("gbk")
    assert lines_of(tmp_path, page, "a.html") == ["建成63家。"]


def test_table_becomes_rows_of_cells(tmp_path):
    table = "<table><tr><th>区</th><th>站点</th></tr><tr><td>东区</td><td><b>12</b>个</td></tr></table>"
    page = as_page(TEXT * 3).decode().replace("<p style", f"{table}<p style", 2)
    assert {"区\t站点", "东区\t12个"} <= set(lines_of(tmp_path, page.encode(), "a.html"))


def test_page_laid_out_by_a_table_keeps_its_lines(tmp_path):
    body = "".join(f"<p>{line}</p>" for line in (TEXT * 9).strip().split("\n"))
    page = f"<body><table><tr><td><a href=/>首页</a></td><td>{body}</td></tr></table></body>"
    assert lines_of(tmp_path, page.encode(), "a.html") == TEXT.strip().split("\n") * 9


def test_preformatted_text_of_a_page_keeps_its_lines(tmp_path):
    page = PAGE.format(charset="utf-8", body=f"<pre>{TEXT * 3}</pre>")
    assert lines_of(tmp_path, page.encode(), "a.html") == TEXT.strip().split("\n") * 3


def test_paragraph_that_is_mostly_a_link_is_not_lost(tmp_path):
    body = "".join(f"<div>{line}</div>" for line in TEXT.strip().split("\n") * 3)
    body = body.replace("办了5期", "办了<a href=/x>5期培训班和技能比赛</a>")
    found = lines_of(tmp_path, PAGE.format(charset="utf-8", body=body).encode(), "a.html")
    assert [x for x in found if "5期" in x] == ["二、办培训。办了5期培训班和技能比赛。"] * 3


def test_title_and_sign_off_of_a_page_are_not_lost(tmp_path):
    lines = [
        "某市局关于第1号提案的答复",
        "（某函〔2025〕5号）",
        *TEXT.strip().split("\n") * 3,
        "某市局",
        "2025年7月9日",
    ]
    body = "".join(
        f'<p align="right"><a href="/x">{x}</a>。</p>' if x == "某市局" else f"<p>{x}</p>" for x in lines
    )
    found = lines_of(tmp_path, PAGE.format(charset="utf-8", body=body).encode(), "a.html")
    assert found == [x if x != "某市局" else "某市局。" for x in lines]


def test_page_too_short_for_extraction_gives_its_body(tmp_path):
    assert lines_of(tmp_path, "<body><p>建成63家。<p>办了<br>5期。".encode(), "a.html") == [
        "建成63家。",
        "办了",
        "5期。",
    ]


def test_what_a_page_hides_is_not_read(tmp_path):
    page = '<p>建成63家。</p><p style="display: none">建成99家。</p><p hidden>98</p><script>97</script>'
    assert lines_of(tmp_path, page.encode(), "a.html") == ["建成63家。"]


def test_page_that_would_take_minutes_is_refused(tmp_path):
    page = f"<html><body><table><tr>{'<td>64</td>' * 30_000}</tr></table></body></html>"
    told = refusal(tmp_path, page.encode(), "a.html")
    assert told == "a.html is a page of 30,000 elements side by side; expected at most 20,000; split it"


def test_page_without_text_is_refused(tmp_path):
    assert refusal(tmp_path, b"<html><script>x</script></html>", "a.html").startswith(
        "a.html is a page without text"
    )


# Word


def test_numbers_that_word_generates_appear_and_restart_by_level(tmp_path):
    document = docx.Document()
    numbered(
        document,
        [
            ("chineseCountingThousand", "%1、"),
            ("chineseCounting", "（%2）"),
            ("decimal", "%3."),
            ("decimalEnclosedCircle", "%4"),
            ("lowerLetter", "%5)"),
        ],
    )
    for text, level in [
        ("建站点", 0), ("城区", 1), ("东区", 2), ("西区", 2), ("路口", 3), ("路尾", 3), ("甲", 4), ("乡镇", 1),
        ("南乡", 2), ("2025年起", 2), ("说明", None), ("办培训", 0), ("线上", 1), ("线下", 1),
    ]:  # fmt: skip
        add(document, text, level)
    assert lines_of(tmp_path, saved(document), "a.docx") == [
        "一、建站点", "（一）城区", "1. 东区", "2. 西区", "①路口", "②路尾", "a) 甲", "（二）乡镇",
        "1. 南乡", "2. 2025年起", "说明", "二、办培训", "（一）线上", "（二）线下",
    ]  # fmt: skip


def test_numbered_measures_of_word_are_the_measures_of_the_text(tmp_path):
    plain = read(LETTERS / "songhe-jobs.txt")
    document = docx.Document()
    numbered(document, [("chineseCounting", "%1、"), ("japaneseCounting", "(%2)")])
    for line in filter(str.strip, plain.text.split("\n")):
        head, mark, rest = line.partition("、" if line[1:2] == "、" else ")")
        if mark == "、" and len(head) == 1:
            add(document, rest, 0)
        elif line.startswith("(") and len(head) == 2:
            add(document, rest, 1)
        else:
            add(document, line)
    source = read(write(tmp_path, saved(document), "songhe-jobs.docx"))
    assert shape(parse(source)) == shape(parse(plain))


def test_list_that_starts_again_or_elsewhere_is_counted_so(tmp_path):
    document = docx.Document()
    lists = (
        '<w:num {ns} w:numId="91"><w:abstractNumId w:val="90"/></w:num>\n'
        '<w:num {ns} w:numId="92"><w:abstractNumId w:val="90"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="5"/></w:lvlOverride></w:num>'
    )
    numbered(document, [("decimal", "（%1）")], lists)
    for number in (91, 91, 92, 92, 91):
        add(document, "项", 0, number)
    assert lines_of(tmp_path, saved(document), "a.docx") == [
        "（1）项",
        "（2）项",
        "（5）项",
        "（6）项",
        "（7）项",
    ]


def test_number_of_a_style_appears_and_bullets_do_not(tmp_path):
    document = docx.Document()
    numbered(document, [("chineseCounting", "%1、"), ("bullet", "\uf06c")])
    style = document.styles["Heading 1"].element.get_or_add_pPr().get_or_add_numPr()
    style.get_or_add_numId().val = 91
    document.add_heading("建站点", 1)
    add(document, "东区", 1)
    document.add_heading("办培训", 1)
    off = document.add_heading("附件", 1)
    off._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = 0
    assert lines_of(tmp_path, saved(document), "a.docx") == ["一、建站点", "东区", "二、办培训", "附件"]


@pytest.mark.parametrize(
    ("number", "style", "expected"),
    [
        (10, "chineseCounting", "十"),
        (11, "chineseCounting", "十一"),
        (20, "chineseCounting", "二十"),
        (105, "chineseCountingThousand", "一百零五"),
        (110, "chineseCountingThousand", "一百一十"),
        (2030, "chineseCountingThousand", "二千零三十"),
        (10, "ideographDigital", "一〇"),
        (27, "lowerLetter", "aa"),
        (20, "decimalEnclosedCircle", "⑳"),
        (21, "decimalEnclosedCircle", "21"),
        (14, "upperRoman", "XIV"),
        (7, "somethingNew", "7"),
    ],
)
def test_formats_of_word_numbers(number, style, expected):
    assert written(number, style) == expected


def test_insertions_smart_tags_and_content_controls_are_read_but_not_deletions_and_hidden_text(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("建成")
    for tag, text in (("w:ins", "63"), ("w:smartTag", "家"), ("w:del", "99"), ("w:moveFrom", "98")):
        wrapper = OxmlElement(tag)
        wrapper.append(paragraph.add_run(text)._r)
        paragraph._p.append(wrapper)
    paragraph.add_run("97").font.hidden = True
    paragraph.add_run("。")
    control = OxmlElement("w:sdt")
    inside = OxmlElement("w:sdtContent")
    inside.append(document.add_paragraph("办了5期。")._p)
    control.append(inside)
    document.element.body.insert(1, control)
    assert lines_of(tmp_path, saved(document), "a.docx") == ["建成63家。", "办了5期。"]


def test_paragraphs_joined_or_deleted_in_tracked_changes_are_read_as_accepted(tmp_path):
    document = docx.Document()
    numbered(document, [("chineseCounting", "%1、")])
    for text, gone in (("建站点。", False), ("作废。", True), ("办培训", False), ("，办了5期。", False)):
        paragraph = add(document, text, None if text[0] == "，" else 0)
        if gone or text == "办培训":
            mark = OxmlElement("w:rPr")
            mark.append(OxmlElement("w:del"))
            paragraph._p.get_or_add_pPr().append(mark)
        if gone:
            wrapper = OxmlElement("w:del")
            wrapper.append(paragraph.runs[0]._r)
            paragraph._p.append(wrapper)
    assert lines_of(tmp_path, saved(document), "a.docx") == ["一、建站点。", "二、办培训，办了5期。"]


def test_tables_of_word_stand_in_their_place_as_rows(tmp_path):
    document = docx.Document()
    document.add_paragraph("各区站点:")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ["区", "站点", "东区", "12个"], strict=True
    ):
        cell.text = text
    document.add_paragraph("合计12个。")
    assert lines_of(tmp_path, saved(document), "a.docx") == [
        "各区站点:",
        "区\t站点",
        "东区\t12个",
        "合计12个。",
    ]


def test_text_box_is_read_once(tmp_path):
    document = docx.Document()
    paragraph = document.add_paragraph("正文。")
    box = "<w:txbxContent><w:p><w:r><w:t>框内。</w:t></w:r></w:p></w:txbxContent>"
    spaces = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    content = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    paragraph._p.append(parse_xml(f"<w:r {nsdecls('w')} {spaces}>{content}</w:r>"))
    assert lines_of(tmp_path, saved(document), "a.docx") == ["正文。", "框内。"]


def replaced(data, part, content):
    """A docx with one of its parts written anew."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped({**parts, part: content})


def test_entity_bomb_in_word_is_not_expanded(tmp_path):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    body = "<w:body><w:p><w:r><w:t>建成63家。&e9;</w:t></w:r></w:p></w:body>"
    bomb = f'<!DOCTYPE d [<!ENTITY e0 "ha">{entities}]><w:document {nsdecls("w")}>{body}</w:document>'
    path = write(tmp_path, replaced(as_word(TEXT), "word/document.xml", bomb), "a.docx")
    try:
        assert read(path).text.strip() == "建成63家。"
    except LetterError as error:
        assert "a.docx" in str(error)


def test_word_document_of_hostile_size_is_refused_before_it_is_opened(tmp_path):
    data = replaced(as_word(TEXT), "word/document.xml", b" " * (21 << 20))
    assert refusal(tmp_path, data, "a.docx").startswith(
        "a.docx/word/document.xml unpacks to 21 MiB; expected at most 20"
    )


def test_zip_that_is_no_word_document_is_refused(tmp_path):
    assert refusal(tmp_path, zipped({"x.txt": "x"}), "a.docx").startswith("a.docx is damaged (KeyError)")


# PDF


def test_lines_of_a_page_are_rejoined_and_its_edges_dropped(tmp_path):
    detail = "围绕重点产业建立对接机制联系服务链主企业和配套企业发布岗位需求清单" * 4
    lines = []
    for n in "一二三四五六七八九":
        lines += [
            f"{n}、建站点。第{n}批{detail}建成63家。",
            f"（一）办第{n}期培训{detail}",
            f"1. 办了第{n}期。",
        ]
    assert lines_of(tmp_path, as_pdf("\n".join(lines)), "a.pdf") == lines


def test_number_alone_on_a_line_inside_a_page_is_kept(tmp_path):
    assert "63" in lines_of(tmp_path, as_pdf("建成如下:\n63\n" + "办了培训。\n" * 5), "a.pdf")


def test_words_and_numbers_of_latin_letters_stay_apart_over_lines(tmp_path):
    canvas = Canvas(data := io.BytesIO())
    for y, line in ((700, "a long line of the letter that fills its width as AI"), (680, "tools do and")):
        canvas.drawString(72, y, line)
    canvas.save()
    assert "as AI tools do and" in read(write(tmp_path, data.getvalue(), "a.pdf")).text


def drawn(*pages):
    """A PDF with one line a page; a picture where there is none."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    canvas = Canvas(data := io.BytesIO())
    for line in pages:
        canvas.setFont("STSong-Light", 16)
        if line:
            canvas.drawString(72, 700, line)
        else:
            canvas.drawInlineImage(Image.new("RGB", (8, 8), "red"), 72, 72, 300, 300)
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def test_kangxi_radicals_become_characters(tmp_path):
    assert lines_of(tmp_path, drawn("建成⼈⻓⻛⾞63家。"), "a.pdf") == ["建成人长风車63家。"]


def test_scanned_pdf_is_refused_and_told_to_run_ocr(tmp_path):
    message = refusal(tmp_path, drawn("", ""), "a.pdf")
    assert message.startswith(
        "a.pdf holds no text, only pictures of it (scanned pages); expected a PDF with text; run OCR"
    )


def test_scanned_page_among_others_is_named(tmp_path):
    assert refusal(tmp_path, drawn("建成63家。", ""), "a.pdf").startswith(
        "a.pdf: page 2 holds only a picture"
    )


def test_pdf_with_a_password_is_refused(tmp_path):
    data = as_pdf(TEXT, encrypt=StandardEncryption("secret"))
    assert refusal(tmp_path, data, "a.pdf").startswith(
        "a.pdf is encrypted; expected a PDF without a password"
    )


def test_pdf_cut_short_is_refused(tmp_path):
    assert refusal(tmp_path, b"%PDF-1.7\n%%EOF", "a.pdf").startswith("a.pdf is damaged (PdfiumError)")


# Zip archives


def test_every_member_of_an_archive_is_a_letter_of_its_own(tmp_path):
    data = zipped(
        {"b.docx": as_word(TEXT), "a/a.txt": TEXT, "c.csv": "1,2", ".d.txt": "x", "__MACOSX/e.txt": "x"}
    )
    found = read_all(write(tmp_path, data, "all.zip"))
    assert [s.name for s in found] == ["all.zip/a/a.txt", "all.zip/b.docx"]
    assert found[0].text == TEXT
    assert found[0].sha256 == hashlib.sha256(TEXT.encode()).hexdigest()


def test_archive_is_read_into_the_index_letter_by_letter(tmp_path):
    write(tmp_path, zipped({"a.txt": TEXT, "b.md": TEXT + "三、修路。修了7公里。\n"}), "all.zip")
    letters = parse_all([tmp_path])
    assert [(a.id, a.source) for a in letters] == [("a", "all.zip/a.txt"), ("b", "all.zip/b.md")]


def with_raw_name(name, raw):
    """An archive whose one member has the bytes ``raw`` for a name, without the mark of UTF-8."""
    return zipped({name: TEXT}).replace(name.encode(), raw)


@pytest.mark.parametrize("encoding", ["gbk", "utf-8"])
def test_names_in_gbk_and_utf_8_are_read(tmp_path, encoding):
    raw = "复函.txt".encode(encoding)
    data = with_raw_name("x" * (len(raw) - 4) + ".txt", raw)
    assert read(write(tmp_path, data, "a.zip")).name == "a.zip/复函.txt"


@pytest.mark.parametrize("name", ["../../evil.txt", "/etc/evil.txt", "..\\evil.txt"])
def test_name_that_leads_out_of_an_archive_is_only_a_name(tmp_path, name):
    (tmp_path / "in").mkdir()
    source = read(write(tmp_path / "in", zipped({name: TEXT}), "a.zip"))
    assert parse(source).id == "evil"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "in"]


def test_line_end_in_a_name_does_not_break_the_error(tmp_path):
    data = with_raw_name("xxxx.txt", b"x\n\x1bx.txt").replace(TEXT.encode()[:1], TEXT.encode()[:1])
    assert read(write(tmp_path, data, "a.zip")).name == "a.zip/x__x.txt"


def test_bad_member_is_named_with_its_archive(tmp_path):
    data = zipped({"good.txt": TEXT, "member.txt": b"\x89PNG\r\n"})
    assert refusal(tmp_path, data, "a.zip").startswith(
        "a.zip/member.txt is a PNG picture; expected a plain-text letter"
    )


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (
            {"a.txt": b"1" * (2 << 20)},
            "a.zip/a.txt is packed to less than 1/200 of its 2 MiB, as in a zip bomb",
        ),
        ({"a.txt": b"1" * (21 << 20)}, "a.zip/a.txt unpacks to 21 MiB; expected at most 20 MiB"),
        (
            {f"{n}.txt": b"1" * (15 << 20) for n in range(7)},
            "a.zip unpacks to 105 MiB; expected at most 100 MiB",
        ),
        ({f"{n}": "" for n in range(10_001)}, "a.zip holds 10,001 files; expected at most 10,000"),
        ({"a.csv": "x"}, "a.zip holds no letter"),
        ({"a.zip": zipped({"a.txt": TEXT})}, "a.zip/a.zip is an archive inside an archive"),
    ],
    ids=["ratio", "member", "total", "count", "nothing", "nested"],
)
def test_hostile_or_useless_archive_is_refused(tmp_path, members, found):
    assert refusal(tmp_path, zipped(members), "a.zip").startswith(found)


def test_size_that_an_archive_lies_about_is_not_unpacked(tmp_path):
    data = bytearray(zipped({"a.txt": b"1" * (30 << 20)}))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    assert refusal(tmp_path, bytes(data), "a.zip").startswith("a.zip/a.txt is damaged")


def test_encrypted_archive_is_refused(tmp_path):
    data = bytearray(zipped({"a.txt": TEXT}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert refusal(tmp_path, bytes(data), "a.zip").startswith(
        "a.zip/a.txt is encrypted; expected an archive without"
    )


def test_archive_of_several_letters_is_not_one_letter(tmp_path):
    with pytest.raises(LetterError, match=r"^a\.zip holds 2 letters; expected one letter"):
        read(write(tmp_path, zipped({"a.txt": TEXT, "b.txt": TEXT}), "a.zip"))


# Standard input, refusals, imports


def test_standard_input_is_a_letter(tmp_path):
    code = "from pathlib import Path; from rag.read import *; s = read(letter_files([Path('-')])[0]); print(s.name, len(s.text))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=TEXT.encode(),
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.stdout.decode() == f"stdin.txt {len(TEXT)}\n"


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("a.doc", "open it in Word or WPS and save it as .docx"),
        ("a.wps", "open it in Word or WPS and save it as .docx"),
        ("a.RTF", "open it in Word or WPS and save it as .docx"),
        ("a.ofd", "open it in an OFD reader and save it as .pdf"),
        ("a.jpg", "run OCR on it, and add the text"),
        ("a.rar", "unpack it, or pack it as .zip"),
    ],
)
def test_kind_that_is_not_read_is_refused_with_what_to_do(tmp_path, name, todo):
    with pytest.raises(LetterError) as caught:
        letter_files([write(tmp_path, b"x", name)])
    expected = "one of .txt, .md, .html, .htm, .docx, .pdf, .zip"
    assert str(caught.value) == f"{name} is a {name[1:]} file; expected {expected}; {todo}"


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        (
            "a.docx",
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "a.docx is an old Office document (doc, wps) or one with a password",
        ),
        ("a.txt", b"{\\rtf1 x}", "a.txt is an RTF document; expected a plain-text letter"),
        ("a.pdf", b"\x89PNG\r\n", "a.pdf is a PNG picture; expected a PDF document"),
        ("a.html", b"%PDF-1.7\n", "a.html is a PDF document"),
        ("a.docx", b"plain", "a.docx is not a whole zip archive"),
        ("a.zip", b"plain", "a.zip is not a whole zip archive"),
        ("a.pdf", b"", "a.pdf is empty"),
        ("a.md", "字".encode() * 5_000_001, "a.md holds 5,000,001 characters; expected at most 5,000,000"),
    ],
)
def test_file_that_is_not_what_its_name_says_is_refused(tmp_path, name, data, found):
    assert refusal(tmp_path, data, name).startswith(found)


def test_reading_plain_text_loads_no_reader_of_other_formats(tmp_path):
    code = (
        "import sys; from pathlib import Path; import rag.index; from rag.read import read; read(Path(sys.argv[1]));"
        "print({'trafilatura', 'docx', 'pypdfium2', 'lxml', 'zipfile'} & set(sys.modules))"
    )
    path = write(tmp_path, TEXT.encode(), "a.txt")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "set()\n"


def mutated(data, chance):
    data = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at] = chance.randrange(256)
        elif kind == 1:
            del data[at : at + chance.randint(1, 40)]
        elif kind == 2:
            data[at:at] = data[chance.randrange(len(data)) :][: chance.randint(1, 40)]
        else:
            data[at : at + 4] = chance.randbytes(4)
        if len(data) < 8:
            break
    return bytes(data)


def inner_mutated(data, chance):
    """The archive packed anew with one part mutated, so that the damage is not caught by a checksum."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(n for n in parts if n.endswith((".xml", ".rels"))))
    return zipped({**parts, name: mutated(parts[name], chance)})


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".docx", ".pdf", ".zip"])
def test_mutated_files_give_a_letter_or_one_clear_error(tmp_path, suffix):
    chance = random.Random(11)
    seeds = {**FORMS, ".zip": lambda text: zipped({"a.txt": text, "b.html": as_page(text)})}
    data = seeds[suffix](TEXT * 2)
    for n in range(300):
        bad = inner_mutated(data, chance) if suffix == ".docx" and n % 2 else mutated(data, chance)
        path = write(tmp_path, bad, f"a{suffix}")
        try:
            for source in read_all(Path(path)):
                assert source.text.strip()
        except LetterError as error:
            assert str(error).startswith(f"a{suffix}")
            assert "\n" not in str(error)
