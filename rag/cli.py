"""The command line; ``rag --help`` lists its commands.

Data goes to stdout, everything else to stderr. Exit 0: answered or refused; 1: an error, one line; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DataError, RagError

if TYPE_CHECKING:
    from rag.keeper import Keeper, Report
    from rag.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    command: Callable[[argparse.Namespace, Settings], int] = options.command
    try:
        return command(options, _settings())
    except RagError as error:
        return _fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{place}; nothing was changed")


def _settings() -> Settings:
    from pydantic import ValidationError

    from rag.settings import Settings

    try:
        return Settings()
    except UnicodeDecodeError as error:
        raise DataError("the file .env is not UTF-8 text", "lines like RAG_TOP_K=5") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = "RAG_" + "_".join(map(str, first["loc"])).upper()
        raise DataError(f"{name} is {first['input']!r}", first["msg"], f"set or unset {name}") from error


def _fail(message: str) -> int:
    print(f"rag: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _dump(data: Any) -> None:
    """Print JSON: as it reads where the terminal can show it, else escaped, so that nothing is lost."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data)
    print(text)


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _ask(options: argparse.Namespace, settings: Settings) -> int:
    from rag.assistant import Assistant
    from rag.terminal import Style, show_answer

    if (options.question is None) == (options.batch is None):
        _say("usage: rag ask QUESTION [--json] [--letter ID] [-k N]  or  rag ask --batch FILE [--json]")
        return 2
    if options.batch is not None:
        return _ask_batch(options, settings)
    answer = Assistant.open(settings).ask(options.question, letter_id=options.letter, k=options.k)
    if options.json:
        _dump(answer.as_dict())
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
            _dump({"id": row.get("id"), "question": row["question"], "error": str(error)})
            continue
        if options.json:
            _dump({"id": row.get("id"), **answer.as_dict()})
        else:
            print(f"{row.get('id', '')} {answer.question}\n{show_answer(answer, style)}\n")
    return 0


def _chat(options: argparse.Namespace, settings: Settings) -> int:
    from rag.assistant import Assistant
    from rag.talk import talk

    assistant = Assistant.open(settings)
    for answer in talk(assistant, sys.stdin, letter_id=options.letter, k=options.k, quiet=options.json):
        if options.json:
            _dump(answer.as_dict())
    return 0


def _search(options: argparse.Namespace, settings: Settings) -> int:
    from rag.engine import Engine
    from rag.rank import hit_as_dict
    from rag.terminal import Style, show_hits

    hits = Engine.open(settings).search(options.query, k=options.k, letter_id=options.letter)
    if options.json:
        _dump([hit_as_dict(h) for h in hits])
    else:
        print(show_hits(hits, Style()))
    return 0


def _index(options: argparse.Namespace, settings: Settings) -> int:
    from rag.library import follow

    paths = [Path(p) for p in options.paths] or [settings.seeds_dir]
    with _keeper(settings) as keeper:
        report = follow(keeper, paths, rebuild=options.rebuild)
        return _told(report, settings, as_json=options.json)


def _add(options: argparse.Namespace, settings: Settings) -> int:
    from rag.library import add, tidy_up

    with _keeper(settings) as keeper:
        report = add(keeper, [Path(p) for p in options.paths], seeds=settings.seeds_dir)
        code = _told(report, settings, as_json=options.json)
        tidy_up(keeper)
        return code


def _remove(options: argparse.Namespace, settings: Settings) -> int:
    from rag.library import remove

    with _keeper(settings) as keeper:
        return _told(remove(keeper, options.ids), settings, as_json=options.json)


@contextlib.contextmanager
def _keeper(settings: Settings) -> Iterator[Keeper]:
    """Whoever changes the collection, with a bar; a stop is told with what it leaves."""
    from rag.embed import open_embedder
    from rag.keeper import Keeper
    from rag.progress import Bar

    bar = Bar()
    waiting = lambda holder: _say(f"waiting for {holder}, which is writing {settings.index_dir}")  # noqa: E731
    model = open_embedder(settings.embedding_model)
    try:
        yield Keeper(settings.index_dir, model, waiting=waiting, progress=bar)
    except KeyboardInterrupt:
        bar.end()
        _say("stopped; the index answers as before, and the next run goes on from here")
        raise
    finally:
        bar.end()


def _told(report: Report, settings: Settings, *, as_json: bool) -> int:
    """Say what was done to the collection; return the exit code."""
    if as_json:
        _dump(report.as_dict())
    else:
        _say(f"{report.letters} letters, {report.measures} measures in {settings.index_dir}{report.counts()}")
        for arrival in report.notable():
            _say(f"{arrival.source}: {arrival.what}, as {arrival.letter_id}")
    for failed in report.failed:
        _fail(failed)
    return 1 if report.failed else 0


def _letters(options: argparse.Namespace, settings: Settings) -> int:
    from rag.engine import Engine
    from rag.summary import letter_detail, letter_summary

    if options.id and options.versions:
        return _versions(options, settings)
    index = Engine.open(settings).index
    if options.id:
        detail = letter_detail(index.letter(options.id))
        _dump(detail) if options.json else print(_as_text(detail))
        return 0
    rows = [letter_summary(a) for a in index.letters]
    if options.json:
        _dump(rows)
    for row in [] if options.json else rows:
        print(f"{row['letter_id']}\t{row['date'] or ''}\t{row['issuer']}\t{row['title']}")
    return 0


def _versions(options: argparse.Namespace, settings: Settings) -> int:
    """Show every version of a letter, the one that answers first."""
    from datetime import UTC, datetime

    from rag.library import versions
    from rag.summary import letter_detail

    found = [
        {
            "current": v.current,
            "added": datetime.fromtimestamp(v.added, UTC).isoformat(timespec="seconds"),
            **letter_detail(letter),
        }
        for v, letter in versions(settings.index_dir, options.id)
    ]
    if options.json:
        _dump(found)
    for row in [] if options.json else found:
        state = "answers" if row["current"] else "older"
        print(f"# {state}, came {row['added']}\n{row['text'].strip()}\n")
    return 0


def _as_text(detail: dict[str, Any]) -> str:
    names = ("letter_id", "title", "number", "addressee", "issuer", "date", "source", "sha256")
    lines = [f"{name}: {detail[name]}" for name in names if detail[name]]
    lines += [f"  {m['path']}\t{m['heading'] or m['quote'][:40]}" for m in detail["measures"]]
    return "\n".join(lines)


def _eval(options: argparse.Namespace, settings: Settings) -> int:
    from rag.embed import open_embedder
    from rag.evaluate import evaluate_answers, evaluate_beir

    if (options.questions is None) == (options.beir is None):
        _say("usage: rag eval QA.jsonl [--json]  or  rag eval --beir DIR [--json]")
        return 2
    embedder = open_embedder(settings.embedding_model)
    if options.beir:
        scores = evaluate_beir(Path(options.beir), embedder)
    else:
        from rag.engine import Engine

        scores = evaluate_answers(Path(options.questions), Engine.open(settings, embedder))
    if options.json:
        _dump(scores)
    else:
        print("\n".join(f"{name:<24}{value:>10.10g}" for name, value in scores.items()))
    return 0


def _train(options: argparse.Namespace, settings: Settings) -> int:
    del settings
    from rag import train

    out = Path(options.out) if options.out else Path(__file__).parent
    data = Path(options.data)
    if options.what == "lexicon":
        counts = train.train_lexicon(data, out if options.out else out / "data")
        _say(", ".join(f"{n} {name}" for name, n in counts.items()))
    elif options.what == "reader":
        from rag.train_reader import train_reader

        home = out if options.out else out / "models" / "reader"
        train_reader(data, home, minutes=options.minutes)
        _say(f"saved to {home}")
    else:
        home = out if options.out else out / "models" / "embedder"
        start = Path(options.start) if options.start else None
        train.train_embedder(
            data, home, epochs=options.epochs, teaching_epochs=options.teaching_epochs, start=start
        )
        _say(f"saved to {home}; the index needs: rag index --rebuild")
    return 0


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from rag.doctor import examine

    report = examine(settings)
    if options.json:
        _dump(report)
    else:
        for name, value in report["facts"].items():
            print(f"{name:<12}{value}")
        for problem in report["problems"]:
            print(f"{'problem':<12}{problem}")
    return 1 if report["problems"] else 0


def _one_thread_each() -> None:
    """Keep numpy from starting threads of its own for the small matrices of a question; it reads this when imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _serve(options: argparse.Namespace, settings: Settings) -> int:
    _one_thread_each()
    from rag.serve import serve

    host = options.host or settings.host
    port = settings.port if options.port is None else options.port
    chosen = settings.model_copy(update={"host": host, "port": port})
    if not options.watch:
        return serve(chosen, options.workers)
    from rag.live import watching

    with watching(chosen):
        return serve(chosen, options.workers)


def _mcp(options: argparse.Namespace, settings: Settings) -> int:
    del options
    _one_thread_each()
    from rag.live import Live
    from rag.mcp import serve_stdio

    return serve_stdio(Live(settings).engine)


def _key(options: argparse.Namespace, settings: Settings) -> int:
    from rag.keys import Keys

    keys = Keys(settings.keys_file)
    if options.what == "new":
        key, secret = keys.new(options.name)
        print(secret)
        _say(f"key {key.id}, kept as a hash in {settings.keys_file}; it is not shown again")
    elif options.what == "revoke":
        _say(f"key {keys.revoke(options.name).id} is revoked")
    else:
        print("\n".join(f"{k.id}  {k.created}  {k.name}".rstrip() for k in keys.all()) or "no keys")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rag", description="Cited answers to questions about government reply letters (复函)."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Settings], int], told: str) -> Any:
        command = commands.add_parser(name, help=told, description=told)
        command.set_defaults(command=run)
        return command

    def add_json(command: Any) -> None:
        command.add_argument("--json", action="store_true", help="print JSON and nothing else")

    ask = add("ask", _ask, "Answer a question, with the place it is written.")
    ask.add_argument("question", nargs="?", metavar="QUESTION")
    ask.add_argument("--batch", metavar="FILE", help='JSON Lines of {"id", "question"}')
    chat = add("chat", _chat, "Ask question after question; each line may lean on the ones before.")
    search = add("search", _search, "Find measures.")
    search.add_argument("query", metavar="QUERY")
    for command, k in ((ask, None), (chat, None), (search, 5)):
        command.add_argument("--letter", metavar="ID", help="only this letter")
        command.add_argument("-k", type=_positive, default=k, metavar="N", help="measures to look at")
    index = add("index", _index, "Bring the index up to date with the letters.")
    index.add_argument("paths", nargs="*", metavar="PATH", help="files or folders; default: RAG_SEEDS_DIR")
    index.add_argument("--rebuild", action="store_true", help="build anew; repairs a damaged index")
    adding = add("add", _add, "Add letters; they stay until they are removed.")
    adding.add_argument("paths", nargs="+", metavar="PATH", help="files or folders; - is standard input")
    removing = add("remove", _remove, "Remove letters, in all their versions.")
    removing.add_argument("ids", nargs="+", metavar="ID", help="as rag letters shows them")
    letters = add("letters", _letters, "List the letters, or show one.")
    letters.add_argument("id", nargs="?", metavar="ID")
    letters.add_argument("--versions", action="store_true", help="show the text of every version of it")
    evaluate = add("eval", _eval, "Measure answers on a file of questions, or retrieval on a folder.")
    evaluate.add_argument("questions", nargs="?", metavar="QA.jsonl")
    evaluate.add_argument("--beir", metavar="DIR", help="corpus.jsonl, queries.jsonl, qrels.tsv")
    train = add("train", _train, "Train a bundled model (needs the train extra).")
    train.add_argument("what", choices=("embedder", "reader", "lexicon"))
    train.add_argument("--data", required=True, metavar="DIR")
    train.add_argument("--out", metavar="DIR", help="default: in the package")
    train.add_argument("--epochs", type=float, default=2, metavar="N", help="over the public data")
    train.add_argument(
        "--teaching-epochs", type=float, default=12, metavar="N", help="over the teaching data, after that"
    )
    train.add_argument("--minutes", type=float, default=25, metavar="N", help="reader: how long to train")
    train.add_argument("--start", metavar="MODEL", help="embedder: go on from this model folder")
    doctor = add("doctor", _doctor, "Check the model, the index and the settings.")
    serve = add("serve", _serve, "Start the HTTP service.")
    serve.add_argument("--host", metavar="ADDRESS")
    serve.add_argument("--port", type=int, metavar="N")
    serve.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes; default: 1")
    add("mcp", _mcp, "Serve the letters to an agent over standard input and output (MCP).")
    key = add("key", _key, "Make, list or revoke a key for writing to the service.")
    key.add_argument("what", choices=("new", "list", "revoke"))
    key.add_argument("name", nargs="?", default="", metavar="NAME", help="new: a name for it; revoke: its id")
    serve.add_argument("--watch", action="store_true", help="take up letters as they come into RAG_SEEDS_DIR")
    for command in (ask, chat, search, index, adding, removing, letters, evaluate, doctor):
        add_json(command)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 50:
        raise argparse.ArgumentTypeError(f"{number} is not between 1 and 50")
    return number


if __name__ == "__main__":
    sys.exit(main())
