"""Long work on a terminal: it shows how far it is, and a stop leaves what the next run goes on from."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

from fakes import clean_environment, run_python

LETTER = "某市民政局关于第{n}号提案的答复\n某委员:\n提案收悉,答复如下:\n{body}某市民政局\n2025年3月4日\n"
MEASURE = (
    "{mark}、办好第{n}件事。全市第{n}批建成读书亭{n}座,举办朗读会{m}场,惠及居民{m}万人次,投入{m}万元。\n"
)
COUNT = 2000


def letters(folder):
    folder.mkdir()
    for n in range(1, COUNT + 1):
        body = "".join(
            MEASURE.format(mark=mark, n=n, m=n + k) for k, mark in enumerate("一二三四五六七八九十", 1)
        )
        (folder / f"{n:04}.txt").write_text(LETTER.format(n=n, body=body), encoding="utf-8")


def read_from(terminal, shown):
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(terminal, 65536):
            shown.append(part.decode(errors="replace"))


def test_bar_on_a_terminal_and_a_stop_that_the_next_run_goes_on_from(tmp_path):
    letters(tmp_path / "seeds")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rag.cli", "index"],
        cwd=tmp_path,
        env=clean_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = []
    reading = threading.Thread(target=read_from, args=(ours, shown))
    reading.start()
    bar = re.compile(r"reading #*-* ([\d,]+)/2,?000 · [\d,]+ a second · (?:\d+ min )?\d+ s left")
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        done = [int(n.replace(",", "")) for n in bar.findall("".join(shown[-20:]))]
        if done and done[-1] >= 100:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does for Ctrl-C: to the helpers too
            break
        time.sleep(0.01)
    assert process.wait(60) == 130
    reading.join()
    os.close(ours)
    said = "".join(shown)
    assert "stopped; the index answers as before, and the next run goes on from here" in said
    assert "Traceback" not in said
    again = run_python("-m", "rag.cli", "index", "--json", cwd=tmp_path)
    report = json.loads(again.stdout)
    assert (report["letters"], report["failed"]) == (COUNT, [])
    assert len(report["unchanged"]) >= 50
    assert len(report["unchanged"]) + len(report["arrivals"]) == COUNT
