"""Letters that come and go over HTTP.

Contract: nothing changes without a key; a file is taken in whole or not at all, under a name that is only a name; what
was understood of it is told; the service answers from it with the next request.
"""

import io
import os
import zipfile

import pytest
from fakes import assert_problem
from fastapi.testclient import TestClient

from rag.api import create_app
from rag.arrivals import RefusedError, safe_name
from rag.index import parse_all, update
from rag.keys import Keys
from rag.settings import Settings

FIRST = "关于公园建设的答复\n某某委员：\n来信收悉，现答复如下：\n一、建公园。建成社区公园37处。\n二、护树木。管护古树219株。\n雨河市园林局\n2025年5月6日\n"
SECOND = "某委员:\n一、建站点。建成零工驿站64家。\n二、办培训。办班5期。\n"


@pytest.fixture
def home(tmp_path, embedder):
    """A folder of one letter with its index, and the settings of a service over it."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "park.txt").write_text(FIRST, encoding="utf-8")
    settings = Settings(
        index_dir=tmp_path / "index",
        seeds_dir=tmp_path / "letters",
        keys_file=tmp_path / "keys.json",
        max_upload_mib=1,
        requests_per_minute=0,
        _env_file=None,
    )
    update(settings.index_dir, parse_all([settings.seeds_dir]), embedder)
    return settings


@pytest.fixture
def client(home, embedder):
    _, secret = Keys(home.keys_file).new()
    headers = {"authorization": f"Bearer {secret}"}
    app = create_app(home, embedder)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False, headers=headers) as opened:
        yield opened


def send(client, name, data, **parameters):
    data = data.encode() if isinstance(data, str) else data
    return client.post("/letters", files={"file": (name, data)}, params=parameters)


def names(home):
    return sorted(p.name for p in home.seeds_dir.iterdir())


def ids(client):
    return [a["letter_id"] for a in client.get("/letters").json()["letters"]]


def test_letter_is_taken_in_understood_and_answers(client, home):
    response = send(client, "jobs.txt", SECOND)
    assert response.status_code == 201
    (letter,) = response.json()["letters"]
    assert (letter["letter_id"], letter["measure_count"], letter["addressee"]) == ("jobs", 3, "某委员")
    assert letter["outline"] == ["前言", "一、建站点。", "二、办培训。"]
    assert letter["warnings"] == ["no_issuer", "no_date"]
    answer = client.post("/chat", json={"question": "建成零工驿站多少家?"}).json()
    assert (answer["short_answer"], answer["index"]["generation"]) == ("64家", response.json()["generation"])
    assert names(home) == ["jobs.txt", "park.txt"]


def test_archive_brings_all_its_letters(client):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", SECOND)
        archive.writestr("../../b.txt", SECOND.replace("64", "65"))
    response = send(client, "two.zip", packed.getvalue())
    assert [a["letter_id"] for a in response.json()["letters"]] == ["b", "a"]
    assert client.delete("/letters/a").json()["removed"] == ["a"]
    assert ids(client) == ["b", "park"]


def test_same_file_again_changes_nothing(client, home):
    first = send(client, "jobs.txt", SECOND)
    again = send(client, "jobs.txt", SECOND)
    assert (again.status_code, again.json()) == (201, first.json())
    assert names(home) == ["jobs.txt", "park.txt"]


def test_other_file_of_the_same_name_needs_replace(client, home):
    assert_problem(send(client, "park.txt", SECOND), 409, "Conflict", "replace=true")
    assert (home.seeds_dir / "park.txt").read_text(encoding="utf-8") == FIRST
    assert send(client, "park.txt", SECOND, replace=True).status_code == 201
    assert (home.seeds_dir / "park.txt").read_text(encoding="utf-8") == SECOND


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.exe", "x", "not of a kind that is read"),
        ("a", "x", "not of a kind that is read"),
        (".txt", "x", "not of a kind that is read"),
        ("a.txt", "", "is empty"),
        ("a.txt", b"\x89PNG\r\n", "a PNG picture"),
        ("a.docx", "text", "a.docx"),
        ("a.pdf", b"%PDF-1.7 broken", "a.pdf"),
        ("a.zip", b"PK\x03\x04broken", "not a whole zip archive"),
        ("a.txt", b"\xff\xff\xff\xff", "neither UTF-8 nor GB18030"),
        ("长" * 100 + ".txt", SECOND, "too long"),
    ],
)
def test_what_is_no_letter_is_415_and_leaves_all_as_it_was(client, home, name, data, said):
    before = client.get("/readyz").json()
    response = send(client, name, data)
    assert_problem(response, 415, "Unsupported Media Type", said)
    assert "/tmp" not in response.text
    assert (names(home), client.get("/readyz").json()) == (["park.txt"], before)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\letters\\复函.docx", "复函.docx"),
        ("...hidden.txt", "hidden.txt"),
        ("a\x00\u202eb.txt", "ab.txt"),
        (" 关于 建议.PDF ", "关于 建议.PDF"),
    ],
)
def test_name_is_only_a_name(given, kept):
    assert safe_name(given) == kept


@pytest.mark.parametrize("name", ["..", "/", "", ".", "../.txt", "a.txt/"])
def test_name_of_nothing_is_refused(name):
    if name == "a.txt/":
        assert safe_name(name) == "a.txt"
        return
    with pytest.raises(RefusedError):
        safe_name(name)


def test_form_without_a_file_is_a_problem(client):
    assert_problem(client.post("/letters", data={"file": "text"}), 415, "Unsupported Media Type", "multipart")
    other = client.post("/letters", files={"other": ("a.txt", b"x")})
    assert_problem(other, 422, "Unprocessable Entity", "one file")
    broken = client.post("/letters", content=b"x", headers={"content-type": "multipart/form-data"})
    assert_problem(broken, 400, "Bad Request")


def test_file_that_is_too_large_is_413(client):
    assert_problem(send(client, "a.txt", "长" * 400_000), 413, "Request Entity Too Large")


def test_letter_is_removed_with_its_file(client, home):
    send(client, "jobs.txt", SECOND)
    change = client.delete("/letters/jobs").json()
    assert (change["added"], change["removed"], change["letters"]) == ([], ["jobs"], 1)
    assert (names(home), ids(client)) == (["park.txt"], ["park"])


def test_last_letter_goes_and_the_next_one_brings_the_service_back(client, home):
    assert client.delete("/letters/park").json()["letters"] == 0
    assert (names(home), ids(client)) == ([], [])
    assert_problem(client.get("/readyz"), 503, "Service Unavailable", "there are no letters; add one")
    assert client.get("/healthz").status_code == 200
    answer = client.post("/chat", json={"question": "社区公园建了多少处?"}).json()
    assert (answer["refused"], answer["answer"]) == (True, "还没有收入任何复函。")
    english = client.post("/chat", json={"question": "How many parks were built?"}).json()
    assert english["answer"] == "There are no letters yet."
    assert client.get("/search", params={"q": "公园"}).json()["hits"] == []
    assert client.get("/suggestions").json() == {"questions": []}
    assert send(client, "park.txt", FIRST).status_code == 201
    assert client.get("/readyz").status_code == 200
    assert client.post("/chat", json={"question": "社区公园建了多少处?"}).json()["short_answer"] == "37处"


def test_unknown_letter_cannot_be_removed(client):
    assert_problem(client.delete("/letters/zzz"), 404, "Not Found", "zzz")


def test_rebuild_takes_in_what_lies_in_the_folder(client, home):
    (home.seeds_dir / "jobs.txt").write_text(SECOND, encoding="utf-8")
    change = client.post("/index/rebuild").json()
    assert (change["added"], change["letters"]) == (["jobs"], 2)
    assert ids(client) == ["jobs", "park"]


def test_letter_goes_with_its_own_file_and_not_with_another_of_that_name(client, home):
    for place, text in (("a", FIRST), ("b", SECOND)):
        (home.seeds_dir / place).mkdir()
        (home.seeds_dir / place / "reply.txt").write_text(text.replace("37处", "41处"), encoding="utf-8")
    first, second = client.post("/index/rebuild").json()["added"]
    assert client.get(f"/letters/{second}").json()["text"] == SECOND
    client.delete(f"/letters/{second}")
    assert [p.parent.name for p in home.seeds_dir.glob("*/reply.txt")] == ["a"]
    assert first in ids(client)


def test_rebuild_says_which_files_could_not_be_read(client, home):
    (home.seeds_dir / "broken.txt").write_bytes(b"\x00\x01\x02" * 100)
    (line,) = client.post("/index/rebuild").json()["failed"]
    assert line.startswith("broken.txt ")
    assert str(home.seeds_dir) not in line


def test_rebuild_without_the_folder_of_the_letters_keeps_them(client, home):
    home.seeds_dir.rename(home.seeds_dir.with_name("away"))
    assert_problem(client.post("/index/rebuild"), 409, "Conflict", "RAG_SEEDS_DIR is not there")
    assert ids(client) == ["park"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/letters"), ("DELETE", "/letters/park"), ("POST", "/index/rebuild")]
)
def test_writing_needs_a_key(client, home, method, path):
    del client.headers["authorization"]
    response = client.request(method, path)
    assert_problem(response, 401, "Unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    wrong = client.request(method, path, headers={"authorization": "Bearer rag-wrong"})
    assert_problem(wrong, 401, "Unauthorized")
    assert "rag-wrong" not in wrong.text
    home.keys_file.unlink()
    assert_problem(client.request(method, path), 403, "Forbidden", "rag key new")
    assert names(home) == ["park.txt"]


def test_index_that_cannot_be_written_leaves_the_folder_as_it_was(client, home):
    next(home.index_dir.glob("gen-*/manifest.json")).write_text("{}", encoding="utf-8")
    assert_problem(send(client, "jobs.txt", SECOND), 503, "Service Unavailable", "rag index --rebuild")
    assert names(home) == ["park.txt"]


def test_letter_that_could_not_be_taken_in_does_not_come_with_the_next(client, home):
    in_the_way = home.index_dir / f".building-{os.getpid()}"
    in_the_way.touch()
    assert send(client, "jobs.txt", SECOND).status_code == 500
    assert send(client, "park.txt", FIRST.replace("37处", "38处"), replace=True).status_code == 500
    in_the_way.unlink()
    assert send(client, "road.txt", SECOND.replace("零工驿站", "公路桥")).status_code == 201
    assert (names(home), ids(client)) == (["park.txt", "road.txt"], ["park", "road"])
    answer = client.post("/chat", json={"question": "社区公园建了多少处?"}).json()
    assert answer["short_answer"] == "37处"
