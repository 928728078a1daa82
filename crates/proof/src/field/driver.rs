//! The drivers, in every way in which they can be set up.

use std::fmt;

use clap::ValueEnum;

/// A driver and the kind of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
#[allow(missing_docs, reason = "docs/drivers.md says what they are")]
pub enum Driver {
    File,
    Sqlite,
    Redis,
    Sentinel,
    Cluster,
    Postgres,
    Mariadb,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::File => "file",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        })
    }
}
