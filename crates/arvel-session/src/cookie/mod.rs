//! Reading `Cookie` headers and writing `Set-Cookie`.

mod cache;
mod read;
mod write;

pub(crate) use cache::{mark_private, vary_by_cookie};
pub(crate) use read::values;
pub(crate) use write::CookieSettings;
