//! Loads, many in one statement.

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::Row;

use super::{
    gather::{Call, Caller, Column, Gathered},
    lanes::{Fault, Lanes, Use},
};
use crate::{
    Error, ErrorKind, Result,
    store::{Record, database::sql},
};

/// The load of the record with this id.
pub(super) struct Load(pub(super) String);

impl Gathered for Load {
    type Answer = Option<Record>;

    async fn send_all(lanes: Arc<Lanes>, calls: Vec<Call<Self>>) {
        let mut callers = HashMap::<String, Vec<_>>::with_capacity(calls.len());
        for Call { what, caller } in calls {
            callers.entry(what.0).or_default().push(caller);
        }
        let ids = callers.keys().map(|id| Some(&**id)).collect();
        let ids = [Column::Texts(ids)];
        let found = super::run_in_time(&lanes, Use::Read, |s| &s.load, &ids).await;
        let rows = match found {
            Ok((rows, _)) => rows,
            Err(fault) => {
                let error = fault.error("load");
                return answer(callers.into_values().flatten(), &Err(error));
            }
        };
        for row in rows {
            let id = row.try_get(0).ok();
            let Some(asked) = id.and_then(|id: &str| callers.remove(id)) else {
                let error = Error::new(
                    ErrorKind::Store,
                    "database: load: an id that nobody asked for",
                );
                return answer(callers.into_values().flatten(), &Err(error));
            };
            answer(asked.into_iter(), &record(&row).map(Some));
        }
        answer(callers.into_values().flatten(), &Ok(None));
    }
}

fn answer(callers: impl Iterator<Item = Caller<Option<Record>>>, found: &Result<Option<Record>>) {
    for caller in callers {
        caller.answer(found.clone());
    }
}

fn record(row: &Row) -> Result<Record> {
    let columns = row
        .try_get::<_, Vec<u8>>(1)
        .and_then(|payload| Ok((payload, row.try_get::<_, i64>(2)?)));
    let (payload, expires_at) = columns.map_err(|error| Fault::from(error).error("load"))?;
    sql::record(payload, expires_at)
}
