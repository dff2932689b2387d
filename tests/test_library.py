"""Letters come, change and go: what the collection holds after that, and what is told about it.

Contract: adding and removing leave all other letters alone; the same words in another file, format or encoding are the same letter; a
corrected letter is a new version, and answers come from the newest; what was removed by hand does not come back by itself; a second
writer waits or is told who writes; what was entered before a stop is not read again; a rebuild loses no letter.
"""

import os
import sqlite3
import subprocess
import sys

import pytest
from fakes import HashEmbedder, clean_environment

from rag.errors import IndexBusy, IndexDamaged, IndexMismatch, IndexMissing, LetterError
from rag.index import Index
from rag.keeper import Keeper
from rag.library import add, follow, remove, tidy_up
from rag.read import Source
from rag.store import CATALOGUE, CURRENT, writer_lock

TEXT = (
    "{title}{number}某委员:\n提案收悉,答复如下:\n一、建站点。全市建成站点{n}个。站点免费开放。\n二、办培训。办了培训班5期。学员都已结业。\n"
    "三、抓宣传。发放资料9份。\n{issuer}\n{date}\n"
)


def text(n=3, number="", issuer="某市民政局", date="2025年1月2日", title=""):
    return TEXT.format(
        n=n, number=number and number + "\n", issuer=issuer, date=date, title=title and title + "\n"
    )


@pytest.fixture
def seeds(tmp_path):
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "a.txt").write_text(text(), encoding="utf-8")
    (tmp_path / "seeds" / "b.txt").write_text(
        text(issuer="某市财政局").replace("站点", "公园"), encoding="utf-8"
    )
    return tmp_path / "seeds"


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path / "index", HashEmbedder())


@pytest.fixture
def built(keeper, seeds):
    """The keeper of an index of two letters."""
    follow(keeper, [seeds])
    return keeper


def opened(keeper):
    return Index.open(keeper.folder, HashEmbedder())


def ids(keeper):
    return [a.id for a in opened(keeper).letters]


def texts(keeper):
    return {a.id: a.text for a in opened(keeper).letters}


def whats(report):
    return [(a.letter_id, a.what) for a in report.arrivals]


def write(path, content, encoding="utf-8"):
    path.write_text(content, encoding=encoding)
    return path


def test_added_letter_is_found_and_the_others_stay(built, tmp_path):
    report = add(built, [write(tmp_path / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    assert whats(report) == [("c", "added")]
    assert ids(built) == ["a", "b", "c"]
    assert opened(built).frequency("学校") == 1


def test_adding_embeds_nothing_but_the_new_letter(built, tmp_path):
    built.embedder.embedded.clear()
    add(built, [write(tmp_path / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    assert not any("公园" in t for t in built.embedder.embedded)


def test_removed_letter_is_gone_with_its_words(built):
    report = remove(built, ["b"])
    assert (report.removed, report.letters) == (["b"], 1)
    assert ids(built) == ["a"]
    assert opened(built).frequency("公园") == 0


def test_last_letter_may_be_removed(built):
    remove(built, ["a", "b"])
    assert ids(built) == []
    assert opened(built).measure_scores(["站点"], 5) == {}


def test_unknown_letter_cannot_be_removed_and_nothing_is(built):
    with pytest.raises(LetterError, match=r"no letter 'zzz'.*rag letters"):
        remove(built, ["a", "zzz"])
    assert ids(built) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "encoding", "change"),
    [
        ("other.txt", "utf-8", str),
        ("other.txt", "gb18030", str),
        ("other.md", "utf-8", lambda t: t.replace("一、建站点", "**一、建站点**")),
        (
            "wide.txt",
            "utf-8",
            lambda t: t.replace(",", "，").replace("3个", "３个").replace("\n", "\n\n　　"),
        ),
    ],
)
def test_same_letter_in_another_form_is_recognised(built, tmp_path, name, encoding, change):
    report = add(built, [write(tmp_path / name, change(text()), encoding)])
    assert whats(report) == [("a", "known already")]
    assert ids(built) == ["a", "b"]


def test_changed_file_is_a_new_version_and_the_old_one_is_kept(built, seeds):
    write(seeds / "a.txt", text(n=4))
    assert whats(follow(built, [seeds])) == [("a", "updated")]
    assert "站点4个" in texts(built)["a"]
    with built.writing() as catalogue:
        versions = catalogue.find(letter="a")
        assert [v.current for v in versions] == [True, False]
        assert "站点3个" in catalogue.letter(versions[1].v).text


def test_file_that_is_put_back_as_it_was_answers_as_it_did(built, seeds):
    write(seeds / "a.txt", text(n=4))
    follow(built, [seeds])
    write(seeds / "a.txt", text(n=3))
    follow(built, [seeds])
    assert "站点3个" in texts(built)["a"]


def test_letter_with_the_same_number_and_like_words_is_a_corrected_version(built, tmp_path):
    add(
        built, [write(tmp_path / "c.txt", text(number="市民函〔2025〕9号", title="某市民政局关于站点的答复"))]
    )
    report = add(
        built,
        [
            write(
                tmp_path / "d.txt",
                text(n=8, number="市民函〔2025〕9号", title="某市民政局关于站点的答复", date="2025年2月1日"),
            )
        ],
    )
    assert whats(report) == [("c", "updated")]
    assert "站点8个" in texts(built)["c"]


def test_older_version_that_comes_late_is_kept_but_does_not_answer(built, tmp_path):
    number = "市民函〔2025〕9号"
    add(built, [write(tmp_path / "c.txt", text(n=8, number=number, date="2025年2月1日"))])
    report = add(built, [write(tmp_path / "d.txt", text(n=7, number=number))])
    assert whats(report) == [("c", "kept as older")]
    assert "站点8个" in texts(built)["c"]


def test_later_letter_on_the_same_matter_is_another_letter(built, tmp_path):
    add(built, [write(tmp_path / "later.txt", text(n=9, date="2026年1月2日"))])
    assert ids(built) == ["a", "b", "later"]


def test_two_letters_of_one_file_name_get_different_ids(built, tmp_path):
    (tmp_path / "other").mkdir()
    add(built, [write(tmp_path / "other" / "a.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    assert len(ids(built)) == 3
    assert ids(built)[1].startswith("a-")


def test_letter_that_was_read_already_can_be_added(built):
    report = add(built, [Source("up.txt", text(issuer="某市教育局").replace("站点", "学校"), "0" * 64)])
    assert whats(report) == [("up", "added")]


def test_letter_whose_file_is_gone_goes_and_one_added_by_hand_stays(built, seeds, tmp_path):
    add(built, [write(tmp_path / "mine.txt", text(issuer="某市教育局").replace("站点", "学校"))], seeds=seeds)
    (seeds / "b.txt").unlink()
    assert follow(built, [seeds]).removed == ["b"]
    assert ids(built) == ["a", "mine"]


def test_second_file_of_the_same_letter_keeps_it_when_the_first_goes(built, seeds):
    write(seeds / "copy.txt", text())
    follow(built, [seeds])
    (seeds / "a.txt").unlink()
    follow(built, [seeds])
    assert ids(built) == ["a", "b"]


def test_letter_removed_by_hand_stays_away_until_it_changes_or_is_added_again(built, seeds):
    remove(built, ["b"])
    follow(built, [seeds])
    follow(built, [seeds], rebuild=True)
    assert ids(built) == ["a"]
    add(built, [seeds / "b.txt"], seeds=seeds)
    assert ids(built) == ["a", "b"]


def test_bad_file_is_named_and_the_others_come_in(built, seeds):
    (seeds / "bad.txt").write_bytes(b"\x89PNG\r\n")
    write(seeds / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))
    report = follow(built, [seeds])
    assert report.failed == [
        "bad.txt is a PNG picture; expected a plain-text letter; run OCR on it, and add the text"
    ]
    assert ids(built) == ["a", "b", "c"]


def test_file_that_cannot_be_read_any_more_keeps_its_letter(built, seeds):
    (seeds / "a.txt").write_bytes(b"\x89PNG\r\n")
    assert len(follow(built, [seeds]).failed) == 1
    assert ids(built) == ["a", "b"]


def test_unchanged_files_are_neither_read_nor_embedded_again(built, seeds):
    built.embedder.embedded.clear()
    before = (built.folder / CURRENT).read_text(encoding="utf-8")
    report = follow(built, [seeds])
    assert (report.unchanged, built.embedder.embedded) == (["a", "b"], [])
    assert (built.folder / CURRENT).read_text(encoding="utf-8") == before


def test_what_was_entered_before_a_stop_is_not_embedded_again(keeper, seeds):
    def stop(what, done, total):
        if what == "indexing":
            raise KeyboardInterrupt

    stopped = Keeper(keeper.folder, HashEmbedder(), progress=stop)
    with pytest.raises(KeyboardInterrupt):
        follow(stopped, [seeds])
    assert not (keeper.folder / CURRENT).exists()
    assert follow(keeper, [seeds]).letters == 2
    assert keeper.embedder.embedded == []


def test_progress_tells_what_is_done_of_how_many(keeper, seeds):
    told = []
    follow(Keeper(keeper.folder, HashEmbedder(), progress=lambda *x: told.append(x)), [seeds])
    assert told == [("reading", 1, 2), ("reading", 2, 2), ("indexing", 1, 2), ("indexing", 2, 2)]


def test_rebuild_makes_all_vectors_anew_and_keeps_letters_added_by_hand(built, seeds, tmp_path):
    add(built, [write(tmp_path / "mine.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    (tmp_path / "mine.txt").unlink()
    built.embedder.embedded.clear()
    follow(built, [seeds], rebuild=True)
    assert ids(built) == ["a", "b", "mine"]
    assert any("学校" in t for t in built.embedder.embedded)


@pytest.mark.parametrize("wreck", ["gone", "empty", "cut", "text"])
def test_damaged_catalogue_is_named_and_a_rebuild_loses_no_letter(built, seeds, tmp_path, wreck):
    add(built, [write(tmp_path / "mine.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    path = built.folder / CATALOGUE
    data = path.read_bytes()
    if wreck == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"no database at all"}[wreck])
    assert ids(built) == ["a", "b", "mine"]
    with pytest.raises(IndexDamaged, match=r"catalogue.*run: rag index --rebuild"):
        add(built, [seeds / "a.txt"])
    follow(built, [seeds], rebuild=True)
    assert ids(built) == ["a", "b", "mine"]
    remove(built, ["mine"])
    assert ids(built) == ["a", "b"]


def test_altered_text_in_the_catalogue_is_noticed(built, tmp_path):
    path = built.folder / CATALOGUE
    data = path.read_bytes()
    assert data.count("站点3个".encode()) >= 1
    path.write_bytes(data.replace("站点3个".encode(), "站点9个".encode()))
    with pytest.raises(IndexDamaged, match="letter a is not as it was written"):
        add(built, [write(tmp_path / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    assert "站点3个" in texts(built)["a"]


def test_adding_to_an_index_of_another_model_is_refused(built, seeds):
    with pytest.raises(IndexMismatch, match="embedding model"):
        add(Keeper(built.folder, HashEmbedder("other")), [seeds / "a.txt"])


def test_second_writer_is_told_who_holds_the_lock(built, seeds):
    code = "import sys,time; from pathlib import Path; from rag.store import writer_lock\nwith writer_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(built.folder)], stdout=subprocess.PIPE, env=clean_environment()
    ) as other:
        assert other.stdout.readline() == b"held\n"
        quick = Keeper(built.folder, HashEmbedder(), wait_s=0.0)
        with pytest.raises(IndexBusy, match=rf"written by process {other.pid} \("):
            add(quick, [seeds / "a.txt"])
        told = []
        other.kill()
        other.wait()
        add(Keeper(built.folder, HashEmbedder(), waiting=told.append), [seeds / "a.txt"])
    assert ids(built) == ["a", "b"]


def test_lock_names_its_holder_and_is_emptied(tmp_path):
    with writer_lock(tmp_path):
        assert (tmp_path / ".lock").read_text(encoding="utf-8").startswith(f"process {os.getpid()} (")
    assert (tmp_path / ".lock").read_text(encoding="utf-8") == ""


def test_many_letters_added_one_by_one_are_found_like_those_added_at_once(keeper, tmp_path):
    files = [
        write(tmp_path / f"l{n:02}.txt", text(n, issuer=f"第{n}局").replace("站点", f"第{n}类设施"))
        for n in range(1, 31)
    ]
    for file in files:
        add(keeper, [file])
    remove(keeper, ["l07"])
    tidy_up(keeper)
    whole = Keeper(tmp_path / "whole", HashEmbedder())
    add(whole, [f for f in files if f.stem != "l07"])
    one, two = opened(keeper), opened(whole)
    assert one.letters == two.letters
    assert one.measure_scores(["设施"], 100) == pytest.approx(two.measure_scores(["设施"], 100))
    query = keeper.embedder.queries(["设施"])[0]
    assert one.nearest_sentences(query, 20) == pytest.approx(two.nearest_sentences(query, 20))
    assert one.frequency("设施") == two.frequency("设施")


def big(n):
    """A letter of sixty measures; nine of them make a segment that is not written anew when one goes."""
    items = "".join(f"{i}.办实事{i}。第{n}镇修路{i}公里。\n" for i in range(1, 61))
    return Source(f"big{n}.txt", f"某委员:\n答复如下:\n{items}第{n}镇政府\n2025年1月2日\n", f"{n:064}")


def test_letter_removed_from_a_large_segment_is_found_no_more(keeper):
    add(keeper, [big(n) for n in range(1, 21)])
    remove(keeper, ["big7"])
    index = opened(keeper)
    (segment,) = index.manifest["segments"]
    assert len(segment["removed"]) == 1
    assert len(index.letters) == 19
    assert index.frequency("修路") == 19 * 60
    assert "big7" not in {index.measures[n][0].id for n in index.measure_scores(["修路"], 5000)}
    query = keeper.embedder.queries(["第7镇修路3公里。"])[0]
    near = index.nearest_sentences(query, 5000)
    assert len(near) == sum(len(m.sentences) for _, m in index.measures)
    assert "big7" not in {index.measures[index.measure_of(n)][0].id for n in near}


def test_segment_of_which_an_eighth_is_gone_is_written_anew(keeper):
    add(keeper, [big(n) for n in range(1, 21)])
    remove(keeper, ["big7", "big8", "big9"])
    (segment,) = opened(keeper).manifest["segments"]
    assert (segment["removed"], len(segment["letters"])) == ([], 17)


def test_segments_that_stay_are_the_same_files(keeper):
    add(keeper, [big(n) for n in range(1, 21)])
    old = opened(keeper)
    files = {p.name: p.stat().st_ino for p in keeper.folder.glob("gen-*/seg-*/letters.jsonl")}
    add(keeper, [Source("small.txt", text(), "0" * 64)])
    new = Index.open(keeper.folder, HashEmbedder(), old)
    assert {p.stat().st_ino for p in keeper.folder.glob("gen-*/seg-*/letters.jsonl")} > set(files.values())
    assert [s in old.segments.values() for s in new.segments.values()] == [True, False]
    assert len(new.letters) == 21


def test_search_within_letters_finds_these_only(keeper):
    add(keeper, [big(n) for n in range(1, 11)])
    index = opened(keeper)
    part = index.within(["big2", "big5"])
    found = part.measure_scores(["修路"], 500)
    assert {index.measures[n][0].id for n in found} == {"big2", "big5"}
    assert found == pytest.approx(
        {n: s for n, s in index.measure_scores(["修路"], 5000).items() if n in found}
    )
    query = keeper.embedder.queries(["第5镇修路3公里。"])[0]
    near = index.within(["big5"]).nearest_sentences(query, 1)
    assert len(near) == sum(len(m.sentences) for a, m in index.measures if a.id == "big5")


def test_folder_that_is_gone_takes_no_letter_with_it(built, seeds, tmp_path):
    add(built, [write(tmp_path / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))])
    seeds.rename(tmp_path / "elsewhere")
    with pytest.raises(LetterError, match="does not exist"):
        follow(built, [seeds])
    assert sorted(texts(built)) == ["a", "b", "c"]


def test_catalogue_that_is_not_the_one_of_the_index_takes_nothing_in(built, seeds, tmp_path):
    for path in built.folder.glob(f"{CATALOGUE}*"):
        path.unlink()
    school = write(tmp_path / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))
    for change in (lambda: add(built, [school]), lambda: follow(built, [seeds])) * 3:
        with pytest.raises(IndexDamaged, match=r"older than the index \(change 1\); expected change 3"):
            change()
    assert ids(built) == ["a", "b"]
    follow(built, [seeds], rebuild=True)
    assert ids(built) == ["a", "b"]


def test_older_catalogue_put_back_takes_nothing_in(built, seeds):
    old = (built.folder / CATALOGUE).read_bytes()
    write(seeds / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))
    follow(built, [seeds])
    (built.folder / CATALOGUE).write_bytes(old)
    write(seeds / "d.txt", text(issuer="某市公安局").replace("站点", "岗亭"))
    for _ in range(3):
        with pytest.raises(IndexDamaged, match="older than the index"):
            follow(built, [seeds])


def test_letter_of_a_removed_ones_name_goes_with_its_own_file(built, seeds):
    remove(built, ["b"])
    (seeds / "more").mkdir()
    write(seeds / "more" / "b.txt", text(issuer="某市教育局").replace("站点", "学校"))
    follow(built, [seeds])
    assert ids(built) == ["a", "b"]
    (seeds / "more" / "b.txt").unlink()
    assert follow(built, [seeds]).removed == ["b"]
    assert ids(built) == ["a"]


def test_file_whose_name_is_not_utf8_is_told_and_the_others_come_in(built, seeds):
    (seeds / os.fsdecode("复函.txt".encode("gbk"))).write_text(text(n=4), encoding="utf-8")
    write(seeds / "c.txt", text(issuer="某市教育局").replace("站点", "学校"))
    report = follow(built, [seeds])
    (failed,) = report.failed
    assert failed.endswith(r"\udcb8\udcb4\udcba\udcaf.txt is not UTF-8; expected a name in UTF-8; rename it")
    assert ids(built) == ["a", "b", "c"]


def test_letter_removed_by_hand_stays_away_when_the_catalogue_was_mended(built, seeds):
    remove(built, ["b"])
    with sqlite3.connect(built.folder / CATALOGUE) as db:
        db.execute("UPDATE versions SET seal = ''")
    db.close()
    report = follow(built, [seeds], rebuild=True)
    assert ("b", "left out") in whats(report)
    assert ids(built) == ["a"]


def test_tidying_waits_for_no_other_writer(built):
    with writer_lock(built.folder):
        tidy_up(built)
    assert ids(built) == ["a", "b"]


def test_first_build_that_was_killed_before_its_switch_is_made_good_by_the_next(built, seeds):
    (built.folder / CURRENT).unlink()
    with pytest.raises(IndexMissing, match=r"run: rag index$"):
        opened(built)
    follow(built, [seeds])
    assert ids(built) == ["a", "b"]
