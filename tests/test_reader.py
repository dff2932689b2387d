"""The reader on ONNX Runtime.

Contract: its graph gives what the torch module gives, and within a tenth of a logit that in 8 bits too; a window's reading does not depend on the windows beside it; spans are slices
of the window and none lies in its head; other vectors than those it was trained with are an error.
"""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch

from rag.errors import ModelError
from rag.reader import Encoder, Reader, match
from rag.reader_graph import save_graph
from rag.reader_net import Net
from rag.reader_net import match as torch_match
from rag.settings import BUNDLED_READER
from rag.text import fold

WINDOWS = [
    "截至目前,全市建成老年助餐点286个,覆盖城区街道的92%。每餐补助2元。",
    "推进无障碍环境建设,对312处公共场所坡道、盲道进行改造。",
    "AI新媒体培训班38期。",
]


@pytest.fixture(scope="module")
def reader(embedder):
    return Reader(BUNDLED_READER, embedder)


def net_of(reader):
    """The torch module with the weights of the bundled reader."""
    from safetensors.torch import load_file

    table = torch.tensor(reader.encode.embedder.table.astype(np.float32))
    net = Net(reader.encode.size, table, blocks=reader.config["blocks"])
    weights = {k: v.float() for k, v in load_file(BUNDLED_READER / "reader.safetensors").items()}
    net.load_state_dict(weights)
    return net.eval()


def exact(folder, embedder):
    """The bundled reader, its matrix products in float32."""
    from safetensors.numpy import load_file

    shutil.copy(BUNDLED_READER / "reader.json", folder)
    weights = load_file(BUNDLED_READER / "reader.safetensors")
    config = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
    save_graph({k: v.astype(np.float32) for k, v in weights.items()}, config, folder / "reader.onnx")
    return Reader(folder, embedder)


@pytest.mark.parametrize(("bits", "most"), [(32, 1e-4), (8, 0.25)])
def test_logits_equal_those_of_the_torch_module(embedder, tmp_path, bits, most):
    reader = exact(tmp_path, embedder) if bits == 32 else Reader(BUNDLED_READER, embedder)
    asked = reader.encode(["老人吃饭的地方有几个?"])[0]
    windows = reader.encode(WINDOWS)
    longest = max(len(w.ids) for w in windows)
    ids, rows = (
        np.stack([np.pad(getattr(w, name), (0, longest - len(w.ids))) for w in windows]).astype(np.int64)
        for name in ("ids", "rows")
    )
    q_ids, q_rows = (np.tile(getattr(asked, name).astype(np.int64), (3, 1)) for name in ("ids", "rows"))
    with torch.no_grad():
        expected = net_of(reader)(*(torch.from_numpy(a) for a in (q_ids, q_rows, ids, rows)))
    for found, wanted in zip(reader._forward(asked, windows), expected, strict=True):
        real = wanted.numpy() > -1000
        assert np.abs(found - wanted.numpy())[real].max() < most


def test_matches_equal_those_of_the_torch_module():
    rng = np.random.default_rng(1)
    asked, windows = rng.integers(1, 9, 6).astype(np.int32), rng.integers(1, 9, (2, 11)).astype(np.int32)
    windows[1, 8:] = 0
    table = rng.standard_normal((9, 4)).astype(np.float32)
    mask = (windows > 0).astype(np.float32)
    norms = np.linalg.norm(table, axis=1)
    unit = table / norms[:, None]
    found = match(asked, windows, (unit[asked], norms[asked]), unit[windows], mask)
    tiled = torch.from_numpy(np.tile(asked, (2, 1)).astype(np.int64))
    wanted = torch_match(
        tiled,
        torch.from_numpy(windows.astype(np.int64)),
        torch.from_numpy(table)[tiled],
        torch.from_numpy(table[windows]),
    )
    assert np.abs(found[0] - wanted[0].numpy()).max() < 1e-6
    assert np.abs(found[1] * mask[..., None] - wanted[1].numpy()).max() < 1e-6


def test_reading_of_a_window_does_not_depend_on_those_beside_it(reader):
    alone = [reader.read("每餐补助多少钱?", [w])[0] for w in WINDOWS]
    together = reader.read("每餐补助多少钱?", WINDOWS)
    for one, other in zip(alone, together, strict=True):
        assert other.answers == pytest.approx(one.answers, abs=1e-3)
        assert [s[:2] for s in other.spans][:1] == [s[:2] for s in one.spans][:1]


def test_window_that_answers_is_told_from_one_that_does_not(reader):
    first, second, _ = reader.read("老年助餐点建了多少个?", WINDOWS)
    assert first.answers > 0 > second.answers
    start, end, _ = first.spans[0]
    assert WINDOWS[0][start:end] == "286个"


def test_spans_lie_in_the_window_and_do_not_overlap(reader):
    for window, reading in zip(WINDOWS, reader.read("有多少?", WINDOWS), strict=True):
        ranges = sorted((a, b) for a, b, _ in reading.spans)
        assert all(0 <= a < b <= len(window) for a, b in ranges)
        assert all(b <= c for (_, b), (c, _) in pairwise(ranges))


def test_nothing_to_read_says_nothing(reader):
    assert reader.read("多少?", []) == []
    assert reader.read("", ["建成63家。"])[0].spans == ()
    assert reader.read("多少?", [""])[0].spans == ()


def test_tokens_are_characters_and_latin_pieces_with_their_places(reader):
    text = fold("5G基站ＡＢ")
    (tokens,) = reader.encode([text])
    assert [text[a:b] for a, b in zip(tokens.starts, tokens.ends, strict=True)][:4] == ["5", "g", "基", "站"]
    assert tokens.ends[-1] == len(text)


def test_unknown_characters_have_one_number(embedder):
    encode = Encoder("建成", embedder)
    (tokens,) = encode(["建𠮷成"])
    assert tokens.ids.tolist()[0::2] == [3, 4]
    assert tokens.ids[1] == 2


def test_reader_trained_with_other_vectors_is_an_error(embedder, tmp_path):
    folder = shutil.copytree(BUNDLED_READER, tmp_path / "reader")
    config = json.loads((folder / "reader.json").read_text(encoding="utf-8"))
    (folder / "reader.json").write_text(json.dumps({**config, "embedding": "0" * 64}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"other vectors.*run: rag train reader"):
        Reader(folder, embedder)


def test_folder_without_a_reader_is_an_error(embedder, tmp_path):
    with pytest.raises(ModelError, match="is no reader"):
        Reader(tmp_path, embedder)


@pytest.mark.parametrize("content", [b"", b"no graph", b"half"])
def test_damaged_graph_is_an_error(embedder, tmp_path, content):
    folder = shutil.copytree(BUNDLED_READER, tmp_path / "reader")
    whole = (folder / "reader.onnx").read_bytes()
    (folder / "reader.onnx").write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with pytest.raises(ModelError, match=r"is no reader.*expected reader\.json and reader\.onnx"):
        Reader(folder, embedder)
