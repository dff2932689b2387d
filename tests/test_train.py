"""Training data and training.

Contract: every kind of training file becomes one source of pairs, the same in every run; the word lists come from a
dictionary; a model trained from scratch is one the program itself opens without torch.
"""

import gzip
import json
import random
from collections import Counter

import numpy as np
import pytest

from rag.embed import StaticEmbedder, open_embedder
from rag.errors import DataError
from rag.sources import TUNING, load_sources, neighbours, rows, sentence_at, teaching_sources
from rag.train import train_embedder, train_lexicon

POLICY = [("公交换乘减免多少?", "换乘减免1元。全年减免286万元。"), ("票价多少?", "票价2元。")]
PLAIN = "今年建成零工驿站六十三家。举办各类招聘会近八十场次。促进一万余人达成就业意向。短句。"


def write(path, objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in objects)
    data = lines.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    policy = [{"q": q, "p": p} for q, p in POLICY]
    write(folder / "train" / "pairs_policy.jsonl.gz", policy)
    write(folder / "train" / "pairs_laws.jsonl.gz", [{"q": "什么法?", "p": "劳动合同法。"}])
    write(folder / "train" / "pairs_dialog.jsonl.gz", [{"q": "长文", "p": "字" * 900}])
    write(folder / "train" / "plain_news.jsonl.gz", [{"t": PLAIN}])
    write(folder / "train" / "zhen_talks.jsonl.gz", [{"zh": "零工驿站", "en": "gig station"}])
    write(folder / "train" / "zhen_cedict.jsonl.gz", [{"zh": "就业", "en": "employment"}])
    answers = [{"start": 9, "text": "286万元"}]
    context = "换乘减免1元。全年减免286万元。"
    write(
        folder / "rc" / "rctrain_a.jsonl.gz",
        [{"question": "减免多少?", "context": context, "answers": answers}],
    )
    return folder


def test_each_file_is_a_source_of_its_own(data):
    assert sorted(n for n in load_sources(data) if not n.startswith("english")) == [
        "pairs_dialog",
        "pairs_laws",
        "pairs_laws_sentence",
        "pairs_policy",
        "pairs_policy_sentence",
        "plain_news",
        "rctrain_a",
        "zhen_cedict",
        "zhen_talks",
    ]


def test_chinese_source_whose_words_the_dictionary_knows_has_an_english_twin(data):
    write(data / "train" / "zhen_cedict.jsonl.gz", [{"zh": "招聘", "en": "to recruit"}])
    twins = {n: pairs for n, pairs in load_sources(data).items() if n.startswith("english")}
    assert sorted(twins) == ["english_plain_news"]
    assert twins["english_plain_news"] == [("recruit", "举办各类招聘会近八十场次。")]


def test_questions_kept_for_tuning_are_in_no_source(data):
    kept = [{"q": "减免多少?", "p": "换乘减免1元。全年减免286万元。"}]
    write(data / "train" / TUNING, kept)
    sources = load_sources(data)
    assert sources["rctrain_a"] == []
    assert TUNING.removesuffix(".jsonl.gz") not in sources


def test_small_sources_are_repeated(data):
    sources = load_sources(data)
    assert Counter(sources["pairs_policy"]) == Counter(dict.fromkeys(POLICY, 3))
    assert Counter(sources["pairs_laws"]) == Counter({("什么法?", "劳动合同法。"): 1})
    assert Counter(sources["zhen_talks"]) == Counter({("零工驿站", "gig station"): 3})
    assert Counter(sources["zhen_cedict"]) == Counter({("就业", "employment"): 1})


def test_no_official_text_comes_twice_in_a_source_of_the_teaching_data():
    rows = [
        {"q": "活儿不好找咋办", "p": "开展就业援助。", "f": "x", "k": "question"},
        {"q": "失业了谁管", "p": "开展就业援助。", "f": "x", "k": "question"},
        {"q": "Who helps me find a job?", "p": "开展就业援助。", "f": "x", "k": "en"},
        {"q": "打零工的", "p": "灵活就业人员", "f": "x", "k": "term"},
        {"q": "援助的名额有几个", "p": "开展就业援助。", "f": "x", "k": "unanswered"},
    ]
    sources = teaching_sources(rows, random.Random(1))
    assert {name: len(pairs) for name, pairs in sources.items()} == {
        "teaching_0": 2,
        "teaching_1": 1,
        "teaching_2": 1,
        "teaching_en_zh": 1,
        "teaching_zh_zh": 1,
    }
    texts = [[p for _, p in pairs] for pairs in sources.values()]
    assert all(len(t) == len(set(t)) for t in texts)


def test_question_also_learns_a_single_sentence_of_its_passage(data):
    for question, sentence in load_sources(data)["pairs_policy_sentence"]:
        assert sentence in dict(POLICY)[question]
        assert sentence.count("。") == 1


def test_long_passage_is_cut(data):
    assert {len(p) for _, p in load_sources(data)["pairs_dialog"]} == {600}


def test_reading_question_learns_the_sentence_of_its_answer(data):
    assert set(load_sources(data)["rctrain_a"]) == {("减免多少?", "全年减免286万元。")}


def test_running_text_gives_neighbouring_sentences(data):
    assert sorted(load_sources(data)["plain_news"]) == sorted(neighbours([PLAIN]))


def test_sources_are_the_same_in_every_run(data):
    assert load_sources(data) == load_sources(data)


def test_folder_without_training_files_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no training files in .*train"):
        load_sources(tmp_path)


@pytest.mark.parametrize(
    ("offset", "sentence"),
    [
        (0, "甲甲甲甲。"),
        (4, "甲甲甲甲。"),
        (5, "乙乙乙乙!"),
        (10, "丙丙丙丙"),
        (99, "甲甲甲甲。乙乙乙乙!丙丙丙丙"),
    ],
)
def test_sentence_at_an_offset(offset, sentence):
    assert sentence_at("甲甲甲甲。乙乙乙乙!丙丙丙丙", offset) == sentence


def test_neighbours_are_sentences_in_a_row_of_one_text():
    assert list(neighbours([PLAIN, "另外一篇文章只有一句话。"])) == [
        ("今年建成零工驿站六十三家。", "举办各类招聘会近八十场次。"),
        ("举办各类招聘会近八十场次。", "促进一万余人达成就业意向。"),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_rows_are_read_gzipped_or_not(tmp_path, name):
    write(tmp_path / name, [{"a": "甲"}, {"a": "乙"}])
    assert list(rows(tmp_path / name)) == [{"a": "甲"}, {"a": "乙"}]


def test_lexicon_sorts_names_from_common_words(data, tmp_path):
    entries = {
        "柳川县": "Liuchuan county in Sichuan",
        "学院": "college",
        "北岭大学": "Beiling University",
        "就业": "to be employed",
        "张三": "Zhang San, a name for anybody",
        "一个很长的普通说法": "a long common saying",
        "站": "station",
        "ＡＢ": "letters of a city",
    }
    path = data / "train" / "zhen_cedict.jsonl.gz"
    write(path, [{"zh": zh, "en": en} for zh, en in entries.items()])
    assert train_lexicon(data, tmp_path / "out") == {"names": 2, "common": 2, "sounds": 413}
    names, common = (
        gzip.decompress((tmp_path / "out" / f"{n}.txt.gz").read_bytes()).decode().split()
        for n in ("names", "common")
    )
    assert names == ["北岭大学", "柳川县"]
    assert common == ["学院", "就业"]


def test_word_that_is_both_is_common(data, tmp_path):
    both = [{"zh": "高山", "en": "Gaoshan township"}, {"zh": "高山", "en": "high mountain"}]
    write(data / "train" / "zhen_cedict.jsonl.gz", both)
    assert train_lexicon(data, tmp_path / "out") == {"names": 0, "common": 1, "sounds": 413}


def test_lexicon_is_the_same_byte_for_byte(data, tmp_path):
    for out in ("one", "two"):
        train_lexicon(data, tmp_path / out)
    for name in ("names", "common", "pinyin"):
        one, two = ((tmp_path / out / f"{name}.txt.gz").read_bytes() for out in ("one", "two"))
        assert one == two


def test_model_trained_from_scratch_opens_without_torch_and_has_learnt(data, tmp_path):
    out = tmp_path / "model"
    out.mkdir()
    (out / "README.md").write_text("The card.", encoding="utf-8")
    trained = train_embedder(data, out, epochs=3, teaching_epochs=0)
    opened = open_embedder(str(out))
    assert isinstance(opened, StaticEmbedder)
    assert opened.dimension == 256
    assert (out / "README.md").read_text(encoding="utf-8") == "The card."
    texts = [text for pair in POLICY for text in pair]
    expected = trained.float().encode(texts, normalize_embeddings=True, show_progress_bar=False)
    found = opened.passages(texts)
    assert np.abs(found - expected).max() < 2e-3
    assert found[0] @ found[1] > found[0] @ found[3]
