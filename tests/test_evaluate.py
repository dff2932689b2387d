"""Scores of retrieval and of answers.

Contract: expected values are the arithmetic of their definitions: a gain of 1/log2(rank + 1), divided by that of the
best possible ranking; the reciprocal rank of the first hit; each a mean over the judged queries, to four places.
"""

import json
from math import log2

import pytest

from rag.errors import DataError
from rag.evaluate import evaluate_answers, evaluate_beir, holds, json_lines, retrieval_scores


def rounded(ndcg, recall_1, recall_10, mrr):
    values = (ndcg, recall_1, recall_10, mrr)
    names = ("ndcg@10", "recall@1", "recall@10", "mrr@10")
    return {name: round(value, 4) for name, value in zip(names, values, strict=True)}


def write(path, *rows):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return path


@pytest.fixture
def beir(tmp_path):
    write(
        tmp_path / "corpus.jsonl",
        {"id": "p1", "text": "全市建成零工驿站63家。举办招聘会80场。"},
        {"id": "p2", "text": "东泽湖水质持续改善。"},
        {"id": 3, "text": "公交换乘减免1元。"},
    )
    write(
        tmp_path / "queries.jsonl",
        {"id": "q1", "text": "湖的水质"},
        {"id": "q2", "text": "公交换乘"},
        {"id": "q3", "text": "没有评判的问题"},
    )
    (tmp_path / "qrels.tsv").write_text("query\tpassage\tgrade\nq1\tp2\t1\nq1\tp1\t0\nq2\t3\t1\n")
    return tmp_path


def test_only_relevant_passage_first():
    assert retrieval_scores({"q": ["a", "b"]}, {"q": {"a"}}) == rounded(1, 1, 1, 1)


def test_only_relevant_passage_third():
    found = retrieval_scores({"q": ["x", "y", "a"]}, {"q": {"a"}})
    assert found == rounded((1 / log2(3 + 1)) / (1 / log2(1 + 1)), 0, 1, 1 / 3)


def test_two_relevant_passages_at_first_and_fourth():
    found = retrieval_scores({"q": ["a", "x", "y", "b"]}, {"q": {"a", "b"}})
    gain = 1 / log2(1 + 1) + 1 / log2(4 + 1)
    ideal = 1 / log2(1 + 1) + 1 / log2(2 + 1)
    assert found == rounded(gain / ideal, 1 / 2, 2 / 2, 1 / 1)


def test_relevant_passage_that_is_not_found():
    found = retrieval_scores({"q": ["a"]}, {"q": {"a", "b"}})
    assert found == rounded(1 / (1 + 1 / log2(3)), 1 / 2, 1 / 2, 1)


def test_eleventh_passage_counts_for_nothing():
    ranked = [f"x{n}" for n in range(10)] + ["a"]
    assert retrieval_scores({"q": ranked}, {"q": {"a"}}) == rounded(0, 0, 0, 0)


def test_scores_are_means_over_the_queries():
    ranked = {"q1": ["a"], "q2": ["x", "b"], "q3": []}
    relevant = {"q1": {"a"}, "q2": {"b"}, "q3": {"c"}}
    expected = rounded((1 + 1 / log2(3) + 0) / 3, 1 / 3, 2 / 3, (1 + 1 / 2 + 0) / 3)
    assert retrieval_scores(ranked, relevant) == expected


def test_no_queries_score_nothing():
    assert retrieval_scores({}, {}) == rounded(0, 0, 0, 0)


def test_folder_is_ranked_by_the_products_own_retriever(beir, embedder):
    assert evaluate_beir(beir, embedder) == rounded(1, 1, 1, 1)


def test_query_without_a_judgement_is_not_counted(beir, embedder):
    write(beir / "queries.jsonl", {"id": "q3", "text": "没有评判的问题"})
    assert evaluate_beir(beir, embedder) == rounded(0, 0, 0, 0)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_missing_file_of_the_folder_is_named(beir, embedder, name):
    (beir / name).unlink()
    with pytest.raises(DataError, match=name):
        evaluate_beir(beir, embedder)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qrels.tsv", "query\tpassage\tgrade\nq1 p2 1\n"),
        ("qrels.tsv", "query\tpassage\tgrade\nq1\tp2\tyes\n"),
        ("corpus.jsonl", '{"text": "no id"}\n'),
        ("queries.jsonl", '{"id": "q1"}\n'),
    ],
)
def test_row_that_is_not_as_expected_is_an_error_of_data(beir, embedder, name, text):
    (beir / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=name):
        evaluate_beir(beir, embedder)


def test_passage_without_words_does_no_harm(beir, embedder):
    with (beir / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "p4", "text": ""}\n{"id": "p5", "text": " "}\n')
    assert evaluate_beir(beir, embedder) == rounded(1, 1, 1, 1)


def test_answers_are_scored(engine, tmp_path):
    right = {"letter": "haizhou-civil", "path": "第四", "answer": ["2500元"]}
    path = write(
        tmp_path / "qa.jsonl",
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right},
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right, "path": "第五"},
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right, "answer": ["9元"]},
        {"question": "柳川县有多少张床位？", **right},
        {"question": "柳川县有多少张床位？", "refuse": True},
        {"question": "云龙线是哪天通车的？", "refuse": True},
    )
    assert evaluate_answers(path, engine) == {
        "citations_exact": 1.0,
        "measure_first": 2 / 4,
        "short_answer": 2 / 4,
        "answer": 2 / 4,
        "wrongly_refused": 1 / 4,
        "refused": 1 / 2,
    }


@pytest.mark.parametrize("row", [{}, {"question": "云龙线是哪天通车的？", "path": "二/(1)"}])
def test_row_that_cannot_be_asked_or_judged_is_an_error_by_line(engine, tmp_path, row):
    with pytest.raises(DataError, match=r"qa\.jsonl"):
        evaluate_answers(write(tmp_path / "qa.jsonl", row), engine)


@pytest.mark.parametrize(
    ("row", "text", "expected"),
    [
        ({"answer": ["63家"]}, "建成６３ 家", True),
        ({"answer": ["63家", "64家"]}, "建成64家", True),
        ({"answer": ["63家"]}, "建成63人", False),
        ({"all": ["甲", "乙"]}, "甲和乙", True),
        ({"all": ["甲", "乙"]}, "甲和丙", False),
        ({"answer": ["AI"]}, "ai", True),
        ({}, "甲", False),
        ({"answer": []}, "甲", False),
    ],
)
def test_answer_holds_what_is_wanted(row, text, expected):
    assert holds(row, text) is expected


def test_json_lines_pass_over_blank_lines_and_a_bom(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('\ufeff{"a": 1}\n\n{"a": 2}\n'.encode())
    assert json_lines(tmp_path / "a.jsonl") == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("line", ["{", "[]", "5", "null", '"x"'])
def test_line_that_is_no_object_is_named_by_its_number(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2 of .*a\.jsonl"):
        json_lines(tmp_path / "a.jsonl")


def test_file_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"question": "养老"}'.encode("gb18030"))
    with pytest.raises(DataError, match=r"a\.jsonl cannot be read"):
        json_lines(tmp_path / "a.jsonl")
