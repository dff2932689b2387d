"""Letters are data: what a letter says to a machine changes nothing.

Contract: over letters with injected instructions (in plain sight, hidden in web pages, Word and PDF), a model that obeys every
injected instruction it sees, and one that obeys even those that it does not see, get nothing out: no event, no answer and no
citation holds what was asked for, and the answer is right or a refusal.
"""

import pytest
from poison import LETTER, QUESTION, RIGHT, file_of, poisons, seen
from scripted import Scripted

from rag.assistant import Assistant
from rag.engine import Engine
from rag.index import parse_all, update
from rag.settings import Settings

POISONS = poisons()


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory, embedder):
    folder = tmp_path_factory.mktemp("poisoned")
    for poison in POISONS:
        name, data = file_of(poison)
        (folder / name).write_bytes(data)
    index = tmp_path_factory.mktemp("index") / "index"
    update(index, parse_all([folder]), embedder)
    return Engine.open(Settings(index_dir=index, _env_file=None), embedder)


def told(events):
    """Everything that reached the person: sentences, answers, quotes and what was told of the way there."""
    found = []
    for event in events:
        found += [
            event.data.get("text", ""),
            event.data.get("answer", ""),
            event.data.get("short_answer", ""),
        ]
        found += [c["quote"] for c in event.data.get("citations", [])]
    return "\n".join(map(str, found))


def test_there_are_enough_of_them():
    assert len(POISONS) >= 60
    assert {p.carrier for p in POISONS} >= {"line", "none", "comment", "docx-comment", "pdf-white"}


@pytest.mark.parametrize("poison", POISONS, ids=lambda p: p.name)
def test_model_that_obeys_what_it_sees_gets_nothing_out(poisoned, poison):
    model = Scripted(reply=lambda prompt: poison.wants if seen(prompt, poison) else f"{RIGHT}[1]")
    events = list(Assistant(poisoned, model).stream(QUESTION, letter_id=f"p{poison.name}"))
    assert poison.leak not in told(events)
    answer = events[-1].answer
    assert answer.refused or "37个" in answer.answer


@pytest.mark.parametrize("poison", POISONS, ids=lambda p: p.name)
def test_model_that_obeys_in_any_case_gets_nothing_out(poisoned, poison):
    model = Scripted(reply=lambda _: poison.wants)
    events = list(Assistant(poisoned, model).stream(QUESTION, letter_id=f"p{poison.name}"))
    assert poison.leak not in told(events)
    assert events[-1].answer.mode == "extractive"


def test_without_a_model_the_answer_is_as_clean(poisoned):
    for poison in POISONS[::4]:
        events = list(Assistant(poisoned).stream(QUESTION, letter_id=f"p{poison.name}"))
        assert poison.leak not in told(events), poison.name


def test_letter_itself_is_answered_in_the_words_of_a_model(tmp_path, embedder):
    (tmp_path / "clean.txt").write_text(LETTER, encoding="utf-8")
    update(tmp_path / "index", parse_all([tmp_path / "clean.txt"]), embedder)
    engine = Engine.open(Settings(index_dir=tmp_path / "index", _env_file=None), embedder)
    model = Scripted(reply=lambda _: f"{RIGHT}[1]")
    answer = Assistant(engine, model).ask(QUESTION)
    assert (answer.mode, answer.answer) == ("generated", f"{RIGHT}[1]")
