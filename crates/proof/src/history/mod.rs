//! What was done and what was seen: the record that the checker judges.

mod id;
mod print;
mod recorder;

use serde_json::{Map, Value};

pub use id::SessionId;
pub use recorder::{Recorder, Started};

use crate::plan::{Manner, Op, Plan};

/// Microseconds since the recording began, by the clock of the one process that records.
pub type Micros = u64;

/// A recorded run, and what is known about the world that it ran in.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All calls, by number.
    pub calls: Vec<Call>,
    /// No fault was injected: nothing may fail.
    pub quiet: bool,
    /// How long a dead id leaves a marker, at least.
    pub grace: Micros,
    /// How long a session lives that nobody uses; for ever when zero.
    pub lifetime: Micros,
    /// How long each open and each commit may take; nothing is said of it when zero.
    pub deadline: Micros,
    /// What a busy machine may take on top of that, in a request as a whole.
    pub slack: Micros,
    /// When the machine stood still, as far as the recorder was kept from its work.
    pub stalls: Vec<(Micros, Micros)>,
    /// Sessions whose record somebody has ruined, and since when.
    pub ruined: Vec<(SessionId, Micros)>,
    /// When the store itself may have lost what it had acknowledged, as its own documentation says.
    pub lossy: Vec<(Micros, Micros)>,
    /// When the store may have shown what it had not stored yet, and has lost it then.
    pub glimpses: Vec<(Micros, Micros)>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The server process that was asked.
    pub process: usize,
    /// How it was sent.
    pub manner: Manner,
    /// The session whose cookie was sent.
    pub sent: Option<SessionId>,
    /// A cookie that nobody issued was sent in place of one.
    pub forged: Option<SessionId>,
    /// What was asked.
    pub plan: Plan,
    /// Before the first byte was sent.
    pub start: Micros,
    /// After the last byte has come, or when nobody waited any more.
    pub end: Micros,
    /// What came.
    pub answer: Answer,
    /// The handler had come to its end, whatever was answered.
    pub ran: bool,
    /// What came of the cookie, whatever the status.
    pub cookie: Cookie,
}

/// The answer to a call.
#[derive(Clone, Debug, Default)]
pub enum Answer {
    /// From the handler, with the results of its operations, up to the end of the body.
    Done {
        /// The status, which may be any.
        status: u16,
        /// One for each operation in the handler; none where the answer has no body.
        results: Vec<Value>,
    },
    /// The head from the handler has come, with whatever it says about the cookie, and not all of the body.
    Begun,
    /// The handler has refused an operation and discarded what it had done.
    Refused,
    /// The library has answered in the handler's place: the store failed, or the session could not be stored.
    Failed(u16),
    /// The client did not wait for the end of it.
    Left,
    /// The connection ended before the answer did, or no answer came.
    #[default]
    Cut,
}

/// What a response does to the browser's cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cookie {
    /// No `Set-Cookie` of ours.
    #[default]
    Kept,
    /// The browser now holds this session.
    Set(SessionId),
    /// The browser holds none any more.
    Removed,
    /// More than one, or what is no token.
    Odd(String),
}

impl Call {
    /// The answer came from the handler, so what it did is committed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.answer, Answer::Done { .. } | Answer::Begun)
    }

    /// The result of the operation at this place, where it is known.
    #[must_use]
    pub fn result(&self, at: usize) -> Option<&Value> {
        match &self.answer {
            Answer::Done { results, .. } => results.get(at),
            Answer::Begun | Answer::Refused | Answer::Failed(_) | Answer::Left | Answer::Cut => {
                None
            }
        }
    }

    /// Everything that the session held when the request began: the result of a first [`Op::All`].
    #[must_use]
    pub fn view(&self) -> Option<&Map<String, Value>> {
        let first = self.plan.ops.first().filter(|op| **op == Op::All);
        first.and(self.result(0)).and_then(Value::as_object)
    }

    /// How long its own plan makes it wait.
    #[must_use]
    pub fn waits(&self) -> Micros {
        let ops = self.plan.ops.iter().chain(&self.plan.body);
        ops.map(|op| match op {
            Op::Wait(millis) => millis * 1000,
            _ => 0,
        })
        .sum()
    }
}
