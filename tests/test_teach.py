"""The teaching data and its checker.

Contract: every row has the schema and its file's field; no question asks what another asks; nothing of the seed letter is in it.
"""

import json
from pathlib import Path

import pytest

from rag.errors import DataError
from rag.teach import check, load_teaching, longest_shared, too_close
from rag.text import fold

SEEDS = Path(__file__).parent.parent / "seeds"
ROW = {"q": "打零工的", "p": "灵活就业人员", "f": "gig", "k": "term"}


def folder_of(path, *rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (path / "gig.jsonl").write_text(text, encoding="utf-8")
    return path


def test_rows_come_back_as_written(tmp_path):
    assert load_teaching(folder_of(tmp_path, ROW)) == [ROW]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x": "1"}, "other keys"),
        ({"q": " "}, "an empty value"),
        ({"f": "tax"}, "field 'tax' in the file of 'gig'"),
        ({"k": "poem"}, "kind 'poem'"),
        ({"a": "失业"}, "the answer '失业' is not in the text"),
        ({"k": "question", "q": "灵活就的人"}, "a question that shares 3 characters in a row with its text"),
    ],
)
def test_row_that_is_not_of_the_schema_is_an_error_by_line(tmp_path, change, told):
    with pytest.raises(DataError, match=f"row 2 of gig.jsonl: {told}"):
        load_teaching(folder_of(tmp_path, ROW, ROW | change))


def test_question_that_asks_what_another_asks_is_too_close():
    asked = ["厂子倒了欠我工钱找谁去", "厂子倒了欠我工钱该找谁去", "老板跑了钱能先垫吗"]
    assert too_close(asked) == [(1, 0)]


def test_short_terms_are_too_close_only_when_equal():
    assert too_close(["打零工", "打短工", "打零工"]) == [(2, 0)]


@pytest.mark.parametrize(
    ("a", "b", "length"), [("失业了咋办", "失业人员再就业", 2), ("甲", "乙", 0), ("公交卡", "办公交卡", 3)]
)
def test_longest_shared_run(a, b, length):
    assert longest_shared(a, b) == length


def test_report_counts_rows_fields_and_kinds():
    rows = [ROW, ROW | {"q": "临时工", "n": "企业职工"}, ROW | {"q": "gig workers", "k": "en"}]
    assert check(rows) == {
        "rows": 3,
        "chinese": 2,
        "english": 1,
        "texts": 1,
        "answers": 0,
        "negatives": 1,
        "close": 0,
        "fields": {"gig": 3},
        "kinds": {"term": 2, "en": 1},
        "everyday": 0.0,
    }


def test_committed_data_passes_its_own_checker():
    report = check(load_teaching())
    assert report["close"] == 0
    assert len(report["fields"]) >= 15
    assert report["chinese"] >= 12_000
    assert report["english"] >= 4_000


def test_no_window_of_twelve_characters_of_a_seed_letter_is_in_the_data():
    taught = "\n".join(fold("\n".join(row.values())) for row in load_teaching())
    for path in SEEDS.glob("*.txt"):
        letter = "".join(fold(path.read_text(encoding="utf-8")).split())
        leaked = [letter[i : i + 12] for i in range(len(letter) - 11) if letter[i : i + 12] in taught]
        assert leaked == []
