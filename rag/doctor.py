"""Is everything in place? The model, the letters, the index, the prompts."""

from __future__ import annotations

import platform
from typing import Any

import rag
from rag.embed import open_embedder
from rag.engine import load_refusals
from rag.errors import RagError
from rag.keys import Keys
from rag.llm import open_model
from rag.prompts import load_prompts
from rag.rank import load_lexicon
from rag.read import letter_files
from rag.reader import open_reader
from rag.settings import Settings
from rag.stores import store_of


def examine(settings: Settings) -> dict[str, Any]:
    """Return ``{"facts": {name: value}, "problems": [one line each]}``; nothing is changed."""
    facts: dict[str, str] = {"version": f"{rag.__version__} on Python {platform.python_version()}"}
    problems: list[str] = []
    try:
        model = open_embedder(settings.embedding_model)
        facts["model"] = f"{model.name}, {model.dimension} dimensions, {model.fingerprint[:12]}"
        facts["reader"] = f"{open_reader(model).config['blocks']} blocks, 8 bits, on ONNX Runtime"
        facts["letters"] = f"{len(letter_files([settings.seeds_dir]))} files in {settings.seeds_dir}"
        store = store_of(settings)
        index = store.open(model)
        facts["index"] = (
            f"{index.generation} in {store.place}: {len(index.letters)} letters, {len(index.measures)} measures"
        )
        facts["structure"] = index.structure()
        store.check()
    except RagError as error:
        problems.append(str(error))
    try:
        facts["lexicon"] = f"{len(load_lexicon(settings.lexicon))} words of your own"
    except RagError as error:
        problems.append(str(error))
    try:
        facts["keys"] = f"{len(Keys(settings.keys_file).all())} in {settings.keys_file}"
    except RagError as error:
        problems.append(str(error))
    try:
        facts["llm"] = f"{settings.llm_model}" if open_model(settings) is not None else "none"
    except RagError as error:
        problems.append(str(error))
    try:
        load_refusals(settings.prompts_dir)
        load_prompts(settings.prompts_dir)
        facts["prompts"] = str(settings.prompts_dir or "shipped")
    except RagError as error:
        problems.append(str(error))
    return {"facts": facts, "problems": problems}
