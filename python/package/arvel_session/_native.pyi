from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from datetime import timedelta
from typing import Any, final

from typing_extensions import Self, disjoint_base


__all__ = [
    "Capabilities",
    "Columns",
    "Conflict",
    "Key",
    "Passage",
    "Record",
    "Refusal",
    "SessionConfig",
    "SessionData",
    "SessionManager",
    "Sessions",
    "Store",
    "Visit",
    "Write",
    "checks",
    "listen",
    "run_check",
]

@final
class SessionData:
    """The session of one request.

    A handle on data in memory: every method but `save` is synchronous and waits for nothing. What is changed is committed
    before the response's head leaves, and kept also where another request changed the session meanwhile: the changes are
    applied again to what that one stored.

    Keys are texts. Values are plain data: `dict` with `str` keys, `list`, `str`, `int`, finite `float`, `bool`, `None`, of
    exactly these types, so that what is read is what was put.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """Reads a value, or answers `default` when the key is not there.

        What it answers is a copy of its own each time. Changing that changes nothing in the session: `put` it back, or
        use `push`, `increment` or `update`.
        """

    def has(self, key: str) -> bool:
        """Whether the key is there, as data or as readable flash; also where its value is `None`."""

    def missing(self, key: str) -> bool:
        """Whether the key is not there."""

    def keys(self) -> list[str]:
        """The names of everything that `get` can read, sorted."""

    def all(self) -> dict[str, Any]:
        """Everything that `get` can read; a copy."""

    def only(self, *keys: str | Iterable[str]) -> dict[str, Any]:
        """`all`, but these keys only."""

    def except_(self, *keys: str | Iterable[str]) -> dict[str, Any]:
        """`all`, but not these keys."""

    def put(self, key: str, value: Any) -> None:
        """Stores a value.

        Raises `SessionTypeError`, a `TypeError`, for what a session does not keep, and `SessionValueError`, a `ValueError`,
        for nan, the infinities and nesting beyond 127 levels. Both name the key, and nothing is changed.
        """

    def forget(self, key: str) -> None:
        """Removes a key: its data and its flash."""

    def flush(self) -> None:
        """Removes everything, and keeps the id. To log out or to change the user, call `invalidate`."""

    def pull(self, key: str, default: Any = None) -> Any:
        """Reads a value and removes it. Two requests at once can both read it: this is no claim ticket."""

    def push(self, key: str, item: Any) -> None:
        """Appends to a list; where there is none, begins one. Concurrent pushes all survive.

        Raises `SessionTypeError` when the value is not a list.
        """

    def increment(self, key: str, amount: int = 1) -> int:
        """Adds to a whole number, from zero where there is none, and answers the sum. Concurrent increments all count."""

    def decrement(self, key: str, amount: int = 1) -> int:
        """Subtracts from a whole number, as `increment` adds."""

    def remember(self, key: str, make: Callable[[], Any]) -> Any:
        """Reads a value, or stores what `make` answers where there is none.

        Where another request stored one meanwhile, that one stays.
        """

    def update(self, key: str, change: Callable[[Any], Any]) -> Any:
        """Stores what `change` makes of the present value (`None` where there is none), and answers it.

        Where another request changed the value meanwhile, `change` is called again with that one, perhaps in another
        thread: it must do nothing but compute. It sees data only, no flash.
        """

    def flash(self, key: str, value: Any) -> None:
        """Stores a value for the next request, and for that one only. This request does not see it."""

    def now(self, key: str, value: Any) -> None:
        """Shows a value to this request only; nothing is stored."""

    def reflash(self) -> None:
        """Keeps all flash that this request can read, `now` included, for one more request."""

    def keep(self, *keys: str | Iterable[str]) -> None:
        """`reflash`, but these keys only."""

    def token(self) -> str:
        """The token to put into forms, against cross-site request forgery; compare it with `verify_token`."""

    def verify_token(self, token: str) -> bool:
        """Whether this is the session's token, compared in constant time."""

    def regenerate_token(self) -> str:
        """Draws a new token and answers it."""

    def regenerate(self) -> None:
        """Gives the session a new id and keeps its data: at login, and whenever someone gains rights."""

    def invalidate(self) -> None:
        """Ends the session: at logout, and whenever the user changes."""

    def discard(self) -> None:
        """Drops what this request has changed since it began, or since the last `save`."""

    def id(self) -> str:
        """A fingerprint of the session for log lines: it says nothing about the id, and lets nobody in."""

    def set_user(self, user: object | None) -> None:
        """Notes whose session this is, for the column `user_id` of the database driver; `None` takes it back."""

    @property
    def is_detached(self) -> bool:
        """Whether this handle has outlived the response's head, so that only `save` stores."""

    def save(self) -> Awaitable[None]:
        """Stores what was changed so far, now.

        For what comes after the response (a websocket, a task of your own), and for what must be stored even if the
        handler fails later. Raises the store's error, with the changes kept in the handle; after the head has left,
        `SessionTooLateError` where the browser would have to learn something: a new id, or the cookie driver's content.
        """

    @staticmethod
    def fake() -> SessionData:
        """A session that exists, without a middleware or a store: for tests of handlers."""

    def with_(self, key: str, value: Any) -> SessionData:
        """A fake session with this value, as if an earlier request had put it."""

    def with_flash(self, key: str, value: Any) -> SessionData:
        """A fake session with this readable flash, as if the request before had set it."""

    def changes(self) -> dict[str, Any]:
        """What was changed since the request began: each key with its new value, a removed one with `None`."""

    def flashed(self) -> dict[str, Any]:
        """What the next request will be able to read as flash."""

@final
class SessionConfig:
    """How sessions are kept. The settings that are given here stand for themselves; `load_config` reads the cascade."""

    def __new__(
        cls,
        *,
        driver: str = ...,
        lifetime: float = ...,
        absolute_lifetime: float = ...,
        expire_on_close: bool = ...,
        cookie_name: str = ...,
        path: str = ...,
        domain: str = ...,
        secure: bool = ...,
        http_only: bool = ...,
        same_site: str = ...,
        partitioned: bool = ...,
        encrypt: bool = ...,
        secret_key: str = ...,
        previous_keys: list[str] = ...,
        files_path: str = ...,
        redis_url: str = ...,
        redis_prefix: str = ...,
        database_url: str = ...,
        database_table: str = ...,
        timeout: float = ...,
        sweep_interval: float = ...,
    ) -> SessionConfig: ...
    @staticmethod
    def _load(
        folder: str, environment: dict[str, str], path: str, settings: dict[str, Any] | None
    ) -> SessionConfig: ...
    def describe(self) -> list[tuple[str, str, str]]:
        """Every setting with its value, fit to be shown, and where it came from. Secrets are masked."""

    @staticmethod
    def generate_key() -> str:
        """A new secret key, fit for `SESSION_SECRET_KEY`."""

@final
class SessionManager:
    """Makes the store that the configuration names, and sweeps it. Each forked child makes its own."""

    def __new__(cls, config: SessionConfig) -> SessionManager: ...
    def store(self) -> Store:
        """The store of the configured driver. It connects when it is first used."""

    def config(self) -> SessionConfig:
        """The configuration."""

    def extend(self, name: str, make: Callable[[SessionConfig], object]) -> None:
        """Makes `name` a driver, to be chosen by the setting `driver`; `make` answers a store of yours.

        It must be registered before the store is first asked for.
        """

    def migrate(self) -> Awaitable[None]:
        """Makes the table of the `database` driver, or brings it up to date. Other drivers need nothing of it."""

    def sweep(self) -> Awaitable[int]:
        """Removes what has expired, now, and says how many records that were."""

    def shutdown(self) -> Awaitable[None]:
        """Stops sweeping in the background and waits until it has stopped. Sessions go on working."""

@final
class Store:
    """The store that a manager has made."""

    @property
    def driver(self) -> str:
        """The driver's name."""

    def ping(self) -> Awaitable[None]:
        """Asks the store for a session that is not there: for a health check."""

@final
class Capabilities:
    """What a store of yours promises; the conformance suite checks each of these both ways."""

    def __new__(
        cls,
        name: str,
        *,
        shared: bool = True,
        persistent: bool = True,
        atomic_replace: bool = True,
        sweeps: bool = True,
        columns: bool = False,
        max_bytes: int = 16777216,
    ) -> Capabilities: ...
    @property
    def name(self) -> str:
        """The name in log lines."""

@final
class Key:
    """Under what a store keeps a session: a hash of its id. Nobody gets in with it."""

    @property
    def hex(self) -> str:
        """The hash as 64 lower-case hexadecimal digits: a name for a row or a file."""

    @property
    def tag(self) -> bytes:
        """Two bytes that a session keeps through every regeneration; a sharded store may place it by them."""

    def __bytes__(self) -> bytes: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Record:
    """A session, or the marker of a dead one, as a store sees it."""

    @staticmethod
    def decode(encoded: bytes) -> Record:
        """Reads what `encode` wrote."""

    def encode(self) -> bytes:
        """The whole record as bytes."""

    @property
    def revision(self) -> int:
        """Which write made it: 64 random bits, without a sign."""

    @property
    def expires(self) -> int:
        """From when on it counts as gone, in milliseconds since 1970."""

    @property
    def is_live(self) -> bool:
        """Whether this is a session, not a marker of a dead one."""

    @property
    def size(self) -> int:
        """The length of `encode`'s answer."""

    def matches(self, revision: int) -> bool:
        """Whether this is a live session of that revision."""

    def with_expires(self, expires: int) -> Record:
        """The same with another expiry."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class Columns:
    """Who and what a session's last request was, for stores with a table that people look at."""

    @property
    def user(self) -> str | None: ...
    @property
    def ip(self) -> str | None: ...
    @property
    def agent(self) -> str | None: ...

@final
class Write:
    """A record to store, and what goes with it."""

    @property
    def record(self) -> Record: ...
    @property
    def columns(self) -> Columns: ...
    @property
    def now(self) -> int:
        """When this is written, in milliseconds since 1970."""

    @property
    def durable(self) -> bool:
        """Must survive a crash of the store's machine, where the store lets us choose."""

@final
class Conflict:
    """A store's answer to a save that it did not do: this is what is there."""

    def __new__(cls, there: Record | None) -> Conflict: ...
    @property
    def there(self) -> Record | None: ...

@final
class Refusal:
    @property
    def status(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def cookie(self) -> bytes | None: ...

@final
class Visit:
    def __call__(self, message: Any) -> Awaitable[None]: ...

@final
class Passage:
    def __await__(self) -> Generator[Any, Any, None]: ...
    def __iter__(self) -> Passage: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any) -> Any: ...
    def throw(self, *error: Any) -> Any: ...
    def close(self) -> None: ...

@disjoint_base
class Sessions:
    def __new__(
        cls,
        app: Callable[[Any, Any, Any], Awaitable[None]],
        store: Store,
        lifetime: float | timedelta | None = None,
        cookie_name: str | None = None,
        *,
        secure: bool | None = None,
        same_site: str | None = None,
        skip: Callable[[Any], bool] | None = None,
        keep_flash: Callable[[Any], bool] | None = None,
        client_ip: Callable[[Any], str | None] | None = None,
        unavailable_status: int = 503,
    ) -> Self: ...
    @property
    def app(self) -> Callable[[Any, Any, Any], Awaitable[None]]: ...
    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]: ...

def listen() -> None: ...
def checks() -> list[str]: ...
def run_check(name: str, opener: Callable[[], Awaitable[object]], running: Any, private: bool) -> str | None: ...
