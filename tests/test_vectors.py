"""Vectors of a segment: half-precision rows, searched as suits their number.

Contract: numpy, FAISS and the 4-bit codes find the same nearest rows; an opened file answers on when its name is gone.
"""

import numpy as np
import pytest

from rag.vectors import FEW, Table, VectorWriter, write_codes

DIMENSION = 32


def rows(many, seed=1):
    """Rows of unit length around some centres, as texts on some subjects are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((40, DIMENSION))
    found = centres[rng.integers(0, 40, many)] + 0.7 * rng.standard_normal((many, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def written(path, vectors):
    writer = VectorWriter(path, DIMENSION)
    for some in np.array_split(vectors, 3):
        writer.add(some)
    writer.close()
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    path = written(folder / "rows.faiss", rows(FEW + 1_000))
    write_codes(folder / "codes.faiss", Table(path))
    return path


def test_rows_come_back_as_they_were_written(tmp_path):
    vectors = rows(50)
    table = Table(written(tmp_path / "rows.faiss", vectors))
    assert (len(table), table.dimension, table.kind) == (50, DIMENSION, "numpy")
    assert np.array_equal(table.of(np.array([3, 49])), vectors[[3, 49]].astype(np.float16).astype(np.float32))


def test_nearest_rows_are_those_of_the_products(tmp_path):
    vectors = rows(50)
    found, products = Table(written(tmp_path / "rows.faiss", vectors)).search(vectors[7], 5)
    wanted = np.argsort(-(vectors @ vectors[7]), kind="stable")[:5]
    assert found.tolist() == wanted.tolist()
    assert np.allclose(products, (vectors @ vectors[7])[wanted], atol=2e-3)


def test_many_rows_are_scanned_with_the_same_result(large):
    table = Table(large)
    assert table.kind == "flat"
    query = rows(1, seed=9)[0]
    every = table.of(np.arange(len(table))) @ query
    found, products = table.search(query, 20)
    assert found.tolist() == np.argsort(-every, kind="stable")[:20].tolist()
    assert np.allclose(products, every[found], atol=1e-5)


def test_codes_find_nearly_all_of_the_nearest_and_score_them_exactly(large):
    table = Table(large, large.with_name("codes.faiss"))
    assert table.kind == "codes"
    share = []
    for query in rows(20, seed=9):
        found, products = table.search(query, 10)
        exact = np.argsort(-(table.of(np.arange(len(table))) @ query))[:10]
        assert np.allclose(products, table.of(found) @ query, atol=1e-6)
        share.append(len(set(found.tolist()) & set(exact.tolist())) / 10)
    assert np.mean(share) >= 0.98


def test_opened_rows_are_searched_when_their_file_is_gone(tmp_path, large):
    path = tmp_path / "rows.faiss"
    path.write_bytes(large.read_bytes())
    table = Table(path)
    path.unlink()
    assert len(table.search(rows(1)[0], 3)[0]) == 3


def test_more_rows_than_there_are_and_none_at_all(tmp_path):
    assert len(Table(written(tmp_path / "some.faiss", rows(4))).search(rows(1)[0], 99)[0]) == 4
    assert len(Table(written(tmp_path / "none.faiss", rows(0))).search(rows(1)[0], 9)[0]) == 0


def test_file_of_something_else_holds_no_vectors(tmp_path):
    (tmp_path / "x").write_bytes(b"something else" * 20)
    with pytest.raises(ValueError, match="holds no vectors"):
        Table(tmp_path / "x")
