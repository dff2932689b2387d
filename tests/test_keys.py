"""Keys of the service.

Contract: a secret is shown once and kept nowhere; its file can be read by its owner alone; what is made or revoked
counts at once, also for a service that runs.
"""

import json
import stat

import pytest
from fakes import run_python

from rag.errors import DataError
from rag.keys import Keys


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def test_new_key_is_found_by_its_secret_alone(path):
    key, secret = Keys(path).new("desk")
    assert Keys(path).find(secret) == key
    assert Keys(path).find(secret[:-1]) is None
    assert Keys(path).find("") is None
    assert Keys(path).find("\ud800") is None


def test_secret_is_long_and_not_in_the_file(path):
    _, secret = Keys(path).new()
    assert secret.startswith("rag-")
    assert len(secret) == 47
    assert secret[4:] not in path.read_text(encoding="utf-8")
    assert len(json.loads(path.read_text(encoding="utf-8"))[0]["sha256"]) == 64


def test_file_is_its_owners_alone(path):
    Keys(path).new()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_there_is_no_key(path):
    assert Keys(path).all() == []
    assert Keys(path).find("rag-x") is None


def test_new_and_revoked_keys_count_at_once(path):
    running = Keys(path)
    assert running.all() == []
    key, secret = Keys(path).new()
    assert running.find(secret) == key
    Keys(path).revoke(key.id)
    assert running.find(secret) is None


def test_one_of_several_is_revoked(path):
    keys = Keys(path)
    (first, _), (second, secret) = keys.new("a"), keys.new("b")
    assert keys.revoke(first.id) == first
    assert keys.all() == [second]
    assert keys.find(secret) == second


def test_unknown_key_cannot_be_revoked(path):
    with pytest.raises(DataError, match="there is no key 'zzz'"):
        Keys(path).revoke("zzz")


@pytest.mark.parametrize("content", ["", "{}x", '[{"id": 1}]', "[5]"])
def test_file_of_another_kind_is_an_error(path, content):
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        Keys(path).all()


def test_command_makes_lists_and_revokes(tmp_path):
    made = run_python("-m", "rag.cli", "key", "new", "desk", cwd=tmp_path)
    assert made.returncode == 0
    secret = made.stdout.strip()
    key = Keys(tmp_path / ".rag-keys.json").find(secret)
    assert key.name == "desk"
    assert secret not in made.stderr
    listed = run_python("-m", "rag.cli", "key", "list", cwd=tmp_path)
    assert listed.stdout == f"{key.id}  {key.created}  desk\n"
    gone = run_python("-m", "rag.cli", "key", "revoke", key.id, cwd=tmp_path)
    assert (gone.returncode, gone.stderr) == (0, f"key {key.id} is revoked\n")
    assert run_python("-m", "rag.cli", "key", "list", cwd=tmp_path).stdout == "no keys\n"
