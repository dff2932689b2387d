"""The retriever for LangChain: one document a measure, usable in any chain.

Contract: the documents are the engine's own hits in their order; metadata is plain data with exact offsets.
"""

import asyncio
import json

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from rag.retrieve import LetterRetriever


def test_documents_are_the_hits_of_the_engine_in_order(engine):
    found = LetterRetriever(engine=engine, k=4).invoke("加装电梯补助")
    hits = engine.search("加装电梯补助", k=4)
    assert [d.id for d in found] == [f"{h.letter.id}#{h.measure.path}" for h in hits]
    assert all(isinstance(d, Document) for d in found)


def test_document_holds_the_measure_and_its_place(engine):
    (document,) = LetterRetriever(engine=engine, k=1).invoke("“松易工”服务点")
    assert document.page_content.startswith("(三)支持多渠道灵活就业。打造“松易工”服务品牌")
    assert document.metadata["letter_id"] == "songhe-jobs"
    assert document.metadata["path"] == "一/(三)"
    assert document.metadata["section"] == "一、坚持就业优先,拓展岗位容量"
    assert document.metadata["issuer"] == "松禾市人力资源和社会保障局"
    assert document.metadata["date"] == "2025-07-09"


def test_metadata_names_sentences_by_their_offsets(engine, letters):
    (document,) = LetterRetriever(engine=engine, k=1, sentences=2).invoke("“松易工”服务点")
    text = letters["songhe-jobs"].text
    assert len(document.metadata["sentences"]) == 2
    for s in document.metadata["sentences"]:
        assert text[s["start"] : s["end"]] == s["quote"]


def test_metadata_is_fit_for_json(engine):
    for document in LetterRetriever(engine=engine).invoke("养老"):
        assert json.loads(json.dumps(document.metadata)) == document.metadata


def test_only_one_letter_when_asked(engine):
    found = LetterRetriever(engine=engine, k=50, letter_id="nanpu-rural").invoke("养老")
    assert {d.metadata["letter_id"] for d in found} == {"nanpu-rural"}


def test_ainvoke_equals_invoke(engine):
    retriever = LetterRetriever(engine=engine)
    assert asyncio.run(retriever.ainvoke("公交换乘")) == retriever.invoke("公交换乘")


def test_batch_keeps_the_order_of_the_questions(engine):
    retriever = LetterRetriever(engine=engine, k=1)
    found = retriever.batch(["加装电梯补助", "家庭医生签约率"])
    assert [d.id for (d,) in found] == ["beiling-housing#第3段", "linxi-health#3"]


def test_it_works_inside_a_chain(engine):
    chain = (
        {
            "context": LetterRetriever(engine=engine, k=1) | (lambda found: found[0].page_content),
            "question": RunnablePassthrough(),
        }
        | ChatPromptTemplate.from_template("{context}\n---\n{question}")
        | (lambda prompt: prompt.to_string())
    )
    told = chain.invoke("家庭医生签约率")
    assert "签约率42.7%" in told
    assert told.endswith("---\n家庭医生签约率")
