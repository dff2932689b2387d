"""An answer, split into its claims as it is written."""

import pytest

from rag.claims import Claim, claim, split, split_all


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("甲。[1]乙。[2]", [("甲。", (1,)), ("乙。", (2,))]),
        ("甲[1]。乙[2]。", [("甲。", (1,)), ("乙。", (2,))]),
        ("甲。[1][3]乙。[1,2]", [("甲。", (1, 3)), ("乙。", (1, 2))]),
        ("甲。【1】乙。［２-３］".replace("２", "2").replace("３", "3"), [("甲。", (1,)), ("乙。", (2, 3))]),
        ("甲。 [1] 乙。[^2]", [("甲。", (1,)), ("乙。", (2,))]),
        ("甲;乙。[1]", [("甲;乙。", (1,))]),
        ("“甲。”[1]乙。[1]", [("“甲。”", (1,)), ("乙。", (1,))]),
        ("甲12.5万人。[1]", [("甲12.5万人。", (1,))]),
        ("甲没有编号。乙。[1]", [("甲没有编号。", ()), ("乙。", (1,))]),
        (
            "It has 86 beds (“甲”). [1] It opened. [2]",
            [("It has 86 beds (“甲”).", (1,)), ("It opened.", (2,))],
        ),
        ("最后一句没有句号[1]", [("最后一句没有句号", (1,))]),
        ("主要措施:\n甲。[1]", [("主要措施: 甲。", (1,))]),
        ("", []),
        ("\n \n", []),
    ],
)
def test_text_is_split_into_claims(text, found):
    assert [(c.text, c.cites) for c in split_all(text)] == found


@pytest.mark.parametrize(
    ("piece", "text", "lead"),
    [
        ("1. 甲。[1]", "甲。", "\n- "),
        ("\n- 甲。[1]", "甲。", "\n- "),
        ("（二）甲。[1]", "甲。", "\n- "),
        ("\n甲。[1]", "甲。", "\n"),
        ("12.5万人。[1]", "12.5万人。", ""),
        ("**甲**乙。[1]", "甲乙。", ""),
        ("## 甲。[1]", "甲。", "\n- "),
    ],
)
def test_signs_of_a_list_are_no_part_of_a_claim(piece, text, lead):
    assert claim(piece) == Claim(text, (1,), lead)


def test_growing_text_is_split_the_same_at_every_step():
    text = "甲有63家。[1][2]\n- 乙有12.5万人。[12]丙“丁。”[3]"
    for cut in range(len(text)):
        first, rest = split(text[:cut])
        assert first + split_all(rest + text[cut:]) == split_all(text), cut


def test_claim_is_not_given_before_its_marks_have_ended():
    assert split("甲。")[0] == []
    assert split("甲。[1")[0] == []
    assert split("甲。[1]")[0] == []
    assert [c.cites for c in split("甲。[1]乙")[0]] == [(1,)]
