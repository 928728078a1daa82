//! tower-sessions in memory, and its cookie store.

use std::sync::Arc;

use anyhow::Result;
use tower_sessions::{MemoryStore, SessionManagerLayer, cookie::Key};
use tower_sessions_cookie_store::{CookieSessionManagerLayer, Key as CookieKey};

use super::{Application, Local, router::routes};
use crate::content::Content;

/// Its memory store, with a plain id in the cookie: the default.
pub(super) fn memory(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let layer = SessionManagerLayer::new(MemoryStore::default());
        let router = routes::<tower_sessions::Session>(content).layer(layer);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}

/// Its memory store, with a signed id.
pub(super) fn signed(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let layer = SessionManagerLayer::new(MemoryStore::default()).with_signed(Key::generate());
        let router = routes::<tower_sessions::Session>(content).layer(layer);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}

/// Its cookie store, encrypted.
pub(super) fn cookie(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let layer = CookieSessionManagerLayer::private(CookieKey::generate());
        let router = routes::<tower_sessions_cookie_store::Session>(content).layer(layer);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}
