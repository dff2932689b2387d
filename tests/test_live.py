"""A running service: letters come and go, and no request is dropped or mixes two generations.

Contract: the request after a switch is answered from the new generation, whoever made it; a request has one generation from
beginning to end; a new index that cannot be opened leaves the old one in use; a folder that is followed is answered from.
"""

import gc
import threading
import time
import weakref

import pytest
from fakes import HashEmbedder, letter_of

from rag import asking
from rag.errors import IndexMissing, LetterError
from rag.index import update
from rag.keeper import Keeper
from rag.library import add
from rag.live import Live, Watcher, watching
from rag.read import Source
from rag.settings import Settings
from rag.store import CURRENT, MANIFEST

TEXT = "某委员:\n提案收悉,答复如下:\n一、建站点。全市建成零工驿站{n}家。\n二、办培训。办了培训班5期。\n某市民政局\n2025年1月2日\n"
ASKED = "零工驿站建了多少家?"
PATIENCE = 60  # seconds until a test gives up


def letter(n, name="a.txt"):
    return letter_of(TEXT.format(n=n), name)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "seeds").mkdir()
    return Settings(index_dir=tmp_path / "index", seeds_dir=tmp_path / "seeds", _env_file=None)


@pytest.fixture
def live(settings, embedder):
    return Live(settings, embedder)


@pytest.fixture
def watcher(live):
    """The folder ``seeds`` being followed."""
    found = Watcher(live)
    found.start()
    assert found.ready.wait(PATIENCE)
    yield found
    found.stop()


def short(live):
    return live.engine().ask(ASKED).short_answer


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_without_an_index_the_error_says_so(live):
    with pytest.raises(IndexMissing, match="run: rag index"):
        live.engine()


def test_generation_of_another_writer_answers_the_next_request(live, settings, embedder):
    update(settings.index_dir, [letter(3)], embedder)
    assert short(live) == "3家"
    update(settings.index_dir, [letter(4)], embedder)
    assert short(live) == "4家"


def test_engine_stays_the_same_while_nothing_changes(live, settings, embedder):
    update(settings.index_dir, [letter(3)], embedder)
    assert live.engine() is live.engine()


def test_engine_taken_before_a_switch_answers_from_its_own_generation(live, settings, embedder):
    update(settings.index_dir, [letter(3)], embedder)
    old = live.engine()
    update(settings.index_dir, [letter(4)], embedder)
    assert short(live) == "4家"
    assert old.ask(ASKED).short_answer == "3家"
    assert old.index.generation != live.engine().index.generation


def test_damaged_new_index_leaves_the_old_one_in_use_and_a_good_one_takes_over(live, settings, embedder):
    update(settings.index_dir, [letter(3)], embedder)
    assert short(live) == "3家"
    update(settings.index_dir, [letter(4)], embedder)
    name = (settings.index_dir / CURRENT).read_text(encoding="utf-8").strip()
    (settings.index_dir / name / MANIFEST).write_text("{", encoding="utf-8")
    assert short(live) == "3家"
    update(settings.index_dir, [letter(5)], embedder, rebuild=True)
    assert short(live) == "5家"


def test_letters_that_are_added_and_removed_here_are_answered_from_at_once(live):
    source = Source("new.txt", TEXT.format(n=7), "0" * 64)
    report = live.add([source])
    assert (report.letters, [a.what for a in report.arrivals]) == (1, ["added"])
    assert short(live) == "7家"
    live.remove(["new"])
    assert live.engine().ask(ASKED).refused


def test_parts_of_letters_that_are_added_here_are_joined(settings):
    live = Live(settings, HashEmbedder())
    for n in range(8):
        measures = "".join(f"一、第{i}件。第{n}组办成{i}件。\n" for i in range(510))
        live.add([Source(f"{n}.txt", f"某委员:\n{measures}", str(n))])
    wait_for(lambda: len(live.engine().index.segments) == 1)
    assert live.engine().index.manifest["letters"] == 8


def test_rebuild_keeps_letters_that_were_added_by_hand(live):
    live.add([Source("new.txt", TEXT.format(n=7), "0" * 64)])
    live.rebuild()
    assert short(live) == "7家"


def test_requests_never_fail_and_never_mix_generations_while_letters_come_and_go(live, settings, embedder):
    told = {update(settings.index_dir, [letter(2)], embedder).generation: "2家"}
    answers, failures, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                found = live.engine().ask(ASKED)
                answers.append((found.index["generation"], found.short_answer))
            except Exception as error:
                failures.append(error)

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    for n in range(3, 15):
        others = [
            letter_of(f"某委员:\n一、修路。修路{n}公里。\n二、种树。种树{i}株。\n", f"b{i}.txt")
            for i in range(n % 3)
        ]
        told[update(settings.index_dir, [letter(n), *others], embedder).generation] = f"{n}家"
    stop.set()
    for client in clients:
        client.join()
    assert failures == []
    assert len({generation for generation, _ in answers}) > 1
    assert {(g, s) for g, s in answers if told[g] != s} == set()


def test_engine_of_a_generation_that_is_no_more_is_let_go(live, settings, embedder):
    seen = []
    for n in range(2, 7):
        update(settings.index_dir, [letter(n)], embedder)
        engine = live.refresh()
        assert asking.answer(engine, ASKED).short_answer == f"{n}家"
        seen.append(weakref.ref(engine))
        del engine
    gc.collect()
    assert [one() is None for one in seen] == [True, True, True, False, False]


def test_file_that_comes_changes_and_goes_is_followed(live, settings, watcher):
    file = settings.seeds_dir / "a.txt"
    file.write_text(TEXT.format(n=3), encoding="utf-8")
    wait_for(lambda: (settings.index_dir / CURRENT).exists() and short(live) == "3家")
    file.write_text(TEXT.format(n=4), encoding="utf-8")
    wait_for(lambda: short(live) == "4家")
    file.unlink()
    wait_for(lambda: live.engine().ask(ASKED).refused)


def test_folder_that_is_moved_in_and_out_is_followed(live, settings, watcher, tmp_path):
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch" / "a.txt").write_text(TEXT.format(n=6), encoding="utf-8")
    (tmp_path / "batch").rename(settings.seeds_dir / "batch")
    wait_for(lambda: short(live) == "6家")
    (settings.seeds_dir / "batch").rename(tmp_path / "batch")
    wait_for(lambda: live.engine().ask(ASKED).refused)


def test_bad_file_is_told_about_and_keeps_no_other_from_coming_in(live, settings, watcher, caplog):
    (settings.seeds_dir / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    (settings.seeds_dir / "a.txt").write_text(TEXT.format(n=3), encoding="utf-8")
    wait_for(lambda: short(live) == "3家")
    wait_for(lambda: "picture.txt is a PNG picture" in caplog.text)


def test_file_that_is_written_bit_by_bit_leaves_no_half_version(live, settings, watcher, embedder):
    text = TEXT.format(n=3)
    with (settings.seeds_dir / "a.txt").open("w", encoding="utf-8") as file:
        file.write(text[:40])
        file.flush()
        wait_for(lambda: len(live.engine().index.letters) == 1)
        file.write(text[40:])
    wait_for(lambda: short(live) == "3家")
    with Keeper(settings.index_dir, embedder).writing() as catalogue:
        assert [v.current for v in catalogue.find(letter="a")] == [True]


def test_letter_added_by_hand_stays_when_the_folder_changes(live, settings, watcher, tmp_path, embedder):
    (tmp_path / "mine.txt").write_text(TEXT.format(n=8), encoding="utf-8")
    add(Keeper(settings.index_dir, embedder), [tmp_path / "mine.txt"])
    other = settings.seeds_dir / "b.txt"
    other.write_text("某委员:\n一、修路。修路3公里。\n二、种树。种树5株。\n", encoding="utf-8")
    wait_for(lambda: len(live.engine().index.letters) == 2)
    other.unlink()
    wait_for(lambda: len(live.engine().index.letters) == 1)
    assert short(live) == "8家"


def test_folder_that_is_not_there_cannot_be_followed(tmp_path):
    settings = Settings(seeds_dir=tmp_path / "none", index_dir=tmp_path / "index", _env_file=None)
    with pytest.raises(LetterError, match="none does not exist"), watching(settings):
        pass
