//! The Lua scripts, sent by their hash; in full only to a server that does not know them.

use std::sync::LazyLock;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::wire::Command;

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

    /// A call of it, with room for so many bytes of keys and arguments.
    pub(super) fn call(&self, keys: &[&str], size: usize) -> Call<'_> {
        let mut command = Command::new("EVALSHA", size + self.hash.len());
        command.arg(&self.hash);
        let head = command.len();
        command.number(keys.len() as u64);
        for key in keys {
            command.arg(key);
        }
        Call {
            script: self,
            command,
            head,
        }
    }
}

/// A call of a script.
pub(super) struct Call<'a> {
    script: &'a Script,
    pub(super) command: Command,
    /// How many bytes the command and the hash take.
    head: usize,
}

impl Call<'_> {
    /// The same call with the source in place of the hash, which the server then knows.
    pub(super) fn in_full(&self) -> Command {
        self.command
            .with_head(self.head, &["EVAL", self.script.source])
    }
}
