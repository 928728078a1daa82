//! What a server process has locked in its store, seen from outside.

use xtask::error::{Context, Error, Result};

use super::{Driver, Place, Servers};

/// How many locks, or open transactions, which hold them.
///
/// # Errors
/// The store cannot be looked into.
pub fn locks(place: &Place, servers: &Servers, process: u32) -> Result<usize> {
    let missing = || Error::new(format!("{} has no server", place.driver));
    let counted = match place.driver {
        Driver::File | Driver::Sqlite => return of_files(process),
        // Its scripts and commands are atomic: there is nothing to lock.
        Driver::Redis | Driver::Sentinel | Driver::Cluster => return Ok(0),
        Driver::Postgres => {
            let server = servers.postgres.as_ref().ok_or_else(missing)?;
            server.query(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
                 AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
            )?
        }
        Driver::Mariadb => {
            let server = servers.mariadb.as_ref().ok_or_else(missing)?;
            server.query("SELECT COUNT(*) FROM information_schema.INNODB_TRX")?
        }
    };
    counted.trim().parse().context("counting transactions")
}

/// Locks for writing; SQLite keeps some for reading as long as a file is open.
fn of_files(process: u32) -> Result<usize> {
    let locks = std::fs::read_to_string("/proc/locks").context("reading the system's locks")?;
    let process = process.to_string();
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, _, _, "WRITE", owner, ..] if owner == process)
    };
    Ok(locks.lines().filter(is_held).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_file_is_counted_until_it_is_free() {
        let process = std::process::id();
        let file = tempfile::tempfile().unwrap();
        file.lock().unwrap();
        assert_eq!(of_files(process).unwrap(), 1);
        file.unlock().unwrap();
        assert_eq!(of_files(process).unwrap(), 0);
    }
}
