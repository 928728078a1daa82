//! The bundled migration: which script a table needs.

use super::sql::{Dialect, Table};

/// The scripts of one database, for one table.
#[derive(Clone, Debug)]
pub(super) struct Migration {
    create: String,
    upgrade: String,
}

impl Migration {
    pub(super) fn new(dialect: Dialect, table: &Table) -> Self {
        let (create, upgrade) = match dialect {
            Dialect::Sqlite => (
                include_str!("../../../migrations/sqlite/create.sql"),
                include_str!("../../../migrations/sqlite/upgrade.sql"),
            ),
            Dialect::Postgres => (
                include_str!("../../../migrations/postgres/create.sql"),
                include_str!("../../../migrations/postgres/upgrade.sql"),
            ),
            Dialect::MySql => (
                include_str!("../../../migrations/mysql/create.sql"),
                include_str!("../../../migrations/mysql/upgrade.sql"),
            ),
        };
        Self {
            create: for_table(create, dialect, table),
            upgrade: for_table(upgrade, dialect, table),
        }
    }

    /// The script for a table of these columns (none of them: there is no table); `None` when it is up to date.
    pub(super) fn due(&self, columns: &[String]) -> Option<&str> {
        if columns.is_empty() {
            return Some(&self.create);
        }
        let is_ours = columns.iter().any(|name| name == "expires_at");
        (!is_ours).then_some(&self.upgrade)
    }

    /// Both scripts as one text that creates the table; the upgrade stands in comments.
    pub(super) fn text(&self) -> String {
        let commented: String = self
            .upgrade
            .lines()
            .map(|line| format!("-- {line}\n"))
            .collect();
        format!("{}\n{commented}", self.create)
    }
}

/// The scripts are valid SQL for a table that is called `sessions`; any other name takes that one's place.
fn for_table(script: &str, dialect: Dialect, table: &Table) -> String {
    let quoted = table.quoted(dialect);
    let quote = &quoted[..1];
    script
        .replace(
            &format!("{quote}sessions_"),
            &format!("{quote}{}_", table.name),
        )
        .replace(&format!("{quote}sessions{quote}"), &quoted)
}
