//! The Lua scripts, sent by their hash; in full only to a server that does not know them.

use std::sync::LazyLock;

use redis::{Arg, Cmd};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Stores a record over the live one of an expected revision.
pub(super) static SAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("save.lua")));
/// Stores a marker over the live record of an expected revision, and a record under a second key.
pub(super) static REPLACE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("replace.lua")));
/// Moves the expiry of a live record.
pub(super) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("touch.lua")));

pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Self {
            source,
            hash: hash.collect(),
        }
    }

    /// A call of it, with room for `keys`, and for `size` bytes of keys and arguments.
    pub(super) fn by_hash(&self, keys: &[&[u8]], size: usize) -> Cmd {
        let mut command = Cmd::with_capacity(10, size + 64);
        command.arg("EVALSHA").arg(&self.hash).arg(keys.len());
        for key in keys {
            command.arg(key);
        }
        command
    }

    /// The same call with the source in place of the hash, which the server then knows.
    pub(super) fn in_full(&self, by_hash: &Cmd) -> Cmd {
        let mut command = Cmd::new();
        command.arg("EVAL").arg(self.source);
        for argument in by_hash.args_iter().skip(2) {
            if let Arg::Simple(argument) = argument {
                command.arg(argument);
            }
        }
        command
    }
}
