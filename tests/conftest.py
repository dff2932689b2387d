"""What the tests share: the bundled model, the made-up letters, and an index and an engine over them."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported; the workers share the cores

import pytest
from fakes import LETTERS, SEEDS

from rag.embed import StaticEmbedder
from rag.engine import Engine
from rag.index import parse_all, update
from rag.parse import parse
from rag.read import read
from rag.settings import BUNDLED_MODEL, Settings

os.environ["HF_HUB_OFFLINE"] = "1"


# These load torch, which takes longer than most modules run: one worker is enough for it.
TORCH = ("test_embed.py", "test_train.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests to the workers module by module."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.split("::")[0]
            return "torch" if module.endswith(TORCH) else module

    return ByModule(config, log)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """Settings of whoever runs the tests do not reach them: neither RAG_ variables nor a .env file."""
    for name in [n for n in os.environ if n.startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def embedder():
    return StaticEmbedder(BUNDLED_MODEL)


@pytest.fixture(scope="session")
def letters():
    """The made-up letters, by id."""
    return {letter.id: letter for letter in parse_all([LETTERS])}


@pytest.fixture(scope="session")
def seed():
    """The letter that comes with the program."""
    return parse(read(SEEDS / "wuhan-hrss-2025-07-31.txt"))


@pytest.fixture(scope="session")
def library(tmp_path_factory, letters, embedder):
    """The folder of an index of the made-up letters; not to be changed."""
    folder = tmp_path_factory.mktemp("library") / "index"
    update(folder, list(letters.values()), embedder)
    return folder


@pytest.fixture(scope="session")
def engine(library, embedder):
    return Engine.open(Settings(index_dir=library, _env_file=None), embedder)


@pytest.fixture(scope="session")
def seed_library(tmp_path_factory, seed, embedder):
    """The folder of an index of the seed letter; not to be changed."""
    folder = tmp_path_factory.mktemp("seed") / "index"
    update(folder, [seed], embedder)
    return folder
