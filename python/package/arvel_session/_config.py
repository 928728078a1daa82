"""The cascade: ``config/session.py``, ``config/session.toml``, ``SESSION_*``, ``.env``, the defaults."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._native import SessionConfig
from .errors import SessionConfigError

__all__ = ["load"]


def load(folder: str | os.PathLike[str] = "", environment: Mapping[str, str] | None = None) -> SessionConfig:
    """The configuration of this folder and this environment; the working folder and ``os.environ`` by default.

    A key that ``config/session.py`` sets in its dict ``config`` counts; then what ``config/session.toml`` sets, the
    variables ``SESSION_*``, those in ``.env``, and the defaults. ``None`` in the dict is a key that is not set.

    :raises SessionConfigError: an unknown key, a wrong type or an impossible value, with its place.
    """
    variables = dict(os.environ if environment is None else environment)
    path = Path(folder) / "config" / "session.py"
    return SessionConfig._load(os.fspath(folder), variables, str(path), _settings(path))


def _settings(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        config = runpy.run_path(str(path)).get("config")
    except Exception as error:
        raise SessionConfigError(f"{path} cannot be run: {type(error).__name__}") from error
    if not isinstance(config, dict):
        raise SessionConfigError(f"{path}: it must have a dict named config")
    return config
