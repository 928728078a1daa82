"""What can go wrong: one class for each kind of error, all of them under :class:`SessionError`."""

from __future__ import annotations

__all__ = [
    "SessionConfigError",
    "SessionCorruptError",
    "SessionError",
    "SessionLayerError",
    "SessionNewerFormatError",
    "SessionStoreError",
    "SessionTimeoutError",
    "SessionTooLargeError",
    "SessionTooLateError",
    "SessionTypeError",
    "SessionUnavailableError",
    "SessionUnsupportedError",
    "SessionValueError",
    "SessionWarning",
]


class SessionError(Exception):
    """Any error of a session or of its store.

    Its message names the setting or the session key at fault. It never shows a secret, an id or a session's value.
    """


class SessionConfigError(SessionError):
    """A setting is missing, mistyped or impossible."""


class SessionUnavailableError(SessionError):
    """The store is at fault, so that trying again later may help: the client gets a 503."""


class SessionStoreError(SessionUnavailableError):
    """The store failed: connection, full disk, locked database, a lost record."""


class SessionTimeoutError(SessionUnavailableError, TimeoutError):
    """The store did not answer within its deadline."""


class SessionCorruptError(SessionUnavailableError):
    """A stored record is damaged."""


class SessionNewerFormatError(SessionUnavailableError):
    """A stored record was written by a newer version of this library."""


class SessionTypeError(SessionError, TypeError):
    """A value is of a type that a session does not keep, or has another type than the operation needs."""


class SessionValueError(SessionError, ValueError):
    """A value cannot be kept: not a number, too deep, not text."""


class SessionTooLargeError(SessionError):
    """The session does not fit: a cookie over 4,096 bytes, a record over the store's limit."""


class SessionTooLateError(SessionError):
    """It is too late for this: the response's head has left."""


class SessionUnsupportedError(SessionError):
    """The store does not do this."""


class SessionLayerError(SessionError):
    """``StartSession`` stands twice in front of a handler, with different settings."""


class SessionWarning(UserWarning):
    """What a session does not store, though it may look as if it did: a list or dict that ``get`` returned was changed."""
