//! The promises of the design, one test each: named after the rule that would be broken if it failed.
//!
//! | rule | module |
//! |---|---|
//! | R1, R2, which cookie counts | `open` |
//! | R7, R8: no lost update, unknown outcomes | `merge` |
//! | R9, R11, R12: dead ids, regenerating, invalidating | `ids` |
//! | R10, the operations on data | `data` |
//! | values as JSON text | `text` |
//! | a session that ends while it is stored, or has next to nothing | `ending` |
//! | a handle without a layer | `handle` |
//! | flash and its ageing | `flash` |
//! | lifetimes, deadlines, the sweeper | `time` |
//! | R13, R15, R16, R17: cookies and caches | `cookies` |
//! | R14, R18, R19: keys, seals, what is at rest and in the log | `keys` |
//! | R19: `Debug` | `shown` |
//! | bodies that stream on, handles that outlive them | `streaming` |
//! | R3, R4, R5, R6: the middleware among others | `layer` |
//! | ten thousand clients that leave | `leaving` |
//! | all operations against a plain model | `model` |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "in a test it is the assertion; a test is one story"
)]

#[path = "../support/mod.rs"]
mod support;

mod cookies;
mod data;
mod ending;
mod flash;
mod handle;
mod ids;
mod keys;
mod layer;
mod leaving;
mod merge;
mod model;
mod open;
mod shown;
mod streaming;
mod text;
mod time;
