"""The bundled tokenizer, opened without its library.

Contract: the pieces and their places are those of ``tokenizers`` for every text it takes; a text it does not know is left to it.
"""

import json
import random
import sys

import pytest
from fakes import LETTERS, ROOT
from tokenizers import Tokenizer

from rag.embed import StaticEmbedder
from rag.settings import BUNDLED_MODEL
from rag.unigram import _KNOWN, open_unigram

FILE = BUNDLED_MODEL / "tokenizer.json"
KNOWN = [chr(c) for c in range(0x10000) if not 0xD800 <= c < 0xE000 and _KNOWN.fullmatch(chr(c))]


@pytest.fixture(scope="module")
def both():
    return open_unigram(FILE), Tokenizer.from_file(str(FILE))


def assert_same(both, texts):
    own, library = both
    for text, wanted in zip(texts, library.encode_batch(texts, add_special_tokens=False), strict=True):
        found = own.encode(text)
        assert (found.ids, found.offsets) == (wanted.ids, wanted.offsets), text


def test_every_known_character_gives_the_same_pieces_alone_and_among_others(both):
    assert len(KNOWN) > 27_000
    assert_same(both, KNOWN)
    assert_same(both, [f"中{c}文{c}{c}ab{c}1 {c}。" for c in KNOWN])


def test_letters_give_the_same_pieces(both):
    letters = [p.read_text(encoding="utf-8") for p in sorted(LETTERS.glob("*.txt"))]
    assert len(letters) >= 5
    assert_same(both, [*letters, *(line for text in letters for line in text.split("\n"))])


def test_teaching_texts_give_the_same_pieces(both):
    files = sorted((ROOT / "rag" / "teaching").glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()[:60]]
    texts = [v for row in rows for v in row.values() if isinstance(v, str) and _KNOWN.fullmatch(v)]
    assert len(texts) > 2_000
    assert_same(both, texts)


def test_texts_put_together_at_random_give_the_same_pieces(both):
    rng = random.Random(3)
    usual = "的和在年工作就业 abc the 12,。"
    texts = [
        "".join(
            rng.choice(KNOWN) if rng.random() < 0.3 else rng.choice(usual) for _ in range(rng.randint(0, 40))
        )
        for _ in range(4_000)
    ]
    assert_same(both, texts)


@pytest.mark.parametrize("text", ["ｶﾞｷﾞ", "e\u0301té", "Ωμέγα", "한국어", "😀", "\u200b中", "\x1c"])
def test_text_with_a_character_of_unknown_steps_is_left_to_the_library(both, text):
    assert both[0].encode(text) is None
    assert StaticEmbedder(BUNDLED_MODEL).pieces([text])[0].tolist() == both[1].encode(text).ids


def test_tokenizer_of_another_chain_is_left_to_the_library(tmp_path):
    data = json.loads(FILE.read_text(encoding="utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps({**data, "normalizer": None}), encoding="utf-8")
    assert open_unigram(tmp_path / "tokenizer.json") is None


def test_many_texts_are_taken_apart_by_the_library_with_the_same_pieces(both):
    model = StaticEmbedder(BUNDLED_MODEL)
    first = model.pieces(["完善就业帮扶机制"])[0].tolist()
    assert "tokenizer" not in model.__dict__
    model.pieces(["就业" * 20_000])
    assert "tokenizer" in model.__dict__
    assert model.pieces(["完善就业帮扶机制"])[0].tolist() == first
    assert "tokenizers" in sys.modules
