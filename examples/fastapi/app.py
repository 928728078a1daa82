"""The playground's little sister: the same session in FastAPI.

In the repository, with the package installed (`maturin develop --release --manifest-path python/Cargo.toml`)::

    SESSION_DRIVER=file SESSION_SECRET_KEY=… uvicorn --app-dir examples/fastapi app:app --port 3001

Started with the settings of `cargo run --release --example playground`, it shares the sessions of that.
"""

from typing import Annotated, Any

from arvel_session import Session, SessionData, SessionServiceProvider, StartSession
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse

SessionServiceProvider().register()

app = FastAPI(title="arvel-session")
app.add_middleware(StartSession, store=Session.manager().store())


def current(request: Request) -> SessionData:
    session: SessionData = request.state.session
    return session


Current = Annotated[SessionData, Depends(current)]


@app.get("/")
async def show(session: Current) -> dict[str, Any]:
    """Everything that this request can read."""
    return session.all()


@app.post("/visits")
async def visit(session: Current) -> int:
    """Counts, also when many requests come at once."""
    return session.increment("visits")


@app.post("/cart/{item}")
def add(item: str, session: Current) -> list[Any]:
    """An endpoint in a thread."""
    session.push("cart", item)
    cart: list[Any] = session.get("cart")
    return cart


@app.post("/login/{user}")
async def login(user: str, session: Current) -> RedirectResponse:
    """A new id, and a message for the next page."""
    session.regenerate()
    session.put("user", user)
    session.flash("status", "Welcome back!")
    return RedirectResponse("/", status_code=303)


@app.post("/logout")
async def logout(session: Current) -> RedirectResponse:
    """Ends the session."""
    session.invalidate()
    session.flash("status", "Goodbye")
    return RedirectResponse("/", status_code=303)
