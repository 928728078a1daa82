"""The ``Session`` facade."""

from __future__ import annotations

from .._native import SessionManager
from ..errors import SessionConfigError

__all__ = ["Session"]


class Session:
    """The facade: it has the application's manager, and nothing else.

    What a handler reads and writes is on ``request.state.session``, a :class:`~arvel_session.SessionData`.
    """

    _manager: SessionManager | None = None

    @classmethod
    def manager(cls) -> SessionManager:
        """The manager that ``SessionServiceProvider`` has bound.

        :raises SessionConfigError: none is bound.
        """
        if Session._manager is None:
            raise SessionConfigError(
                "the Session facade is not bound: call SessionServiceProvider().register() first"
            )
        return Session._manager

    @classmethod
    def _bind(cls, manager: SessionManager) -> None:
        Session._manager = manager
