"""Text to vectors.

Contract: the bundled model, opened with numpy alone, gives the vectors that sentence-transformers gives; any other
model is opened by sentence-transformers, with its own prompts; a model whose files change is another model.
"""

import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from rag.embed import (
    SentenceTransformerEmbedder,
    StaticEmbedder,
    fingerprint,
    open_embedder,
)
from rag.errors import ModelError
from rag.settings import BUNDLED_MODEL

TEXTS = [
    "截至目前,全市建成零工驿站63家。",
    "零工驿站建了多少家？",
    "今年上半年，城镇新增就业１５.８万人，完成全年目标任务的64%。",
    "How many gig-worker stations have been built in the city?",
    "AI",
    "Café naïve 5G+工业互联网",
]
WORDS = ["<unk>", "query", "passage", ":", "station", "city", "sky"]


@pytest.fixture(scope="module")
def reference():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(BUNDLED_MODEL), device="cpu")


@pytest.fixture
def other_model(tmp_path):
    """A model of seven words with prompts; two Normalize modules, so that it is not one of the plain static kind."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    table = StaticEmbedding(words, embedding_weights=np.eye(len(WORDS), dtype=np.float32))
    model = SentenceTransformer(
        modules=[table, Normalize(), Normalize()],
        prompts={"query": "query: ", "passage": "passage: "},
        device="cpu",
    )
    folder = tmp_path / "other"
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(BUNDLED_MODEL, tmp_path / "copy")


def test_vectors_equal_those_of_sentence_transformers(embedder, reference):
    expected = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(embedder.passages(TEXTS) - expected).max() < 2e-3


def test_queries_and_passages_of_the_bundled_model_are_alike(embedder):
    assert np.array_equal(embedder.queries(TEXTS), embedder.passages(TEXTS))


def test_vectors_are_float32_of_unit_length(embedder):
    vectors = embedder.passages(TEXTS)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), embedder.dimension))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_text_without_pieces_has_a_zero_vector(embedder):
    assert not embedder.passages([""]).any()


def test_no_texts_have_no_vectors(embedder):
    assert embedder.passages([]).shape == (0, embedder.dimension)


def test_traditional_characters_have_the_vector_of_simplified_ones(embedder):
    old, new = embedder.passages(["東澤湖流域面積", "东泽湖流域面积"])
    assert np.array_equal(old, new)


def test_like_texts_are_nearer_than_unlike_ones(embedder):
    asked, like, unlike = embedder.passages(["找工作的补贴", "就业补助资金", "湖泊水质监测断面"])
    assert asked @ like > asked @ unlike


def test_bundled_model_is_opened_without_sentence_transformers():
    assert isinstance(open_embedder(str(BUNDLED_MODEL)), StaticEmbedder)


def test_other_model_is_opened_with_sentence_transformers(other_model):
    model = open_embedder(str(other_model))
    assert isinstance(model, SentenceTransformerEmbedder)
    assert (model.name, model.dimension) == (str(other_model), len(WORDS))
    assert model.fingerprint == fingerprint(other_model)


def test_prompts_of_another_model_are_used(other_model):
    model = SentenceTransformerEmbedder(str(other_model))
    (asked,), (told,) = model.queries(["station"]), model.passages(["station"])
    third = 1 / 3**0.5
    assert asked == pytest.approx([0, third, 0, third, third, 0, 0], abs=1e-6)
    assert told == pytest.approx([0, 0, third, third, third, 0, 0], abs=1e-6)


def test_vectors_of_another_model_are_float32_of_unit_length(other_model):
    vectors = SentenceTransformerEmbedder(str(other_model)).passages(["city sky", "sky"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_fingerprint_depends_on_the_files_not_on_the_folder(copied):
    assert fingerprint(copied) == fingerprint(BUNDLED_MODEL)


def test_fingerprint_changes_with_one_byte(copied):
    path = copied / "tokenizer.json"
    before, data = fingerprint(copied), bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    assert fingerprint(copied) != before


def test_fingerprint_changes_with_the_table(copied):
    path = copied / "model.safetensors"
    before, data = fingerprint(copied), path.read_bytes()
    path.write_bytes(data[:4096] + data[:4095:-1])
    assert fingerprint(copied) != before


def test_fingerprint_changes_with_the_length_of_a_file(copied):
    path = copied / "model.safetensors"
    before = fingerprint(copied)
    path.write_bytes(path.read_bytes()[:-1])
    assert fingerprint(copied) != before


def test_model_card_is_no_part_of_the_fingerprint(copied):
    before = fingerprint(copied)
    (copied / "README.md").write_text("Another card.", encoding="utf-8")
    assert fingerprint(copied) == before


def test_unknown_model_is_an_error_that_says_what_to_do():
    with pytest.raises(ModelError) as caught:
        open_embedder("no-such-owner/no-such-model")
    assert "'no-such-owner/no-such-model' cannot be opened" in str(caught.value)
    assert "set RAG_EMBEDDING_MODEL" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_table_is_a_model_error(copied):
    (copied / "model.safetensors").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(ModelError, match=r"model\.safetensors is no static embedding"):
        open_embedder(str(copied))
