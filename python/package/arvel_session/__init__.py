"""Server-side HTTP sessions for ASGI: no lost update, dead stays dead, an outage never eats data.

>>> from arvel_session import Session, SessionServiceProvider, StartSession

Register the provider, take the store from the facade, and add the middleware to the application; a handler then has its
session in ``request.state.session``.
"""

from ._config import load as load_config
from ._native import SessionConfig, SessionData, SessionManager, Store
from .errors import SessionError
from .facades.session import Session
from .session.middleware import StartSession
from .session.provider import SessionServiceProvider

__all__ = [
    "Session",
    "SessionConfig",
    "SessionData",
    "SessionError",
    "SessionManager",
    "SessionServiceProvider",
    "StartSession",
    "Store",
    "load_config",
]
