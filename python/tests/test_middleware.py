"""The life of a request, message by message, on every driver that needs no server."""

from __future__ import annotations

import asyncio
import inspect
import logging
import logging.handlers
import queue
from pathlib import Path
from typing import Any

import pytest
from arvel_session import SessionData, StartSession
from arvel_session.errors import SessionConfigError, SessionLayerError, SessionTypeError, SessionWarning
from asgi import application, body, http_scope, never, start, visit
from conftest import DRIVERS, LOOPS, make_config, migrated, store_of


def run(test: Any, loop: Any = None) -> Any:
    running = loop() if loop else asyncio.new_event_loop()
    try:
        return running.run_until_complete(test)
    finally:
        running.close()


def middleware(handler: Any, folder: Path, driver: str = "memory", **settings: Any) -> StartSession:
    store = settings.pop("store", None) or store_of(make_config(driver, folder))
    return StartSession(application(handler), store=store, **settings)


async def put(session: SessionData, send: Any) -> None:
    session.put("key", "value")
    await send(start())
    await send(body(b"done"))


async def touch_nothing(session: SessionData, send: Any) -> None:
    await send(start())
    await send(body())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("driver", DRIVERS)
def test_what_is_put_is_read_by_the_next_request(driver: str, loop: Any, tmp_path: Path) -> None:
    read: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        read.append(session.get("visits"))
        session.increment("visits")
        session.flash("status", "saved")
        await send(start())
        await send(body())

    async def test() -> None:
        store = await migrated(make_config(driver, tmp_path))
        app = middleware(handler, tmp_path, store=store)
        answer = await visit(app)
        cookie = answer.cookie
        for _ in range(3):
            answer = await visit(app, cookie)
            if driver == "cookie":
                cookie = answer.cookie
            else:
                assert answer.header("set-cookie") == []
            assert answer.header("vary") == ["Cookie"]
            assert answer.header("cache-control") == ["private, no-cache"]

    run(test(), loop)
    assert read == [None, 1, 2, 3]


def test_a_visitor_without_a_session_costs_no_cookie(tmp_path: Path) -> None:
    answer = run(visit(middleware(touch_nothing, tmp_path)))
    assert answer.messages == [start(), body()]

    async def read(session: SessionData, send: Any) -> None:
        assert session.get("key") is None
        await send(start())
        await send(body())

    answer = run(visit(middleware(read, tmp_path)))
    assert answer.header("set-cookie") == []
    assert answer.header("vary") == ["Cookie"]


def test_the_messages_of_the_application_stay_as_they_are(tmp_path: Path) -> None:
    constant = start(200, (b"vary", b"Accept"), (b"Set-Cookie", b"theirs=1"), (b"Cache-Control", b"max-age=60"))

    async def handler(session: SessionData, send: Any) -> None:
        session.put("key", "value")
        await send(constant)
        await send(body())

    answer = run(visit(middleware(handler, tmp_path)))
    assert [line.split("=")[0] for line in answer.header("set-cookie")] == ["theirs", "arvel_session"]
    assert answer.header("vary") == ["Accept", "Cookie"]
    assert answer.header("cache-control") == ["no-store"]
    assert constant == start(
        200, (b"vary", b"Accept"), (b"Set-Cookie", b"theirs=1"), (b"Cache-Control", b"max-age=60")
    )


def test_the_session_is_stored_before_the_head_leaves(tmp_path: Path) -> None:
    store = store_of(make_config("file", tmp_path))
    app = middleware(put, tmp_path, store=store)
    seen: list[Any] = []

    async def read(session: SessionData, send: Any) -> None:
        seen.append(session.get("key"))
        await send(start())
        await send(body())

    reader = middleware(read, tmp_path, store=store)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            [line] = [value for name, value in message["headers"] if name == b"set-cookie"]
            await visit(reader, line.decode().split(";")[0])

    async def test() -> None:
        await app(http_scope(), never, send)

    run(test())
    assert seen == ["value"]


@pytest.mark.parametrize("driver", ["memory", "file"])
def test_what_changes_while_the_body_streams_is_stored_before_its_end(driver: str, tmp_path: Path) -> None:
    store = store_of(make_config(driver, tmp_path))
    seen: list[Any] = []

    async def stream(session: SessionData, send: Any) -> None:
        session.put("early", 1)
        await send(start())
        await send(body(b"a", more=True))
        session.put("late", 2)
        await send(body(b"b", more=True))
        await send(body())

    async def read(session: SessionData, send: Any) -> None:
        seen.append(session.all())
        await send(start())
        await send(body())

    writer, reader = middleware(stream, tmp_path, store=store), middleware(read, tmp_path, store=store)

    async def test() -> None:
        cookie = ""

        async def send(message: Any) -> None:
            nonlocal cookie
            if message["type"] == "http.response.start":
                cookie = next(v for n, v in message["headers"] if n == b"set-cookie").decode().split(";")[0]
            elif not message["more_body"]:
                await visit(reader, cookie)

        await writer(http_scope(), never, send)

    run(test())
    assert seen == [{"early": 1, "late": 2}]


def test_a_background_task_is_stored(tmp_path: Path) -> None:
    store = store_of(make_config("memory", tmp_path))
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        session.put("n", 1)
        await send(start())
        await send(body())
        assert session.is_detached
        session.increment("n")

    async def read(session: SessionData, send: Any) -> None:
        seen.append(session.get("n"))
        await send(start())
        await send(body())

    async def test() -> None:
        answer = await visit(middleware(handler, tmp_path, store=store))
        await visit(middleware(read, tmp_path, store=store), answer.cookie)

    run(test())
    assert seen == [2]


def test_what_a_background_task_cannot_store_is_an_error(tmp_path: Path) -> None:
    from arvel_session.errors import SessionTooLateError

    async def handler(session: SessionData, send: Any) -> None:
        await send(start())
        await send(body())
        session.put("n", 1)

    for driver in ("memory", "cookie"):
        with pytest.raises(SessionTooLateError):
            run(visit(middleware(handler, tmp_path, driver)))


def test_a_handler_that_fails_commits_nothing(tmp_path: Path) -> None:
    store = store_of(make_config("memory", tmp_path))
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        seen.append(session.all())
        if session.has("key"):
            session.put("key", "other")
            raise RuntimeError("of the application")
        await put(session, send)

    async def test() -> None:
        app = middleware(handler, tmp_path, store=store)
        answer = await visit(app)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="of the application"):
                await visit(app, answer.cookie)

    run(test())
    assert seen == [{}, {"key": "value"}, {"key": "value"}]


def test_a_store_that_fails_is_503_and_the_handler_does_not_run(tmp_path: Path) -> None:
    ran: list[int] = []

    async def handler(session: SessionData, send: Any) -> None:
        ran.append(1)
        await put(session, send)

    settings = make_config("memory", tmp_path)
    good = middleware(handler, tmp_path, "file")
    answer = run(visit(good))
    assert ran == [1] and settings is not None
    # A file stands where the folder should be.
    broken = tmp_path / "broken"
    store = store_of(make_config("file", broken))
    (tmp_path / "broken" / "sessions").rename(tmp_path / "away")
    (tmp_path / "broken" / "sessions").write_text("")
    app = middleware(handler, tmp_path, store=store, unavailable_status=599)
    answer = run(visit(app, answer.cookie))
    assert (ran, answer.status) == ([1], 599)
    assert answer.header("set-cookie") == []
    assert answer.header("cache-control") == ["no-store"]
    assert answer.messages[1]["body"] == b"The session store is not available. Try again.\n"
    # Without a cookie the handler runs; what it put cannot be kept, so its answer does not leave.
    answer = run(visit(app))
    assert (ran, answer.status) == ([1, 1], 599)
    assert len(answer.messages) == 2


def test_a_cookie_that_is_too_large_is_500_and_the_old_one_stays(tmp_path: Path) -> None:
    async def handler(session: SessionData, send: Any) -> None:
        session.put("key", "x" * 5000)
        await send(start(200, (b"set-cookie", b"theirs=1")))
        await send(body(b"the handler's"))

    answer = run(visit(middleware(handler, tmp_path, "cookie")))
    assert answer.status == 500
    assert answer.header("set-cookie") == []
    assert [message.get("body") for message in answer.messages] == [None, b"The session failed.\n"]


def test_the_same_middleware_twice_is_one_and_another_is_an_error(tmp_path: Path) -> None:
    store = store_of(make_config("memory", tmp_path))
    inner = middleware(put, tmp_path, store=store)
    answer = run(visit(StartSession(inner, store=store)))
    assert len(answer.header("set-cookie")) == 1
    with pytest.raises(SessionLayerError, match="twice"):
        run(visit(StartSession(inner, store=store, cookie_name="other")))


def test_settings_of_one_middleware(tmp_path: Path) -> None:
    app = middleware(put, tmp_path, lifetime=60, cookie_name="shop", secure=True, same_site="strict")
    [line] = run(visit(app)).header("set-cookie")
    assert line.startswith("shop=")
    for attribute in ("; Max-Age=60", "; Secure", "; SameSite=Strict"):
        assert attribute in line
    for wrong in ({"lifetime": 0}, {"lifetime": -1}, {"cookie_name": "a b"}, {"same_site": "all"}):
        with pytest.raises(SessionConfigError):
            middleware(put, tmp_path, **wrong)


def test_requests_that_are_skipped_have_no_session(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert ("session" in scope.get("state", {})) == (scope["path"] == "/")
        await send(start())
        await send(body())

    store = store_of(make_config("memory", tmp_path))
    sessions = StartSession(app, store=store, skip=lambda scope: scope["path"].startswith("/assets"))
    run(visit(sessions))
    run(visit(sessions, path="/assets/logo"))


def test_flash_is_not_used_up_by_what_nobody_sees(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        seen.append(session.get("status"))
        await send(start(304 if len(seen) == 4 else 200))
        await send(body())

    async def flash(session: SessionData, send: Any) -> None:
        session.flash("status", "saved")
        await send(start())
        await send(body())

    async def test() -> None:
        store = store_of(make_config("memory", tmp_path))
        cookie = (await visit(middleware(flash, tmp_path, store=store))).cookie
        app = middleware(handler, tmp_path, store=store, keep_flash=lambda scope: scope["path"] == "/poll")
        await visit(app, cookie, method="HEAD")
        await visit(app, cookie, headers=[(b"sec-purpose", b"prefetch;prerender")])
        await visit(app, cookie, path="/poll")
        await visit(app, cookie)
        await visit(app, cookie)
        await visit(app, cookie)

    run(test())
    assert seen == ["saved"] * 5 + [None]


def test_a_value_that_cannot_be_stored_fails_where_it_is_put(tmp_path: Path) -> None:
    async def handler(session: SessionData, send: Any) -> None:
        session.put("key", object())

    with pytest.raises(SessionTypeError):
        run(visit(middleware(handler, tmp_path)))


@pytest.mark.parametrize("driver", ["memory", "file"])
def test_a_copy_that_was_changed_and_not_put_back_is_warned_about(driver: str, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        seen.append(session.get("cart"))
        if seen[-1] is None:
            session.put("cart", ["book"])
        else:
            seen[-1].append("pen")
        await send(start())
        await send(body())
        if len(seen) == 3:
            # In a background task.
            session.all()["cart"].append("pen")

    async def test() -> None:
        app = middleware(handler, tmp_path, store=store_of(make_config(driver, tmp_path)))
        cookie = (await visit(app)).cookie
        with pytest.warns(SessionWarning, match='session key "cart"') as warned:
            await visit(app, cookie)
            await visit(app, cookie)
        assert len(warned) == 3
        # Warnings are errors here: then nothing is committed.
        with pytest.raises(SessionWarning):
            await visit(app, cookie)

    run(test())


def test_a_request_is_a_coroutine(tmp_path: Path) -> None:
    app = middleware(put, tmp_path)
    # What uvicorn looks at.
    assert inspect.iscoroutinefunction(app.__call__)

    async def send(message: Any) -> None:
        pass

    async def test() -> None:
        request = app(http_scope(), never, send)
        await asyncio.create_task(request)
        with pytest.raises(RuntimeError, match="awaited already"):
            await request
        await app.__call__(http_scope(), never, send)
        app(http_scope(), never, send).close()

    run(test())


@pytest.mark.parametrize("driver", ["memory", "file"])
def test_two_requests_at_once_both_keep_what_they_wrote(driver: str, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def test() -> None:
        waiting: list[int] = []
        met = asyncio.Event()

        async def handler(session: SessionData, send: Any) -> None:
            if session.has("begun"):
                waiting.append(1)
                if len(waiting) == 8:
                    met.set()
                await met.wait()
                session.increment("n")
                session.update("list", lambda items: sorted([*(items or []), len(items or [])]))
            session.put("begun", True)
            await send(start())
            await send(body())

        async def read(session: SessionData, send: Any) -> None:
            seen.append(session.only("n", "list"))
            await send(start())
            await send(body())

        store = store_of(make_config(driver, tmp_path))
        app = middleware(handler, tmp_path, store=store)
        cookie = (await visit(app)).cookie
        await asyncio.gather(*(visit(app, cookie) for _ in range(8)))
        await visit(middleware(read, tmp_path, store=store), cookie)

    run(test())
    assert seen == [{"n": 8, "list": list(range(8))}]


def test_a_client_that_leaves_loses_nothing_that_was_begun(tmp_path: Path) -> None:
    store = store_of(make_config("file", tmp_path))
    seen: list[Any] = []

    async def handler(session: SessionData, send: Any) -> None:
        session.put("late", 1)
        await send(start())
        session.put("later", 2)
        await send(body(b"a", more=True))
        await never()

    async def read(session: SessionData, send: Any) -> None:
        seen.append(session.all())
        await send(start())
        await send(body())

    async def test() -> None:
        cookie = (await visit(middleware(put, tmp_path, store=store))).cookie
        streaming = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                streaming.set()

        app = middleware(handler, tmp_path, store=store)
        task = asyncio.create_task(app(http_scope(cookie), never, send))
        await streaming.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        reader = middleware(read, tmp_path, store=store)

        async def look() -> None:
            while not seen or "later" not in seen[-1]:
                await visit(reader, cookie)
                await asyncio.sleep(0)

        await asyncio.wait_for(look(), 10)

    run(test())
    assert seen[-1] == {"key": "value", "late": 1, "later": 2}


def test_what_the_core_says_is_in_the_log(tmp_path: Path) -> None:
    said = queue.Queue[logging.LogRecord]()
    handler = logging.handlers.QueueHandler(said)
    logger = logging.getLogger("arvel_session")
    logger.addHandler(handler)
    try:

        async def leaks(session: SessionData, send: Any) -> None:
            session.put("key", "the value")
            await send(start(200, (b"cache-control", b"public")))
            await send(body())

        run(visit(middleware(leaks, tmp_path)))
        record = said.get(timeout=10)
    finally:
        logger.removeHandler(handler)
    assert record.levelno == logging.WARNING
    assert "was cacheable: replaced by no-store driver=memory" in record.getMessage()
    assert "the value" not in record.getMessage()
