"""The public surface: nine names, each importable, none by accident."""

import pytest

import rag

NAMES = [
    "Answer",
    "Citation",
    "Engine",
    "Index",
    "Letter",
    "LetterRetriever",
    "RagError",
    "Settings",
    "build_chain",
]


def test_public_names_are_these():
    assert rag.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_public_name_can_be_imported(name):
    assert getattr(rag, name).__name__ == name


@pytest.mark.parametrize("name", ["nonsense", "answer_all", ""])
def test_other_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(rag, name)
