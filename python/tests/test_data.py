"""Every operation of `SessionData`."""

from __future__ import annotations

import asyncio
import gc

import pytest
from arvel_session import SessionData
from arvel_session.errors import SessionTypeError, SessionValueError, SessionWarning


def test_reading() -> None:
    session = SessionData.fake().with_("name", "Ada").with_("none", None)
    assert session.get("name") == "Ada"
    assert session.get("age") is None
    assert session.get("age", 36) == 36
    assert session.get("none", "default") is None
    assert session.has("none") and not session.missing("none")
    assert session.keys() == ["name", "none"]
    assert session.all() == {"name": "Ada", "none": None}
    assert session.only("name") == session.only(["name", "other"]) == {"name": "Ada"}
    assert session.except_("name") == session.except_(["name"]) == {"none": None}
    assert session.changes() == {}


def test_writing() -> None:
    session = SessionData.fake()
    session.put("name", "Ada")
    assert session.pull("name") == "Ada"
    assert session.pull("name", "gone") == "gone"
    session.push("cart", 1)
    session.push("cart", [2])
    assert session.get("cart") == [1, [2]]
    assert session.increment("visits") == 1
    assert session.increment("visits", 4) == 5
    assert session.decrement("visits") == 4
    assert session.decrement("visits", 10) == -6
    assert session.remember("locale", lambda: "en") == "en"
    assert session.remember("locale", lambda: "fr") == "en"
    assert session.update("best", lambda best: max(best or 0, 7)) == 7
    assert session.changes() == {"cart": [1, [2]], "visits": -6, "locale": "en", "best": 7}
    session.forget("cart")
    assert session.missing("cart")
    session.flush()
    assert session.all() == {}


def test_an_operation_that_fails_changes_nothing() -> None:
    session = SessionData.fake().with_("text", "a").with_("number", 2**63 - 1)
    with pytest.raises(SessionTypeError, match='session key "text"'):
        session.increment("text")
    with pytest.raises(SessionTypeError, match='session key "text"'):
        session.push("text", 1)
    with pytest.raises(SessionValueError, match='session key "number"'):
        session.increment("number")

    def fails(_: object) -> None:
        raise KeyError("of the application")

    with pytest.raises(KeyError, match="of the application"):
        session.update("text", fails)
    with pytest.raises(KeyError):
        session.remember("new", lambda: fails(None))
    assert session.changes() == {}


def test_flash() -> None:
    session = SessionData.fake().with_flash("status", "Saved").with_flash("other", 1)
    assert session.get("status") == "Saved"
    session.flash("next", [1])
    assert session.missing("next")
    session.now("alert", "Heads up")
    assert session.get("alert") == "Heads up"
    assert session.flashed() == {"next": [1]}
    session.keep("status", "alert")
    assert session.flashed() == {"next": [1], "status": "Saved", "alert": "Heads up"}
    session.reflash()
    assert session.flashed() == {"next": [1], "status": "Saved", "alert": "Heads up", "other": 1}
    again = SessionData.fake().with_flash("a", 1).with_flash("b", 2)
    again.keep(["b"])
    assert again.flashed() == {"b": 2}


def test_identity() -> None:
    session = SessionData.fake().with_("cart", ["book"])
    before, token = session.id(), session.token()
    assert session.verify_token(token) and not session.verify_token("")
    assert session.regenerate_token() != token
    assert not session.verify_token(token)
    session.regenerate()
    assert session.id() != before
    assert session.has("cart")
    session.set_user(7)
    session.set_user(None)
    session.discard()
    assert session.id() == before
    session.invalidate()
    assert session.all() == {}


def test_repr_shows_nothing() -> None:
    assert repr(SessionData.fake().with_("card", "4111")) == "SessionData(…)"


async def kept(session: SessionData) -> None:
    """What a middleware looks for before it commits, `save` looks for too."""
    await session.save()


def test_a_copy_that_was_changed_and_not_put_back_is_warned_about() -> None:
    session = SessionData.fake().with_("cart", ["book"]).with_("address", {"city": "London"}).with_("n", 1)
    session.get("cart").append("pen")
    with pytest.warns(SessionWarning, match='session key "cart": a list or dict'):
        asyncio.run(kept(session))
    # Once for each change, also where it is deeper down or came from elsewhere.
    asyncio.run(kept(session))
    session.all()["address"]["city"] = "Paris"
    session.remember("tags", lambda: [[]])[0].append("new")
    with pytest.warns(SessionWarning) as warned:
        asyncio.run(kept(session))
    assert sorted(str(warning.message).split('"')[1] for warning in warned) == ["address", "tags"]
    assert session.get("cart") == ["book"] and session.get("address") == {"city": "London"}


def test_of_many_copies_the_older_are_forgotten_unless_they_were_changed() -> None:
    session = SessionData.fake().with_("cart", ["book"]).with_("tags", ["a"])
    session.get("tags").append("b")
    before = len([one for one in gc.get_objects() if type(one) is list and one == ["book"]])
    for _ in range(10_000):
        session.get("cart")
    assert len([one for one in gc.get_objects() if type(one) is list and one == ["book"]]) - before < 1000
    with pytest.warns(SessionWarning, match='session key "tags"'):
        asyncio.run(kept(session))


def test_a_copy_that_was_put_back_or_given_up_is_not_warned_about() -> None:
    # Warnings are errors here.
    session = SessionData.fake().with_("cart", ["book"]).with_("tags", ["a"]).with_("old", [1]).with_("draft", {})
    cart = session.get("cart")
    cart.append("pen")
    session.put("cart", cart)
    session.get("tags").append("b")
    session.push("tags", "c")
    session.pull("old").append(2)
    session.get("cart")
    asyncio.run(kept(session))
    session.get("draft")["text"] = "…"
    session.discard()
    asyncio.run(kept(session))
