"""``StartSession``: pure ASGI middleware."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from datetime import timedelta
from typing import Any

from .._native import Sessions, Store

__all__ = ["StartSession"]

_Scope = MutableMapping[str, Any]
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class StartSession(Sessions):
    """Loads the session at the start of a request, attaches it to ``request.state.session``, and writes it back before
    the response's head leaves, and again when a streaming body ends.

    Wire it as ASGI middleware on the application as a whole::

        app = Starlette(routes=routes, middleware=[Middleware(StartSession, store=store, lifetime=7200)])

    * A visitor without a session costs no I/O and no cookie, as long as nothing is put.
    * If the store fails, the client gets a 503 and nothing is overwritten.
    * The same middleware twice on one request is one; with another store or cookie name it is an error.

    :param store: from ``Session.manager().store()``.
    :param lifetime: seconds that a session lives without a request; that of the configuration by default.
    :param cookie_name: the cookie's name; that of the configuration by default.
    :param secure: whether the cookie is for HTTPS only.
    :param same_site: ``"lax"``, ``"strict"`` or ``"none"``.
    :param skip: answers for a scope whether it passes without a session: nothing is loaded, no flash ages.
    :param keep_flash: answers for a scope whether it sees flash data and does not use it up.
    :param client_ip: answers for a scope the client's address, for the table of the database driver. By default it is
        the peer's. Read ``X-Forwarded-For`` only behind a proxy of yours that overwrites it.
    :param unavailable_status: the status of the response when the store fails.
    :raises SessionConfigError: a setting is impossible.
    """

    def __init__(
        self,
        app: _App,
        store: Store,
        lifetime: float | timedelta | None = None,
        cookie_name: str | None = None,
        *,
        secure: bool | None = None,
        same_site: str | None = None,
        skip: Callable[[_Scope], bool] | None = None,
        keep_flash: Callable[[_Scope], bool] | None = None,
        client_ip: Callable[[_Scope], str | None] | None = None,
        unavailable_status: int = 503,
    ) -> None:
        # All of it is for `__new__`. A request is a call of the native class; a server that looks whether this is an
        # ASGI application at all wants to see a coroutine function, and finds this one.
        self.__dict__["__call__"] = _called.__get__(self)


async def _called(sessions: StartSession, scope: _Scope, receive: _Receive, send: _Send) -> None:
    await sessions(scope, receive, send)
