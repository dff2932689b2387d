"""Several hosts make files ready: the same files in the same order as one does, whatever becomes of the hosts."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rag.embed import StaticEmbedder
from rag.errors import ClusterError, ModelError
from rag.hosts import Model, on_ray, work
from rag.keeper import Keeper
from rag.library import follow
from rag.prepare import Item, prepare
from rag.settings import BUNDLED_MODEL

BUNDLED = StaticEmbedder(BUNDLED_MODEL, str(BUNDLED_MODEL))
HERE = "reading and embedding on 1 hosts with 1 cores"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Make the fake the package ``ray``; say what goes wrong."""
    (tmp_path / "packages").mkdir()
    shutil.copy(Path(__file__).parent / "fake_ray.py", tmp_path / "packages" / "ray.py")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return lambda wrong: monkeypatch.setenv("FAKE_RAY", wrong)


@pytest.fixture
def items(tmp_path):
    """45 files, of which one is no letter: three chunks."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for n in range(44):
        text = f"市民盟:\n一、办好食堂\n(一)建设。建成社区食堂{n + 1}家。\n二、其他\n(一)推进。正在推进。\n"
        (folder / f"letter-{n:02}.txt").write_text(text, encoding="utf-8")
    (folder / "letter-99.pdf").write_bytes(b"%PDF nothing")
    return [Item(str(p), p, pinned=False) for p in sorted(folder.iterdir())]


def ready(items, told, known=None):
    """What the cluster makes of them, compared with what this process makes of them."""
    found = list(on_ray("head:6379", told.append)(items, BUNDLED, known or {}))
    wanted = [prepare(item, BUNDLED, known or {}) for item in items]
    assert [(f.sha256, f.unchanged, f.failed) for f in found] == [
        (w.sha256, w.unchanged, w.failed) for w in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert [a for a, _ in one.letters] == [a for a, _ in other.letters]
        for (_, mine), (_, theirs) in zip(one.letters, other.letters, strict=True):
            assert np.array_equal(mine.measures, theirs.measures)
            assert np.array_equal(mine.sentences, theirs.sentences)
            assert [p.tolist() for p in mine.pieces] == [p.tolist() for p in theirs.pieces]
    return found


def test_hosts_make_the_same_of_files_as_this_one(cluster, items):
    cluster("")
    told = []
    found = ready(items, told)
    assert told == [HERE]
    assert [bool(f.failed) for f in found] == [False] * 44 + [True]
    assert "letter-99.pdf" in found[-1].failed


def test_known_files_are_not_sent(cluster, items):
    cluster("gone 1")
    told = []
    known = {i.origin: (prepare(i, BUNDLED, {}).sha256, ["id"]) for i in items[:44]}
    ready(items[:44], told, known)
    assert told == [HERE]


def test_what_killed_every_host_is_done_here(cluster, items):
    cluster("failed 2")
    told = []
    ready(items, told)
    assert told == [HERE, "Ray gave up on 20 files, which are done here"]


@pytest.mark.parametrize(("wrong", "left"), [("gone 2", 25), ("hosts gone", 45)])
def test_a_cluster_that_goes_away_leaves_the_rest_to_this_machine(cluster, items, wrong, left):
    cluster(wrong)
    told = []
    ready(items, told)
    assert told == [HERE, f"the Ray cluster at head:6379 is gone; the other {left} files are done here"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "no cluster",
            "no Ray cluster can be used at head:6379 (nobody at head:6379); expected the address of",
        ),
        ("no cores", "the Ray cluster at head:6379 has no cores; expected at least one host; on each run:"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_error(cluster, items, wrong, message):
    cluster(wrong)
    with pytest.raises(ClusterError) as caught:
        list(on_ray("head:6379", print)(items, BUNDLED, {}))
    assert str(caught.value).startswith(message)


def test_a_host_with_another_model_is_named(cluster, items):
    cluster("")
    other = StaticEmbedder(BUNDLED_MODEL, str(BUNDLED_MODEL))
    other.fingerprint = "0" * 64
    with pytest.raises(
        ModelError, match="has another model in its package; expected the files that are here"
    ):
        list(on_ray("head:6379", print)(items, other, {}))


def test_a_host_with_another_parser_is_named():
    with pytest.raises(ClusterError, match="; expected parser 0; install the same version there"):
        work([], replace(Model("", BUNDLED.fingerprint), parser=0))


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ClusterError) as caught:
        on_ray("head:6379", print)
    assert (
        str(caught.value)
        == "Ray is not installed; expected the package ray; run: pip install 'letter-rag[ray]'"
    )


def test_the_index_is_written_here(cluster, items, tmp_path):
    cluster("")
    keeper = Keeper(tmp_path / "index", BUNDLED)
    report = follow(keeper, [tmp_path / "letters"], prepare=on_ray("head:6379", lambda _: None))
    assert (report.letters, len(report.failed)) == (44, 1)
