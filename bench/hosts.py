"""Indexing on two hosts by Ray against one, and with a host, then the whole cluster, killed midway.

    .venv/bin/python bench/hosts.py [--letters 20] [--rounds 1] [--update]

Needs root and Linux. Every host is a network namespace of its own on a bridge, with one core for Ray, that is one
process of one thread; the head of the cluster and the writer are
in a third, which has no core for Ray. The model is one of multilingual-e5-small's shape with random weights, so that embedding is
what takes the time; the letters are those of ``bench/peers``. What was indexed is compared with what the first run indexed: the same
letters, and for each question the same measures with the same scores. ``--update`` writes ``bench/hosts.json``, else
``bench/out/hosts.json``. Nothing but the processes in these namespaces is ever stopped.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
sys.path.insert(0, str(HERE / "peers"))
import corpus  # noqa: E402
import encoder  # noqa: E402

from rag.settings import BUNDLED_MODEL  # noqa: E402

HEAD, HOSTS = "raghead", {"raga": "10.77.0.11", "ragb": "10.77.0.12"}
ADDRESS = "10.77.0.1"


def ip(*words: str) -> str:
    """Run ``ip``."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def network() -> Iterator[None]:
    """Three namespaces on one bridge; whatever runs in them is killed at the end."""
    names = [HEAD, *HOSTS]
    for name in set(names) & set(ip("netns", "list").split()):
        raise SystemExit(f"there is a network namespace {name}; remove it: ip netns del {name}")
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", HEAD, "link", "add", "br0", "type", "bridge")
        ip("-n", HEAD, "addr", "add", f"{ADDRESS}/24", "dev", "br0")
        ip("-n", HEAD, "link", "set", "br0", "up")
        for name, address in HOSTS.items():
            ip("-n", HEAD, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", HEAD, "link", "set", name, "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                kill(name)
                ip("netns", "del", name)


def kill(name: str) -> None:
    """Kill all processes of a host, as a power cut does."""
    for pid in ip("netns", "pids", name).split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def inside(name: str, *command: str | Path, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process on a host."""
    with log.open("ab") as out:
        words = ["ip", "netns", "exec", name, *map(str, command)]
        return subprocess.Popen(words, env=env, stdout=out, stderr=out, start_new_session=True)


class Cluster:
    """Ray on these hosts."""

    def __init__(self, scratch: Path, env: dict[str, str]) -> None:
        self.scratch, self.env = scratch, env

    def start(self, name: str) -> None:
        """Start a host, or the head, and wait until it takes part."""
        log = self.scratch / f"{name}.log"
        if name == HEAD:
            words: list[str | Path] = [BIN / "ray", "start", "--head", "--port", "6379", "--num-cpus", "0"]
            words += ["--node-ip-address", ADDRESS, "--include-dashboard", "false", "--disable-usage-stats"]
            words += ["--temp-dir", self.scratch / "ray"]
        else:
            words = [BIN / "ray", "start", "--address", f"{ADDRESS}:6379"]
            words += ["--num-cpus", "1", "--node-ip-address", HOSTS[name]]
        words += ["--object-store-memory", "200000000", "--block"]
        for _ in range(2):
            before = log.stat().st_size if log.exists() else 0
            process = inside(name, *words, env=self.env, log=log)
            while process.poll() is None:
                if "Ray runtime started" in _told(log)[before:]:
                    time.sleep(5)  # for its processes to be known to the cluster
                    return
                time.sleep(0.2)
        raise SystemExit(f"{name} does not start: {_told(log)[-2000:]}")

    def index(self, letters: Path, index: Path, strike: str = "", after_s: float = 0) -> dict[str, object]:
        """Index letters on the cluster from the head; kill a host, or the head's Ray, so long after the work began.

        Returns:
            Seconds of the whole command, and from the connection to the end; what was said; when the host was killed.
        """
        shutil.rmtree(index, ignore_errors=True)
        log = self.scratch / f"{index.name}.log"
        log.unlink(missing_ok=True)
        env = {**self.env, "RAG_INDEX_DIR": str(index)}
        words = (BIN / "rag", "index", "--ray", f"{ADDRESS}:6379", letters)
        known = set(ip("netns", "pids", HEAD).split())
        started, connected, struck = time.monotonic(), 0.0, 0.0
        process = inside(HEAD, *words, env=env, log=log)
        while process.poll() is None:
            connected = connected or ("hosts with" in _told(log) and time.monotonic())
            if strike and not struck and connected and time.monotonic() - connected > after_s:
                if strike == HEAD:
                    for pid in known:
                        os.kill(int(pid), signal.SIGKILL)
                else:
                    kill(strike)
                struck = time.monotonic()
            time.sleep(0.1)
        ended = time.monotonic()
        if process.returncode:
            raise SystemExit(f"indexing failed: {_told(log)}")
        row: dict[str, object] = {"whole_s": round(ended - started, 1), "work_s": round(ended - connected, 1)}
        row["told"] = [line for line in _told(log).splitlines() if line]
        if strike:
            row["killed_after_s"] = round(struck - connected, 1) if struck else None
        return row


def _told(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def same(one: Path, two: Path, model: Path, letters: int) -> dict[str, object]:
    """Compare two indexes: letters, and measures with their scores for every question."""
    from rag import Engine, Settings
    from rag.embed import open_embedder

    embedder = open_embedder(str(model))
    engines = [Engine.open(Settings(index_dir=d, embedding_model=str(model)), embedder) for d in (one, two)]
    ids = [sorted(a.id for a in e.index.letters) for e in engines]
    questions = corpus.questions(letters, 12)
    found = [
        [[(h.letter.id, h.measure.path, round(h.score, 4)) for h in e.search(q, k=5)] for q in questions]
        for e in engines
    ]
    return {"letters": len(ids[1]), "same_letters": ids[0] == ids[1], "same_hits": found[0] == found[1]}


def main() -> int:
    """Set up the hosts, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--letters", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1, help="of one host and then two; medians are kept")
    parser.add_argument(
        "--bundled", action="store_true", help="the bundled model: then two hosts are hardly quicker"
    )
    parser.add_argument("--update", action="store_true", help="write bench/hosts.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the namespaces go too
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rh-")))
        model, letters = BUNDLED_MODEL if options.bundled else scratch / "encoder", scratch / "letters"
        if not options.bundled:
            encoder.make(model)
        corpus.write(letters, options.letters)
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAG_", "RAY_", "PYTHON"))}
        plain |= {"RAG_EMBEDDING_MODEL": str(model), "HF_HUB_OFFLINE": "1"}
        plain["RAY_raylet_start_wait_time_s"] = "150"  # half a minute is little on a busy machine
        plain["RAY_worker_niceness"] = (
            "0"  # Ray's own is 15, which on a busy machine measures the others' work
        )
        stack.enter_context(network())
        cluster = Cluster(scratch, plain)
        cluster.start(HEAD)
        cluster.start("raga")
        report = _measure(cluster, letters, options.rounds)
        for name in ("two", "host_killed", "cluster_killed"):
            report[name] |= same(scratch / "one", scratch / name, model, options.letters)
    report = {
        "date": f"{datetime.date.today()}",
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load_before": round(load, 1),
        },
        "model": "bundled" if options.bundled else "12 layers, 384 wide, random weights",
        "letters": options.letters,
        "rounds": options.rounds,
        **report,
    }
    out = HERE if options.update else HERE / "out"
    out.mkdir(exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (out / "hosts.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def _measure(cluster: Cluster, letters: Path, rounds: int) -> dict[str, dict[str, object]]:
    """One host and two in turns; then two of which one is killed, then two of which the head is killed."""
    rows: dict[str, list[dict[str, object]]] = {"one": [], "two": []}
    for n in range(rounds):
        if n:
            kill("ragb")
            time.sleep(10)
        rows["one"].append(cluster.index(letters, cluster.scratch / "one"))
        cluster.start("ragb")
        rows["two"].append(cluster.index(letters, cluster.scratch / "two"))
    report: dict[str, dict[str, object]] = {}
    for name, found in rows.items():
        spans = {k: statistics.median(float(str(r[k])) for r in found) for k in ("whole_s", "work_s")}
        report[name] = {**spans, "told": found[-1]["told"]}
    first, second = rows["one"], rows["two"]
    pairs = list(zip(first, second, strict=True))
    report["two"] |= {
        f"times_faster_{k[:-2]}": round(
            statistics.median(float(str(a[k])) / float(str(b[k])) for a, b in pairs), 2
        )
        for k in ("whole_s", "work_s")
    }
    print(json.dumps(report), file=sys.stderr)
    midway = 0.4 * float(str(report["two"]["work_s"]))
    report["host_killed"] = cluster.index(letters, cluster.scratch / "host_killed", "ragb", midway)
    print(json.dumps(report), file=sys.stderr)
    cluster.start("ragb")
    report["cluster_killed"] = cluster.index(letters, cluster.scratch / "cluster_killed", HEAD, midway)
    return report


if __name__ == "__main__":
    sys.exit(main())
