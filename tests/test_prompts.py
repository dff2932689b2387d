"""Prompts are files: in Chinese and English, checked when they are loaded, and one's own before the shipped ones."""

import pytest

from rag.errors import PromptError
from rag.prompts import LANGUAGES, VARIABLES, load_prompts

GOOD = "按资料回答。\n---\n{sources}\n{question}\n"


def test_every_prompt_is_shipped_in_both_languages():
    assert set(load_prompts()) == {(name, language) for name in VARIABLES for language in LANGUAGES}


def test_values_are_put_in_as_they_are():
    prompt = load_prompts()["write", "zh"]
    (system, orders), (human, request) = prompt.messages(sources="{question} {x}", question="问?")
    assert (system, human) == ("system", "human")
    assert "[1]" in orders
    assert "{question} {x}" in request
    assert request.endswith("问?")


def test_own_prompt_comes_before_the_shipped_one(tmp_path):
    (tmp_path / "write.zh.md").write_text(GOOD, encoding="utf-8")
    own, shipped = load_prompts(tmp_path), load_prompts()
    assert own["write", "zh"].system == "按资料回答。"
    assert own["write", "en"] == shipped["write", "en"]


def test_all_that_is_wrong_is_named_at_once(tmp_path):
    (tmp_path / "write.zh.md").write_text("无\n---\n{sources} {anything}", encoding="utf-8")
    (tmp_path / "write.en.md").write_text("no line", encoding="utf-8")
    (tmp_path / "condense.zh.md").write_text("{history}\n---\n{history}{question}", encoding="utf-8")
    (tmp_path / "repair.zh.md").write_bytes(b"\xff\xfe")
    with pytest.raises(PromptError) as error:
        load_prompts(tmp_path)
    for said in (
        "write.zh.md: lacks {question}, has the unknown {anything}",
        "write.en.md: has no line of three dashes",
        "condense.zh.md: has the unknown {history}",
        "repair.zh.md",
    ):
        assert said in str(error.value)
