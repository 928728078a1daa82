//! The proof: many clients on real servers, everything that they did and saw recorded, and a judge over the record.
//!
//! Nothing here is part of the library. See docs/proof.md.

pub mod checker;
pub mod field;
pub mod history;
pub mod load;
pub mod parts;
pub mod plan;
pub mod report;
pub mod server;
