"""A small form of ``bench/crash.py``: kills, a full disk, a folder that cannot be written, and every file damaged once.

Contract: what is left answers as before, or says what is broken and what repairs it; the repair loses no letter.
"""

from fakes import ROOT, run_python


def test_blows_of_every_kind_leave_an_index_that_answers_or_says_what_repairs_it(tmp_path):
    done = run_python(str(ROOT / "bench" / "crash.py"), "--small", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'killed': 5" in done.stdout
    assert "'repaired'" in done.stdout
