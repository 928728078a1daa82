//! The SQL that the three databases share, and the row that a record becomes.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use crate::{
    Error, ErrorKind, Result, Time,
    store::{At, Capabilities, Columns, Key, Record, Revision, Write},
};

/// What the three databases do not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    /// The database that a URL names by its scheme.
    pub(super) fn of_url(url: &str) -> Result<Self> {
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            "mysql" | "mariadb" => Ok(Self::MySql),
            _ => Err(Error::new(
                ErrorKind::Config,
                "database_url must begin with sqlite:, postgres:// or mysql://",
            )),
        }
    }

    /// The Cargo feature that holds its client.
    pub(super) const fn feature(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }

    const fn quote(self) -> char {
        match self {
            Self::MySql => '`',
            _ => '"',
        }
    }
}

/// The table's name: letters, digits and underscores, so that it can stand in a statement.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

impl Table {
    /// PostgreSQL keeps 63 characters of an index's name, which is the table's and up to 20 more.
    const MAX: usize = 40;

    pub(super) fn parse(dialect: Dialect, text: &str) -> Result<Self> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) if dialect != Dialect::Sqlite => (Some(schema), name),
            _ => (None, text),
        };
        let is_name = |part: &str| {
            (1..=Self::MAX).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !is_name(name) || !schema.is_none_or(is_name) {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "database_table must be 1 to {} letters, digits and underscores{}, not {text:?}",
                    Self::MAX,
                    match dialect {
                        Dialect::Sqlite => "",
                        _ => ", perhaps after a schema and a dot",
                    },
                ),
            ));
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// The name as it stands in a statement.
    pub(super) fn quoted(&self, dialect: Dialect) -> String {
        let q = dialect.quote();
        match &self.schema {
            Some(schema) => format!("{q}{schema}{q}.{q}{}{q}", self.name),
            None => format!("{q}{}{q}", self.name),
        }
    }
}

/// Every statement that serves requests, prepared for one database and one table.
#[derive(Clone, Debug)]
pub(super) struct Sql {
    /// `id` → `payload`, `expires_at`; in PostgreSQL an array of ids → `id`, `payload`, `expires_at` of each that is there.
    pub(super) load: String,
    /// A [`Row`] where there is none.
    pub(super) insert: String,
    /// A [`Row`] over a live one of the revision that follows it.
    pub(super) update: String,
    /// The same for many, an array of each value; answers the ids of those that were there. PostgreSQL's alone.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "PostgreSQL's"))]
    pub(super) update_all: String,
    /// `expires_at`, `id`.
    pub(super) touch: String,
    /// What expired at this moment, at most so many rows.
    pub(super) sweep: String,
    /// A [`Row`] over a live one, and if that was there, another row: in one statement, as only PostgreSQL does it.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "PostgreSQL's"))]
    pub(super) replace: String,
}

impl Sql {
    pub(super) fn new(dialect: Dialect, table: &Table) -> Self {
        let table = table.quoted(dialect);
        let names = Row::COLUMNS.join(", ");
        let marks = ["?"; Row::COLUMNS.len() + 1].join(", ");
        let set = Row::COLUMNS.map(|name| format!("{name} = ?")).join(", ");

        let update = format!("UPDATE {table} SET {set} WHERE id = ? AND revision = ? AND live = 1");
        let set_all = Row::COLUMNS
            .map(|name| format!("{name} = w.{name}"))
            .join(", ");
        // The array of ids as a condition of its own bounds what any plan looks at.
        let ids = Row::COLUMNS.len() + 1;
        let update_all = format!(
            "UPDATE {table} AS t SET {set_all} FROM unnest({marks}, ?) AS w({names}, id, was) \
             WHERE t.id = ANY(${ids}) AND t.id = w.id AND t.revision = w.was AND t.live = 1 RETURNING t.id"
        );
        let insert = format!("INSERT INTO {table} ({names}, id)");
        // MySQL has nothing that ignores a duplicate key and no other fault: there, that error is caught.
        let unless_there = match dialect {
            Dialect::MySql => "",
            _ => " ON CONFLICT (id) DO NOTHING",
        };
        let expired = "WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
        let sweep = match dialect {
            Dialect::Sqlite => {
                format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} {expired})")
            }
            // An array is computed once; a plain sub-select may run again and remove more than the limit. Two sweepers
            // skip each other's rows, and a row that was touched meanwhile is looked at again once it is locked.
            Dialect::Postgres => format!(
                "DELETE FROM {table} WHERE id = ANY(ARRAY(SELECT id FROM {table} {expired} FOR UPDATE SKIP LOCKED))"
            ),
            Dialect::MySql => format!("DELETE FROM {table} {expired}"),
        };
        let numbered = |sql: String| match dialect {
            Dialect::Postgres => with_numbers(&sql),
            _ => sql,
        };
        Self {
            load: match dialect {
                Dialect::Postgres => {
                    format!("SELECT id, payload, expires_at FROM {table} WHERE id = ANY($1)")
                }
                _ => format!("SELECT payload, expires_at FROM {table} WHERE id = ?"),
            },
            replace: numbered(format!(
                "WITH dead AS ({update} RETURNING id) {insert} SELECT {marks} FROM dead"
            )),
            update: numbered(update),
            update_all: numbered(update_all),
            insert: numbered(format!("{insert} VALUES ({marks}){unless_there}")),
            touch: numbered(format!(
                "UPDATE {table} SET expires_at = ? WHERE id = ? AND live = 1"
            )),
            sweep: numbered(sweep),
        }
    }
}

/// `?` becomes `$1`, `$2`, …
fn with_numbers(sql: &str) -> String {
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts
        .zip(1..)
        .fold(first, |sql, (part, number)| format!("{sql}${number}{part}"))
}

/// A value on its way into a statement. It hides itself, since clients log their parameters.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(Option<&'a str>),
    Bytes(&'a [u8]),
    Int(i64),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A record as a row of the table.
#[derive(Clone)]
pub(super) struct Row {
    id: String,
    user: Option<String>,
    ip: Option<String>,
    agent: Option<String>,
    payload: Vec<u8>,
    last_activity: i64,
    revision: i64,
    live: i64,
    expires_at: i64,
}

impl Row {
    /// In the order of [`values`](Self::values), where the id follows them, so that they also fit an update.
    const COLUMNS: [&'static str; 8] = [
        "user_id",
        "ip_address",
        "user_agent",
        "payload",
        "last_activity",
        "revision",
        "live",
        "expires_at",
    ];

    /// In characters: what an index of MySQL's takes.
    const MAX_USER: usize = 255;
    /// In bytes.
    const MAX_AGENT: usize = 500;

    pub(super) fn new(capabilities: &Capabilities, key: &Key, write: &Write) -> Result<Self> {
        let mut row = Self::marker(capabilities, key, &write.record, write.now)?;
        if row.live == 1 {
            let Columns { user, ip, agent } = &write.columns;
            row.user = user.as_deref().map(user_column).transpose()?;
            row.ip = ip.map(|ip| ip.to_string());
            row.agent = agent.as_deref().map(agent_column);
        }
        Ok(row)
    }

    /// A row without columns about the user.
    fn marker(capabilities: &Capabilities, key: &Key, record: &Record, now: Time) -> Result<Self> {
        capabilities.check_size(record)?;
        Ok(Self {
            id: key.hex(),
            user: None,
            ip: None,
            agent: None,
            payload: record.encode(),
            last_activity: now.as_secs().cast_signed(),
            revision: revision_column(record.revision),
            live: i64::from(record.kind.is_live()),
            expires_at: expiry_column(record.expires),
        })
    }

    /// The rows of a replacement: the marker, and the new record.
    pub(super) fn replacing(
        capabilities: &Capabilities,
        old: &Key,
        marker: &Record,
        new: &Key,
        write: &Write,
    ) -> Result<(Self, Self)> {
        Ok((
            Self::marker(capabilities, old, marker, write.now)?,
            Self::new(capabilities, new, write)?,
        ))
    }

    /// What an insert takes.
    pub(super) fn values(&self) -> Vec<Value<'_>> {
        vec![
            Value::Text(self.user.as_deref()),
            Value::Text(self.ip.as_deref()),
            Value::Text(self.agent.as_deref()),
            Value::Bytes(&self.payload),
            Value::Int(self.last_activity),
            Value::Int(self.revision),
            Value::Int(self.live),
            Value::Int(self.expires_at),
            Value::Text(Some(&self.id)),
        ]
    }

    /// What an update of the row at `expected` takes.
    pub(super) fn values_over(&self, expected: Revision) -> Vec<Value<'_>> {
        let mut values = self.values();
        values.push(Value::Int(revision_column(expected)));
        values
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What its record takes, in bytes.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "PostgreSQL's"))]
    pub(super) fn size(&self) -> usize {
        self.payload.len()
    }
}

/// Too long a user is refused: cut, it could be another one.
fn user_column(user: &str) -> Result<String> {
    if user.chars().count() > Row::MAX_USER || user.contains('\0') {
        return Err(Error::new(
            ErrorKind::Value,
            format!(
                "set_user: the database store keeps at most {} characters, none of them NUL",
                Row::MAX_USER
            ),
        ));
    }
    Ok(user.to_owned())
}

fn agent_column(agent: &str) -> String {
    let agent = match agent.contains('\0') {
        true => Cow::Owned(agent.replace('\0', "")),
        false => Cow::Borrowed(agent),
    };
    agent[..agent.floor_char_boundary(Row::MAX_AGENT)].to_owned()
}

/// The same 64 bits; databases know no unsigned ones.
fn revision_column(revision: Revision) -> i64 {
    revision.as_u64().cast_signed()
}

/// Milliseconds; what lies beyond the column's range is as good as never.
pub(super) fn expiry_column(expires: Time) -> i64 {
    i64::try_from(expires.as_millis()).unwrap_or(i64::MAX)
}

/// The record of a row that was loaded. The column's expiry counts, since a touch moves nothing else.
pub(super) fn record(payload: impl Into<Bytes>, expires_at: i64) -> Result<Record> {
    let mut record = Record::decode(payload.into())?;
    if expiry_column(record.expires) != expires_at {
        record.expires = Time::from_millis(u64::try_from(expires_at).unwrap_or(0));
    }
    Ok(record)
}

/// The key of a load; only the cookie driver knows payloads.
pub(super) fn key_of(at: At<'_>) -> Result<&Key> {
    match at {
        At::Key(key) => Ok(key),
        At::Payload(_) => Err(Error::new(
            ErrorKind::Unsupported,
            "the database store keeps sessions under keys",
        )),
    }
}

/// A failed call; `hint` stands in for what to do when the table is missing or not ours yet.
pub(super) fn failure(
    call: &'static str,
    no_table: bool,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let message: Cow<'static, str> = match no_table {
        true => format!(
            "database: {call}: the table is missing or lacks columns; run `arvel-session migrate`"
        )
        .into(),
        false => format!("database: {call}").into(),
    };
    Error::store(message, source)
}
