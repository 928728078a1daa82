//! Calls, gathered: those that come while others are under way wait for these, and go to the server in one statement.
//!
//! To the server, a statement about many rows costs little more than one about a single row, so the busier it is, the less
//! it has to do for each. A call that is alone goes at once.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, task::yield_now};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::lanes::Lanes;
use crate::{Error, ErrorKind, Result, store::database::sql::Value};

/// How many statements are under way at once: enough that one of them waits for the network while another is at work.
const STATEMENTS: usize = 2;

/// How many calls are in one statement, so that none grows without bounds.
const CALLS: usize = 64;

/// A kind of call that is gathered.
pub(super) trait Gathered: Sized + Send + 'static {
    type Answer: Send + 'static;

    /// Sends one statement for them all, and answers each.
    fn send_all(lanes: Arc<Lanes>, calls: Vec<Call<Self>>) -> impl Future<Output = ()> + Send;
}

/// A call, and who waits for its answer.
pub(super) struct Call<G: Gathered> {
    pub(super) what: G,
    pub(super) caller: Caller<G::Answer>,
}

/// Who waits for an answer.
pub(super) struct Caller<T>(oneshot::Sender<Result<T>>);

impl<T> Caller<T> {
    /// Waits until nobody waits for the answer.
    pub(super) async fn has_gone(&mut self) {
        self.0.closed().await;
    }

    pub(super) fn answer(self, answer: Result<T>) {
        // Whoever has gone needs none.
        drop(self.0.send(answer));
    }
}

/// The calls of one kind to one server.
pub(super) struct Gathering<G: Gathered> {
    lanes: Arc<Lanes>,
    waiting: Mutex<Waiting<G>>,
}

struct Waiting<G: Gathered> {
    calls: Vec<Call<G>>,
    carriers: usize,
}

impl<G: Gathered> Gathering<G> {
    pub(super) fn new(lanes: Arc<Lanes>) -> Arc<Self> {
        let waiting = Waiting {
            calls: Vec::new(),
            carriers: 0,
        };
        Arc::new(Self {
            lanes,
            waiting: Mutex::new(waiting),
        })
    }

    /// The answer to a call. The statement that it is in is sent after this was called.
    pub(super) async fn call(self: &Arc<Self>, what: G) -> Result<G::Answer> {
        let (answer, answered) = oneshot::channel();
        let caller = Caller(answer);
        if let Some(carrier) = self.put(Call { what, caller }) {
            // A task, since what others have called must not end with this one.
            tokio::spawn(carrier.carry());
        }
        let ended = |_| {
            Err(Error::new(
                ErrorKind::Store,
                "database: the call was abandoned",
            ))
        };
        answered.await.unwrap_or_else(ended)
    }

    /// A carrier, if none that is there will see to it soon.
    fn put(self: &Arc<Self>, call: Call<G>) -> Option<Carrier<G>> {
        let mut waiting = self.waiting();
        waiting.calls.push(call);
        let is_due = waiting.carriers < STATEMENTS;
        waiting.carriers += usize::from(is_due);
        is_due.then(|| Carrier(Some(self.clone())))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<G>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries calls to the server, one statement after the other, for as long as there are any.
struct Carrier<G: Gathered>(Option<Arc<Gathering<G>>>);

impl<G: Gathered> Carrier<G> {
    async fn carry(mut self) {
        loop {
            // Those that are ready to call do so first.
            yield_now().await;
            let Some((lanes, calls)) = self.take() else {
                return;
            };
            G::send_all(lanes, calls).await;
        }
    }

    /// What goes next. When there is nothing, this carrier is one no more.
    fn take(&mut self) -> Option<(Arc<Lanes>, Vec<Call<G>>)> {
        let gathering = self.0.as_ref()?;
        let mut waiting = gathering.waiting();
        waiting.calls.retain(|call| !call.caller.0.is_closed());
        if waiting.calls.is_empty() {
            waiting.carriers -= 1;
            drop(waiting);
            self.0 = None;
            return None;
        }
        let later = match waiting.calls.len() {
            ..=CALLS => Vec::new(),
            _ => waiting.calls.split_off(CALLS),
        };
        let next = mem::replace(&mut waiting.calls, later);
        drop(waiting);
        Some((gathering.lanes.clone(), next))
    }
}

/// Its runtime has ended, or it has panicked: if it was the last one, nobody may wait for it.
impl<G: Gathered> Drop for Carrier<G> {
    fn drop(&mut self) {
        if let Some(gathering) = &self.0 {
            let mut waiting = gathering.waiting();
            waiting.carriers -= 1;
            if waiting.carriers == 0 {
                waiting.calls.clear();
            }
        }
    }
}

/// One value of many rows. It hides itself, since the client logs its parameters.
pub(super) enum Column<'a> {
    Texts(Vec<Option<&'a str>>),
    Bytes(Vec<&'a [u8]>),
    Ints(Vec<i64>),
}

impl<'a> Column<'a> {
    /// An empty one for values of this kind.
    pub(super) fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(_) => Self::Texts(Vec::new()),
            Value::Bytes(_) => Self::Bytes(Vec::new()),
            Value::Int(_) => Self::Ints(Vec::new()),
        }
    }

    pub(super) fn push(&mut self, value: Value<'a>) {
        match (self, value) {
            (Self::Texts(texts), Value::Text(text)) => texts.push(text),
            (Self::Bytes(all), Value::Bytes(bytes)) => all.push(bytes),
            (Self::Ints(numbers), Value::Int(number)) => numbers.push(number),
            (column, value) => debug_assert!(false, "{value:?} is none for {column:?}"),
        }
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Texts(texts) => texts.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
            Self::Ints(numbers) => numbers.to_sql(ty, out),
        }
    }

    // The statements are prepared with the types of these values.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
