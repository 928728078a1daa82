"""What a request cannot cost less than: the parts of it that are not ours, and ours without Starlette around them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from arvel_session import StartSession
from starlette.requests import Request
from starlette.responses import PlainTextResponse

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
BODY = {"type": "http.response.body", "body": b"ok"}


class Around:
    """A middleware that does nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def state(request: Request) -> PlainTextResponse:
    """What the specification asks for: Starlette makes an object for it at each request."""
    request.state.session  # noqa: B018
    return PlainTextResponse("ok")


class Given:
    """A middleware that puts something into the state, so that `state` finds it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["session"] = None
        await self.app(scope, receive, send)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An application without a framework; it does what `ours` of `bench.py` does."""
    path = scope["path"]
    if path in ("/read", "/write"):
        session = scope["state"]["session"]
        session.get("user_id")
        if path == "/write":
            session.put("last_seen", session.get("last_seen") + 1)
    await send(START)
    await send(BODY)


def without_starlette(store: Any, content: dict[str, Any]) -> Any:
    """Our middleware and nothing else."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fill":
            for key, value in content.items():
                scope["state"]["session"].put(key, value)
        await bare(scope, receive, send)

    return StartSession(app, store=store)


class Redis(asyncio.Protocol):
    """The least that can be asked of Redis on an event loop: one connection, one write a command, answers in order."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[bytes]] = deque()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, *words: bytes) -> asyncio.Future[bytes]:
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self.transport.write(b"".join(parts))
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return future

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n")) >= 0:
            line = self.buffer[:end]
            size = int(line[1:]) if line.startswith(b"$") else -1
            if size >= 0:
                if len(self.buffer) < end + size + 4:
                    return
                line, end = self.buffer[end + 2 : end + 2 + size], end + 2 + size
            self.buffer = self.buffer[end + 2 :]
            self.waiting.popleft().set_result(line)


async def raw_redis(url: str) -> Callable[[str], Callable[[Request], Awaitable[PlainTextResponse]]]:
    """Endpoints that get a value from Redis, or get one and set it, and have no session at all."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, redis = await loop.create_connection(Redis, address.hostname, address.port or 6379)

    def endpoint(action: str) -> Callable[[Request], Awaitable[PlainTextResponse]]:
        async def answer(request: Request) -> PlainTextResponse:
            value = await redis.ask(b"GET", b"arvel-session-bench")
            if action != "read":
                await redis.ask(b"SET", b"arvel-session-bench", value if action == "write" else b"x" * 300)
            return PlainTextResponse("ok")

        return answer

    return endpoint
