//! Ruining a session's record where it is stored.

use std::fs;

use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use xtask::error::{Context, Error, Result};

use super::{Driver, Place, Servers};
use crate::history::SessionId;

/// The name under which a store keeps a session: the SHA-256 of its id.
#[must_use]
pub fn name(id: &SessionId) -> String {
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Overwrites the middle of the record with garbage, and leaves everything else as it is. Whether it was there.
///
/// # Errors
/// The store cannot be reached.
pub fn ruin(place: &Place, servers: &Servers, id: &SessionId) -> Result<bool> {
    let (name, table) = (name(id), &place.name);
    let missing = || Error::new(format!("{} has no server", place.driver));
    match place.driver {
        Driver::File => ruin_file(place, &name),
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
            let ruined = server.node.ask(&["set", &key, "ruined", "xx", "keepttl"])?;
            Ok(ruined.starts_with("OK"))
        }
    }
}

/// Flips what is behind the header: every slot loses its checksum.
fn ruin_file(place: &Place, name: &str) -> Result<bool> {
    let path = place.folder.join(&name[..2]).join(name);
    let Ok(mut bytes) = fs::read(&path) else {
        return Ok(false);
    };
    for byte in bytes.iter_mut().skip(40) {
        *byte ^= 0x55;
    }
    fs::write(&path, bytes).context("ruining a file")?;
    Ok(true)
}
