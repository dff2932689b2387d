"""Scores of retrieval and of answers.

Contract: expected values are the arithmetic of their definitions: a gain of 1/log2(rank + 1), divided by that of the
best possible ranking; the reciprocal rank of the first hit; each a mean over the judged queries, to four places. So too
the scores of answers: the risk at coverage i/n is the share of errors among the i surest answers; the calibration error
is the gap between confidence and share right, by bins of a tenth.
"""

import json
from math import log2
from types import SimpleNamespace

import pytest

from rag.errors import DataError
from rag.evaluate import evaluate_answers, evaluate_beir, holds, json_lines, judge, retrieval_scores
from rag.scores import (
    Judged,
    calibration_error,
    pairs,
    percentile,
    reliability,
    risk_coverage_area,
    same,
    summary,
)

LETTER = SimpleNamespace(id="small", text="全市建成零工驿站63家。举办招聘会80场。")


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


class FakeEngine:
    """Answers and hits as a test has written them, by question; ``asked`` tells what came."""

    def __init__(self, answers, hits=None):
        self.answers = answers
        self.hits = hits or {}
        self.asked = []

    def ask(self, text, *, letter_id=None, k=None):
        self.asked.append((text, letter_id))
        return self.answers[text]

    def search(self, query, k=5, letter_id=None):
        self.asked.append((query, letter_id))
        paths = self.hits.get(query, [])
        return [SimpleNamespace(letter=LETTER, measure=SimpleNamespace(path=p)) for p in paths[:k]]


def cited(quote, path="一", shift=0):
    start = LETTER.text.index(quote) + shift
    measure = SimpleNamespace(path=path)
    return SimpleNamespace(letter=LETTER, measure=measure, start=start, end=start + len(quote), quote=quote)


def given(text, short, *citations, confidence=0.9, ms=1.0):
    return SimpleNamespace(
        answer=text,
        short_answer=short,
        refused=False,
        confidence=confidence,
        citations=citations,
        timings_ms={"total": ms},
    )


def refusal(text="答复中没有说明。", confidence=0.1, ms=1.0):
    told = given(text, "", confidence=confidence, ms=ms)
    told.refused = True
    return told


STATIONS = "全市建成零工驿站63家。"
FAIRS = "举办招聘会80场。"


@pytest.fixture
def four(tmp_path):
    """Two questions that can be answered, one refused; two that cannot, one answered, with a number of its own."""
    wanted = {"letter": "small", "path": "一", "kind": "number"}
    path = write(
        tmp_path / "qa.jsonl",
        {"question": "驿站?", "answer": ["63家"], **wanted},
        {"question": "招聘会?", "answer": ["80场"], **wanted},
        {"question": "地铁?", "refuse": True},
        {"question": "机场?", "refuse": True},
    )
    answers = {
        "驿站?": given(f"{STATIONS}[1]", "63家", cited(STATIONS), confidence=0.95, ms=10.0),
        "招聘会?": refusal(confidence=0.25, ms=40.0),
        "地铁?": refusal(confidence=0.05, ms=30.0),
        "机场?": given(f"{FAIRS}[1]", "81场", cited(FAIRS, shift=1), confidence=0.75, ms=20.0),
    }
    return path, FakeEngine(answers, {"驿站?": ["一", "二"], "招聘会?": ["三", "二", "一"]})


def test_report_holds_every_score_in_order(four):
    assert list(evaluate_answers(*four).items()) == [
        ("questions", 4),
        ("search_first", 1 / 2),
        ("search_in_three", 2 / 2),
        ("measure_first", 1 / 2),
        ("answer", 1 / 2),
        ("short_answer", 1 / 2),
        ("short_answer_exact", 1 / 2),
        ("wrongly_refused", 1 / 2),
        ("refused", 1 / 2),
        ("refusal_precision", 1 / 2),
        ("refusal_f1", 1 / 2),
        ("citations_exact", 1 / 2),
        ("numbers_unproved", 1),
        ("aurc", round((0 / 1 + 1 / 2 + 2 / 3 + 3 / 4) / 4, 4)),
        ("calibration_error", round((0.05 + 0.75 + 0.25 + 0.05) / 4, 4)),
        ("p50_ms", 20.0),
        ("p99_ms", 40.0),
    ]


def test_scores_that_no_question_has_a_say_in_are_left_out():
    answered = summary([Judged(answerable=True, refused=False, confidence=0.5)])
    assert list(answered) == ["questions", "wrongly_refused", "numbers_unproved", "p50_ms", "p99_ms"]
    refused = summary([Judged(answerable=False, refused=True, confidence=0.5, right=False)])
    assert {"refused", "refusal_precision", "refusal_f1", "aurc"} <= set(refused)
    assert not {"search_first", "answer", "wrongly_refused", "citations_exact"} & set(refused)


def test_no_questions_have_no_scores_but_their_count(tmp_path):
    assert evaluate_answers(write(tmp_path / "qa.jsonl"), FakeEngine({})) == {"questions": 0}


def test_answers_of_the_real_engine_are_scored(engine, tmp_path):
    right = {"letter": "haizhou-civil", "path": "第四", "answer": ["2500元"], "kind": "money"}
    path = write(
        tmp_path / "qa.jsonl",
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right},
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right, "path": "第五"},
        {"question": "家庭养老床位每张一次性建设补贴多少钱？", **right, "answer": ["9元"]},
        {"question": "柳川县有多少张床位？", **right},
        {"question": "柳川县有多少张床位？", "refuse": True},
        {"question": "云龙线是哪天通车的？", "refuse": True},
    )
    scores = evaluate_answers(path, engine)
    assert (
        scores.items()
        >= {
            "questions": 6,
            "measure_first": 2 / 4,
            "answer": 2 / 4,
            "short_answer": 2 / 4,
            "short_answer_exact": 2 / 4,
            "wrongly_refused": 1 / 4,
            "refused": 1 / 2,
            "refusal_precision": 1 / 2,
            "citations_exact": 1.0,
            "numbers_unproved": 0,
        }.items()
    )


@pytest.mark.parametrize(
    ("hits", "place"), [(["一", "二"], 1), (["二", "三", "一"], 3), (["二", "三", "四", "一"], 0), ([], 0)]
)
def test_place_of_the_right_measure_is_looked_for_among_three_hits(hits, place):
    row = {"question": "驿站?", "letter": "small", "path": "一"}
    assert judge([row], FakeEngine({"驿站?": refusal()}, {"驿站?": hits}))[0].place == place


def test_measure_of_the_same_path_in_another_letter_is_not_the_right_one():
    row = {"question": "驿站?", "letter": "other", "path": "一"}
    answer = given(STATIONS, "63家", cited(STATIONS))
    told = judge([row], FakeEngine({"驿站?": answer}, {"驿站?": ["一"]}))[0]
    assert (told.place, told.measure_first) == (0, False)


def test_only_the_first_citation_counts_as_measure_first():
    row = {"question": "驿站?", "letter": "small", "path": "二"}
    answer = given(STATIONS + FAIRS, "63家", cited(STATIONS, "一"), cited(FAIRS, "二"))
    assert judge([row], FakeEngine({"驿站?": answer}))[0].measure_first is False


@pytest.mark.parametrize(
    ("only_own", "letters"), [(True, ["small", "small", None, None]), (False, [None, None, None, None])]
)
def test_question_is_asked_of_its_own_letter_when_that_is_wanted(tmp_path, only_own, letters):
    path = write(
        tmp_path / "qa.jsonl",
        {"question": "驿站?", "letter": "small", "path": "一", "answer": ["63家"]},
        {"question": "地铁?", "refuse": True},
        {"question": "机场?", "refuse": True, "letter": None},
    )
    engine = FakeEngine({"驿站?": refusal(), "地铁?": refusal(), "机场?": refusal()})
    evaluate_answers(path, engine, only_own=only_own)
    assert [letter for _, letter in engine.asked] == letters


@pytest.mark.parametrize("kind", ["how", "why", "whether", "yesno"])
def test_explanation_is_looked_for_in_the_whole_answer(kind):
    row = {"question": "驿站?", "kind": kind, "answer": ["零工驿站"]}
    told = judge([row], FakeEngine({"驿站?": given(STATIONS, "63家", cited(STATIONS))}))[0]
    assert (told.short, told.short_exact) == (True, None)


@pytest.mark.parametrize(
    ("row", "short", "exact"),
    [
        ({"kind": "number", "answer": ["63家"]}, "约63家", True),
        ({"kind": "number", "answer": ["63家"]}, "零工驿站63家", False),
        ({"kind": "money", "answer": ["9元", "63家"]}, "63家", True),
        ({"kind": "share", "answer": ["63家"]}, "64家", False),
        ({"kind": "date", "answer": ["63家"]}, "63家；80场", False),
        ({"kind": "place", "answer": ["63家"]}, "63家", None),
        ({"kind": "number", "all": ["63家"]}, "63家", None),
        ({"answer": ["63家"]}, "63家", None),
    ],
)
def test_short_answer_is_exact_where_it_is_a_quantity_and_nothing_else(row, short, exact):
    answer = given(STATIONS, short, cited(STATIONS))
    assert judge([{"question": "驿站?", **row}], FakeEngine({"驿站?": answer}))[0].short_exact is exact


@pytest.mark.parametrize(
    ("text", "wanted", "expected"),
    [
        ("63家", "63家", True),
        ("超６３ 家。", "63家", True),
        ("近200万元,", "200万元", True),
        ("3年多", "3年", True),
        ("63家", "约63家", True),
        ("第63家", "63家", False),
        ("63人", "63家", False),
        ("", "63家", False),
        ("2500元，", "2500元", True),
        ("60餘萬人", "60余万人", True),
        ("60余万人", "60万人", False),
    ],
)
def test_short_answers_are_the_same_but_for_width_blanks_and_signs_around(text, wanted, expected):
    assert same(text, wanted) is expected


@pytest.mark.parametrize(
    ("answer", "short", "count"),
    [
        (f"{STATIONS}[1]", "63家", 0),
        ("建成驿站64家。[1]", "63家", 1),
        ("建成驿站64家,招聘会80场。[1]", "64家", 3),
        ("建成驿站六十三家。[1]", "63人", 1),
    ],
)
def test_numbers_that_no_citation_holds_are_counted(answer, short, count):
    told = judge([{"question": "驿站?"}], FakeEngine({"驿站?": given(answer, short, cited(STATIONS))}))
    assert summary(told)["numbers_unproved"] == count


def test_number_that_a_refusal_repeats_is_not_an_unproved_one():
    told = judge(
        [{"question": "2031年?", "refuse": True}], FakeEngine({"2031年?": refusal("没有说到2031年。")})
    )
    assert summary(told)["numbers_unproved"] == 0


def test_refusal_that_holds_the_wanted_word_is_no_answer():
    row = {"question": "驿站?", "kind": "whether", "answer": ["没有"]}
    told = judge([row], FakeEngine({"驿站?": refusal("答复中没有说明。")}))[0]
    assert (told.right, told.short) == (False, False)


def test_row_that_wants_no_words_has_no_say_in_what_is_right():
    row = {"question": "驿站?", "letter": "small", "path": "一"}
    told = judge([row], FakeEngine({"驿站?": given(STATIONS, "63家", cited(STATIONS))}, {"驿站?": ["一"]}))
    assert pairs(told) == []
    assert summary(told).items() >= {"search_first": 1.0, "measure_first": 1.0}.items()
    assert not {"answer", "short_answer", "aurc", "calibration_error"} & set(summary(told))


def test_refusals_have_a_recall_a_precision_and_their_mean():
    told = summary(
        [
            Judged(answerable=False, refused=True, confidence=0.1),
            Judged(answerable=False, refused=True, confidence=0.1),
            Judged(answerable=True, refused=True, confidence=0.1),
            Judged(answerable=True, refused=False, confidence=0.9),
        ]
    )
    assert (told["refused"], told["wrongly_refused"]) == (2 / 2, 1 / 2)
    assert (told["refusal_precision"], told["refusal_f1"]) == (round(2 / 3, 4), 4 / 5)


def test_precision_is_nothing_when_nothing_is_refused():
    told = summary([Judged(answerable=False, refused=False, confidence=0.9)])
    assert (told["refused"], told["refusal_precision"], told["refusal_f1"]) == (0, 0, 0)


def test_what_was_held_back_and_what_cannot_be_answered_is_not_right():
    rows = [{"question": "招聘会?", "answer": ["80场"]}, {"question": "地铁?", "refuse": True}]
    engine = FakeEngine({"招聘会?": refusal(confidence=0.4), "地铁?": refusal(confidence=0.2)})
    assert pairs(judge(rows, engine)) == [(0.4, False), (0.2, False)]


@pytest.mark.parametrize(
    ("told", "area"),
    [
        ([(0.9, True), (0.8, True)], 0),
        ([(0.9, False), (0.8, False)], 1),
        ([(0.2, False), (0.9, True), (0.5, True)], (0 / 1 + 0 / 2 + 1 / 3) / 3),
        ([(0.9, False), (0.5, True), (0.2, True)], (1 / 1 + 1 / 2 + 1 / 3) / 3),
    ],
)
def test_risk_is_averaged_over_coverages_from_the_surest_on(told, area):
    assert risk_coverage_area(told) == pytest.approx(area)


@pytest.mark.parametrize("told", [[(0.5, True), (0.5, False)], [(0.5, False), (0.5, True)]])
def test_order_of_equal_confidences_does_not_matter_to_the_risk(told):
    assert risk_coverage_area(told) == (0.5 / 1 + 1 / 2) / 2


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ([(1.0, True), (0.0, False)], 0),
        ([(1.0, False), (0.0, True)], 1),
        ([(0.75, True), (0.75, True), (0.75, True), (0.75, False)], 0),
        ([(0.72, True), (0.78, False), (0.3, False)], (2 * abs(0.75 - 1 / 2) + 1 * 0.3) / 3),
    ],
)
def test_calibration_error_is_the_gap_of_each_bin_by_its_size(told, error):
    assert calibration_error(told) == pytest.approx(error)


def test_bin_ends_with_its_tenth():
    told = [(0.0, False), (0.1, True), (0.11, True), (0.2, False), (1.0, True)]
    assert reliability(told) == [(2, 0.05, 1 / 2), (2, pytest.approx(0.155), 1 / 2), (1, 1.0, 1.0)]


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentile_of_a_hundred_values_is_that_one(percent, value):
    assert percentile([float(n) for n in range(100, 0, -1)], percent) == value


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 3.0)])
def test_percentile_of_few_values_is_one_of_them(percent, value):
    assert percentile([3.0, 1.0, 2.0], percent) == value


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
        ({"answer": "63家"}, "建成63家", True),
        ({"answer": "63家"}, "建成6家", False),
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
