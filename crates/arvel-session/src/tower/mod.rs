//! Sessions for anything on `tower`: the layer, its service, and axum's extractor.
//!
//! A request comes in by [`SessionService`], whose future opens the session, lets the handler run, and commits before the
//! response's head leaves. [`SessionBody`] commits again where the handler's body streams on with the session in hand.

mod body;
#[cfg(feature = "axum")]
mod extract;
mod facts;
mod future;
mod head;
mod layer;
mod service;

pub use body::SessionBody;
pub use facts::Facts;
pub use future::ResponseFuture;
pub(crate) use future::settled;
pub(crate) use head::{finish as apply, verdict};
pub(crate) use layer::Shared;
pub use layer::StartSession;
pub use service::SessionService;
