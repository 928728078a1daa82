//! What the handlers do with a session of tower-sessions: of the newest, and of the one before, which its stores use.

use anyhow::Result;

use super::router::{Failure, Visit};
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

#[cfg(feature = "peers")]
visit!(tower_sessions::Session);
#[cfg(feature = "tower-sessions-0-14")]
visit!(tower_sessions_0_14::Session);
