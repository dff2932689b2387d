"""Stand-ins and small tools that several test modules share."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from rag.parse import parse
from rag.read import Source

ROOT = Path(__file__).resolve().parent.parent
LETTERS = Path(__file__).resolve().parent / "letters"
SEEDS = ROOT / "seeds"


class HashEmbedder:
    """Vectors drawn by the SHA-256 of a text: deterministic, without meaning, and counted."""

    def __init__(self, name="hash", dimension=16):
        self.name = name
        self.dimension = dimension
        self.fingerprint = hashlib.sha256(name.encode()).hexdigest()
        self.embedded = []

    def passages(self, texts):
        self.embedded += texts
        return np.array([self._vector(t) for t in texts], np.float32).reshape(-1, self.dimension)

    queries = passages

    def _vector(self, text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        return vector / np.linalg.norm(vector)


def letter_of(text, name="small.txt"):
    """Parse a text written in a test."""
    return parse(Source(name, text, hashlib.sha256(text.encode()).hexdigest()))


def clean_environment(**settings):
    """This process's environment without its RAG_ settings, and with those given."""
    drop = ("RAG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    return {**kept, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **settings}


def run_python(*arguments, cwd, **settings):
    """Run this Python in a folder of its own and return what it did, as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
