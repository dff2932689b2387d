"""Files made ready on several hosts by Ray: read, parsed and embedded there, entered and indexed by the one writer here.

Ray's client runs in a process of its own, because it ends itself when its cluster is gone, and the writer has to live on. What was on
a host that dies is done again on another; what the cluster cannot do is done here, and said.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, cast

from rag.embed import Embedder, StaticEmbedder, open_embedder
from rag.errors import ClusterError, ModelError, RagError
from rag.letter import PARSER_VERSION
from rag.prepare import (
    Files,
    Item,
    Loaded,
    Prepare,
    Prepared,
    end_with,
    finish,
    load_item,
    prepare,
    prepare_all,
)
from rag.read import STDIN, read
from rag.settings import BUNDLED_MODEL

_STATIC_CHUNK, _OTHER_CHUNK = 20, 1  # files that a host takes at once, with the bundled model and with others
_TRIES = 5  # hosts that may die under one chunk
_LOOK_S, _PATIENCE = 5.0, 6  # how often to look whether there is a host, and how many times in vain
_RECONNECT_S = "20"  # for the head of the cluster to come back

Told = Callable[[str], None]


class _NoHostsError(Exception):
    """The cluster has had no host for a while."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model that every host has to have.

    Attributes:
        name: as configured; empty for the bundled one.
        fingerprint: of its files.
        parser: the version of the parser, which has to be the same too.
    """

    name: str
    fingerprint: str
    parser: int = PARSER_VERSION


@dataclass(frozen=True, slots=True)
class Job:
    """What Ray's client is to have done: files in chunks, and what is known of them."""

    address: str
    model: Model
    chunks: Sequence[Sequence[Item]]
    known: Files


def on_ray(address: str, told: Told) -> Prepare:
    """Return what makes files ready on the hosts of a Ray cluster.

    Args:
        address: of its head, ``HOST:PORT``; ``auto`` for one that this machine belongs to.
        told: takes what a person should know.

    Raises:
        ClusterError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ClusterError("Ray is not installed", "the package ray", "run: pip install 'letter-rag[ray]'")

    def prepare_there(items: Sequence[Item], embedder: Embedder, known: Files) -> Iterator[Prepared]:
        return _prepare(address, told, items, embedder, known)

    return prepare_there


def _prepare(
    address: str, told: Told, items: Sequence[Item], embedder: Embedder, known: Files
) -> Iterator[Prepared]:
    """Make files ready, in order, on the cluster as long as there is one."""
    given = [replace(i, given=read(STDIN)) if i.given == STDIN else i for i in items]
    size = _STATIC_CHUNK if isinstance(embedder, StaticEmbedder) else _OTHER_CHUNK
    chunks = [given[i : i + size] for i in range(0, len(given), size)]
    name = "" if embedder.name == str(BUNDLED_MODEL) else embedder.name
    job = Job(address, Model(name, embedder.fingerprint), chunks, known)
    done = 0
    for found in _from_client(job, told):
        if found is None:
            told(f"Ray gave up on {len(chunks[done])} files, which are done here")
        yield from found or (prepare(item, embedder, known) for item in chunks[done])
        done += 1
    if done < len(chunks):
        rest = [item for chunk in chunks[done:] for item in chunk]
        told(f"the Ray cluster at {address} is gone; the other {len(rest)} files are done here")
        yield from prepare_all(rest, embedder, known)


def _from_client(job: Job, told: Told) -> Iterator[list[Prepared] | None]:
    """What the client sends: the files of each chunk, or None where the cluster failed. It ends early when the cluster is gone.

    Raises:
        ClusterError: the cluster cannot be used as it is.
        ModelError: a host has another model.
    """
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    client = context.Process(target=_client, args=(sending, job, os.getpid()), daemon=True)
    client.start()
    sending.close()
    try:
        for _ in range(len(job.chunks) + 1):
            message = receiving.recv()
            if isinstance(message, RagError):
                raise message
            if isinstance(message, str):
                told(message)
            else:
                yield message
        client.join(_LOOK_S)
    except (EOFError, ConnectionError):
        return
    finally:
        receiving.close()
        client.kill()  # not SIGTERM, which Ray answers with a page of its own
        client.join()


def _client(sending: Connection, job: Job, parent: int) -> None:
    """The process of Ray's client: a stop is for the parent to handle, whose end ends this one too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_rpc_server_reconnect_timeout_s": _RECONNECT_S}
    import ray

    try:
        for message in _ask_cluster(ray, job):
            sending.send(message)
    except (ClusterError, ModelError) as error:
        sending.send(error)
    except _NoHostsError:
        sending.close()


def _ask_cluster(ray: Any, job: Job) -> Iterator[str | list[Prepared] | None]:
    """Have the chunks done by the hosts, as many at a time as keep all of them busy.

    Yields:
        First how many hosts there are; then each chunk in order, or None where the cluster failed.

    Raises:
        ClusterError: the cluster cannot be used.
        ModelError: a host has another model.
    """
    _connect(ray, job.address)
    hosts = sum(bool(n["Alive"] and n["Resources"].get("CPU")) for n in ray.nodes())
    cores = int(ray.cluster_resources().get("CPU", 0))
    if not cores:
        raise ClusterError(
            f"the Ray cluster at {job.address} has no cores",
            "at least one host",
            f"on each run: ray start --address {job.address}",
        )
    yield f"reading and embedding on {hosts} hosts with {cores} cores"
    task = ray.remote(num_cpus=1, max_retries=_TRIES, scheduling_strategy="SPREAD")(work)
    running: deque[tuple[list[Loaded | Prepared], Any]] = deque()
    for chunk in job.chunks:
        loaded = [load_item(item, job.known) for item in chunk]
        fresh = [a for a in loaded if isinstance(a, Loaded)]
        running.append((loaded, task.remote(fresh, job.model) if fresh else None))
        if len(running) > 2 * cores:
            yield _collect(ray, *running.popleft())
    while running:
        yield _collect(ray, *running.popleft())


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(
            f"no Ray cluster can be used at {address} ({lines[0]})",
            "the address of one that this machine belongs to",
            f"run here: ray start --address {address} --num-cpus 0",
        ) from error


def _collect(ray: Any, loaded: Sequence[Loaded | Prepared], reference: Any) -> list[Prepared] | None:
    """Put what a host made of the new files between those that are known."""
    if reference is None:
        return cast(list[Prepared], list(loaded))
    empty = 0  # times in a row that there was no host
    while empty < _PATIENCE:
        try:
            made = iter(ray.get(reference, timeout=_LOOK_S))
            return [next(made) if isinstance(a, Loaded) else a for a in loaded]
        except ray.exceptions.GetTimeoutError:
            empty = 0 if ray.cluster_resources().get("CPU") else empty + 1
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RagError):
                raise error.cause from error
            raise ClusterError(
                f"a host cannot read letters ({error.cause or error})",
                "this program in its Python environment",
                "install the same version there",
            ) from error
        except ray.exceptions.RayError:
            return None
    raise _NoHostsError


def work(files: Sequence[Loaded], model: Model) -> list[Prepared]:
    """Make files ready; runs on a host of the cluster.

    Raises:
        ClusterError: the program there is of another version.
        ModelError: the model there is missing or another one.
    """
    if model.parser != PARSER_VERSION:
        raise ClusterError(
            f"host {socket.gethostname()} has parser {PARSER_VERSION}",
            f"parser {model.parser}",
            "install the same version there",
        )
    embedder = _opened(model.name)
    if embedder.fingerprint != model.fingerprint:
        raise ModelError(
            f"host {socket.gethostname()} has another model {model.name or 'in its package'}",
            "the files that are here",
            "put the same there",
        )
    return [finish(f, embedder) for f in files]


@cache
def _opened(name: str) -> Embedder:
    """The model of a process, opened once; one thread, as one core is what Ray gives it."""
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    return open_embedder(name or str(BUNDLED_MODEL))
