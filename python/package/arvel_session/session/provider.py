"""The facade's provider."""

from __future__ import annotations

from .._config import load
from .._native import SessionConfig, SessionManager
from ..facades.session import Session

__all__ = ["SessionServiceProvider"]


class SessionServiceProvider:
    """Reads the configuration and binds the :class:`~arvel_session.Session` facade, and does nothing else: add
    ``StartSession`` to the application yourself.

    :param config: the configuration; without one it is loaded when the provider is registered.
    """

    def __init__(self, config: SessionConfig | None = None) -> None:
        self._config = config

    def register(self) -> None:
        """Binds the facade; what was bound before is replaced.

        :raises SessionConfigError: what is wrong with the configuration.
        """
        config = load() if self._config is None else self._config
        Session._bind(SessionManager(config))
