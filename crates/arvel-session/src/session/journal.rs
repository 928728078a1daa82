//! The journal: every change of a request, as an operation that can be applied again to a newer record.

use std::sync::Arc;

use super::json::{self, Json};
use crate::{Error, ErrorKind, Result};

/// A closure of `update`, over JSON.
pub(crate) type Change = Arc<dyn Fn(Option<&[u8]>) -> Result<Json> + Send + Sync>;

/// One change.
#[derive(Clone)]
pub(crate) enum Op {
    Put {
        key: Arc<str>,
        value: Json,
    },
    /// Put, if absent.
    Remember {
        key: Arc<str>,
        value: Json,
    },
    /// Removes data and flash.
    Forget {
        key: Arc<str>,
    },
    /// Removes everything that is there at its commit.
    Flush,
    Push {
        key: Arc<str>,
        item: Json,
    },
    Add {
        key: Arc<str>,
        amount: i64,
    },
    Update {
        key: Arc<str>,
        change: Change,
    },
    Flash {
        key: Arc<str>,
        value: Json,
    },
    /// A readable flash that lives one more request.
    Keep {
        key: Arc<str>,
        value: Json,
    },
    User(Option<Arc<str>>),
    /// A new CSRF seed.
    Seed([u8; 16]),
}

/// The stored number (none is zero) plus `amount`.
pub(crate) fn add(key: &str, current: Option<&[u8]>, amount: i64) -> Result<i64> {
    let current: i64 = match current {
        None => 0,
        Some(number) => json::from_json(key, number)?,
    };
    current.checked_add(amount).ok_or_else(|| {
        Error::new(
            ErrorKind::Value,
            format!("session key {key:?}: the sum does not fit an i64"),
        )
    })
}
