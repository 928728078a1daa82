"""The cascade: `config/session.py`, `config/session.toml`, `SESSION_*`, `.env`, the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from arvel_session import SessionConfig, load_config
from arvel_session.errors import SessionConfigError


def settings(config: SessionConfig) -> dict[str, tuple[str, str]]:
    return {name: (value, source) for name, value, source in config.describe()}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_each_layer_counts_for_what_those_above_do_not_set(tmp_path: Path) -> None:
    python = write(tmp_path, "config/session.py", "minutes = 60\nconfig = {'lifetime': 2 * minutes, 'domain': None}\n")
    toml = write(tmp_path, "config/session.toml", 'lifetime = 1\ncookie_name = "toml"\n')
    write(tmp_path, ".env", "SESSION_LIFETIME=3\nSESSION_PATH=/dot\nSESSION_DRIVER=file\n")
    environment = {"SESSION_LIFETIME": "2", "SESSION_COOKIE_NAME": "env", "SESSION_DRIVER": "memory"}
    found = settings(load_config(tmp_path, environment))
    assert found["lifetime"] == ("120", str(python))
    assert found["cookie_name"] == ("toml", str(toml))
    assert found["driver"] == ("memory", "SESSION_DRIVER")
    assert found["path"] == ("/dot", f"SESSION_PATH in {tmp_path / '.env'}")
    assert found["domain"] == ("none", "default")
    assert found["same_site"] == ("lax", "default")


def test_the_working_folder_and_the_environment_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSION_LIFETIME", "77")
    assert settings(load_config())["lifetime"] == ("77", "SESSION_LIFETIME")
    write(tmp_path, "config/session.py", "config = {'lifetime': 78, 'secure': True, 'previous_keys': ['k' * 32]}")
    found = settings(load_config())
    assert found["lifetime"] == ("78", "config/session.py")
    assert found["secure"][0] == "true"
    assert found["previous_keys"][0] == "*** (1)"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("config = {'lifetime': 'long'}", r"lifetime = long \(.*session\.py\): must be a number of seconds"),
        ("config = {'lifetime': -1}", r"lifetime = -1 \(.*session\.py\)"),
        ("config = {'lifetime': float('inf')}", r"lifetime = inf \(.*session\.py\)"),
        ("config = {'liftime': 1}", r'session\.py: "liftime" is not a setting; is lifetime meant'),
        ("config = {'driver': object()}", r"driver \(.*session\.py\): must be a text, a number"),
        ("config = {1: 2}", "the names of settings must be texts"),
        ("config = []", "it must have a dict named config"),
        ("", "it must have a dict named config"),
        ("config = {", "cannot be run: SyntaxError"),
        ("config = {'cookie_name': 'a b'}", "cookie_name = a b"),
        ("config = {'secret_key': 'short and secret'}", r"secret_key \(.*session\.py\)"),
    ],
)
def test_a_mistake_names_its_file_its_setting_and_its_value(tmp_path: Path, text: str, error: str) -> None:
    write(tmp_path, "config/session.py", text)
    with pytest.raises(SessionConfigError, match=error) as caught:
        load_config(tmp_path, {})
    assert "short and secret" not in str(caught.value)


def test_a_mistake_in_the_environment_is_the_same_as_in_rust(tmp_path: Path) -> None:
    with pytest.raises(SessionConfigError, match=r"lifetime = 2h \(SESSION_LIFETIME\): must be a number of seconds"):
        load_config(tmp_path, {"SESSION_LIFETIME": "2h"})
    with pytest.raises(SessionConfigError, match="SESSION_LIFETIM is not a setting; is SESSION_LIFETIME meant"):
        load_config(tmp_path, {"SESSION_LIFETIM": "1"})
    with pytest.raises(SessionConfigError, match="SESSION_PATH is not UTF-8"):
        load_config(tmp_path, {"SESSION_PATH": "\udcff"})
