"""Train the bundled embedding model with sentence-transformers (needs the ``train`` extra).

The model is a static embedding: one vector a tokenizer piece, averaged and set to unit length. It learns from pairs
(question → passage, question → sentence, title → body, neighbouring sentences, Chinese ↔ English) with in-batch
negatives, one source a batch. Two CPU cores train it in about a quarter of an hour.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.sources import Pair, load_sources, rows, teaching_sources
from rag.teach import load_teaching

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

HAN_PIECES, OTHER_PIECES, DIMENSION, BATCH = 34_000, 14_000, 256, 1024
TAUGHT = 0.6  # weight of the second part in the table
_HAN = re.compile(r"[㐀-鿿]+")


def train_tokenizer(sources: dict[str, list[Pair]], seed: int = 7) -> Tokenizer:
    """Train a Unigram tokenizer: Han pieces of up to four characters, pieces of other scripts of up to sixteen.

    The two vocabularies are trained apart and joined; runs of text never mix scripts, so they do not compete.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    rng = random.Random(seed)  # noqa: S311 (sampling, not secrets)
    han: list[str] = []
    other: list[str] = []
    for name, pairs in sources.items():
        for text in (t for pair in rng.sample(pairs, min(len(pairs), 15_000)) for t in pair):
            han += _HAN.findall(text)
            if name.startswith(("zhen", "english")):
                other.append(_HAN.sub(" ", text))
    vocabulary: list[tuple[str, float]] = [("<unk>", 0.0)]
    seen = {"<unk>"}
    for texts, size, longest in ((han, HAN_PIECES, 4), (other, OTHER_PIECES, 16)):
        part = _blank_tokenizer(Tokenizer(models.Unigram()), normalizers, pre_tokenizers)
        part.train_from_iterator(
            texts,
            trainers.UnigramTrainer(
                vocab_size=size,
                max_piece_length=longest,
                special_tokens=["<unk>"],
                unk_token="<unk>",  # noqa: S106 (a token of text)
                show_progress=False,
            ),
        )
        learned = json.loads(part.to_str())["model"]["vocab"]
        vocabulary += [(p, s) for p, s in learned if p not in seen]
        seen.update(p for p, _ in learned)
    joined = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    return _blank_tokenizer(joined, normalizers, pre_tokenizers)


def _blank_tokenizer(tokenizer: Tokenizer, normalizers: Any, pre_tokenizers: Any) -> Tokenizer:
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.UnicodeScripts(),
        ]
    )
    return tokenizer


def train_embedder(
    data: Path,
    out: Path,
    *,
    epochs: float = 2,
    teaching_epochs: float = 12,
    learning_rate: float = 0.2,
    start: Path | None = None,
) -> SentenceTransformer:
    """Train the static embedding and save it in sentence-transformers format.

    First on the public data, then on the teaching data with a tenth of the public data. The table is the weighted mean of what the
    two parts gave, so that little is forgotten. Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022.

    Args:
        data: the training data (see :func:`load_sources`).
        out: folder to write; ``README.md`` there (the model card) is kept.
        epochs: passes over the public data; 0 leaves them out.
        teaching_epochs: passes over the teaching data after that.
        learning_rate: peak, in the units of Adam on averaged vectors; a quarter of it for the second part.
        start: a model folder to continue from, instead of a new tokenizer and table.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding

    rng = random.Random(7)  # noqa: S311 (sampling, not secrets)
    public = load_sources(data)
    taught = teaching_sources(load_teaching(), rng)
    if start:
        model = SentenceTransformer(str(start), device="cpu").float()
    else:
        table = StaticEmbedding(train_tokenizer(public), embedding_dim=DIMENSION)
        model = SentenceTransformer(modules=[table, Normalize()], device="cpu")
    if epochs:
        _fit(model, public, epochs, learning_rate, out)
    if teaching_epochs:
        before = _table(model).detach().clone()
        tenth = {name: pairs[: len(pairs) // 10] for name, pairs in public.items()}
        _fit(model, tenth | taught, teaching_epochs, learning_rate / 4, out)
        _table(model).data.lerp_(before, 1 - TAUGHT)
    save(model, out)
    return model


def _table(model: SentenceTransformer) -> Any:
    static: Any = model[0]
    return static.embedding.weight


def _fit(
    model: SentenceTransformer, sources: dict[str, list[Pair]], epochs: float, learning_rate: float, out: Path
) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    loss = MultipleNegativesRankingLoss(
        model, scale=20.0, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(out / "run"),
        num_train_epochs=epochs,
        per_device_train_batch_size=BATCH,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=50,
        seed=7,
        logging_steps=100,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    data = {
        name: Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [b for _, b in pairs]})
        for name, pairs in sources.items()
    }
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=data, loss=loss).train()


def save(model: SentenceTransformer, out: Path) -> None:
    """Save in half precision, leaving the model card of the folder as it is."""
    card = out / "README.md"
    text = card.read_text(encoding="utf-8") if card.exists() else None
    model.half().save_pretrained(str(out), create_model_card=False)
    if text is not None:
        card.write_text(text, encoding="utf-8")


_PLACE = re.compile(
    r"\b(?:city|county|prefecture|province|district|town|township|municipality|capital|region|banner|university|"
    r"college|institute|river|lake|mountain|island|country|republic|state|peninsula|company|airport|temple)\b",
    re.IGNORECASE,
)


_REGION = re.compile(r"(?:central|(?:north|south|east|west)(?:east|west)?(?:ern)?) china\b", re.IGNORECASE)


def train_lexicon(data: Path, out: Path) -> dict[str, int]:
    """Sort the headwords of a Chinese–English dictionary into names of places and bodies, and common words.

    A headword whose gloss opens with a capital and speaks of a city, county, university … is a name; one whose
    gloss opens in lower case is a common word. Written as ``names.txt.gz`` and ``common.txt.gz``, one a line. Beside
    them ``pinyin.txt.gz``: the characters of GB 2312 by their sounds without tones, one sound a line.

    Args:
        data: the training data; ``train/zhen_cedict.jsonl.gz`` is read (CC-CEDICT, CC BY-SA 4.0).
        out: folder to write to.

    Returns:
        How many of each.
    """
    found: dict[str, set[str]] = {"names": set(), "common": set()}
    for row in rows(data / "train" / "zhen_cedict.jsonl.gz"):
        word, gloss = row["zh"], row["en"]
        if _HAN.fullmatch(word) and 2 <= len(word) <= 8:
            if (gloss[:1].isupper() and _PLACE.search(gloss)) or _REGION.match(gloss):
                found["names"].add(word)
            elif gloss[:1].islower() and len(word) <= 4:
                found["common"].add(word)
    found["common"] -= {w for w in found["common"] if w in found["names"] and w[0] in "华东南西北中"}
    found["names"] -= found["common"]
    stems = {w[:-1] for w in found["names"] if len(w) > 2 and w[-1] in "市省"}
    found["names"] |= stems - found["common"]
    out.mkdir(parents=True, exist_ok=True)
    for name, words in found.items():
        text = "\n".join(["", *sorted(words), ""])
        (out / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    by_sound = sounds()
    lines = "".join(f"{sound} {characters}\n" for sound, characters in sorted(by_sound.items()))
    (out / "pinyin.txt.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    return {**{name: len(words) for name, words in found.items()}, "sounds": len(by_sound)}


def sounds() -> dict[str, str]:
    """Return the Han characters of GB 2312 by their sounds without tones (pypinyin's table)."""
    from pypinyin import Style, pinyin

    found: dict[str, list[str]] = {}
    for row in range(0xB0, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                character = bytes((row, cell)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            for sound in pinyin(character, style=Style.NORMAL, heteronym=True)[0]:
                found.setdefault(sound, []).append(character)
    return {sound: "".join(characters) for sound, characters in found.items()}
