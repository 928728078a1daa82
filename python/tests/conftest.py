"""What the tests share: applications under each driver, and their browsers."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from arvel_session import SessionConfig, SessionManager, StartSession, Store
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

KEY = "0123456789abcdef0123456789abcdef"


def server(variable: str) -> str:
    """A private server that `cargo xtask test` has started."""
    url = os.environ.get(variable)
    if url is None:
        if "ARVEL_TEST_REQUIRE" in os.environ:
            pytest.fail(f"{variable} is not set")
        pytest.skip(f"{variable} is not set: run the tests through cargo xtask test")
    return url


def make_config(driver: str, folder: Path, **settings: object) -> SessionConfig:
    """The configuration of a driver in a place of its own."""
    own = uuid.uuid4().hex[:12]
    place: dict[str, object] = {}
    if driver == "file":
        place = {"files_path": str(folder / "sessions")}
    elif driver == "redis":
        place = {"redis_url": server("ARVEL_TEST_REDIS"), "redis_prefix": f"py{own}:"}
    elif driver == "sqlite":
        place = {"driver": "database", "database_url": f"sqlite:{folder / 'sessions.db'}"}
    elif driver == "postgres":
        place = {
            "driver": "database",
            "database_url": server("ARVEL_TEST_POSTGRES"),
            "database_table": f"py_{own}",
        }
    elif driver == "mysql":
        place = {"driver": "database", "database_url": server("ARVEL_TEST_MYSQL"), "database_table": f"py_{own}"}
    # A busy machine is not what is tested here.
    return SessionConfig(**{"driver": driver, "secret_key": KEY, "timeout": 60, **place, **settings})  # type: ignore[arg-type]


IN_MEMORY = ["cookie", "memory"]
SERVER_SIDE = ["memory", "file", "sqlite", "redis", "postgres", "mysql"]
DRIVERS = ["cookie", *SERVER_SIDE]


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


async def migrated(config: SessionConfig) -> Store:
    """A store whose table is there."""
    manager = SessionManager(config)
    await manager.migrate()
    return manager.store()


def store_of(config: SessionConfig) -> Store:
    return SessionManager(config).store()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Makes an application of these handlers, by path, and a browser for it."""

    def make(
        driver: str = "memory",
        *,
        store: Store | None = None,
        settings: dict[str, object] | None = None,
        routes: list[Route] | None = None,
        raises: bool = True,
        middleware: dict[str, object] | None = None,
        **handlers: Callable[..., object],
    ) -> TestClient:
        if store is None:
            store = store_of(make_config(driver, tmp_path, **(settings or {})))
        all_routes = [*(routes or [])]
        for name, handler in handlers.items():
            all_routes.append(Route(f"/{name}", handler, methods=["GET", "POST", "HEAD"]))
        app = Starlette(
            routes=all_routes,
            middleware=[Middleware(StartSession, store=store, **(middleware or {}))],  # type: ignore[arg-type]
        )
        return TestClient(app, raise_server_exceptions=raises)

    yield make
