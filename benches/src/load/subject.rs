//! Who is under load: a whole application, or a bare client.

use std::{pin::Pin, sync::Arc};

use anyhow::{Result, ensure};
use axum::{
    Router,
    http::{HeaderValue, Uri},
};

use crate::{apps::router, case::Case, content::Content, jar::Jar};

/// A future that any thread may run.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What tells one visitor from another: the header `Cookie`, or whatever a bare client goes by.
pub type Ticket = HeaderValue;

/// Makes a subject whose sessions hold this.
pub type Make = Arc<dyn Fn(Arc<Content>) -> Later<'static, Box<dyn Subject>> + Send + Sync>;

/// Who is under load.
pub trait Subject: Send + Sync {
    /// Makes a session.
    fn create(&self) -> Later<'_, Ticket>;

    /// One request, whose answer nobody reads. Anything but success is an error.
    fn send<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, ()>;

    /// The same, and the answer: the user of [`Case::Read`], the count of [`Case::ReadWrite`].
    fn ask<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, String>;
}

/// A whole application.
#[derive(Debug)]
pub struct App(pub Router);

impl Subject for App {
    fn create(&self) -> Later<'_, Ticket> {
        Box::pin(async {
            let reply = router::send(&self.0, Case::New.path(), None).await?;
            ensure!(reply.status == 200, "a new session: {}", reply.body);
            let mut jar = Jar::default();
            jar.take(reply.cookies.iter().map(String::as_str));
            Ok(HeaderValue::from_str(&jar.header().unwrap_or_default())?)
        })
    }

    fn send<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, ()> {
        Box::pin(async move {
            let uri = Uri::from_static(case.path());
            let fine = router::request(&self.0, uri, Some(ticket.clone())).await?;
            ensure!(fine, "a request failed");
            Ok(())
        })
    }

    fn ask<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, String> {
        Box::pin(async move {
            let reply = router::send(&self.0, case.path(), Some(ticket.clone())).await?;
            ensure!(reply.status == 200, "{case:?}: {}", reply.body);
            Ok(reply.body)
        })
    }
}
