"""One class for each kind of error, all of them under `SessionError`."""

from __future__ import annotations

import pytest
from arvel_session import SessionConfig, SessionManager, errors
from arvel_session.facades.session import Session


def test_every_class_is_a_session_error() -> None:
    classes = [getattr(errors, name) for name in errors.__all__ if name != "SessionWarning"]
    assert len(classes) == 13
    assert all(issubclass(one, errors.SessionError) for one in classes)
    assert issubclass(errors.SessionTypeError, TypeError)
    assert issubclass(errors.SessionValueError, ValueError)
    assert issubclass(errors.SessionTimeoutError, TimeoutError)


def test_a_setting_at_fault_is_named() -> None:
    with pytest.raises(errors.SessionConfigError, match=r"lifetime = a list \(set in code\)"):
        SessionConfig(lifetime=[1])  # type: ignore[arg-type]
    with pytest.raises(errors.SessionConfigError, match='"lifetim" is not a setting; is lifetime meant'):
        SessionConfig(lifetim=1)  # type: ignore[call-arg]
    with pytest.raises(errors.SessionConfigError, match="SESSION_SECRET_KEY"):
        SessionManager(SessionConfig(driver="memory"))
    with pytest.raises(errors.SessionConfigError, match="is no driver"):
        SessionManager(SessionConfig(driver="tape", secret_key="k" * 32)).store()


def test_an_unbound_facade_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "_manager", None)
    with pytest.raises(errors.SessionConfigError, match=r"SessionServiceProvider\(\)\.register\(\)"):
        Session.manager()


def test_no_secret_is_shown() -> None:
    config = SessionConfig(secret_key="s3cret" * 8, redis_url="redis://:hunter2@cache")
    shown = repr(config) + repr(config.describe())
    assert "s3cret" not in shown and "hunter2" not in shown
