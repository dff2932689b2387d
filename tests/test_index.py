"""Letters to an index and back.

Contract: an update embeds only what changed; another model or parser is a mismatch, never a wrong answer; a crash,
a kill or a full disk at any instant leaves the old index or the new one; what is broken is repaired by a rebuild.
"""

import gc
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import LETTERS, HashEmbedder, clean_environment, letter_of

from rag.errors import IndexDamaged, IndexMismatch, LetterError
from rag.index import Index, measure_text, measure_words, parse_all, update
from rag.store import CATALOGUE, CURRENT, MANIFEST, REBUILD, STAMPS, new_generation, publish

A = letter_of("某委员:\n一、建站点。建成3个。\n二、办培训。办了5期。\n", "a.txt")
B = letter_of("某代表:\n一、修公路。修了7公里。\n二、种树。种了9株。\n", "b.txt")
B_CHANGED = letter_of("某代表:\n一、修公路。修了8公里。\n二、种树。种了9株。\n", "b.txt")

CHILD = """
import os, resource, signal, sys
from pathlib import Path
from fakes import HashEmbedder, letter_of
from rag.index import update

class Deadly(HashEmbedder):
    def passages(self, texts):
        if {die_at} is not None and len(self.embedded) >= {die_at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().passages(texts)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
letters = [letter_of(f"某委员:\\n一、建站点。建成{{n}}个。\\n二、办培训。办了{{n}}期。\\n", f"c{{n}}.txt") for n in range(2, 30)]
print("ready", flush=True)
update(Path(sys.argv[1]), letters, Deadly())
"""


def start(code, *arguments):
    places = (LETTERS.parent, LETTERS.parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=clean_environment(PYTHONPATH=":".join(map(str, places))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_update(folder, die_at=None, limit=0):
    """Start an update to 28 other letters in a process of its own."""
    return start(CHILD.format(die_at=die_at, limit=limit), folder)


WRITER = """
import sys
from pathlib import Path
from fakes import HashEmbedder, letter_of
from rag.index import update

for n in range(int(sys.argv[2]), int(sys.argv[3])):
    text = f"某委员:\\n一、建站点。建成{n}个。\\n二、办培训。办了5期。\\n"
    update(Path(sys.argv[1]), [letter_of(text, "a.txt")], HashEmbedder())
"""


def start_writer(folder, first, last):
    """Start a process that publishes one generation after another."""
    return start(WRITER, folder, str(first), str(last))


def ids(index):
    return [letter.id for letter in index.letters]


@pytest.fixture
def folder(tmp_path):
    """An index of two letters, made with vectors of no meaning."""
    update(tmp_path / "index", [A, B], HashEmbedder())
    return tmp_path / "index"


def home(folder):
    return folder / (folder / CURRENT).read_text(encoding="utf-8").strip()


def segment(folder):
    """The folder of the one segment of an index."""
    (found,) = home(folder).glob("seg-*")
    return found


def publish_again(folder, **changes):
    """Publish the same files under a manifest that says otherwise."""
    old = home(folder)
    manifest = json.loads((old / MANIFEST).read_text(encoding="utf-8"))
    with new_generation(folder) as building:
        shutil.copytree(old, building, dirs_exist_ok=True)
        (building / MANIFEST).unlink()
        publish(folder, building, {**manifest, **changes})


def test_index_holds_the_letters_it_was_given(folder):
    index = Index.open(folder, HashEmbedder())
    assert index.letters == [A, B]
    assert [m.path for _, m in index.measures] == ["前言", "一", "二", "前言", "一", "二"]


def test_manifest_says_what_was_built_and_how(folder):
    manifest = Index.open(folder, HashEmbedder()).manifest
    assert (manifest["letters"], manifest["measures"]) == (2, 6)
    (segment,) = manifest["segments"]
    assert (segment["sizes"], segment["removed"]) == ([3, 3], [])
    assert manifest["parser"] == 3
    assert manifest["embedding"] == {
        "name": "hash",
        "fingerprint": HashEmbedder().fingerprint,
        "dimension": 16,
    }


def test_vectors_come_back_as_they_were_made(folder):
    embedder = HashEmbedder()
    index = Index.open(folder, embedder)
    for n, (letter, measure) in enumerate(index.measures):
        whole = embedder.passages([measure_text(letter, measure)])[0]
        each = embedder.passages([s.of(letter.text) for s in measure.sentences])
        assert np.allclose(index.measure_vectors([n])[0], whole, atol=1e-3)
        assert np.allclose(index.sentence_vectors(n), each, atol=1e-3)


def test_nearest_measure_of_its_own_text_is_itself(folder):
    embedder = HashEmbedder()
    index = Index.open(folder, embedder)
    (found,) = index.nearest_measures(embedder.queries([measure_text(*index.measures[4])])[0], 1)
    assert found == 4


def test_word_search_finds_the_measure_that_holds_the_word(folder):
    index = Index.open(folder, HashEmbedder())
    assert list(index.measure_scores(["公路"], 10)) == [4]
    assert index.frequency("公路") == 1
    assert index.frequency("没有") == 0


def test_sentence_knows_its_measure(folder):
    index = Index.open(folder, HashEmbedder())
    assert [index.measure_of(n) for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert [list(index.sentence_numbers(n)) for n in range(6)] == [[0], [1], [2], [3], [4], [5]]


def test_measure_is_embedded_under_its_heading_and_searched_under_its_section(letters):
    letter = letters["songhe-jobs"]
    measure = next(m for m in letter.measures if m.path == "四/(二)")
    assert measure_text(letter, measure).startswith("(二)帮扶就业困难群体。对零就业家庭")
    assert measure_words(letter, measure).startswith("四、优化服务供给,兜牢民生底线 (二)帮扶")


def test_update_embeds_only_the_letter_that_changed(folder):
    embedder = HashEmbedder()
    change = update(folder, [A, B_CHANGED], embedder)
    assert (change.added, change.kept, change.removed) == (["b"], ["a"], [])
    assert not any("建成3个" in text for text in embedder.embedded)
    assert any("修了8公里" in text for text in embedder.embedded)


def test_updated_index_equals_one_built_anew(folder, tmp_path):
    update(folder, [A, B_CHANGED], HashEmbedder())
    update(tmp_path / "anew", [A, B_CHANGED], HashEmbedder())
    updated, anew = (Index.open(f, HashEmbedder()) for f in (folder, tmp_path / "anew"))
    assert updated.letters == anew.letters
    for n in range(len(anew.measures)):
        assert np.array_equal(updated.measure_vectors([n]), anew.measure_vectors([n]))
        assert np.array_equal(updated.sentence_vectors(n), anew.sentence_vectors(n))


def test_update_without_change_embeds_nothing_and_keeps_the_generation(folder):
    embedder, before = HashEmbedder(), home(folder)
    change = update(folder, [A, B], embedder)
    assert (change.added, change.kept, change.removed) == ([], ["a", "b"], [])
    assert embedder.embedded == []
    assert home(folder) == before
    assert change.generation == before.name


def test_letter_that_is_gone_is_removed(folder):
    change = update(folder, [B], HashEmbedder())
    assert (change.added, change.kept, change.removed) == ([], ["b"], ["a"])
    index = Index.open(folder, HashEmbedder())
    assert ids(index) == ["b"]
    assert index.frequency("站点") == 0


def test_rebuild_embeds_everything(folder):
    embedder = HashEmbedder()
    change = update(folder, [A, B], embedder, rebuild=True)
    assert change.added == ["a", "b"]
    assert len(embedder.embedded) == 12


def test_other_model_is_a_mismatch_that_names_both_and_the_repair(folder):
    with pytest.raises(IndexMismatch) as caught:
        Index.open(folder, HashEmbedder("other"))
    assert "embedding model hash" in str(caught.value)
    assert "expected other" in str(caught.value)
    assert REBUILD in str(caught.value)


def test_update_with_another_model_takes_nothing_over(folder):
    embedder = HashEmbedder("other", dimension=8)
    assert update(folder, [A, B], embedder).added == ["a", "b"]
    assert Index.open(folder, embedder).measure_vectors([0]).shape == (1, 8)


def test_other_parser_is_a_mismatch(folder):
    publish_again(folder, parser=99)
    with pytest.raises(IndexMismatch, match=f"built by parser 99; expected 3; {REBUILD}"):
        Index.open(folder, HashEmbedder())


@pytest.mark.parametrize("keep", [0, 1, 100])
@pytest.mark.parametrize("name", ["letters.jsonl", "texts.txt", "table.bin", "measures.faiss", MANIFEST])
def test_truncated_file_is_damage(folder, name, keep):
    path = (home(folder) if name == MANIFEST else segment(folder)) / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(IndexDamaged, match=REBUILD):
        Index.open(folder, HashEmbedder())


def test_every_file_of_the_index_is_guarded(folder, tmp_path):
    names = [
        p.relative_to(folder).as_posix()
        for p in sorted(home(folder).rglob("*"))
        if p.is_file() and p.name != STAMPS
    ]
    assert len(names) == 11
    for name in names:
        broken = shutil.copytree(folder, tmp_path / "broken", dirs_exist_ok=True)
        data = bytearray((broken / name).read_bytes())
        if data:
            data[len(data) // 2] ^= 0xFF
            (broken / name).write_bytes(bytes(data))
            with pytest.raises(IndexDamaged, match=REBUILD):
                Index.open(broken, HashEmbedder())
        (broken / name).unlink()
        with pytest.raises(IndexDamaged, match=REBUILD):
            Index.open(broken, HashEmbedder())


def test_other_counts_than_the_letters_have_are_a_mismatch(folder, tmp_path):
    update(tmp_path / "other", [A], HashEmbedder())
    shutil.copy(segment(tmp_path / "other") / "measures.faiss", segment(folder) / "measures.faiss")
    publish_again(folder)
    with pytest.raises(IndexMismatch, match=rf"\[3, 6\] vectors or texts for 6 measures.*{REBUILD}"):
        Index.open(folder, HashEmbedder())


def test_update_of_a_damaged_index_is_refused(folder):
    (segment(folder) / "letters.jsonl").unlink()
    with pytest.raises(IndexDamaged, match=REBUILD):
        update(folder, [A, B], HashEmbedder())


@pytest.mark.parametrize("wreck", ["file", "current", "generation", "manifest"])
def test_rebuild_repairs_a_damaged_index(folder, wreck):
    if wreck == "file":
        (segment(folder) / "measures.faiss").write_bytes(b"")
    elif wreck == "current":
        (folder / CURRENT).write_bytes(b"\xff\x00nonsense")
    elif wreck == "generation":
        shutil.rmtree(home(folder))
    else:
        (home(folder) / MANIFEST).write_text("{", encoding="utf-8")
    update(folder, [A, B], HashEmbedder(), rebuild=True)
    assert ids(Index.open(folder, HashEmbedder())) == ["a", "b"]


def test_no_file_of_the_index_is_a_pickle(folder):
    for path in home(folder).rglob("*"):
        if path.is_file():
            assert path.suffix not in {".pkl", ".pickle"}
            assert not path.read_bytes().startswith(b"\x80")


@pytest.mark.parametrize("die_at", [0, 1, 7, 60, 111])
def test_process_killed_while_it_embeds_leaves_the_old_index(folder, die_at):
    before = home(folder)
    child = start_update(folder, die_at=die_at)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert home(folder) == before
    assert Index.open(folder, HashEmbedder()).letters == [A, B]


def test_process_killed_at_any_instant_leaves_the_old_index_or_the_new_one(folder):
    new = sorted(f"c{n}" for n in range(2, 30))
    delays = random.Random(7)
    for _ in range(6):
        child = start_update(folder)
        assert child.stdout.readline() == "ready\n"
        time.sleep(delays.uniform(0, 0.25))
        child.kill()
        child.communicate(timeout=60)
        assert ids(Index.open(folder, HashEmbedder())) in (["a", "b"], new)


def test_update_after_a_kill_succeeds_and_leaves_no_rest(folder):
    start_update(folder, die_at=7).communicate(timeout=60)
    update(folder, [A], HashEmbedder())
    assert sorted(p.name for p in folder.iterdir()) == [".lock", CURRENT, CATALOGUE, home(folder).name]


@pytest.mark.parametrize("limit", [1, 1000, 5000, 10_000])
def test_full_disk_leaves_the_old_index(folder, limit):
    child = start_update(folder, limit=limit)
    child.communicate(timeout=60)
    assert child.returncode == 1
    assert Index.open(folder, HashEmbedder()).letters == [A, B]


def test_open_index_answers_on_while_a_new_one_is_published(folder):
    embedder = HashEmbedder()
    index = Index.open(folder, embedder)
    update(folder, [B_CHANGED], HashEmbedder())
    assert list(index.measure_scores(["站点"], 10)) == [1]
    assert index.measure_vectors([1]).shape == (1, 16)
    assert len(index.sentence_vectors(1)) == 1


def test_opening_succeeds_while_generations_come_and_go(folder):
    opened = 0
    with start_writer(folder, 10, 50) as writer:
        try:
            while writer.poll() is None:
                assert Index.open(folder, HashEmbedder()).letters
                opened += 1
        finally:
            writer.kill()
    assert writer.returncode == 0
    assert opened > 1


def test_two_writers_take_turns(folder):
    writers = [start_writer(folder, first, first + 8) for first in (10, 60)]
    told = [writer.communicate(timeout=60)[1] for writer in writers]
    assert told == ["", ""]
    text = Index.open(folder, HashEmbedder()).letters[0].text
    assert "建成17个" in text or "建成67个" in text


def test_opening_writes_nothing(folder):
    def state():
        return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}

    before = state()
    Index.open(folder, HashEmbedder())
    assert state() == before


def test_unknown_letter_is_an_error_that_says_how_to_list_them(folder):
    with pytest.raises(LetterError, match=r"no letter 'zzz'.*run: rag letters"):
        Index.open(folder, HashEmbedder()).letter("zzz")


def test_two_files_of_one_name_get_different_ids(tmp_path):
    for name, letter in (("one", A), ("two", B)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "reply.txt").write_text(letter.text, encoding="utf-8")
    found = [letter.id for letter in parse_all([tmp_path])]
    assert found[0] == "reply"
    assert found[1] == f"reply-{B.sha256[:6]}"


def test_copy_of_a_letter_is_read_once(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "reply.txt").write_text(A.text, encoding="utf-8")
    assert [letter.id for letter in parse_all([tmp_path])] == ["reply"]


def test_folder_without_letters_is_an_error(tmp_path):
    with pytest.raises(LetterError, match="no letters in"):
        parse_all([tmp_path])


def test_one_bad_file_fails_by_name_and_changes_nothing(tmp_path):
    (tmp_path / "good.txt").write_text(A.text, encoding="utf-8")
    (tmp_path / "zbad.txt").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(LetterError, match=r"zbad\.txt is a PNG picture"):
        parse_all([tmp_path])


def test_letters_are_reported_as_they_are_read(tmp_path):
    told = []
    (tmp_path / "a.txt").write_text(A.text, encoding="utf-8")
    parse_all([tmp_path], told.append)
    assert told == ["a.txt"]


def test_letter_of_other_bytes_is_another_letter_even_under_its_old_name(folder):
    touched = replace(A, sha256="0" * 64)
    assert update(folder, [touched, B], HashEmbedder()).added == ["a"]


def test_folder_of_the_index_may_have_to_be_made(tmp_path):
    deep = tmp_path / "not" / "yet" / "there"
    update(deep, [A], HashEmbedder())
    assert ids(Index.open(Path(deep), HashEmbedder())) == ["a"]


def test_index_that_nobody_holds_lets_its_files_go_at_once(folder):
    gc.disable()
    try:
        index = Index.open(folder, HashEmbedder())
        assert (list(index.ids), len(index.letters), len(index.measures)) == (["a", "b"], 2, 6)
        assert index.heads.says("站点").tolist() == [True, False]
        assert list(index.within(["a"]).measure_scores(["站点"], 10)) == [1]
        held = weakref.ref(index)
        del index
        assert held() is None
    finally:
        gc.enable()
