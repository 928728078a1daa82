//! Updates, many in one statement, which is one transaction: the server writes to its disk once for them all.

use std::{collections::BTreeMap, sync::Arc};

use tokio_postgres::Row as Found;

use super::{
    gather::{Call, Column, Gathered},
    lanes::{Fault, Lanes, Use},
};
use crate::store::{Revision, database::sql::Row};

/// A row over the live one of this revision. The answer is whether it was there.
pub(super) struct Update {
    pub(super) row: Arc<Row>,
    pub(super) expect: Revision,
}

impl Gathered for Update {
    type Answer = bool;

    async fn send_all(lanes: Arc<Lanes>, calls: Vec<Call<Self>>) {
        // Sorted, so that all lock their rows in the same order, and each session once.
        let mut together = BTreeMap::new();
        for call in calls {
            let id = call.what.row.id().to_owned();
            if let Some(earlier) = together.insert(id, call) {
                send_alone(&lanes, earlier);
            }
        }
        let columns = columns(together.values().map(|call| &call.what));
        let updated = super::run_in_time(&lanes, Use::Together, |s| &s.update_all, &columns).await;
        drop(columns);
        match updated {
            Ok((rows, _)) => answer(&rows, together),
            Err(fault) if fault.has_undone_all() => {
                for call in together.into_values() {
                    send_alone(&lanes, call);
                }
            }
            Err(fault) => {
                let error = fault.error("save");
                for call in together.into_values() {
                    call.caller.answer(Err(error.clone()));
                }
            }
        }
    }
}

/// Those whose ids came back are done. The others' rows were not as expected: had somebody held one, the whole statement would
/// have failed.
fn answer(rows: &[Found], mut together: BTreeMap<String, Call<Update>>) {
    for row in rows {
        let id = row.try_get(0).ok();
        if let Some(call) = id.and_then(|id: &str| together.remove(id)) {
            call.caller.answer(Ok(true));
        }
    }
    for call in together.into_values() {
        call.caller.answer(Ok(false));
    }
}

/// In a task of its own, so that nobody else waits for this row; it ends when its caller gives up.
fn send_alone(lanes: &Arc<Lanes>, call: Call<Update>) {
    let (lanes, Call { what, mut caller }) = (lanes.clone(), call);
    tokio::spawn(async move {
        let updated = tokio::select! {
            () = caller.has_gone() => return,
            updated = update(&lanes, &what) => updated,
        };
        caller.answer(match updated {
            Ok((_, rows)) => Ok(rows > 0),
            Err(fault) => Err(fault.error("save")),
        });
    });
}

/// Where nothing holds its row for long; and if something does, where that is waited for.
async fn update(lanes: &Arc<Lanes>, update: &Update) -> Result<(Vec<Found>, u64), Fault> {
    let values = update.row.values_over(update.expect);
    match super::run(lanes, Use::Together, |s| &s.update, &values).await {
        Err(fault) if fault.is_locked() => {
            super::run(lanes, Use::Write, |s| &s.update, &values).await
        }
        updated => updated,
    }
}

/// The values of an update for each row, as columns.
fn columns<'a>(updates: impl Iterator<Item = &'a Update>) -> Vec<Column<'a>> {
    let mut columns = Vec::<Column<'a>>::new();
    for Update { row, expect } in updates {
        let values = row.values_over(*expect);
        if columns.is_empty() {
            columns.extend(values.iter().map(Column::of));
        }
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
    columns
}
