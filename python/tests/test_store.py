"""A store in Python is a driver."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from arvel_session import SessionConfig, SessionData, SessionManager, StartSession
from arvel_session.store import Capabilities, Conflict, Key, Record, Write
from arvel_session.testing import CHECKS, check_store
from asgi import application, body, start, visit
from conftest import KEY


class DictStore:
    """The smallest store: it forgets everything with its process."""

    capabilities = Capabilities("dict", shared=False, persistent=False)

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}

    async def load(self, key: Key) -> Record | None:
        await asyncio.sleep(0)
        return self.records.get(key)

    async def save(self, key: Key, expect: int | None, write: Write) -> Conflict | None:
        there = self.records.get(key)
        if there is not None if expect is None else there is None or not there.matches(expect):
            return Conflict(there)
        self.records[key] = write.record
        return None

    async def replace(self, old: Key, expect: int, marker: Record, new: Key, write: Write) -> Conflict | None:
        there = self.records.get(old)
        if there is None or not there.matches(expect):
            return Conflict(there)
        self.records[old] = marker
        self.records[new] = write.record
        return None

    async def touch(self, key: Key, expires: int, now: int) -> None:
        there = self.records.get(key)
        if there is not None and there.is_live:
            self.records[key] = there.with_expires(expires)

    async def sweep(self, now: int, max: int) -> int:
        expired = [key for key, record in self.records.items() if record.expires <= now][:max]
        for key in expired:
            del self.records[key]
        return len(expired)


async def open_store() -> DictStore:
    return DictStore()


@pytest.mark.parametrize("check", CHECKS)
def test_the_store_keeps_the_contract(check: str) -> None:
    check_store(check, open_store)


def test_a_store_that_breaks_the_contract_is_found() -> None:
    class Forgetful(DictStore):
        async def save(self, key: Key, expect: int | None, write: Write) -> Conflict | None:
            self.records[key] = write.record
            return None

    async def open_forgetful() -> DictStore:
        return Forgetful()

    with pytest.raises(AssertionError, match="a_new_record_overwrites_nothing"):
        check_store("a_new_record_overwrites_nothing", open_forgetful)
    assert check_store("what_expires_goes_by_itself", open_store) is not None
    with pytest.raises(LookupError):
        check_store("no_such_check", open_store)


def manager_of(store: Any) -> SessionManager:
    manager = SessionManager(SessionConfig(driver="mine", secret_key=KEY))
    manager.extend("mine", lambda config: store)
    return manager


def test_an_application_on_it() -> None:
    store = DictStore()
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        seen.append(session.get("n"))
        session.increment("n")
        if session.get("n") == 3:
            session.regenerate()
        await send(start())
        await send(body())

    async def test() -> None:
        manager = manager_of(store)
        app = StartSession(application(handler), store=manager.store())
        cookie = None
        for _ in range(5):
            answer = await visit(app, cookie)
            cookie = answer.cookie if answer.header("set-cookie") else cookie
        await asyncio.gather(*(visit(app, cookie) for _ in range(10)))
        await visit(app, cookie)
        assert await manager.sweep() == 0

    asyncio.run(test())
    assert seen[:5] == [None, 1, 2, 3, 4]
    assert seen[-1] == 15
    assert [record.is_live for record in store.records.values()].count(True) == 1


def test_its_failure_is_503() -> None:
    class Down(DictStore):
        async def load(self, key: Key) -> Record | None:
            raise ConnectionError("down")

    async def handler(session: SessionData, send: Any) -> None:
        session.put("n", 1)
        await send(start())
        await send(body())

    async def test() -> None:
        app = StartSession(application(handler), store=manager_of(Down()).store())
        cookie = (await visit(app)).cookie
        assert (await visit(app, cookie)).status == 503

    asyncio.run(test())


def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="capabilities"):
        try:
            manager_of(object()).store()
        except Exception as error:
            raise TypeError(str(error)) from error
