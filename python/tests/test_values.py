"""What a session keeps, and what it refuses by name."""

from __future__ import annotations

import datetime
import enum
import json
import math
import random
from typing import Any

import pytest
from arvel_session import SessionData, SessionError
from arvel_session.errors import SessionTypeError, SessionValueError


class Word(str):
    pass


class Number(enum.IntEnum):
    ONE = 1


PLAIN: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    2**64,
    10**40,
    -(10**40),
    0.0,
    -0.0,
    1.0,
    0.1 + 0.2,
    1e308,
    5e-324,
    1e16,
    "",
    "text",
    'quotes " and \\ and / and \n\t\r\b\f\x00\x7f',
    "ümläut ☃ 😀",
    "\u2028\u2029",
    [],
    {},
    [[], {}],
    {"": {"a b": [1, 2.5, "x", None, True]}},
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_comes_back_exactly(value: Any) -> None:
    session = SessionData.fake()
    session.put("k", value)
    read = session.get("k")
    assert type(read) is type(value)
    assert read == value
    assert repr(read) == repr(value)
    assert repr(session.all()["k"]) == repr(value)


def random_value(dice: random.Random, depth: int = 0) -> Any:
    kind = dice.randrange(9 if depth < 4 else 6)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind == 1:
        return dice.randrange(-(10 ** dice.randrange(1, 30)), 10 ** dice.randrange(1, 30))
    if kind == 2:
        return dice.uniform(-1, 1) * 10.0 ** dice.randrange(-300, 300)
    if kind <= 5:
        return "".join(chr(dice.choice([dice.randrange(32, 127), dice.randrange(0xD800), 92, 34, 10]))
                       for _ in range(dice.randrange(12)))
    if kind <= 7:
        return [random_value(dice, depth + 1) for _ in range(dice.randrange(5))]
    return {str(random_value(dice, 9)): random_value(dice, depth + 1) for _ in range(dice.randrange(5))}


def test_whatever_is_made_of_plain_data_comes_back() -> None:
    dice = random.Random(7)
    session = SessionData.fake()
    for _ in range(2000):
        value = random_value(dice)
        session.put("k", value)
        assert repr(session.get("k")) == repr(value)
        assert session.get("k") == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 1, 1),
        b"bytes",
        {1, 2},
        (1, 2),
        object(),
        Word("text"),
        Number.ONE,
        {1: "a key that is no str"},
        {"deep": [{"deeper": {3.5}}]},
        {Word("k"): 1},
    ],
    ids=repr,
)
def test_what_is_no_plain_data_is_a_type_error_that_names_the_key(value: Any) -> None:
    session = SessionData.fake()
    for store in (session.put, session.flash, session.now, session.push):
        with pytest.raises(TypeError, match='session key "cart"') as caught:
            store("cart", value)
        assert isinstance(caught.value, SessionTypeError)
        assert isinstance(caught.value, SessionError)
    with pytest.raises(TypeError, match='session key "cart"'):
        session.remember("cart", lambda: value)
    with pytest.raises(TypeError, match='session key "cart"'):
        session.update("cart", lambda _: value)
    assert session.all() == {}
    assert session.flashed() == {}


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, [-math.inf], "\ud800", {"\udfff": 1}, nested(128), 10**5000],
    ids=["nan", "inf", "in a list", "surrogate", "key", "too deep", "too long"],
)
def test_what_json_cannot_say_is_a_value_error_that_names_the_key(value: Any) -> None:
    session = SessionData.fake()
    with pytest.raises(ValueError, match='session key "cart"') as caught:
        session.put("cart", value)
    assert isinstance(caught.value, SessionValueError)
    assert session.missing("cart")


def test_nesting_ends_at_127() -> None:
    session = SessionData.fake()
    session.put("k", nested(127))
    assert session.get("k") == nested(127)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError):
        session.put("k", endless)


def test_a_key_is_any_text() -> None:
    session = SessionData.fake()
    for key in ("", " ", "a.b", "ümläut", "_flash", "\x00"):
        session.put(key, key)
        assert session.get(key) == key
    with pytest.raises(TypeError):
        session.put(1, "one")  # type: ignore[arg-type]


def test_what_get_returns_is_a_copy() -> None:
    session = SessionData.fake().with_("cart", ["book"])
    cart = session.get("cart")
    cart.append("lost")
    assert session.get("cart") == ["book"]
    assert session.all() == {"cart": ["book"]}
    # The ways that store it.
    session.push("cart", "pen")
    session.update("cart", lambda items: [*items, "ink"])
    assert session.get("cart") == ["book", "pen", "ink"]
    cart = session.get("cart")
    cart.append("cap")
    session.put("cart", cart)
    cart.append("lost")
    assert session.get("cart") == ["book", "pen", "ink", "cap"]
