"""A server in memory, message by message: what a test client hides is seen here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from arvel_session import SessionData

Handler = Callable[[SessionData, Callable[[dict[str, Any]], Awaitable[None]]], Awaitable[None]]


def http_scope(cookie: str | None = None, **changes: Any) -> dict[str, Any]:
    headers = [(b"host", b"test")]
    if cookie is not None:
        headers.append((b"cookie", cookie.encode()))
    headers += changes.pop("headers", [])
    return {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, **changes}


async def never() -> dict[str, Any]:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


def application(handler: Handler) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await handler(scope["state"]["session"], send)

    return app


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(text: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": more}


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.messages = messages

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    def header(self, name: str) -> list[str]:
        headers = self.messages[0]["headers"]
        return [value.decode() for key, value in headers if key.lower() == name.encode()]

    @property
    def cookie(self) -> str:
        """What the browser sends back."""
        [line] = self.header("set-cookie")
        return line.split(";")[0]


async def visit(app: Any, cookie: str | None = None, **changes: Any) -> Answer:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(http_scope(cookie, **changes), never, send)
    return Answer(messages)
