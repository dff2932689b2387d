"""Sixteen letters, each in every format and encoding that a letter comes in.

Contract: all give the text, the measures and the metadata of the plain letter; a slice of what was read is the quote; the
SHA-256 is that of the file.
"""

import hashlib
import io
import shutil
import subprocess
import sys
import zipfile

import pytest
from fakes import LETTERS, ROOT, clean_environment
from forms import as_page, every_form, shape, solid, write, zipped

from rag.parse import parse
from rag.read import read, read_all

FILES = sorted([*LETTERS.glob("*.txt"), *(ROOT / "bench" / "letters").glob("*.txt")])
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def assert_same(source, plain):
    letter = parse(source)
    assert shape(letter) == shape(plain)
    names = ("title", "subject", "addressee", "issuer", "date", "number")
    assert [solid(getattr(letter, n)) for n in names] == [solid(getattr(plain, n)) for n in names]
    quotes = [solid(s.of(plain.text)) for m in plain.measures for s in m.sentences]
    assert [solid(letter.text[s.start : s.end]) for m in letter.measures for s in m.sentences] == quotes


def test_there_are_letters_of_every_numbering():
    assert len(FILES) == 16


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_letter_is_the_same_in_every_format_and_encoding(tmp_path, path):
    plain = parse(read(path))
    forms = every_form(plain.text)
    for name, data in forms.items():
        source = read(write(tmp_path, data, name))
        assert source.sha256 == hashlib.sha256(data).hexdigest()
        assert_same(source, plain)
    members = read_all(write(tmp_path, zipped(forms), "all.zip"))
    assert [s.name for s in members] == [f"all.zip/{name}" for name in sorted(forms)]
    for source in members:
        assert_same(source, plain)


def test_letter_from_standard_input_is_the_same(tmp_path):
    plain = parse(read(FILES[0]))
    code = "import sys; from rag.read import STDIN, read; sys.stdout.buffer.write(read(STDIN).text.encode())"
    for name, data in every_form(plain.text).items():
        if name.endswith(".txt"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                input=data,
                env=clean_environment(),
                capture_output=True,
                check=True,
            )
            assert done.stdout.decode() == plain.text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here, which prints these: apt-get install chromium")
def test_pdf_that_a_browser_prints_of_a_page_is_the_same(tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        for path in FILES:
            plain = parse(read(path))
            page.set_content(as_page(plain.text).decode())
            page.evaluate(
                "document.querySelectorAll('.top,.place,.tools,.code,.foot').forEach(e => e.remove())"
            )
            assert_same(read(write(tmp_path, page.pdf(format="A4"), f"{path.stem}.pdf")), plain)
        browser.close()


def test_archive_made_by_windows_names_its_letters(tmp_path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("复函/一.txt", "某委员:\n一、建站点。建成站点63家。\n".encode("gb18030"))
    (source,) = read_all(write(tmp_path, data.getvalue(), "a.zip"))
    assert source.name == "a.zip/复函/一.txt"
