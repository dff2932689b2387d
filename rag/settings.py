"""Settings: environment variables with the prefix ``RAG_``, or a ``.env`` file in the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

BUNDLED_MODEL = Path(__file__).parent / "models" / "embedder"
BUNDLED_READER = Path(__file__).parent / "models" / "reader"


class Settings(BaseSettings):
    """All settings; each is read from ``RAG_`` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    seeds_dir: Path = Field(Path("seeds"), description="folder that holds the letters")
    index_dir: Path = Field(Path("index"), description="folder that holds what the program built")
    prompts_dir: Path | None = Field(None, description="your own prompts; default: those shipped")
    embedding_model: str = Field(
        str(BUNDLED_MODEL), description="sentence-transformers model: hub name or folder"
    )
    lexicon: Path | None = Field(
        None, description="YAML file of everyday words and the official words to search for with them"
    )
    top_k: int = Field(5, ge=1, le=50, description="measures looked at for an answer")
    min_confidence: float = Field(0.5, ge=0, le=1, description="answers below this are refused (probability)")
    llm_base_url: str | None = Field(
        None, description="address of an OpenAI-compatible service, such as http://127.0.0.1:8080/v1"
    )
    llm_model: str | None = Field(
        None, description="name of the model there; without an address a LangChain name: provider:model"
    )
    llm_timeout_seconds: float = Field(
        60, gt=0, le=3600, description="for all that the model writes of one answer"
    )
    llm_retries: int = Field(2, ge=0, le=10, description="when the service is busy, with growing pauses")
    llm_max_tokens: int = Field(1024, ge=16, le=32768, description="longest text the model may write at once")
    max_question_chars: int = Field(2000, ge=1, description="longest question, in characters")
    host: str = Field("127.0.0.1", description="address the HTTP service binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the HTTP service; 0 picks one")
    keys_file: Path = Field(Path(".rag-keys.json"), description="file of the service's keys, hashed")
    read_needs_key: bool = Field(
        False, description="asking and reading over HTTP need a key, as writing does"
    )
    max_upload_mib: int = Field(20, ge=1, le=100, description="largest file of a letter taken in, in MiB")
    requests_per_minute: int = Field(
        300, ge=0, description="requests of one client, in each worker; 0: no limit"
    )
    client_concurrency: int = Field(16, ge=1, description="requests of one client at once, in each worker")
    max_concurrency: int = Field(
        128, ge=1, description="requests at once, in each worker; more are sent away (503)"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="JSON list of the names the service answers to; default: on loopback its own, else any",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="JSON list of origins whose pages may call the service; default: none"
    )
    trust_proxy: bool = Field(
        False, description="take the client's address from X-Forwarded-For, behind a proxy of your own"
    )
    log_format: Literal["human", "json"] = Field("human", description="how the service logs")
    log_questions: bool = Field(False, description="questions may stand in the log")

    @property
    def uses_llm(self) -> bool:
        """Whether a model is to write the answers."""
        return bool(self.llm_base_url or self.llm_model)
