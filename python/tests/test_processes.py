"""Threads, forks and workers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arvel_session import SessionData, StartSession
from asgi import application, body, start, visit
from conftest import KEY, make_config, store_of
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient


@pytest.mark.parametrize("driver", ["cookie", "memory", "file"])
def test_endpoints_in_threads(driver: str, browser: Callable[..., TestClient]) -> None:
    def sync(request: Request) -> JSONResponse:
        return JSONResponse(request.state.session.increment("n"))

    client = browser(driver, sync=sync)
    assert [client.get("/sync").json() for _ in range(3)] == [1, 2, 3]


def in_children(count: int, work: Callable[[], Any]) -> list[Any]:
    """What `work` answers in each of so many forked children."""
    pipes = []
    for _ in range(count):
        reader, writer = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.write(writer, json.dumps(work()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        pipes.append(reader)
    answers = []
    for reader in pipes:
        with open(reader) as pipe:
            text = pipe.read()
        assert os.wait()[1] == 0
        answers.append(json.loads(text))
    return answers


async def put(session: SessionData, send: Any) -> None:
    session.increment("n")
    await send(start())
    await send(body())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("driver", ["memory", "file", "redis", "sqlite"])
def test_forked_children_have_runtimes_and_random_numbers_of_their_own(driver: str, tmp_path: Path) -> None:
    from conftest import migrated

    store = asyncio.run(migrated(make_config(driver, tmp_path)))
    app = StartSession(application(put), store=store)
    # The parent has used everything before it forks.
    first = asyncio.run(visit(app)).cookie

    def work() -> list[str]:
        return [asyncio.run(visit(app)).cookie for _ in range(20)]

    answers = in_children(3, work)
    answers.append(work())
    cookies = [cookie for answer in answers for cookie in answer] + [first]
    assert len(set(cookies)) == 81
    # An id is 26 bytes, of which the first two say where it lives.
    assert len({cookie.split("=")[1][4:30] for cookie in cookies}) == 81


APP = '''
import arvel_session, os
from arvel_session.session import SessionServiceProvider, StartSession
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

SessionServiceProvider().register()

async def count(request):
    return JSONResponse([os.getpid(), request.state.session.increment("n")])

app = StartSession(Starlette(routes=[Route("/", count)]), store=arvel_session.Session.manager().store())
'''


class Uvicorn:
    """`shop:app` under uvicorn, as a process of its own, and one visitor."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "SESSION_DRIVER": "file", "SESSION_SECRET_KEY": KEY}
        command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port), *options]
        self.server = subprocess.Popen(command, cwd=folder, env=environment)
        self.url, self.cookie = f"http://127.0.0.1:{port}/", ""

    def __enter__(self) -> Uvicorn:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.terminate()
        self.server.wait(30)

    def get(self) -> Any:
        """The answer; `None` where nobody listens, or no more."""
        request = urllib.request.Request(self.url, headers={"cookie": self.cookie, "connection": "close"})
        try:
            with urllib.request.urlopen(request) as response:
                self.cookie = (response.headers["set-cookie"] or self.cookie).split(";")[0]
                return json.load(response)
        except (ConnectionError, urllib.error.URLError):
            return None

    def until(self, done: Callable[[list[Any]], bool]) -> list[Any]:
        """All answers until these are enough."""
        answers: list[Any] = []
        deadline = time.monotonic() + 60
        while not done(answers):
            assert time.monotonic() < deadline, answers
            answer = self.get()
            if answer is not None:
                answers.append(answer)
        return answers


def test_uvicorn_with_workers(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    with Uvicorn(tmp_path, "--workers", "2") as server:
        answers = server.until(lambda answers: len({process for process, _ in answers}) == 2)
    assert [number for _, number in answers] == list(range(1, len(answers) + 1))


def test_uvicorn_with_reload(tmp_path: Path) -> None:
    """An application that is edited starts anew, and goes on with the session."""
    shop = tmp_path / "shop.py"
    shop.write_text(APP)
    with Uvicorn(tmp_path, "--reload", "--reload-delay", "0.1") as server:
        [[first, one]] = server.until(lambda answers: len(answers) == 1)
        shop.write_text(APP.replace('increment("n")', 'increment("n", 100)'))
        # What the older process still answers counts by one.
        answers = server.until(lambda answers: bool(answers) and answers[-1][0] != first)
    assert one == 1
    assert answers[-1][1] == len(answers) - 1 + one + 100
