"""Websockets: the session is readable there, and what cannot be saved is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arvel_session import StartSession
from arvel_session.errors import SessionStoreError, SessionTooLateError
from conftest import make_config, store_of
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect


async def login(request: Request) -> JSONResponse:
    request.state.session.put("user", 7)
    request.state.session.flash("status", "Welcome")
    return JSONResponse(None)


async def show(request: Request) -> JSONResponse:
    return JSONResponse(request.state.session.all())


def client(folder: Path, driver: str, socket: Any) -> TestClient:
    store = store_of(make_config(driver, folder))
    routes = [Route("/login", login), Route("/show", show), WebSocketRoute("/socket", socket)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(StartSession, store=store)]))


@pytest.mark.parametrize("driver", ["memory", "file", "cookie"])
def test_the_session_is_readable_and_its_flash_is_not_used_up(driver: str, tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.state.session.all())
        await websocket.close()

    browser = client(tmp_path, driver, socket)
    browser.get("/login")
    with browser.websocket_connect("/socket") as websocket:
        assert websocket.receive_json() == {"user": 7, "status": "Welcome"}
    assert browser.get("/show").json() == {"user": 7, "status": "Welcome"}


@pytest.mark.parametrize("driver", ["memory", "file", "cookie"])
def test_what_is_put_before_the_handshake_is_stored_with_its_cookie(driver: str, tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        websocket.state.session.put("met", True)
        await websocket.accept()
        await websocket.close()

    browser = client(tmp_path, driver, socket)
    with browser.websocket_connect("/socket") as websocket:
        extra: list[tuple[bytes, bytes]] = websocket.extra_headers or []
        [line] = [value for name, value in extra if name == b"set-cookie"]
        with pytest.raises(WebSocketDisconnect):
            websocket.receive_text()
    browser.headers["cookie"] = line.decode().split(";")[0]
    assert browser.get("/show").json() == {"met": True}


@pytest.mark.parametrize("driver", ["memory", "file"])
def test_what_is_saved_later_is_stored(driver: str, tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        session = websocket.state.session
        session.put("saved", 1)
        await session.save()
        session.put("unsaved", 2)
        await websocket.close()

    browser = client(tmp_path, driver, socket)
    browser.get("/login")
    with browser.websocket_connect("/socket"):
        pass
    assert browser.get("/show").json() == {"user": 7, "status": "Welcome", "saved": 1, "unsaved": 2}


def test_what_cannot_be_saved_is_an_error(tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        websocket.state.session.put("lost", 1)
        with pytest.raises(SessionTooLateError):
            await websocket.state.session.save()
        await websocket.close()

    browser = client(tmp_path, "cookie", socket)
    browser.get("/login")
    with pytest.raises(SessionTooLateError), browser.websocket_connect("/socket") as websocket:
        websocket.receive_text()
    assert browser.get("/show").json() == {"user": 7, "status": "Welcome"}


def test_a_socket_that_is_refused_makes_no_session(tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.close()

    browser = client(tmp_path, "memory", socket)
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/socket"):
        pass


def test_a_store_that_fails_refuses_the_socket(tmp_path: Path) -> None:
    async def socket(websocket: WebSocket) -> None:
        websocket.state.session.put("met", True)
        await websocket.accept()

    browser = client(tmp_path, "file", socket)
    browser.get("/login")
    (tmp_path / "sessions").rename(tmp_path / "away")
    (tmp_path / "sessions").write_text("")
    with pytest.raises(WebSocketDisconnect) as caught, browser.websocket_connect("/socket"):
        pass
    assert caught.value.code == 1013
    browser.cookies.clear()
    with pytest.raises(SessionStoreError), browser.websocket_connect("/socket"):
        pass
