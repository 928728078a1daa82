"""What sessions cost under Starlette: `cargo xtask bench --python`.

In process: ASGI calls without sockets, one event loop, a session of about 300 bytes. What is shown is what a middleware
adds to the bare application, as the median of rounds in which all take turns. With ``--report`` the tables go into that
document, too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import primitives
import uvloop
from arvel_session import SessionConfig, SessionManager, StartSession
from starlette import __version__ as starlette_version
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

    def __init__(self, app: Any) -> None:
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


Samples = dict[tuple[str, str], list[float]]

# What is compared, by the names in the tables.
BARE = "bare Starlette"
STARLETTE = "Starlette's SessionMiddleware"
COOKIE = "arvel-session, cookie (sealed)"
STARSESSIONS = "starsessions, in memory"
MEMORY = "arvel-session, memory"
AROUND = "a middleware that does nothing"
STATE = "one that sets `request.state.session`, which is read"
ALONE = "without a framework: "


async def in_turns(subjects: dict[str, tuple[Browser, list[str]]], seconds: float) -> dict[tuple[str, str], float]:
    """The median of each, in rounds."""
    samples: Samples = {}
    for browser, _ in subjects.values():
        await browser.get("/fill")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, (browser, paths) in subjects.items():
            for path in paths:
                samples.setdefault((name, path), []).append(await batch(browser, path, 200))
    return {subject: statistics.median(all_samples) for subject, all_samples in samples.items()}


async def in_process(seconds: float) -> list[str]:
    both, none = ["/read", "/write"], ["/none"]
    subjects = {
        BARE: (Browser(application(lambda action: nothing, [])), both),
        STARLETTE: (Browser(application(theirs, [Middleware(SessionMiddleware, secret_key=KEY)])), both),
        COOKIE: (Browser(sessions(store("cookie"))), both),
        STARSESSIONS: (Browser(starsessions(InMemoryStore())), both),
        MEMORY: (Browser(sessions(store("memory"))), both),
        AROUND: (Browser(application(lambda action: nothing, [Middleware(primitives.Around)])), both[:1]),
        STATE: (Browser(application(lambda action: primitives.state, [Middleware(primitives.Given)])), both[:1]),
        ALONE: (Browser(primitives.bare), none),
    }
    for driver in ("memory", "cookie"):
        app = primitives.without_starlette(store(driver).store(), CONTENT)
        subjects[ALONE + driver] = (Browser(app), [*both, *none])
    took = await in_turns(subjects, seconds)
    return [*added(took), "", *where(took), "", *targets(took), ""]


def added(took: dict[tuple[str, str], float]) -> list[str]:
    """What each middleware adds to the bare application."""
    lines = ["| µs a request | read | added | read + write | added |", "|---|---|---|---|---|"]
    for name in (BARE, STARLETTE, COOKIE, STARSESSIONS, MEMORY):
        cells = [f"{took[name, path]:.1f} | {took[name, path] - took[BARE, path]:.1f}" for path in ("/read", "/write")]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


def where(took: dict[tuple[str, str], float]) -> list[str]:
    """Where that goes: what is not ours, and what ours costs without a framework around it."""
    lines = ["| of what is added, µs | |", "|---|---|"]
    for name in (AROUND, STATE):
        lines.append(f"| {name}, under Starlette | {took[name, '/read'] - took[BARE, '/read']:.1f} |")
    bare = took[ALONE, "/none"]
    for driver in ("memory", "cookie"):
        name = ALONE + driver
        for path, what in (("/none", "untouched"), ("/read", "read"), ("/write", "read + write")):
            lines.append(f"| {name}, {what} | {took[name, path] - bare:.1f} |")
    return lines


def targets(took: dict[tuple[str, str], float]) -> list[str]:
    """What was asked for, and what was reached."""
    lines = ["| target | reached | |", "|---|---|---|"]
    for ours, theirs, path, share in (
        (COOKIE, STARLETTE, "/read", 4),
        (COOKIE, STARLETTE, "/write", 6),
        (MEMORY, STARSESSIONS, "/read", 5),
        (MEMORY, STARSESSIONS, "/write", 5),
    ):
        bare = took[BARE, path]
        ratio = (took[theirs, path] - bare) / (took[ours, path] - bare)
        what = f"{ours}, {'read' if path == '/read' else 'read + write'}: added ≤ 1/{share} of {theirs}"
        lines.append(f"| {what} | 1/{ratio:.1f} | {'✓' if ratio >= share else '✗'} |")
    return lines


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


FILE = "arvel-session, file"
SQLITE = "arvel-session, SQLite"
RAW = "no session: one command to Redis by a raw asyncio protocol, or two"
THEIR_REDIS = "starsessions, Redis"
OUR_REDIS = "arvel-session, Redis"


async def stores(seconds: float) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Starlette] = {FILE: sessions(store("file", files_path=f"{folder}/files"))}
        database = store("database", database_url=f"sqlite:{folder}/sessions.db")
        await database.migrate()
        made[SQLITE] = sessions(database)
        if url := os.environ.get("ARVEL_TEST_REDIS"):
            prefix = uuid.uuid4().hex
            made[RAW] = application(await primitives.raw_redis(url), [])
            made[THEIR_REDIS] = starsessions(RedisStore(url, prefix=prefix))
            made[OUR_REDIS] = sessions(store("redis", redis_url=url, redis_prefix=f"{prefix}:"))
        rates = await in_crowds(made, seconds)
    lines = ["| requests a second | concurrent | read | read + write |", "|---|---|---|---|"]
    for concurrent in CROWDS:
        for name in made:
            read, write = (rates[name, path, concurrent] for path in ("/read", "/write"))
            lines.append(f"| {name} | {concurrent} | {read:,.0f} | {write:,.0f} |")
    return [*lines, "", *store_targets(rates), ""]


CROWDS = (32, 64)


async def in_crowds(made: dict[str, Starlette], seconds: float) -> dict[tuple[str, str, int], float]:
    """The median of three rounds in which all take turns."""
    rates: dict[tuple[str, str, int], list[float]] = {}
    for _ in range(3):
        for concurrent in CROWDS:
            for name, app in made.items():
                for path in ("/read", "/write"):
                    rate = await crowd(app, path, concurrent, seconds / 3)
                    rates.setdefault((name, path, concurrent), []).append(rate)
    return {subject: statistics.median(all_rates) for subject, all_rates in rates.items()}


def store_targets(rates: dict[tuple[str, str, int], float]) -> list[str]:
    lines = ["| target | reached | |", "|---|---|---|"]
    for name in (FILE, SQLITE):
        read, write = rates[name, "/read", 32], rates[name, "/write", 32]
        what = f"{name}, 32 concurrent: ≥ 3,000 reads and 2,000 read + writes a second"
        mark = "✓" if read >= 3000 and write >= 2000 else "✗"
        lines.append(f"| {what} | {read:,.0f} and {write:,.0f} | {mark} |")
    for concurrent in CROWDS:
        for path, what in (("/read", "read"), ("/write", "read + write")):
            if (THEIR_REDIS, path, concurrent) not in rates:
                continue
            times = rates[OUR_REDIS, path, concurrent] / rates[THEIR_REDIS, path, concurrent]
            mark = "✓" if times >= 5 else "✗"
            lines.append(f"| Redis, {what}, {concurrent} concurrent: ≥ 5 × starsessions | {times:.1f} × | {mark} |")
    return lines


def write(report: Path, lines: list[str]) -> None:
    """Puts the tables in their place in the document."""
    text = report.read_text()
    tables = "\n".join(["<!-- python -->", "", *lines, "<!-- end -->"])
    written, places = re.subn(r"<!-- python -->.*?<!-- end -->", lambda _: tables, text, count=1, flags=re.DOTALL)
    assert places == 1, f"{report} has no place for the Python part"
    report.write_text(written)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--only", choices=["in-process", "stores"])
    arguments.add_argument("--report", type=Path)
    chosen = arguments.parse_args()
    versions = f"CPython {platform.python_version()}, Starlette {starlette_version}, {os.cpu_count()} cores."
    lines = [versions, ""]
    for name, loop in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
        running = loop()
        lines += [f"### On {name}", ""]
        try:
            if chosen.only != "stores":
                lines += running.run_until_complete(in_process(chosen.seconds * 4))
            if chosen.only != "in-process":
                lines += running.run_until_complete(stores(chosen.seconds))
        finally:
            running.close()
    print("\n".join(lines))
    if chosen.report:
        write(chosen.report, lines)


if __name__ == "__main__":
    main()
