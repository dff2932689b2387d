"""The LangChain chain behind FastAPI, as its users serve it: ``MODEL`` and ``STORE`` in the environment; retrieval alone."""

from __future__ import annotations

import os
from pathlib import Path

import peer_langchain
from fastapi import FastAPI
from pydantic import BaseModel


class Asked(BaseModel):
    """A question."""

    question: str


app = FastAPI()
find = peer_langchain.reopen(peer_langchain.encoder(os.environ["MODEL"]), Path(os.environ["STORE"]))


@app.post("/chat")
def chat(asked: Asked) -> list[str]:
    """The passages found."""
    return find(asked.question)
