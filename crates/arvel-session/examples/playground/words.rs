//! What the page says in sentences: about the driver, and about what was just done.

use crate::{
    forms::Action,
    page::{Notice, View},
    site::Site,
};

/// Where the session is, and what that means.
pub(crate) fn promise(site: &Site) -> &'static str {
    let capabilities = site.store.capabilities();
    if !capabilities.server_side {
        "The browser holds all of it, sealed. Nothing is kept on the server, so of two requests at once the last response \
         wins, and a copied cookie works until it expires."
    } else if !capabilities.persistent {
        "It stays in this process and ends with it; the browser holds a signed id."
    } else if capabilities.shared {
        "It stays on the server, for all processes to share; the browser holds a signed id."
    } else {
        "It stays on the server; the browser holds a signed id."
    }
}

/// What a logout does.
pub(crate) fn logout(site: &Site) -> &'static str {
    if site.store.capabilities().server_side {
        "everything ends and the id is dead, also for requests that are still running."
    } else {
        "everything ends and the cookie is removed. With this driver a copy of it still works, as there is nothing to revoke."
    }
}

/// What was just done.
pub(crate) fn notice(site: &Site, view: &View) -> &'static str {
    match &view.notice {
        Some(Notice::Done(_, action, _)) => done(*action, site, view),
        Some(Notice::Now(_)) => "Shown now. The next request will not see it.",
        Some(Notice::Problem(_)) => "Refused. The session is as it was.",
        None => "You opened the page.",
    }
}

fn done(action: Action, site: &Site, view: &View) -> &'static str {
    let server_side = site.store.capabilities().server_side;
    match action {
        Action::Put => "Put. It was stored before the redirect left, so this page already has it.",
        Action::Push => "Pushed to the list.",
        Action::Increment => "Counted up.",
        Action::Decrement => "Counted down.",
        Action::Forget => "Forgotten: its data and its flash.",
        Action::Flush => "Flushed: everything is gone, the id stays.",
        Action::Flash => {
            "Flashed before a redirect. This page is the next request, so it shows it."
        }
        Action::Now => "Shown for one response.",
        Action::Detour if view.flash.is_empty() => {
            "Flashed before two redirects. The one in between used it up, so there is nothing to show."
        }
        Action::Detour | Action::Reflash => {
            "Flashed before two redirects. The one in between called reflash, so it lived on."
        }
        Action::Login if server_side => {
            "Logged in: the session has a new id, its data stayed, the old id is dead."
        }
        Action::Login => "Logged in: the session has a new id and its data stayed.",
        Action::Logout if server_side => {
            "Logged out: the session and all that was in it are gone, and its id is dead."
        }
        Action::Logout => "Logged out: the cookie is gone, and all that was in it.",
        Action::Regenerate => "Regenerated: a new id, the same data.",
    }
}
