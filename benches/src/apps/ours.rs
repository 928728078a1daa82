//! arvel-session with everything on that is on by default: signature, hashed id, sealing, revision.

use std::sync::Arc;

use anyhow::Result;
use arvel_session::SessionData;

use super::{
    Application, Local,
    router::{Failure, Visit, routes},
};
use crate::{
    content::{Content, VISITS},
    ours::{config, layer},
};

impl Visit for SessionData {
    async fn user(&self) -> Result<u64, Failure> {
        Ok(self.get("user")?.unwrap_or_default())
    }

    async fn count(&self) -> Result<i64, Failure> {
        Ok(self.increment(VISITS, 1)?)
    }

    async fn fill(&self, content: &Content) -> Result<(), Failure> {
        self.put("user", content.user)?;
        self.put("name", &content.name)?;
        self.put("csrf", &content.csrf)?;
        self.put("cart", &content.cart)?;
        self.put("locale", &content.locale)?;
        Ok(())
    }

    async fn regenerate(&self) -> Result<(), Failure> {
        Self::regenerate(self);
        Ok(())
    }
}

/// In this process's memory.
pub(super) fn memory(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    on("memory", content)
}

/// Sealed in the browser.
pub(super) fn cookie(content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    on("cookie", content)
}

fn on(driver: &'static str, content: Arc<Content>) -> Local<'static, Result<Box<dyn Application>>> {
    Box::pin(async move {
        let router = routes::<SessionData>(content).layer(layer(config(driver))?);
        Ok(Box::new(router) as Box<dyn Application>)
    })
}
