"""Blocking work of the service.

Contract: the result, or what the job raised, comes back; when the client goes, its job is not begun, and one that runs
already keeps nobody waiting.
"""

import asyncio
import threading

import pytest
from starlette.requests import ClientDisconnect

from rag.errors import QuestionError
from rag.work import Work


class Client:
    """A request of a client that goes when told."""

    def __init__(self):
        self.gone = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}


def test_result_comes_back():
    async def run():
        return await Work(1).run(Client(), lambda: 63)

    assert asyncio.run(run()) == 63


def test_what_the_job_raises_comes_back():
    def failing():
        raise QuestionError("the question is empty")

    async def run():
        await Work(1).run(Client(), failing)

    with pytest.raises(QuestionError, match="the question is empty"):
        asyncio.run(run())


def test_job_of_a_client_that_has_gone_is_never_begun():
    begun, go_on = [], threading.Event()

    async def run():
        work, first, second = Work(1), Client(), Client()
        running = asyncio.create_task(work.run(first, lambda: go_on.wait(60)))
        waiting = asyncio.create_task(work.run(second, lambda: begun.append("second")))
        await asyncio.sleep(0.05)
        second.gone.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        go_on.set()
        assert await running
        await work.run(Client(), lambda: begun.append("third"))

    asyncio.run(run())
    assert begun == ["third"]


def test_client_that_goes_while_its_job_runs_keeps_nobody_waiting():
    go_on = threading.Event()

    async def run():
        client = Client()
        running = asyncio.create_task(Work(1).run(client, lambda: go_on.wait(60)))
        await asyncio.sleep(0.05)
        client.gone.set()
        with pytest.raises(ClientDisconnect):
            await running
        go_on.set()

    asyncio.run(run())


def test_job_that_nobody_waits_for_runs():
    done = threading.Event()
    work = Work(1)
    work.start(done.set)
    assert done.wait(60)
    work.close()
