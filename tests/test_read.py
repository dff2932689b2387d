"""Bytes to text: UTF-8 with or without BOM, else GB18030; what is no text is refused by name and kind.

Contract: a ``LetterError`` of one line says which file, what it is, and what was expected instead.
"""

import hashlib

import pytest

from rag.errors import LetterError
from rag.read import decode, letter_files, read

TEXT = "某委员:\n您的提案收悉。\n建成站点63家。\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def write(folder, data, name="a.txt"):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_encoding_is_recognised(tmp_path, encoding):
    assert read(write(tmp_path, TEXT.encode(encoding))).text == TEXT


def test_four_byte_gb18030_is_read(tmp_path):
    assert read(write(tmp_path, "㐂𠮷镇\n".encode("gb18030"))).text == "㐂𠮷镇\n"


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_become_newlines(tmp_path, end):
    assert read(write(tmp_path, TEXT.replace("\n", end).encode())).text == TEXT


def test_hash_is_of_the_bytes_not_of_the_text(tmp_path):
    data = b"\xef\xbb\xbf" + TEXT.encode()
    source = read(write(tmp_path, data))
    assert source.sha256 == hashlib.sha256(data).hexdigest()
    assert source.name == "a.txt"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\x00", "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Office document"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
    ],
)
def test_other_kind_of_file_under_a_text_name_is_called_what_it_is(tmp_path, data, kind):
    with pytest.raises(LetterError) as caught:
        read(write(tmp_path, data, "picture.txt"))
    assert str(caught.value).startswith(f"picture.txt is {kind}")
    assert "expected a plain-text letter" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_empty_file_is_refused(tmp_path, data):
    with pytest.raises(LetterError, match=r"^a\.txt is empty"):
        read(write(tmp_path, data))


def test_text_with_control_characters_is_refused(tmp_path):
    with pytest.raises(LetterError, match=r"a\.txt holds 2 control characters"):
        read(write(tmp_path, b"abc\x00\x01def"))


def test_binary_junk_is_refused(tmp_path):
    with pytest.raises(LetterError, match=r"a\.txt is neither UTF-8 nor GB18030 nor UTF-16 text"):
        read(write(tmp_path, bytes(range(255, 127, -1)) * 4))


def test_missing_file_is_refused_by_its_path(tmp_path):
    with pytest.raises(LetterError, match=r"absent\.txt cannot be read"):
        read(tmp_path / "absent.txt")


def test_error_is_one_line():
    with pytest.raises(LetterError) as caught:
        decode(PNG, "a.txt")
    assert "\n" not in str(caught.value)


def test_folder_is_walked_in_order_without_hidden_and_other_files(tmp_path):
    (tmp_path / "more").mkdir()
    for name in ("b.txt", "a.TXT", ".hidden.txt", "notes.csv", "more/c.txt"):
        write(tmp_path, b"x", name)
    found = [p.relative_to(tmp_path).as_posix() for p in letter_files([tmp_path])]
    assert found == ["a.TXT", "b.txt", "more/c.txt"]


def test_path_given_twice_is_read_once(tmp_path):
    path = write(tmp_path, b"x")
    assert letter_files([path, tmp_path]) == [path]


def test_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(LetterError, match="absent does not exist"):
        letter_files([tmp_path / "absent"])


def test_kind_of_file_that_is_not_read_is_named(tmp_path):
    with pytest.raises(LetterError, match=r"a\.xyz is a \.xyz file; expected one of \.txt"):
        letter_files([write(tmp_path, b"x", "a.xyz")])


def test_readme_of_a_folder_is_no_letter_but_one_named_is(tmp_path):
    for name in ("README.md", "readme.txt", "readmission.txt", ".hidden.txt"):
        (tmp_path / name).write_text("某委员:\n建成63家。\n", encoding="utf-8")
    assert [p.name for p in letter_files([tmp_path])] == ["readmission.txt"]
    assert letter_files([tmp_path / "README.md"]) == [tmp_path / "README.md"]
