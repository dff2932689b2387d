"""The product as a whole: nothing of the seed letter is in the program, modules stay small, the README shows the truth.

Contract: answers come from the letters, so no twelve characters in a row of the seed letter stand in the code, the word
lists or the prompts; no module is over 400 lines; the first command of either README gives the output shown under it.
"""

import gzip
import json
import re
import shlex
import tomllib

import pytest
from fakes import ROOT, SEEDS, run_python

import rag
from rag.text import fold

WINDOW = 12
MODULES = sorted((ROOT / "rag").glob("*.py"))
WEB = sorted((ROOT / "rag" / "web").iterdir())
DATA = sorted(p for p in (ROOT / "rag" / "data").iterdir() if p.is_file())
SHIPPED = [*MODULES, *WEB, *DATA, *sorted((ROOT / "prompts").iterdir())]
BLOCK = re.compile(r"^```console\n\$ (make ask [^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^```json\n(\{.*?^\})\n```$", re.MULTILINE | re.DOTALL)
REFUSAL = re.compile(r'^\$ \.venv/bin/rag ask "([^"\n]+)"\n([^`]+)```$', re.MULTILINE)


def text_of(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def windows(text):
    """Every run of twelve characters, without regard to width, case and blanks."""
    solid = re.sub(r"\s", "", fold(text))
    return {solid[i : i + WINDOW] for i in range(len(solid) - WINDOW + 1)}


@pytest.fixture(scope="module")
def of_the_seed(seed):
    return {w for w in windows(seed.text) if re.search("[一-鿿]", w)}


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_nothing_of_the_seed_letter_is_in_the_program(path, of_the_seed):
    assert windows(text_of(path)) & of_the_seed == set()


def test_the_check_above_would_find_it(of_the_seed):
    assert windows('ANSWER = "全市建成零工驿站６３家。"') & of_the_seed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_at_most_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_says_what_it_is_for(path):
    assert path.read_text(encoding="utf-8").startswith(('"""', 'r"""'))


def test_package_data_names_every_folder_that_is_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == rag.__version__
    patterns = project["tool"]["setuptools"]["package-data"]["rag"]
    for path in (ROOT / "rag").rglob("*"):
        place = path.relative_to(ROOT / "rag")
        if path.is_file() and place.parts[0] in {"models", "data", "web"}:
            assert any(place.match(p) and len(place.parts) == p.count("/") + 1 for p in patterns)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_first_command_of_the_readme_gives_the_output_shown(name, tmp_path, seed_library):
    text = (ROOT / name).read_text(encoding="utf-8")
    command, shown = BLOCK.search(text).groups()
    question = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)["Q"]
    done = run_python(
        *("-m", "rag.cli", "ask", question),
        cwd=tmp_path,
        RAG_INDEX_DIR=str(seed_library),
        RAG_SEEDS_DIR=str(SEEDS),
    )
    assert done.returncode == 0
    assert shown.splitlines() == done.stdout.splitlines()


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_json_of_the_readme_is_what_the_program_prints(name, tmp_path, seed_library):
    shown = json.loads(JSON.search((ROOT / name).read_text(encoding="utf-8"))[1])
    done = run_python(
        *("-m", "rag.cli", "ask", shown["question"], "--json"), cwd=tmp_path, RAG_INDEX_DIR=str(seed_library)
    )
    told = json.loads(done.stdout)
    told["timings_ms"] = shown["timings_ms"]
    told["index"]["generation"] = shown["index"]["generation"]
    assert told == shown


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_refusal_of_the_readme_is_what_the_program_prints(name, tmp_path, seed_library):
    question, shown = REFUSAL.search((ROOT / name).read_text(encoding="utf-8")).groups()
    done = run_python("-m", "rag.cli", "ask", question, cwd=tmp_path, RAG_INDEX_DIR=str(seed_library))
    assert (done.returncode, done.stdout) == (0, shown)


def test_both_readmes_show_the_same_command_and_output():
    first, second = (
        BLOCK.search((ROOT / name).read_text(encoding="utf-8")).groups()
        for name in ("README.md", "README.zh-CN.md")
    )
    assert first == second
