"""One domain, two services: the playground in Rust and the example in FastAPI share their sessions."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from arvel_session import SessionManager, load_config
from conftest import KEY, server
from starlette.testclient import TestClient

STORES = ["cookie", "file", "sqlite", "redis", "postgres", "mysql"]


def settings_of(store: str, folder: Path) -> dict[str, str]:
    settings = {"SESSION_SECRET_KEY": KEY, "SESSION_DRIVER": store, "SESSION_FILES_PATH": str(folder / "files")}
    # A busy machine is not what is tested here.
    settings["SESSION_TIMEOUT"] = "60"
    if store == "redis":
        settings |= {"SESSION_REDIS_URL": server("ARVEL_TEST_REDIS"), "SESSION_REDIS_PREFIX": f"{folder.name}:"}
    urls = {"sqlite": lambda: f"sqlite:{folder / 'sessions.db'}"}
    urls["postgres"] = lambda: server("ARVEL_TEST_POSTGRES")
    urls["mysql"] = lambda: server("ARVEL_TEST_MYSQL")
    if store in urls:
        table = "py_" + os.urandom(6).hex()
        settings |= {
            "SESSION_DRIVER": "database",
            "SESSION_DATABASE_URL": urls[store](),
            "SESSION_DATABASE_TABLE": table,
        }
    return settings


class Playground:
    """The built playground, as a process of its own."""

    def __init__(self, settings: dict[str, str], folder: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SESSION_")}
        self.process = subprocess.Popen(
            [server("ARVEL_TEST_PLAYGROUND")],
            cwd=folder,
            env={**environment, **settings, "PLAYGROUND_ADDR": "127.0.0.1:0"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Playground: "):
                self.url = line.split()[1]
                return
        raise AssertionError("the playground ended")

    def run(self, jar: dict[str, str], *ops: list[Any]) -> list[Any]:
        """Runs operations on the session of this cookie, and keeps the cookie that comes back."""
        headers = {"content-type": "application/json", "cookie": cookie_line(jar)}
        body = json.dumps({"ops": ops}).encode()
        request = urllib.request.Request(f"{self.url}session", data=body, headers=headers)
        with urllib.request.urlopen(request) as response:
            keep(jar, response.headers.get_all("set-cookie") or [])
            results: list[Any] = json.load(response)["results"]
            return results


def cookie_line(jar: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def keep(jar: dict[str, str], lines: list[str]) -> None:
    for line in lines:
        name, value = line.split(";")[0].split("=", 1)
        jar[name] = value


class Example:
    """The example in FastAPI, in this process."""

    def __init__(self) -> None:
        path = Path(__file__).parents[2] / "examples" / "fastapi" / "app.py"
        spec = importlib.util.spec_from_file_location("fastapi_example", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["fastapi_example"] = module
        spec.loader.exec_module(module)
        self.client = TestClient(module.app, follow_redirects=False)

    def call(self, jar: dict[str, str], method: str, path: str) -> Any:
        response = self.client.request(method, path, headers={"cookie": cookie_line(jar)})
        self.client.cookies.clear()
        keep(jar, response.headers.get_list("set-cookie"))
        return response.json() if response.status_code == 200 else response.status_code


@pytest.fixture
def services(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Playground, Example]]:
    settings = settings_of(request.param, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    migrate = SessionManager(load_config()).migrate

    async def prepare() -> None:
        await migrate()

    asyncio.run(prepare())
    playground = Playground(settings, tmp_path)
    try:
        yield request.param, playground, Example()
    finally:
        playground.process.kill()
        playground.process.communicate()


@pytest.mark.parametrize("services", STORES, indirect=True)
def test_they_share_data_flash_tokens_and_logins(services: tuple[str, Playground, Example]) -> None:
    store, rust, python = services
    jar: dict[str, str] = {}
    big = 2**63 - 1
    value = {"list": [1, 2.5, None, True, "ü☃"], "big": big}
    # Logs in at the playground, and goes on at FastAPI.
    [_, _, token] = rust.run(jar, ["put", "user", 7], ["put", "data", value], ["token"])
    before = dict(jar)
    rust.run(jar, ["regenerate"], ["flash", "status", "from Rust"])
    assert before != jar
    assert python.call(jar, "GET", "/") == {"user": 7, "data": value, "status": "from Rust"}
    assert python.call(jar, "GET", "/") == {"user": 7, "data": value}
    # And back.
    assert python.call(jar, "POST", "/visits") == 1
    assert python.call(jar, "POST", "/cart/book") == ["book"]
    assert rust.run(jar, ["increment", "visits"], ["push", "cart", "pen"], ["get", "cart"]) == [2, None, ["book", "pen"]]
    assert python.call(jar, "POST", "/login/ada") == 303
    everything = rust.run(jar, ["all"])[0]
    assert everything["user"] == "ada" and everything["status"] == "Welcome back!"
    assert rust.run(jar, ["get", "status", "gone"], ["get", "data"]) == ["gone", value]
    assert rust.run(jar, ["token"]) != [token]
    # Logs out at FastAPI: dead at the playground, too.
    old = dict(jar)
    assert python.call(jar, "POST", "/logout") == 303
    assert rust.run(jar, ["all"]) == [{"status": "Goodbye"}]
    if store != "cookie":
        assert rust.run(dict(old), ["all"]) == [{}]
        assert python.call(dict(old), "GET", "/") == {}


@pytest.mark.parametrize("services", STORES[1:], indirect=True)
def test_at_once_both_keep_what_they_wrote(services: tuple[str, Playground, Example]) -> None:
    _, rust, python = services
    jar: dict[str, str] = {}
    rust.run(jar, ["put", "visits", 0])

    def in_rust(number: int) -> None:
        rust.run(dict(jar), ["increment", "visits"], ["put", f"rust {number}", number])

    def in_python(number: int) -> None:
        python.call(dict(jar), "POST", "/visits")

    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(work, number) for number in range(20) for work in (in_rust, in_python)]
        for one in done:
            one.result()
    everything = rust.run(jar, ["all"])[0]
    assert everything == {"visits": 40, **{f"rust {number}": number for number in range(20)}}
    assert python.call(jar, "GET", "/") == everything
