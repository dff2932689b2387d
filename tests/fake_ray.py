"""Ray for the tests: everything is done in the client's own process. What goes wrong is said by ``FAKE_RAY``.

``no cluster``: nobody answers; ``no cores``: a cluster without hosts; ``gone N``: the cluster goes at the N-th answer and takes its client
with it, as Ray does; ``failed N``: the N-th chunk killed every host it was on; ``hosts gone``: the last host goes without a word.
"""

import os
import types


class RayError(Exception):
    pass


class GetTimeoutError(RayError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        self.cause = cause


exceptions = types.SimpleNamespace(
    RayError=RayError, GetTimeoutError=GetTimeoutError, RayTaskError=RayTaskError
)
_wrong, _, _at = os.environ.get("FAKE_RAY", "").rpartition(" ")
_at = int(_at) if _at.isdigit() else _at
_got = []


def init(**options):
    if _at == "cluster":
        raise ConnectionError(f"nobody at {options['address']}")


def nodes():
    return [{"Alive": True, "Resources": {"CPU": 1.0}}, {"Alive": True, "Resources": {}}]


def cluster_resources():
    return {} if _at == "cores" or (_at == "gone" and _got) else {"CPU": 1.0}


def remote(**_):
    def wrap(function):
        return types.SimpleNamespace(remote=lambda *given: (function, given))

    return wrap


def get(reference, timeout):
    _got.append(reference)
    if _at == "gone":
        raise GetTimeoutError
    if _wrong == "gone" and len(_got) == _at:
        os._exit(1)
    if _wrong == "failed" and len(_got) == _at:
        raise RayError
    function, given = reference
    try:
        return function(*given)
    except Exception as error:
        raise RayTaskError(error) from error
