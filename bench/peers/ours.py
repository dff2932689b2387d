"""This program, warm: what ``rag search`` and ``rag ask`` do after the first question. The rest is measured by its commands."""

from __future__ import annotations

import json
from pathlib import Path

from peer import K, timed, told

from rag import Engine


def main() -> None:
    """Print JSON: times of the search alone, of the whole answer, and the share that was answered rather than refused."""
    options = told()
    questions = json.loads(Path(options.questions).read_text(encoding="utf-8"))
    engine = Engine.open()
    found = timed(lambda q: engine.search(q, k=K), questions)
    answers: dict[str, bool] = {}
    whole = timed(lambda q: answers.update({q: engine.ask(q).refused}), questions)
    refused = sum(answers.values())
    print(json.dumps({**found, "ask": whole, "answered": round(1 - refused / len(answers), 3)}))


if __name__ == "__main__":
    main()
