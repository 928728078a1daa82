//! Values between Python and JSON text, in both directions without a step between.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;
