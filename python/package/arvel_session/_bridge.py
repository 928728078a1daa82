"""What has to be awaited, written where awaiting is written: the native half calls these."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ._native import Refusal

_tasks: set[asyncio.Task[None]] = set()


async def after(begun: Awaitable[Awaitable[Any]]) -> Any:
    """Waits for a commit, and then for the message that it held back."""
    return await (await begun)


async def refuse(send: Callable[[dict[str, Any]], Awaitable[None]], refusal: Refusal) -> None:
    """Answers in place of the application."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if refusal.cookie is not None:
        headers.append((b"set-cookie", refusal.cookie))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.text.encode()})


async def refuse_websocket(send: Callable[[dict[str, Any]], Awaitable[None]], refusal: Refusal) -> None:
    """Answers in place of the application: "try again later", where the server can say more than that it refuses."""
    await send({"type": "websocket.close", "code": 1013, "reason": refusal.text.strip()})


def start(
    function: Callable[..., Awaitable[Any]],
    arguments: tuple[Any, ...],
    answer: Callable[[Any, BaseException | None], None],
) -> None:
    """Runs a coroutine function on the loop of this thread, to its end, and hands on how it ended."""

    async def run() -> None:
        try:
            result = await function(*arguments)
        except asyncio.CancelledError as error:
            answer(None, error)
            raise
        except BaseException as error:
            answer(None, error)
        else:
            answer(result, None)

    task = asyncio.get_running_loop().create_task(run())
    # A loop holds its tasks weakly.
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
