"""The middleware, and the provider of the facade."""

from .middleware import StartSession
from .provider import SessionServiceProvider

__all__ = ["SessionServiceProvider", "StartSession"]
