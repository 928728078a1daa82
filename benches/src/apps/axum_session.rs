//! axum_session without a database, by its defaults: a plain id.

use std::sync::Arc;

use anyhow::Result;
use axum_session::{Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};

use super::{
    Application, Local,
    router::{Failure, Visit, routes},
};
use crate::content::{Content, VISITS};

impl Visit for Session<SessionNullPool> {
    async fn user(&self) -> Result<u64, Failure> {
        Ok(self.get("user").unwrap_or_default())
    }

    async fn count(&self) -> Result<i64, Failure> {
        let visits = self.get::<i64>(VISITS).unwrap_or(0) + 1;
        self.set(VISITS, visits);
        Ok(visits)
    }

    async fn fill(&self, content: &Content) -> Result<(), Failure> {
        self.set("user", content.user);
        self.set("name", &content.name);
        self.set("csrf", &content.csrf);
        self.set("cart", &content.cart);
        self.set("locale", &content.locale);
        Ok(())
    }

    async fn regenerate(&self) -> Result<(), Failure> {
        self.renew();
        Ok(())
    }
}

/// In this process's memory.
pub(super) fn memory(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async {
        let store = SessionStore::<SessionNullPool>::new(None, SessionConfig::default()).await?;
        let router = routes::<Session<SessionNullPool>>(content).layer(SessionLayer::new(store));
        Ok(Box::new(router) as Box<dyn Application>)
    })
}
