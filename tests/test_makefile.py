"""``make ask`` keeps the index up to date: whatever a letter is called, wherever it lies, and wherever the index is.

Contract: the index is brought up to date when there is none, or when something in the folder of the letters is newer; else
it is left alone. Here ``rag`` is a script that writes down how it was called.
"""

import os
import shutil
import subprocess

import pytest
from fakes import ROOT

RAG = """#!/bin/sh
echo "$1" >> calls
if [ "$1" = index ]; then mkdir -p "${RAG_INDEX_DIR:-index}" && echo gen-0 > "${RAG_INDEX_DIR:-index}/CURRENT"; fi
if [ "$1" = index ] && [ -e seeds/scan.pdf ]; then exit 1; fi
"""
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.fixture
def home(tmp_path):
    """A folder as ``make setup`` leaves it, a day ago, with one letter."""
    for folder in ("seeds", "rag/models/embedder", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt", "rag/parse.py", "seeds/a letter.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "bin" / "rag").write_text(RAG, encoding="utf-8")
    (tmp_path / ".venv" / "bin" / "rag").chmod(0o755)
    for path in (tmp_path, *tmp_path.rglob("*")):
        age(path)
    os.utime(tmp_path / ".venv" / ".ready")
    return tmp_path


def age(path):
    os.utime(path, (path.stat().st_mtime - 86_400,) * 2)


def asked(home, **settings):
    """Run ``make ask``; return what ``rag`` was called for."""
    (home / "calls").unlink(missing_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "MAKE"))}
    done = subprocess.run(
        ["make", "ask", "Q=?"],
        cwd=home,
        env={**kept, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (home / "calls").read_text(encoding="utf-8").split()


def test_index_is_made_once(home):
    assert asked(home) == ["index", "ask"]
    assert asked(home) == ["ask"]


def test_letter_that_came_is_indexed(home):
    asked(home)
    age(home / "index" / "CURRENT")
    (home / "seeds" / "复函 2.txt").write_text("新的一份", encoding="utf-8")
    assert asked(home) == ["index", "ask"]
    assert asked(home) == ["ask"]


def test_letter_in_a_folder_that_changed_is_indexed(home):
    (home / "seeds" / "2025").mkdir()
    (home / "seeds" / "2025" / "a.txt").write_text("一", encoding="utf-8")
    asked(home)
    for path in ("index/CURRENT", "seeds", "seeds/2025", "seeds/a letter.txt"):
        age(home / path)
    (home / "seeds" / "2025" / "a.txt").write_text("二", encoding="utf-8")
    assert asked(home) == ["index", "ask"]


def test_letters_and_index_elsewhere_are_used(home):
    (home / "my letters").mkdir()
    there = {"RAG_SEEDS_DIR": "my letters", "RAG_INDEX_DIR": "my index"}
    assert asked(home, **there) == ["index", "ask"]
    assert not (home / "index").exists()
    age(home / "my index" / "CURRENT")
    (home / "my letters" / "a.txt").write_text("一", encoding="utf-8")
    assert asked(home, **there) == ["index", "ask"]
    assert asked(home, **there) == ["ask"]


def test_letter_that_cannot_be_read_keeps_nobody_from_asking(home):
    (home / "seeds" / "scan.pdf").touch()
    assert asked(home) == ["index", "ask"]
