"""What sessions cost under Starlette: `cargo xtask bench --python`.

In process: ASGI calls without sockets, one event loop, a session of about 300 bytes. What is shown is what a middleware
adds to the bare application, as the median of rounds in which all take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from arvel_session import SessionConfig, SessionManager, StartSession
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starsessions import InMemoryStore, SessionAutoloadMiddleware
from starsessions import SessionMiddleware as Starsessions
from starsessions.stores.redis import RedisStore

KEY = "0123456789abcdef0123456789abcdef"

CONTENT: dict[str, Any] = {
    "user_id": 184467,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "locale": "en-GB",
    "roles": ["editor", "reviewer"],
    "cart": [{"sku": "A-1001", "quantity": 2}, {"sku": "B-2002", "quantity": 1}],
    "csrf": "f3a9c1d27b8e4f60a5d3c2b1e0f9a8b7",
    "last_seen": 1764000000,
    "theme": "dark",
    "intended": "/account/orders?page=2",
}

Call = Callable[[], Awaitable[None]]


async def nothing(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def theirs(action: str) -> Any:
    async def endpoint(request: Request) -> PlainTextResponse:
        session = request.session
        if action == "fill":
            session.update(CONTENT)
        else:
            session["user_id"]
            if action == "write":
                session["last_seen"] = session["last_seen"] + 1
        return PlainTextResponse("ok")

    return endpoint


def ours(action: str) -> Any:
    async def endpoint(request: Request) -> PlainTextResponse:
        session = request.state.session
        if action == "fill":
            for key, value in CONTENT.items():
                session.put(key, value)
        else:
            session.get("user_id")
            if action == "write":
                session.put("last_seen", session.get("last_seen") + 1)
        return PlainTextResponse("ok")

    return endpoint


def application(endpoint: Callable[[str], Any], middleware: list[Middleware]) -> Starlette:
    routes = [Route(f"/{action}", endpoint(action)) for action in ("fill", "read", "write")]
    return Starlette(routes=routes, middleware=middleware)


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class Browser:
    """A client that keeps its cookie."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.cookie = b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, message
            for name, value in message["headers"]:
                if name == b"set-cookie":
                    self.cookie = value.split(b";")[0]

    async def get(self, path: str) -> None:
        headers = [
            (b"host", b"shop.example"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            (b"accept-language", b"en-GB,en;q=0.5"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"cookie", b"theme=dark; " + self.cookie),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        await self.app(scope, receive, self.send)


def store(driver: str, **settings: Any) -> Any:
    return SessionManager(SessionConfig(driver=driver, secret_key=KEY, **settings))


def sessions(manager: Any) -> Starlette:
    return application(ours, [Middleware(StartSession, store=manager.store())])


def starsessions(kept_in: Any) -> Starlette:
    return application(
        theirs,
        [Middleware(Starsessions, store=kept_in, cookie_https_only=False, lifetime=7200), Middleware(SessionAutoloadMiddleware)],
    )


async def batch(browser: Browser, path: str, count: int) -> float:
    """The processor's time for a request: nothing waits here, so what else the machine does is not in it."""
    begin = time.process_time()
    for _ in range(count):
        await browser.get(path)
    return (time.process_time() - begin) / count * 1e6


async def in_process(seconds: float) -> None:
    subjects = {
        "bare Starlette": Browser(application(lambda action: nothing, [])),
        "Starlette's SessionMiddleware": Browser(application(theirs, [Middleware(SessionMiddleware, secret_key=KEY)])),
        "arvel-session, cookie (sealed)": Browser(sessions(store("cookie"))),
        "starsessions, in memory": Browser(starsessions(InMemoryStore())),
        "arvel-session, memory": Browser(sessions(store("memory"))),
    }
    samples: dict[tuple[str, str], list[float]] = {}
    for browser in subjects.values():
        await browser.get("/fill")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, browser in subjects.items():
            for path in ("/read", "/write"):
                samples.setdefault((name, path), []).append(await batch(browser, path, 200))
    print("| µs a request | read | added | read + write | added |")
    print("|---|---|---|---|---|")
    bare = {path: statistics.median(samples["bare Starlette", path]) for path in ("/read", "/write")}
    for name in subjects:
        read, write = (statistics.median(samples[name, path]) for path in ("/read", "/write"))
        print(f"| {name} | {read:.1f} | {read - bare['/read']:.1f} | {write:.1f} | {write - bare['/write']:.1f} |")
    print()


async def crowd(app: Starlette, path: str, concurrent: int, seconds: float) -> float:
    """Requests a second of so many browsers at once."""
    browsers = [Browser(app) for _ in range(concurrent)]
    for browser in browsers:
        await browser.get("/fill")
    done = 0
    begin = time.perf_counter()
    end = begin + seconds

    async def click(browser: Browser) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await browser.get(path)
            done += 1

    await asyncio.gather(*(click(browser) for browser in browsers))
    return done / (time.perf_counter() - begin)


async def stores(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Starlette] = {"arvel-session, file": sessions(store("file", files_path=f"{folder}/files"))}
        database = store("database", database_url=f"sqlite:{folder}/sessions.db")
        await database.migrate()
        made["arvel-session, SQLite"] = sessions(database)
        if url := os.environ.get("ARVEL_TEST_REDIS"):
            prefix = uuid.uuid4().hex
            made["starsessions, Redis"] = starsessions(RedisStore(url, prefix=prefix))
            made["arvel-session, Redis"] = sessions(store("redis", redis_url=url, redis_prefix=f"{prefix}:"))
        print("| requests a second | concurrent | read | read + write |")
        print("|---|---|---|---|")
        for concurrent in (32, 64):
            for name, app in made.items():
                read, write = [await crowd(app, path, concurrent, seconds) for path in ("/read", "/write")]
                print(f"| {name} | {concurrent} | {read:,.0f} | {write:,.0f} |", flush=True)
        print()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--only", choices=["in-process", "stores"])
    chosen = arguments.parse_args()
    for name, loop in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        running = loop()
        print(f"On {name}:\n")
        try:
            if chosen.only != "stores":
                running.run_until_complete(in_process(chosen.seconds * 4))
            if chosen.only != "in-process":
                running.run_until_complete(stores(chosen.seconds))
        finally:
            running.close()


if __name__ == "__main__":
    main()
