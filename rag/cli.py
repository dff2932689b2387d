"""The command line; ``rag --help`` lists its commands.

Data goes to stdout, everything else to stderr. Exit 0: answered or refused; 1: an error, one line; 2: wrong usage.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rag import commands
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    gc.set_threshold(50_000, 20, 100)  # what a command imports is not garbage
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # numpy's matrices are small; threads would wait for each other
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    command: Callable[[argparse.Namespace, Settings], int] = options.command
    try:
        return command(options, _settings())
    except RagError as error:
        return commands.fail(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return commands.fail(f"{error.strerror or error}{place}; nothing was changed")


def _settings() -> Settings:
    from rag.settings import Settings

    return Settings()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rag", description="Cited answers to questions about government reply letters (复函)."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Settings], int], told: str) -> Any:
        command = subparsers.add_parser(name, help=told, description=told)
        command.set_defaults(command=run)
        return command

    def add_json(command: Any) -> None:
        command.add_argument("--json", action="store_true", help="print JSON and nothing else")

    ask = add("ask", commands.do_ask, "Answer a question, with the place it is written.")
    ask.add_argument("question", nargs="?", metavar="QUESTION")
    ask.add_argument("--batch", metavar="FILE", help='JSON Lines of {"id", "question"}')
    chat = add(
        "chat", commands.do_chat, "Ask question after question; each line may lean on the ones before."
    )
    search = add("search", commands.do_search, "Find measures.")
    search.add_argument("query", metavar="QUERY")
    for command, k, told in ((ask, None, "RAG_TOP_K"), (chat, None, "RAG_TOP_K"), (search, 5, "5")):
        command.add_argument("--letter", metavar="ID", help="only this letter")
        many = f"measures to look at, 1 to 50; default: {told}"
        command.add_argument("-k", type=_positive, default=k, metavar="N", help=many)
    index = add("index", commands.do_index, "Bring the index up to date with the letters.")
    index.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="files or folders; default: RAG_SEEDS_DIR. Other letters go, but those of rag add stay",
    )
    index.add_argument("--rebuild", action="store_true", help="build anew; repairs a damaged index")
    index.add_argument("--ray", metavar="ADDRESS", help="read and embed on the hosts of this Ray cluster")
    adding = add("add", commands.do_add, "Add letters; they stay until they are removed.")
    adding.add_argument("paths", nargs="+", metavar="PATH", help="files or folders; - is standard input")
    removing = add("remove", commands.do_remove, "Remove letters, in all their versions.")
    removing.add_argument("ids", nargs="+", metavar="ID", help="as rag letters shows them")
    letters = add("letters", commands.do_letters, "List the letters, or show one.")
    letters.add_argument("id", nargs="?", metavar="ID")
    letters.add_argument(
        "--versions", action="store_true", help="with an ID: show the text of every version of it"
    )
    evaluate = add(
        "eval", commands.do_eval, "Measure answers on a file of questions, or retrieval on a folder."
    )
    evaluate.add_argument(
        "questions", nargs="?", metavar="QA.jsonl", help="a line: question, and answer, all or refuse"
    )
    evaluate.add_argument("--beir", metavar="DIR", help="corpus.jsonl, queries.jsonl, qrels.tsv")
    train = add("train", commands.do_train, "Train a bundled model (needs the train extra).")
    train.add_argument("what", choices=("embedder", "reader", "lexicon"))
    train.add_argument("--data", required=True, metavar="DIR", help="public data, as the model cards list it")
    train.add_argument("--out", metavar="DIR", help="default: in the package")
    train.add_argument("--epochs", type=float, default=2, metavar="N", help="embedder: over the public data")
    train.add_argument(
        "--teaching-epochs",
        type=float,
        default=12,
        metavar="N",
        help="embedder: over the teaching data, after that",
    )
    train.add_argument("--minutes", type=float, default=60, metavar="N", help="reader: how long to train")
    train.add_argument("--processes", type=_positive, default=2, metavar="N", help="reader: side by side")
    train.add_argument("--start", metavar="MODEL", help="go on from this model folder")
    doctor = add(
        "doctor", commands.do_doctor, "Check the models, the letters, the index, the LLM and the prompts."
    )
    serve = add("serve", commands.do_serve, "Start the HTTP service.")
    serve.add_argument("--host", metavar="ADDRESS", help="default: RAG_HOST")
    serve.add_argument("--port", type=int, metavar="N", help="0 picks one; default: RAG_PORT")
    serve.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes; default: 1")
    add("mcp", commands.do_mcp, "Serve the letters to an agent over standard input and output (MCP).")
    key = add("key", commands.do_key, "Make, list or revoke a key for writing to the service.")
    key.add_argument("what", choices=("new", "list", "revoke"))
    key.add_argument("name", nargs="?", default="", metavar="NAME", help="new: a name for it; revoke: its id")
    serve.add_argument("--watch", action="store_true", help="take up letters as they come into RAG_SEEDS_DIR")
    for command in (ask, chat, search, index, adding, removing, letters, evaluate, doctor):
        add_json(command)
    return parser


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 50:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number between 1 and 50")
    return number


if __name__ == "__main__":
    sys.exit(main())
