"""Question to hits: words and vectors, fused.

Contract: higher is better; the words weigh as much as they explain of the question; a question without Han
characters finds Chinese measures by meaning; a lexicon adds official words to everyday ones.
"""

import json

import pytest
from fakes import HashEmbedder, letter_of

from rag.engine import Engine
from rag.errors import DataError, LetterError
from rag.index import Index, update
from rag.rank import expand, explained, hit_as_dict, load_lexicon, names_and_numbers, search
from rag.settings import Settings


def places(hits):
    return [(h.letter.id, h.measure.path) for h in hits]


def lexicon_file(folder, content):
    path = folder / "lexicon.yaml"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("query", "letter_id", "path"),
    [
        ("加装电梯补助", "beiling-housing", "第3段"),
        ("老人吃饭的食堂", "haizhou-civil", "第三"),
        ("氢燃料公交车", "yunling-transport", "一/(2)"),
        ("家庭医生签约率", "linxi-health", "3"),
        ("零工服务点有多少个", "songhe-jobs", "一/(三)"),
        ("沙河口濕地公園", "dongze-env", "三"),
        ("new energy buses", "yunling-transport", "一/(2)"),
        ("school teachers in villages", "qingyuan-edu", "三/(一)"),
        ("How many beds does the elderly care complex have?", "haizhou-civil", "第二"),
        ("water quality of the lake", "dongze-env", "一"),
    ],
)
def test_right_measure_comes_first(engine, query, letter_id, path):
    assert places(search(engine.index, query, k=1)) == [(letter_id, path)]


def test_hits_come_best_first_and_as_many_as_asked_for(engine):
    hits = search(engine.index, "加装电梯补助", k=7)
    scores = [h.score for h in hits]
    assert len(hits) == 7
    assert scores == sorted(scores, reverse=True)
    assert len(set(places(hits))) == 7


def test_sentences_of_a_hit_come_best_first(engine):
    (hit,) = search(engine.index, "松禾技师学院新校区总投资", k=1)
    scores = [s.score for s in hit.sentences]
    assert scores == sorted(scores, reverse=True)
    assert "松禾技师学院新校区总投资9.8亿元" in hit.sentences[0].span.of(hit.letter.text)
    assert len(hit.sentences) == len(hit.measure.sentences)


def test_cosine_of_a_hit_is_that_of_its_best_sentence(engine):
    (hit,) = search(engine.index, "new energy buses", k=1)
    assert hit.cosine == max(s.cosine for s in hit.sentences)
    assert -1 <= hit.cosine <= 1


def test_same_question_gives_the_same_hits(engine):
    assert search(engine.index, "乡村教师补助") == search(engine.index, "乡村教师补助")


def test_letter_filter_keeps_only_that_letter(engine):
    hits = search(engine.index, "加装电梯补助", k=50, letter_id="haizhou-civil")
    assert {h.letter.id for h in hits} == {"haizhou-civil"}
    assert len(hits) == 8


def test_letter_filter_finds_what_the_other_letters_would_crowd_out(engine):
    hits = search(engine.index, "加装电梯补助", k=1, letter_id="linxi-health")
    assert [h.letter.id for h in hits] == ["linxi-health"]


def test_filter_by_an_unknown_letter_is_an_error(engine):
    with pytest.raises(LetterError, match="no letter 'zzz'"):
        search(engine.index, "加装电梯补助", letter_id="zzz")


def test_share_explained_is_one_when_every_word_stands_in_the_letters(engine):
    assert explained(engine.index, ["公交", "老人"], [0]) == 1


def test_share_explained_falls_with_words_no_letter_has(engine):
    share = explained(engine.index, ["公交", "飞船"], [0])
    assert 0 < share < 0.5
    assert explained(engine.index, ["飞船", "火星"], [0]) == 0


def test_share_explained_counts_a_word_once_and_single_characters_not_at_all(engine):
    once = explained(engine.index, ["公交", "飞船"], [0])
    assert explained(engine.index, ["公交", "公交", "飞船", "车"], [0]) == once
    assert explained(engine.index, ["车"], [0]) == 0


def test_embedder_without_pieces_is_ranked_without_late_interaction(tmp_path):
    letter = letter_of("某委员:\n一、建站点。建成驿站3个。\n二、办培训。办班5期。\n")
    update(tmp_path / "index", [letter], HashEmbedder())
    hits = search(Index.open(tmp_path / "index", HashEmbedder()), "建成驿站", k=1)
    assert places(hits) == [("small", "一")]


def test_lexicon_adds_the_official_words():
    lexicon = {"打零工": ["灵活就业", "零工驿站"]}
    assert expand("打零工的地方", lexicon) == "打零工的地方 灵活就业 零工驿站"
    assert expand("养老", lexicon) == "养老"


def test_lexicon_is_read_without_regard_to_script_and_width(tmp_path):
    path = lexicon_file(tmp_path, '{"養老ＡＢ": ["居家"]}')
    assert load_lexicon(path) == {"养老ab": ["居家"]}


def test_lexicon_gives_one_official_word_or_several(tmp_path):
    path = lexicon_file(tmp_path, "打零工: 灵活就业\n老娘舅:\n  - 人民调解\n  - 调解员\n")
    assert load_lexicon(path) == {"打零工": ["灵活就业"], "老娘舅": ["人民调解", "调解员"]}


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How many 5G stations did Huawei open in 2024?", ["5", "g", "huawei", "2024"]),
        ("When was the NFL founded?", ["nfl"]),
        ("The price of water", []),
    ],
)
def test_names_and_numbers_of_an_english_question_are_looked_up_as_words(question, words):
    assert names_and_numbers(question) == words


def test_without_a_lexicon_nothing_is_added():
    assert load_lexicon(None) == {}


@pytest.mark.parametrize("content", ["{", "[]", '"x"', "a: 1", "a:"])
def test_file_that_is_no_lexicon_is_an_error_that_shows_one(tmp_path, content):
    path = lexicon_file(tmp_path, content)
    with pytest.raises(DataError, match=r"the lexicon .*lexicon\.yaml cannot be used.*打零工"):
        load_lexicon(path)


def test_lexicon_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"absent\.yaml"):
        load_lexicon(tmp_path / "absent.yaml")


def test_lexicon_of_the_settings_changes_what_is_found(engine, library, embedder, tmp_path):
    path = lexicon_file(tmp_path, json.dumps({"铁脚板": ["家庭医生", "签约服务"]}))
    settings = Settings(index_dir=library, lexicon=path, _env_file=None)
    with_lexicon = Engine.open(settings, embedder)
    assert places(with_lexicon.search("铁脚板", k=1)) == [("linxi-health", "3")]
    assert places(engine.search("铁脚板", k=1)) != [("linxi-health", "3")]


def test_hit_as_data_has_exact_offsets(engine):
    (hit,) = search(engine.index, "渔歌街道养老服务综合体", k=1)
    data = hit_as_dict(hit, sentences=1)
    text = hit.letter.text
    assert (data["letter_id"], data["path"], data["issuer"], data["date"]) == (
        "haizhou-civil",
        "第二",
        "海洲市民政局",
        "2025-03-18",
    )
    (sentence,) = data["sentences"]
    assert text[sentence["start"] : sentence["end"]] == sentence["quote"]
    assert json.loads(json.dumps(data)) == data


def test_letter_without_a_date_has_none_in_data(engine):
    (hit,) = search(engine.index, "加装电梯补助", k=1)
    assert hit_as_dict(hit)["date"] is None
