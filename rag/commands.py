"""What each command of the terminal does: from its options and the settings to an exit code."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DataError, RagError

if TYPE_CHECKING:
    from rag.keeper import Keeping, Report
    from rag.settings import Settings


def fail(message: str) -> int:
    """Say what went wrong, in one line; return the exit code."""
    print(f"rag: {' '.join(message.split())}", file=sys.stderr)
    return 1


def dump(data: Any) -> None:
    """Print JSON: as it reads where the terminal can show it, else escaped, so that nothing is lost."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data)
    print(text)


def say(message: str) -> None:
    """Say something that is no data."""
    print(message, file=sys.stderr)


def do_ask(options: argparse.Namespace, settings: Settings) -> int:
    """Answer a question, or a file of them."""
    from rag.assistant import Assistant
    from rag.terminal import Style, show_answer

    if (options.question is None) == (options.batch is None):
        say("usage: rag ask QUESTION [--json] [--letter ID] [-k N]  or  rag ask --batch FILE [--json]")
        return 2
    if options.batch is not None:
        return _ask_batch(options, settings)
    answer = Assistant.open(settings).ask(options.question, letter_id=options.letter, k=options.k)
    if options.json:
        dump(answer.as_dict())
    else:
        print(show_answer(answer, Style()))
    return 0


def _ask_batch(options: argparse.Namespace, settings: Settings) -> int:
    from rag.assistant import Assistant
    from rag.evaluate import json_lines
    from rag.terminal import Style, show_answer

    rows = json_lines(Path(options.batch))
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("question"), str):
            raise DataError(f"row {number} of {options.batch} has no question", '{"id", "question"}')
    assistant = Assistant.open(settings)
    style = Style()
    for row in rows:
        try:
            answer = assistant.ask(row["question"], letter_id=options.letter, k=options.k)
        except RagError as error:
            dump({"id": row.get("id"), "question": row["question"], "error": str(error)})
            continue
        if options.json:
            dump({"id": row.get("id"), **answer.as_dict()})
        else:
            print(f"{row.get('id', '')} {answer.question}\n{show_answer(answer, style)}\n")
    return 0


def do_chat(options: argparse.Namespace, settings: Settings) -> int:
    """Answer line after line."""
    from rag.assistant import Assistant
    from rag.talk import talk

    assistant = Assistant.open(settings)
    for answer in talk(assistant, sys.stdin, letter_id=options.letter, k=options.k, quiet=options.json):
        if options.json:
            dump(answer.as_dict())
    return 0


def do_search(options: argparse.Namespace, settings: Settings) -> int:
    """Find measures."""
    from rag.engine import Engine
    from rag.rank import hit_as_dict
    from rag.terminal import Style, show_hits

    hits = Engine.open(settings).search(options.query, k=options.k, letter_id=options.letter)
    if options.json:
        dump([hit_as_dict(h) for h in hits])
    else:
        print(show_hits(hits, Style()))
    return 0


def do_index(options: argparse.Namespace, settings: Settings) -> int:
    """Bring the index up to date."""
    from rag.library import follow
    from rag.prepare import Prepare, prepare_all

    paths = [Path(p) for p in options.paths] or [settings.seeds_dir]
    prepare: Prepare = prepare_all
    if options.ray:
        from rag.hosts import on_ray

        prepare = on_ray(options.ray, say)
    with _keeper(settings) as keeper:
        report = follow(keeper, paths, rebuild=options.rebuild, prepare=prepare)
        return _told(report, settings, as_json=options.json)


def do_add(options: argparse.Namespace, settings: Settings) -> int:
    """Add letters."""
    from rag.library import add, tidy_up

    with _keeper(settings) as keeper:
        report = add(keeper, [Path(p) for p in options.paths], seeds=settings.seeds_dir)
        code = _told(report, settings, as_json=options.json)
        tidy_up(keeper)
        return code


def do_remove(options: argparse.Namespace, settings: Settings) -> int:
    """Remove letters."""
    from rag.library import remove

    with _keeper(settings) as keeper:
        return _told(remove(keeper, options.ids), settings, as_json=options.json)


@contextlib.contextmanager
def _keeper(settings: Settings) -> Iterator[Keeping]:
    """Whoever changes the collection, with a bar; a stop is told with what it leaves."""
    from rag.embed import open_embedder
    from rag.progress import Bar
    from rag.stores import store_of

    bar = Bar()
    store = store_of(settings)
    waiting = lambda holder: say(f"waiting for {holder}, which is writing {store.place}")  # noqa: E731 (one line, used once)
    model = open_embedder(settings.embedding_model)
    try:
        yield store.keeper(model, waiting=waiting, progress=bar)
    except KeyboardInterrupt:
        bar.end()
        say("stopped; the index answers as before, and the next run goes on from here")
        raise
    finally:
        bar.end()


def _told(report: Report, settings: Settings, *, as_json: bool) -> int:
    """Say what was done to the collection; return the exit code."""
    from rag.stores import store_of

    if as_json:
        dump(report.as_dict())
    else:
        place = store_of(settings).place
        say(f"{report.letters} letters, {report.measures} measures in {place}{report.counts()}")
        for arrival in report.notable():
            say(f"{arrival.source}: {arrival.what}, as {arrival.letter_id}")
    for failed in report.failed:
        fail(failed)
    return 1 if report.failed else 0


def do_letters(options: argparse.Namespace, settings: Settings) -> int:
    """List the letters, or show one."""
    from rag.engine import Engine
    from rag.summary import letter_detail, letter_summary

    if options.id and options.versions:
        return _versions(options, settings)
    index = Engine.open(settings).index
    if options.id:
        detail = letter_detail(index.letter(options.id))
        dump(detail) if options.json else print(_as_text(detail))
        return 0
    rows = [letter_summary(a) for a in index.letters]
    if options.json:
        dump(rows)
    for row in [] if options.json else rows:
        print(f"{row['letter_id']}\t{row['date'] or ''}\t{row['issuer']}\t{row['title']}")
    return 0


def _versions(options: argparse.Namespace, settings: Settings) -> int:
    """Show every version of a letter, the one that answers first."""
    from datetime import UTC, datetime

    from rag.library import versions
    from rag.stores import store_of
    from rag.summary import letter_detail

    with store_of(settings).records() as catalogue:
        known = versions(catalogue, options.id)
    found = [
        {
            "current": v.current,
            "added": datetime.fromtimestamp(v.added, UTC).isoformat(timespec="seconds"),
            **letter_detail(letter),
        }
        for v, letter in known
    ]
    if options.json:
        dump(found)
    for row in [] if options.json else found:
        state = "answers" if row["current"] else "older"
        print(f"# {state}, came {row['added']}\n{row['text'].strip()}\n")
    return 0


def _as_text(detail: dict[str, Any]) -> str:
    names = ("letter_id", "title", "number", "addressee", "issuer", "date", "source", "sha256")
    lines = [f"{name}: {detail[name]}" for name in names if detail[name]]
    lines += [f"  {m['path']}\t{m['heading'] or m['quote'][:40]}" for m in detail["measures"]]
    return "\n".join(lines)


def do_eval(options: argparse.Namespace, settings: Settings) -> int:
    """Measure answers or retrieval."""
    from rag.embed import open_embedder
    from rag.evaluate import evaluate_answers, evaluate_beir

    if (options.questions is None) == (options.beir is None):
        say("usage: rag eval QA.jsonl [--json]  or  rag eval --beir DIR [--json]")
        return 2
    embedder = open_embedder(settings.embedding_model)
    if options.beir:
        scores = evaluate_beir(Path(options.beir), embedder)
    else:
        from rag.engine import Engine

        scores = evaluate_answers(Path(options.questions), Engine.open(settings, embedder))
    if options.json:
        dump(scores)
    else:
        print("\n".join(f"{name:<24}{value:>10.10g}" for name, value in scores.items()))
    return 0


def do_train(options: argparse.Namespace, settings: Settings) -> int:
    """Train a bundled model."""
    del settings
    from rag import train

    out = Path(options.out) if options.out else Path(__file__).parent
    data = Path(options.data)
    if options.what == "lexicon":
        counts = train.train_lexicon(data, out if options.out else out / "data")
        say(", ".join(f"{n} {name}" for name, n in counts.items()))
    elif options.what == "reader":
        from rag.train_reader import train_reader

        home = out if options.out else out / "models" / "reader"
        start = Path(options.start) if options.start else None
        train_reader(data, home, minutes=options.minutes, processes=options.processes, start=start)
        say(f"saved to {home}")
    else:
        home = out if options.out else out / "models" / "embedder"
        start = Path(options.start) if options.start else None
        train.train_embedder(
            data, home, epochs=options.epochs, teaching_epochs=options.teaching_epochs, start=start
        )
        say(f"saved to {home}; the index needs: rag index --rebuild")
    return 0


def do_doctor(options: argparse.Namespace, settings: Settings) -> int:
    """Check the models, the letters, the index, the LLM and the prompts."""
    from rag.doctor import examine

    report = examine(settings)
    if options.json:
        dump(report)
    else:
        for name, value in report["facts"].items():
            print(f"{name:<12}{value}")
        for problem in report["problems"]:
            print(f"{'problem':<12}{problem}")
    return 1 if report["problems"] else 0


def do_serve(options: argparse.Namespace, settings: Settings) -> int:
    """Run the service."""
    from rag.serve import serve

    host = options.host or settings.host
    port = settings.port if options.port is None else options.port
    chosen = settings.with_(host=host, port=port)
    if not options.watch:
        return serve(chosen, options.workers)
    from rag.live import watching

    with watching(chosen):
        return serve(chosen, options.workers)


def do_mcp(options: argparse.Namespace, settings: Settings) -> int:
    """Serve an agent over standard input and output."""
    del options
    from rag.live import Live
    from rag.mcp import serve_stdio

    return serve_stdio(Live(settings).engine)


def do_key(options: argparse.Namespace, settings: Settings) -> int:
    """Make, list or revoke keys."""
    from rag.keys import Keys

    keys = Keys(settings.keys_file)
    if options.what == "new":
        key, secret = keys.new(options.name)
        print(secret)
        say(f"key {key.id}, kept as a hash in {settings.keys_file}; it is not shown again")
    elif options.what == "revoke":
        say(f"key {keys.revoke(options.name).id} is revoked")
    else:
        print("\n".join(f"{k.id}  {k.created}  {k.name}".rstrip() for k in keys.all()) or "no keys")
    return 0
