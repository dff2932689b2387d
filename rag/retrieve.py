"""The retriever for LangChain: question → documents, one a measure."""

from __future__ import annotations

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from rag.engine import Engine
from rag.index import measure_text
from rag.rank import hit_as_dict


class LetterRetriever(BaseRetriever):
    """Retrieves measures of letters; usable in any LangChain chain.

    Each document holds the measure's heading and text. Its metadata: ``letter_id``, ``title``, ``issuer``, ``date``, ``path``,
    ``section``, ``heading``, ``start``, ``end`` (code points), ``sha256``, ``score`` (higher is better), and
    ``sentences``: its best sentences as ``{"quote", "start", "end", "score"}``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Engine = Field(description="an opened engine: Engine.open()", exclude=True)
    k: int = Field(5, ge=1, description="measures to return")
    letter_id: str | None = Field(None, description="only measures of this letter")
    sentences: int = Field(3, ge=0, description="best sentences to list in the metadata")

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        hits = self.engine.search(query, k=self.k, letter_id=self.letter_id)
        return [
            Document(
                page_content=measure_text(h.letter, h.measure),
                metadata=hit_as_dict(h, self.sentences),
                id=f"{h.letter.id}#{h.measure.path}",
            )
            for h in hits
        ]
