"""A server under proof, in Python: it answers what `proof serve` answers, so that the two can stand on one store.

Started by `proof run --beside <this interpreter>`; the crowd, the record and the judge are those of `crates/proof`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from arvel_session import SessionData, SessionManager, StartSession, load_config
from arvel_session.errors import SessionError

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def update(session: SessionData, key: str, argument: int) -> Any:
    return session.update(key, lambda number: ((number or 0) * 3 + argument) % 1_000_003)


# What has another name in Python, or other arguments.
OTHERS: dict[str, Callable[..., Any]] = {
    "get_or": SessionData.get,
    "except": lambda session, *keys: session.except_(*keys),
    "remember": lambda session, key, value: session.remember(key, lambda: value),
    "update": update,
}


async def perform(session: SessionData, op: Any) -> Any:
    """Does one operation of a plan, and answers its result."""
    name, arguments = (op, []) if isinstance(op, str) else next(iter(op.items()))
    arguments = arguments if isinstance(arguments, list) else [arguments]
    if name == "wait":
        await asyncio.sleep(arguments[0] / 1000)
        return None
    if name == "save":
        try:
            await session.save()
        except SessionError:
            return False
        return True
    operation = OTHERS.get(name) or getattr(SessionData, name)
    return operation(session, *arguments)


async def act(scope: Scope, receive: Any, send: Send) -> None:
    """Does what the plan in the request says."""
    session: SessionData = scope["state"]["session"]
    plan = json.loads(dict(scope["headers"])[b"x-plan"])
    try:
        results = [await perform(session, op) for op in plan["ops"]]
    except SessionError as error:
        session.discard()
        scope["state"]["ran"] = True
        await answer(send, 422, str(error).encode())
        return
    ending = plan["ending"]
    if ending == "panic":
        raise AsThePlanSays
    scope["state"]["ran"] = True
    status = 200 if ending == "well" else ending["status"]
    first = json.dumps({"results": results}).encode()
    if not plan["body"]:
        await answer(send, status, first, (b"x-handled", b"yes"))
        return
    await begin(send, status, (b"x-handled", b"yes"))
    await part(send, first + b"\n")
    for op in plan["body"]:
        try:
            await perform(session, op)
        except SessionError:
            await part(send, b"failed\n")
        else:
            await part(send, b"done\n")
    await part(send, b"", more=False)


class AsThePlanSays(Exception):
    """A handler that fails."""


async def begin(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def part(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await begin(send, status, (b"content-length", str(len(body)).encode()), *headers)
    await part(send, body, more=False)


def application() -> Any:
    manager = SessionManager(load_config())
    store = manager.store()
    sessions = StartSession(act, store=store, keep_flash=lambda scope: scope["path"] == "/poll")

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        if scope["path"] == "/health":
            await health(send)
            return
        state = scope["state"] = {"ran": False}

        async def follow(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and state["ran"]:
                message = {**message, "headers": [*message["headers"], (b"x-ran", b"yes")]}
            await send(message)

        try:
            await sessions(scope, receive, follow)
        except AsThePlanSays:
            # As a panic in Rust: nothing comes back.
            send.__self__.transport.abort()

    async def health(send: Send) -> None:
        try:
            await store.ping()
        except SessionError:
            await answer(send, 503, b"")
        else:
            await answer(send, 200, b"")

    return app


def end_with_parent() -> None:
    """Whoever started this process holds its standard input."""
    while sys.stdin.buffer.read(64):
        pass
    os._exit(0)


def main() -> None:
    threading.Thread(target=end_with_parent, daemon=True).start()
    host, port = sys.argv[-1].rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    print("listening on {}:{}".format(*listener.getsockname()), flush=True)
    # Stores fail as the proof wants it.
    logging.getLogger("arvel_session").addHandler(logging.NullHandler())
    config = uvicorn.Config(application(), lifespan="off", log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
