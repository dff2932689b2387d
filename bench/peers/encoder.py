"""An encoder of multilingual-e5-small's shape with random weights: what it costs is real, what it finds means nothing.

    .venv/bin/python bench/peers/encoder.py FOLDER

12 layers, 384 wide, 12 heads, 1,536 inside, 250,037 pieces, 512 positions, mean of the tokens at unit length; saved as a
sentence-transformers model. The pieces are those of the bundled tokenizer and made-up words up to that number, so that Chinese is
cut about as finely as by the real one and the file takes as long to open.
"""

from __future__ import annotations

import json
import random
import string
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "rag" / "models" / "embedder" / "tokenizer.json"
PIECES, WIDTH, LAYERS, HEADS, INNER, POSITIONS = 250_037, 384, 12, 12, 1_536, 512
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def make(folder: Path) -> None:
    """Write the encoder to a folder, unless a whole one is there."""
    done = folder / "whole"
    if done.exists():
        return
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=PIECES,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        pad_token_id=SPECIAL.index("<pad>"),
    )
    with tempfile.TemporaryDirectory() as bare:
        BertModel(config).save_pretrained(bare)
        _tokenizer().save_pretrained(bare)
        body = Transformer(bare, max_seq_length=POSITIONS)
        model = SentenceTransformer(modules=[body, Pooling(WIDTH, "mean"), Normalize()], device="cpu")
        model.save(str(folder))
    done.touch()


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    known = json.loads(BUNDLED.read_text(encoding="utf-8"))["model"]["vocab"]
    vocabulary: dict[str, float] = dict.fromkeys(SPECIAL, 0.0)
    vocabulary |= {piece: score for piece, score in known if piece not in vocabulary}
    rng = random.Random(0)
    while len(vocabulary) < PIECES:
        word = "▁" + "".join(rng.choices(string.ascii_lowercase, k=rng.randint(4, 9)))
        vocabulary.setdefault(word, -20.0)
    raw = Tokenizer(models.Unigram(list(vocabulary.items()), SPECIAL.index("<unk>"), False))
    raw.normalizer = normalizers.NFKC()
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(
        zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL, strict=True)
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=POSITIONS, **names)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
