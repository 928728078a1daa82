"""The specification's code, verbatim but for the root package's name."""

from __future__ import annotations

from typing import Any

import pytest
from arvel_session.session import SessionServiceProvider
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient


@pytest.fixture
def middleware(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSION_SECRET_KEY", "0123456789abcdef0123456789abcdef")
    monkeypatch.setenv("SESSION_DRIVER", "cookie")
    monkeypatch.setenv("SESSION_LIFETIME", "7200")
    monkeypatch.setenv("SESSION_COOKIE_NAME", "arvel_session")
    monkeypatch.setenv("SESSION_FILES_PATH", "storage/framework/sessions")
    SessionServiceProvider().register()

    # Enabling sessions
    from starlette.middleware import Middleware
    from arvel_session.facades.session import Session
    from arvel_session.session.middleware import StartSession

    store = Session.manager().store()
    middleware = [Middleware(StartSession, store=store, lifetime=7200)]

    return middleware


async def show(request: Request) -> dict[str, Any]:
    session = request.state.session   # SessionData
    return session.all()  # type: ignore[no-any-return]


def answering(handler: Any) -> Any:
    async def endpoint(request: Request) -> JSONResponse:
        return JSONResponse(await handler(request))

    return endpoint


def browser(middleware: Any, **handlers: Any) -> TestClient:
    routes = [Route(f"/{name}", answering(handler)) for name, handler in handlers.items()]
    return TestClient(Starlette(routes=routes, middleware=middleware))


def test_storing_and_retrieving_data(middleware: Any) -> None:
    async def store(request: Request) -> None:
        session = request.state.session
        session.put("key", "value")

    async def retrieve(request: Request) -> Any:
        session = request.state.session
        value = session.get("key")
        value = session.get("key", "default")
        exists = session.has("key")
        everything = session.all()
        return [value, exists, everything]

    client = browser(middleware, store=store, retrieve=retrieve, show=show)
    assert client.get("/retrieve").json() == ["default", False, {}]
    response = client.get("/store")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("arvel_session=")
    for attribute in ("; HttpOnly", "; Path=/", "; SameSite=Lax", "; Max-Age=7200"):
        assert attribute in cookie
    assert "Secure" not in cookie
    assert client.get("/retrieve").json() == ["value", True, {"key": "value"}]
    assert client.get("/show").json() == {"key": "value"}


def test_deleting_data(middleware: Any) -> None:
    async def store(request: Request) -> None:
        request.state.session.put("key", "value")
        request.state.session.put("other", 1)

    async def forget(request: Request) -> None:
        session = request.state.session
        session.forget("key")    # remove a single key

    async def flush(request: Request) -> None:
        session = request.state.session
        session.flush()          # remove everything (keeps the session id)

    client = browser(middleware, store=store, forget=forget, flush=flush, show=show)
    client.get("/store")
    client.get("/forget")
    assert client.get("/show").json() == {"other": 1}
    client.get("/flush")
    assert client.get("/show").json() == {}


def test_flash_data(middleware: Any) -> None:
    async def store(request: Request) -> Any:
        session = request.state.session
        session.flash("status", "Profile updated!")   # available next request
        session.now("alert", "Heads up")               # available this request only
        return session.all()

    async def again(request: Request) -> Any:
        session = request.state.session
        session.reflash()                              # keep current flash one more request
        return session.all()

    client = browser(middleware, store=store, again=again, show=show)
    assert client.get("/store").json() == {"alert": "Heads up"}
    assert client.get("/again").json() == {"status": "Profile updated!"}
    assert client.get("/show").json() == {"status": "Profile updated!"}
    assert client.get("/show").json() == {}


def test_regenerating_the_session_id(middleware: Any) -> None:
    async def store(request: Request) -> Any:
        request.state.session.put("key", "value")
        return request.state.session.id()

    async def login(request: Request) -> Any:
        session = request.state.session
        session.regenerate()
        return session.id()

    client = browser(middleware, store=store, login=login, show=show)
    before = client.get("/store").json()
    assert client.get("/login").json() != before
    assert client.get("/show").json() == {"key": "value"}
