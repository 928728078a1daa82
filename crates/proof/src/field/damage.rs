//! Ruining a session's record where it is stored.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use arvel_session::store::{At, FileStore, Key, SessionStore};
use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use xtask::error::{Context, Error, Result};

use super::{Driver, Place, Servers};
use crate::history::SessionId;

/// What a session's file begins with (`store/file/layout.rs`).
const HEADER: u64 = 16;

/// The name under which a store keeps a session: the SHA-256 of its id.
#[must_use]
pub fn name(id: &SessionId) -> String {
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Overwrites a live record with garbage, and leaves everything else as it is. Whether it was there.
///
/// # Errors
/// The store cannot be reached.
pub async fn ruin(place: &Place, servers: &Servers, id: &SessionId) -> Result<bool> {
    let (name, table) = (name(id), &place.name);
    let missing = || Error::new(format!("{} has no server", place.driver));
    match place.driver {
        Driver::File => ruin_file(place, id).await,
        Driver::Sqlite => {
            let database = Connection::open(place.database()).context("opening the database")?;
            let update =
                format!("UPDATE {table} SET payload = x'0102' WHERE id = ?1 AND live <> 0");
            let rows = database
                .execute(&update, [&name])
                .context("ruining a row")?;
            Ok(rows > 0)
        }
        Driver::Postgres => {
            let server = servers.postgres.as_ref().ok_or_else(missing)?;
            let ruined = server.query(&format!(
                "UPDATE {table} SET payload = '\\x0102' WHERE id = '{name}' AND live <> 0 RETURNING 1"
            ))?;
            Ok(ruined.starts_with('1'))
        }
        Driver::Mariadb => {
            let server = servers.mariadb.as_ref().ok_or_else(missing)?;
            let ruined = server.query(&format!(
                "UPDATE {table} SET payload = x'0102' WHERE id = '{name}' AND live <> 0; SELECT ROW_COUNT()"
            ))?;
            Ok(ruined.starts_with('1'))
        }
        Driver::Redis | Driver::Sentinel | Driver::Cluster => {
            let server = servers.redis.as_ref().ok_or_else(missing)?;
            let [tag_0, tag_1, ..] = id.as_bytes() else {
                return Ok(false);
            };
            let key = format!("{}{{{tag_0:02x}{tag_1:02x}}}{name}", place.prefix());
            let ruined = server.node.ask(&["eval", SCRIPT, "1", &key])?;
            Ok(ruined.starts_with("OK"))
        }
    }
}

/// Markers begin at kind 16, the second byte of a record: they are left alone, as are those of the other stores.
const SCRIPT: &str = "\
local kind = string.byte(redis.call('GETRANGE', KEYS[1], 1, 1))
if kind and kind < 16 then return redis.call('SET', KEYS[1], 'ruined', 'KEEPTTL') end
return ''";

/// Overwrites everything behind the header: no slot keeps its checksum.
async fn ruin_file(place: &Place, id: &SessionId) -> Result<bool> {
    let store = FileStore::open(&place.folder).context("opening the sessions")?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    let record = store
        .load(At::Key(&Key::new([0; 2], hash)))
        .await
        .unwrap_or_default();
    if !record.is_some_and(|record| record.kind.is_live()) {
        return Ok(false);
    }
    let name = name(id);
    let path = place.folder.join(&name[..2]).join(&name);
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .context("opening a session")?;
    let length = file.metadata().context("measuring a session")?.len();
    let garbage = vec![0x55; usize::try_from(length.saturating_sub(HEADER)).unwrap_or(0)];
    file.write_all_at(&garbage, HEADER)
        .context("ruining a session")?;
    Ok(true)
}
