//! tower-sessions in memory, and its cookie store (which is built on an older core, hence the second session type).

use std::sync::Arc;

use anyhow::Result;
use tower_sessions::{MemoryStore, SessionManagerLayer, cookie::Key};
use tower_sessions_cookie_store::{CookieSessionManagerLayer, Key as CookieKey};

use super::{
    Application, Local,
    router::{Failure, Visit, routes},
};
use crate::content::{Content, VISITS};

macro_rules! visit {
    ($session:ty) => {
        impl Visit for $session {
            async fn user(&self) -> Result<u64, Failure> {
                Ok(self.get("user").await?.unwrap_or_default())
            }

            async fn count(&self) -> Result<i64, Failure> {
                let visits = self.get::<i64>(VISITS).await?.unwrap_or(0) + 1;
                self.insert(VISITS, visits).await?;
                Ok(visits)
            }

            async fn fill(&self, content: &Content) -> Result<(), Failure> {
                self.insert("user", content.user).await?;
                self.insert("name", &content.name).await?;
                self.insert("csrf", &content.csrf).await?;
                self.insert("cart", &content.cart).await?;
                self.insert("locale", &content.locale).await?;
                Ok(())
            }

            async fn regenerate(&self) -> Result<(), Failure> {
                Ok(self.cycle_id().await?)
            }
        }
    };
}

visit!(tower_sessions::Session);
visit!(tower_sessions_cookie_store::Session);

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
