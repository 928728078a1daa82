//! Reading `Cookie` headers and writing `Set-Cookie`.

mod cache;
mod read;
mod write;

pub(crate) use cache::{mark_private, vary_by_cookie};
pub(crate) use read::{values, values_in};
pub(crate) use write::CookieSettings;
