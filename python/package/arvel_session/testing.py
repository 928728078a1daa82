"""For tests: the conformance suite for stores of your own. A handler is tested with ``SessionData.fake()``.

With pytest::

    import pytest
    from arvel_session.testing import CHECKS, check_store

    async def open_store():
        return MyStore("redis://localhost/9")

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_store(check):
        check_store(check, open_store)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

from ._native import SessionData, checks, listen, run_check

__all__ = ["CHECKS", "SessionData", "check_store"]

#: The names of all checks.
CHECKS: list[str] = checks()


def check_store(check: str, open_store: Callable[[], Awaitable[object]], *, private: bool = True) -> str | None:
    """Runs one check of the store contract on an event loop of its own.

    :param check: a name from :data:`CHECKS`.
    :param open_store: opens a handle. It is called several times in one check, and must open the same place with the same
        settings each time; a store that is not shared simply makes a new one.
    :param private: nothing else uses the place while the check runs, so that all that a sweep does can be checked.
    :returns: ``None`` when the store passed; otherwise why the check does not apply to what the store declares.
    :raises AssertionError: the store breaks the contract; the message is the sentence that it broke.
    """
    running = asyncio.new_event_loop()
    thread = threading.Thread(target=running.run_forever, daemon=True)
    thread.start()
    try:
        return _on(running, check, open_store, private)
    finally:
        running.call_soon_threadsafe(running.stop)
        thread.join()
        running.close()


def _on(
    running: asyncio.AbstractEventLoop, check: str, open_store: Callable[[], Awaitable[object]], private: bool
) -> str | None:
    async def prepare() -> None:
        # In the loop's own thread.
        listen()

    asyncio.run_coroutine_threadsafe(prepare(), running).result()
    return run_check(check, open_store, running, private)
