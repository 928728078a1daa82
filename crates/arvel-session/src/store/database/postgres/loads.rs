//! Loads, gathered: those that come while others are under way wait for these, and go to the server in one statement.
//!
//! To the server, a statement that finds many rows costs little more than one that finds one, so the busier it is, the
//! less it has to do for each. A load that is alone goes at once.

use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, task::yield_now, time::timeout};
use tokio_postgres::{
    Row,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::lanes::{Fault, Lanes, Use};
use crate::{
    Error, ErrorKind, Result,
    store::{Record, database::sql},
};

/// How many statements are under way at once: enough that one of them waits for the network while another is at work.
const STATEMENTS: usize = 2;

/// How many loads are in one statement, so that no answer grows without bounds.
const LOADS: usize = 64;

/// The loads of one server.
pub(super) struct Loads {
    lanes: Arc<Lanes>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    asked: Vec<Asked>,
    carriers: usize,
}

struct Asked {
    id: String,
    answer: oneshot::Sender<Loaded>,
}

type Loaded = Result<Option<Record>>;

impl Loads {
    pub(super) fn new(lanes: Arc<Lanes>) -> Arc<Self> {
        let waiting = Mutex::default();
        Arc::new(Self { lanes, waiting })
    }

    /// The record of this id. It is as the server has it after this was called.
    pub(super) async fn load(self: &Arc<Self>, id: String) -> Loaded {
        let (answer, answered) = oneshot::channel();
        if let Some(carrier) = self.ask(Asked { id, answer }) {
            // A task, since the others' loads must not end with this one.
            tokio::spawn(carrier.carry());
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }

    /// A carrier, if none that is there will see to it soon.
    fn ask(self: &Arc<Self>, asked: Asked) -> Option<Carrier> {
        let mut waiting = self.waiting();
        waiting.asked.push(asked);
        let is_due = waiting.carriers < STATEMENTS;
        waiting.carriers += usize::from(is_due);
        is_due.then(|| Carrier(Some(self.clone())))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Store, "the runtime ended during the load")
}

/// Carries loads to the server, one statement after the other, for as long as there are any.
struct Carrier(Option<Arc<Loads>>);

impl Carrier {
    async fn carry(mut self) {
        loop {
            // Those that are ready to ask do so first.
            yield_now().await;
            let Some((lanes, asked)) = self.take() else {
                return;
            };
            answer_all(&lanes, asked).await;
        }
    }

    /// What is to be loaded next. When there is nothing, this carrier is one no more.
    fn take(&mut self) -> Option<(Arc<Lanes>, Vec<Asked>)> {
        let loads = self.0.as_ref()?;
        let mut waiting = loads.waiting();
        waiting.asked.retain(|asked| !asked.answer.is_closed());
        if waiting.asked.is_empty() {
            waiting.carriers -= 1;
            drop(waiting);
            self.0 = None;
            return None;
        }
        let later = match waiting.asked.len() {
            ..=LOADS => Vec::new(),
            _ => waiting.asked.split_off(LOADS),
        };
        let next = mem::replace(&mut waiting.asked, later);
        drop(waiting);
        Some((loads.lanes.clone(), next))
    }
}

/// Its runtime has ended: nobody may wait for it.
impl Drop for Carrier {
    fn drop(&mut self) {
        if let Some(loads) = &self.0 {
            let mut waiting = loads.waiting();
            waiting.carriers -= 1;
            waiting.asked.clear();
        }
    }
}

async fn answer_all(lanes: &Arc<Lanes>, asked: Vec<Asked>) {
    let mut answers = HashMap::<String, Vec<_>>::with_capacity(asked.len());
    for Asked { id, answer } in asked {
        answers.entry(id).or_default().push(answer);
    }
    let rows = match find(lanes, answers.keys().collect()).await {
        Ok(rows) => rows,
        Err(error) => {
            send(answers.into_values().flatten(), &Err(error));
            return;
        }
    };
    for row in rows {
        let asked = row.try_get(0).ok().and_then(|id: &str| answers.remove(id));
        send(asked.into_iter().flatten(), &record(&row).map(Some));
    }
    send(answers.into_values().flatten(), &Ok(None));
}

fn send(answers: impl Iterator<Item = oneshot::Sender<Loaded>>, loaded: &Loaded) {
    for answer in answers {
        // Whoever has gone needs none.
        drop(answer.send(loaded.clone()));
    }
}

async fn find(lanes: &Arc<Lanes>, ids: Vec<&String>) -> Result<Vec<Row>> {
    let ids = [Ids(ids)];
    let finding = super::run(lanes, Use::Read, |s| &s.load, &ids);
    // Everybody else's call has a deadline already; this one has nobody to give it up.
    let found = timeout(lanes.timeout(), finding).await;
    match found.unwrap_or_else(|elapsed| Err(Fault::other(elapsed))) {
        Ok((rows, _)) => Ok(rows),
        Err(fault) => Err(fault.error("load")),
    }
}

fn record(row: &Row) -> Result<Record> {
    let columns = row
        .try_get::<_, Vec<u8>>(1)
        .and_then(|payload| Ok((payload, row.try_get::<_, i64>(2)?)));
    let (payload, expires_at) = columns.map_err(|error| Fault::from(error).error("load"))?;
    sql::record(payload, expires_at)
}

/// Ids as one value. It hides them, since the client logs its parameters.
struct Ids<'a>(Vec<&'a String>);

impl fmt::Debug for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ToSql for Ids<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    // The statement is prepared with the type of this value.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
