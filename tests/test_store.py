"""Generations on disk: whole or not at all.

Contract: an index is built aside, checked by checksums and switched by one atomic rename. Whatever is found instead
of a whole index is an error of one line that names the command that repairs it. No file of it is a pickle.
"""

import json
import os
import shutil

import pytest

from rag.errors import IndexDamaged, IndexMismatch, IndexMissing
from rag.store import (
    CURRENT,
    MANIFEST,
    STAMPS,
    check_current,
    link,
    new_generation,
    open_current,
    publish,
    verify_current,
)

REPAIR = "run: rag index --rebuild"


def current(folder):
    return open_current(folder, lambda home, manifest: (home, manifest))


def build(folder, manifest=None, **files):
    with new_generation(folder) as building:
        for name, text in files.items():
            (building / name).write_text(text, encoding="utf-8")
        return publish(folder, building, manifest or {"made": "here"})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


@pytest.fixture
def home(folder):
    return folder / build(folder, a="alpha", b="beta")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_published_generation_is_the_current_one(folder, home):
    found, manifest = current(folder)
    assert found == home
    assert manifest["made"] == "here"
    assert manifest["format"] == 3
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {"a": 5, "b": 4}


def test_checksums_are_sha256_of_the_files(folder, home):
    _, manifest = current(folder)
    assert manifest["files"]["a"]["sha256"] == (
        "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
    )


def test_new_generation_takes_the_place_of_the_old_one(folder, home):
    name = build(folder, a="gamma")
    assert current(folder)[0].name == name
    assert names(folder) == [CURRENT, name]


def test_same_content_gives_the_same_name(folder, home):
    assert build(folder, a="alpha", b="beta") == home.name
    assert current(folder)[0] == home


def test_building_that_fails_leaves_the_old_generation(folder, home):
    with pytest.raises(RuntimeError, match="no more"), new_generation(folder) as building:
        (building / "a").write_text("half", encoding="utf-8")
        raise RuntimeError("no more")
    assert current(folder)[0] == home
    assert names(folder) == [CURRENT, home.name]


def test_rest_of_a_killed_building_is_cleared_away(folder, home):
    (folder / ".building-1").mkdir()
    (folder / ".building-1" / "a").write_text("half", encoding="utf-8")
    name = build(folder, a="gamma")
    assert names(folder) == [CURRENT, name]


def test_rest_of_a_killed_switch_does_no_harm(folder, home):
    (folder / f"{CURRENT}.new").write_text("gen-", encoding="utf-8")
    assert current(folder)[0] == home


@pytest.mark.parametrize("made", [True, False])
def test_empty_or_absent_folder_has_no_index(folder, made):
    if made:
        folder.mkdir()
    with pytest.raises(IndexMissing, match=r"run: rag index$"):
        current(folder)


def test_readme_alone_is_an_empty_folder(folder):
    folder.mkdir()
    (folder / "README.md").write_text("What these files are.", encoding="utf-8")
    with pytest.raises(IndexMissing):
        current(folder)


def test_foreign_folder_is_named_by_what_it_holds(folder):
    folder.mkdir()
    (folder / "holiday.jpg").write_text("x", encoding="utf-8")
    with pytest.raises(IndexDamaged, match=r"holds holiday\.jpg.*rag index --rebuild"):
        current(folder)


@pytest.mark.parametrize("garbage", ["", "\n", "hello", "../elsewhere", "gen-/../..", "gen-\x00"])
def test_garbage_in_current_is_damage(folder, home, garbage):
    (folder / CURRENT).write_text(garbage, encoding="utf-8")
    with pytest.raises(IndexDamaged, match=REPAIR):
        current(folder)


def test_current_that_is_no_text_is_damage(folder, home):
    (folder / CURRENT).write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(IndexDamaged, match=REPAIR):
        current(folder)


def test_current_that_names_an_absent_generation_is_damage(folder, home):
    (folder / CURRENT).write_text("gen-0000000000000000\n", encoding="utf-8")
    with pytest.raises(IndexDamaged, match=REPAIR):
        current(folder)


def test_missing_file_is_damage(folder, home):
    (home / "a").unlink()
    with pytest.raises(IndexDamaged, match=f"a is missing.*{REPAIR}"):
        current(folder)


def test_truncated_file_is_damage(folder, home):
    (home / "a").write_text("alp", encoding="utf-8")
    with pytest.raises(IndexDamaged, match=rf"a is cut short or grown \(3 bytes.*{REPAIR}"):
        current(folder)


def test_altered_byte_is_damage(folder, home):
    (home / "a").write_text("alphA", encoding="utf-8")
    with pytest.raises(IndexDamaged, match=f"a is altered.*{REPAIR}"):
        current(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"files": {}}', '{"format": 1}'])
def test_manifest_that_is_none_is_damage(folder, home, text):
    (home / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(IndexDamaged, match=f"manifest.*{REPAIR}"):
        current(folder)


def test_altered_manifest_is_damage(folder, home):
    manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    manifest["made"] = "elsewhere"
    (home / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(IndexDamaged, match=REPAIR):
        current(folder)


def test_other_format_is_a_mismatch_that_names_both(folder):
    build(folder, {"format": 99}, a="alpha")
    with pytest.raises(IndexMismatch, match=f"format 99; expected format 3; {REPAIR}"):
        current(folder)


def test_every_error_is_one_line(folder, home):
    (home / "a").write_text("alp", encoding="utf-8")
    with pytest.raises(IndexDamaged) as caught:
        current(folder)
    assert "\n" not in str(caught.value)


def test_generation_switched_while_it_is_opened_gives_way_to_the_new_one(folder, home):
    def slow_opener(found, manifest):
        if found == home:
            build(folder, a="gamma")
        return (found / "a").read_text(encoding="utf-8")

    assert open_current(folder, slow_opener) == "gamma"


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("no index"), RuntimeError("faiss")])
def test_generation_that_no_reader_can_open_is_damaged(folder, home, error):
    def opener(found, manifest):
        raise error

    with pytest.raises(IndexDamaged, match=f"cannot be opened .{error}.*{REPAIR}"):
        open_current(folder, opener)


LARGE = "x" * (1 << 20) + "y"


def test_large_file_that_nobody_touched_is_not_read_again(folder):
    home = folder / build(folder, large=LARGE)
    state = (home / "large").stat()
    (home / "large").write_text(LARGE.replace("y", "z"), encoding="utf-8")
    os.utime(home / "large", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (
        current(folder)[0] == home
    )  # what a disk does beneath the file system: told by those who read everything
    with pytest.raises(IndexDamaged, match="large is altered"):
        check_current(folder)


def test_large_file_that_was_written_to_is_read_whole(folder):
    home = folder / build(folder, large=LARGE)
    (home / "large").write_text(LARGE.replace("y", "z"), encoding="utf-8")
    with pytest.raises(IndexDamaged, match=f"large is altered.*{REPAIR}"):
        current(folder)


def test_large_file_is_read_whole_where_its_stamp_is_lost(folder):
    home = folder / build(folder, large=LARGE)
    state = (home / "large").stat()
    (home / "large").write_text(LARGE.replace("y", "z"), encoding="utf-8")
    os.utime(home / "large", ns=(state.st_atime_ns, state.st_mtime_ns))
    (home / STAMPS).write_text("{", encoding="utf-8")
    with pytest.raises(IndexDamaged, match="large is altered"):
        current(folder)


def test_copied_index_opens_and_is_stamped_by_a_writer(folder, tmp_path):
    name = build(folder, large=LARGE)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert current(copy)[0] == copy / name
    before = (copy / name / STAMPS).read_text(encoding="utf-8")
    verify_current(copy)
    after = json.loads((copy / name / STAMPS).read_text(encoding="utf-8"))
    assert after != json.loads(before)
    assert after["large"][0] == (copy / name / "large").stat().st_ino


def test_linked_file_that_was_written_to_is_not_taken_over(folder):
    home = folder / build(folder, large=LARGE)
    shared = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["files"]
    (home / "large").write_text(LARGE.replace("y", "z"), encoding="utf-8")
    with pytest.raises(IndexDamaged, match="large is altered"), new_generation(folder) as building:
        link(home / "large", building / "large")
        publish(folder, building, {"made": "later"}, shared)
