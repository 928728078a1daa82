//! Updates, many in one statement, which is one transaction: the server writes to its disk once for them all.

use std::{collections::BTreeMap, sync::Arc};

use tokio_postgres::Row as Found;

use super::{
    gather::{Call, Caller, Column, Gathered},
    lanes::{Lanes, Use},
};
use crate::store::{
    Revision,
    database::sql::{Row, Value},
};

/// A row over the live one of this revision. The answer is whether it was there.
pub(super) struct Update {
    pub(super) row: Arc<Row>,
    pub(super) expect: Revision,
}

impl Gathered for Update {
    type Answer = bool;

    /// What the statement has not done (the row is not there, or another transaction holds it) is tried alone, so that
    /// nobody waits for somebody else's row.
    async fn send_all(lanes: Arc<Lanes>, calls: Vec<Call<Self>>) {
        // Sorted, so that all lock their rows in the same order, and each session once.
        let mut together = BTreeMap::new();
        for call in calls {
            let id = call.what.row.id().to_owned();
            if let Some(earlier) = together.insert(id, call) {
                alone(&lanes, earlier);
            }
        }
        let columns = columns(together.values().map(|call| &call.what));
        let updated = super::run_in_time(&lanes, Use::Together, |s| &s.update_all, &columns).await;
        drop(columns);
        match updated {
            Ok((rows, _)) => {
                for row in rows {
                    answer_done(&row, &mut together);
                }
            }
            Err(fault) if fault.is_about_one() => {}
            Err(fault) => {
                let error = fault.error("save");
                for call in together.into_values() {
                    call.caller.answer(Err(error.clone()));
                }
                return;
            }
        }
        for call in together.into_values() {
            alone(&lanes, call);
        }
    }
}

fn answer_done(row: &Found, together: &mut BTreeMap<String, Call<Update>>) {
    let id = row.try_get(0).ok();
    if let Some(call) = id.and_then(|id: &str| together.remove(id)) {
        call.caller.answer(Ok(true));
    }
}

/// In a task of its own: it may take its time.
fn alone(lanes: &Arc<Lanes>, call: Call<Update>) {
    let (lanes, Call { what, caller }) = (lanes.clone(), call);
    tokio::spawn(async move { update(&lanes, what, caller).await });
}

async fn update(lanes: &Arc<Lanes>, update: Update, caller: Caller<bool>) {
    if caller.has_gone() {
        return;
    }
    let values = update.row.values_over(update.expect);
    let updated = super::run_in_time(lanes, Use::Write, |s| &s.update, &values).await;
    caller.answer(match updated {
        Ok((_, rows)) => Ok(rows > 0),
        Err(fault) => Err(fault.error("save")),
    });
}

/// The values of an update for each row, as columns.
fn columns<'a>(updates: impl Iterator<Item = &'a Update>) -> Vec<Column<'a>> {
    let mut columns = Vec::<Column<'a>>::new();
    for Update { row, expect } in updates {
        for (number, value) in row.values_over(*expect).into_iter().enumerate() {
            match (columns.get_mut(number), value) {
                (Some(Column::Texts(texts)), Value::Text(text)) => texts.push(text),
                (Some(Column::Bytes(all)), Value::Bytes(bytes)) => all.push(bytes),
                (Some(Column::Ints(all)), Value::Int(number)) => all.push(number),
                (_, Value::Text(text)) => columns.push(Column::Texts(vec![text])),
                (_, Value::Bytes(bytes)) => columns.push(Column::Bytes(vec![bytes])),
                (_, Value::Int(number)) => columns.push(Column::Ints(vec![number])),
            }
        }
    }
    columns
}
