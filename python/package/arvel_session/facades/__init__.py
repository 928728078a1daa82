"""The facades: :class:`Session`."""

from .session import Session

__all__ = ["Session"]
