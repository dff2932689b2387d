"""A small form of ``bench/crash.py``: kills, a full disk, a folder that cannot be written, and one file of each kind damaged.

Contract: what is left answers as before, or says what is broken and what repairs it; the repair loses no letter.
"""

import subprocess
import sys

from fakes import ROOT, clean_environment


def test_blows_of_every_kind_leave_an_index_that_answers_or_says_what_repairs_it(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "crash.py"), "--small"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'killed': 5" in done.stdout
    assert "'repaired'" in done.stdout
