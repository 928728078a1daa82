//! What a commit cannot get over.

use crate::{Error, ErrorKind};

pub(super) fn damaged() -> Error {
    Error::new(
        ErrorKind::Store,
        "the stored session was changed by somebody and cannot be opened",
    )
}

pub(super) fn lost_record() -> Error {
    Error::new(ErrorKind::Store, "the store has lost the session's record")
}

pub(super) fn lost_answer() -> Error {
    Error::new(
        ErrorKind::Store,
        "the store's answer was lost, and whether the session was saved cannot be found out",
    )
}
