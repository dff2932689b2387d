"""A letter as plain data and back."""

import json
from dataclasses import asdict

from rag.letter import Letter


def test_plain_data_is_what_dataclasses_give(seed):
    assert seed.as_dict() == asdict(seed)


def test_letter_comes_back_from_json_as_it_was(seed):
    assert Letter.from_dict(json.loads(json.dumps(seed.as_dict()))) == seed
