//! Which sessions are alive in a store, counted behind the library's back.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use arvel_session::{
    Time,
    store::{At, FileStore, Key, SessionStore},
};
use rusqlite::{Connection, OpenFlags};
use xtask::{
    error::{Context, Error, Result},
    services::redis::Node,
};

use super::{Driver, Place, Servers};

/// The keys of all live records, in hexadecimal.
///
/// # Errors
/// The store cannot be looked into.
pub async fn live(place: &Place, servers: &Servers) -> Result<BTreeSet<String>> {
    let table = || {
        let (table, now) = (&place.name, now());
        format!("SELECT id FROM {table} WHERE live <> 0 AND expires_at > {now}")
    };
    let missing = || Error::new(format!("{} has no server", place.driver));
    let nodes = |nodes: &[Node]| in_redis(place, &nodes.iter().collect::<Vec<_>>());
    match place.driver {
        Driver::File => in_files(&place.folder).await,
        Driver::Sqlite => in_sqlite(&place.database(), &table()),
        Driver::Postgres => {
            let server = servers.postgres.as_ref().ok_or_else(missing)?;
            Ok(lines(&server.query(&table())?))
        }
        Driver::Mariadb => {
            let server = servers.mariadb.as_ref().ok_or_else(missing)?;
            Ok(lines(&server.query(&table())?))
        }
        Driver::Redis => in_redis(place, &[&servers.redis.as_ref().ok_or_else(missing)?.node]),
        Driver::Sentinel => {
            let sentinels = servers.sentinel.as_ref().ok_or_else(missing)?;
            let master = sentinels
                .master()
                .ok_or_else(|| Error::new("there is no master"))?;
            in_redis(place, &[&sentinels.nodes[master]])
        }
        Driver::Cluster => nodes(&servers.cluster.as_ref().ok_or_else(missing)?.nodes),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a table is asked by the machine's time, as the library asks it"
)]
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}

fn lines(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

async fn in_files(folder: &Path) -> Result<BTreeSet<String>> {
    let store = FileStore::open(folder).context("opening the sessions")?;
    let now = Time::from_millis(u64::try_from(now()).unwrap_or(u64::MAX));
    let mut live = BTreeSet::new();
    for sub_folder in xtask::repository::entries(folder)?
        .iter()
        .filter(|path| path.is_dir())
    {
        for file in xtask::repository::entries(sub_folder)? {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let Some(hash) = from_hex(&name) else {
                continue;
            };
            // What is damaged is not alive.
            let record = store
                .load(At::Key(&Key::new([0; 2], hash)))
                .await
                .unwrap_or_default();
            if record.is_some_and(|record| record.kind.is_live() && !record.is_expired(now)) {
                live.insert(name);
            }
        }
    }
    Ok(live)
}

fn from_hex(name: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if name.len() != 64 || !name.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(name.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn in_sqlite(file: &Path, question: &str) -> Result<BTreeSet<String>> {
    let look = || "looking into the database";
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let database = database.context(look())?;
    let mut statement = database.prepare(question).context(look())?;
    let rows = statement
        .query_map([], |row| row.get::<_, String>(0))
        .context(look())?;
    rows.collect::<rusqlite::Result<_>>().context(look())
}

/// Markers begin at kind 16, the second byte of a record.
const SCRIPT: &str = "\
local live = {}
for _, name in ipairs(redis.call('KEYS', ARGV[1])) do
    local kind = string.byte(redis.call('GETRANGE', name, 1, 1))
    if kind and kind < 16 then live[#live + 1] = name end
end
return live";

/// Replicas of a cluster answer for nobody's keys but their own, and hold a copy: they are passed over.
fn in_redis(place: &Place, nodes: &[&Node]) -> Result<BTreeSet<String>> {
    let pattern = format!("{}*", place.prefix());
    let mut live = BTreeSet::new();
    for node in nodes {
        if node.answers(&["role"], "slave") {
            continue;
        }
        let names = node.ask(&["eval", SCRIPT, "0", &pattern])?;
        let hashes = names.lines().filter_map(|name| name.rsplit_once('}'));
        live.extend(hashes.map(|(_, hash)| hash.trim().to_owned()));
    }
    Ok(live)
}
