"""What the reader learns from, and its training.

Contract: every window that is said to answer holds the answer at the place that is said; one that is said not to does not
hold it; questions kept for tuning are in none; a reader trained in seconds opens.
"""

import gzip
import json
import random

import numpy as np
import pytest
from fakes import run_python
from safetensors.numpy import load_file

from rag.reader import Encoder, Reader
from rag.reader_data import Item, crop, load_material, made_questions, sentence_ranges
from rag.sources import TUNING
from rag.train_reader import Examples, train_reader

CONTEXT = "全年减免286万元。换乘减免1元。新增公交线路12条。夜间班车延长到23时。" * 4 + "云岭站2024年通车。"
TAUGHT = [
    {"q": "坐车便宜多少", "p": "换乘减免1元,全年减免286万元。", "f": "x", "k": "question", "a": "1元"},
    {
        "q": "How many lines?",
        "p": "新增公交线路12条。",
        "f": "x",
        "k": "en",
        "a": "12条",
        "n": "新增航线3条。",
    },
    {"q": "夜里还有车吗", "p": "夜间班车延长到23时。", "f": "x", "k": "question"},
    {"q": "地铁票多少钱", "p": "换乘减免1元,全年减免286万元。", "f": "x", "k": "unanswered"},
    {"q": "公交", "p": "公共汽电车", "f": "x", "k": "term"},
]


def write(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in objects)
    path.write_bytes(gzip.compress(lines.encode()))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    rows = [
        ("云岭站何时通车?", "2024年"),
        ("换乘减免多少?", "1元"),
        ("kept for tuning?", "12条"),
    ]
    write(
        folder / "rc" / "rctrain_a.jsonl.gz",
        [
            {"question": q, "context": CONTEXT, "answers": [{"text": a, "start": CONTEXT.index(a)}]}
            for q, a in rows
        ],
    )
    write(folder / "train" / "plain_a.jsonl.gz", [{"t": "市交通局负责建成零工服务站63家,位于云岭路8号。"}])
    write(folder / "train" / TUNING, [{"q": "kept for tuning?", "p": CONTEXT}])
    return folder


@pytest.fixture
def material(data, embedder):
    return load_material(data, TAUGHT, embedder, made=50)


def test_questions_kept_for_tuning_and_terms_are_left_out(material):
    assert [i.question for i in material.read] == ["云岭站何时通车?", "换乘减免多少?"]
    assert [i.question for i in material.taught] == [
        "坐车便宜多少",
        "how many lines?",
        "夜里还有车吗",
        "地铁票多少钱",
    ]


def test_teaching_item_knows_where_its_answer_stands(material):
    first, second, third, fourth = material.taught
    assert first.text[slice(*first.answer)] == "1元"
    assert (second.negative, third.answer) == ("新增航线3条。", None)
    assert [i.answered for i in (first, second, third, fourth)] == [True, True, True, False]


def test_question_made_by_rule_asks_for_words_of_its_text():
    found = list(
        made_questions(["市交通局负责建成零工服务站63家,位于云岭路8号。"] * 30, random.Random(1), 20)
    )
    answers = {i.text[slice(*i.answer)] for i in found}
    assert {"63家", "云岭路8号", "市交通局"} <= answers
    assert all(i.text[slice(*i.answer)] not in i.question for i in found)


@pytest.mark.parametrize("seed", range(5))
def test_crop_keeps_what_it_must_and_opens_with_a_sentence(seed):
    keep = (CONTEXT.index("云岭站"), CONTEXT.index("通车"))
    start, end = crop(CONTEXT, keep, random.Random(seed), limit=60)
    assert start <= keep[0] < keep[1] <= end
    assert end - start <= 60
    assert start in {a for a, _ in sentence_ranges(CONTEXT)}


def test_crop_of_a_sentence_longer_than_the_limit_keeps_the_answer():
    text = "甲" * 300 + "63家" + "乙" * 300 + "。"
    start, end = crop(text, (300, 303), random.Random(1), limit=100)
    assert start <= 300
    assert end >= 303
    assert end - start <= 100


def test_window_that_answers_holds_the_answer_where_it_is_said_to_stand(material, embedder):
    encode = Encoder("".join(sorted({c for i in material.texts() for c in i})), embedder)
    examples = Examples(material, encode, seed=1)
    for item in (*material.read, *material.taught, *material.made):
        if not item.answer or not item.answered:
            continue
        wanted = encode([item.text[slice(*item.answer)]])[0].ids.tolist()
        for _ in range(5):
            _, window, (first, last), answered = examples.example(item, True)
            assert answered
            assert window.ids[first : last + 1].tolist() == wanted


def test_window_that_does_not_answer_is_told_so(material, embedder):
    encode = Encoder("".join(sorted({c for i in material.texts() for c in i})), embedder)
    examples = Examples(material, encode, seed=1)
    asked = [(material.read[0], False), (material.taught[0], False), (material.taught[3], True)]
    for item, answers in asked:
        found = [examples.example(item, answers) for _ in range(5)]
        assert [(e[2], e[3]) for e in found if e] == [(None, False)] * len([e for e in found if e])


def test_item_without_other_texts_gives_no_negative(material, embedder):
    item = Item("多少?", "甲63家。", (1, 4), True, "", [])
    material.read.append(item)
    examples = Examples(material, Encoder("甲家63。", embedder), seed=1)
    assert examples.example(item, False) is None


def test_reader_trained_in_seconds_opens(data, embedder, tmp_path):
    out = tmp_path / "reader"
    train_reader(data, out, minutes=0.03, embedder=embedder, taught=TAUGHT)
    reading = Reader(out, embedder).read("换乘减免多少?", [CONTEXT[:60]])[0]
    assert len(reading.spans) > 0
    assert sorted(p.name for p in out.iterdir()) == ["reader.json", "reader.onnx", "reader.safetensors"]


def test_processes_go_on_together_from_a_reader(data, tmp_path):
    code = f"""
from pathlib import Path
from rag.train_reader import train_reader
taught = {TAUGHT!r}
given = dict(taught=taught, minutes=0.03)
train_reader(Path({str(data)!r}), Path("one"), **given)
train_reader(Path({str(data)!r}), Path("two"), start=Path("one"), processes=2, learning_rate=1e-9, **given)
"""
    done = run_python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    one, two = (load_file(tmp_path / name / "reader.safetensors") for name in ("one", "two"))
    assert all(np.allclose(one[k].astype(np.float32), two[k].astype(np.float32), atol=2e-3) for k in one)


def test_text_without_the_sentence_that_answers_is_a_negative(data, embedder):
    text = "一小时内换乘减免1元。全年减免286万元。新增公交线路共12条。"
    taught = [{"q": "全年便宜了多少", "p": text, "f": "x", "k": "question", "a": "286万元"}]
    material = load_material(data, taught, embedder, made=1)
    encode = Encoder("".join(sorted(set(text))), embedder)
    examples = Examples(material, encode, seed=1)
    (item,) = material.taught
    parts = examples._without_answer(item)
    assert [t[slice(*where)] for t, where in parts] == ["一小时内换乘减免1元。", "新增公交线路共12条。"]
