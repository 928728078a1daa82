//! A history to read, when something is wrong with it.

use std::fmt::{self, Write as _};

use super::{Answer, Call, Cookie, History};

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}–{} µs, server {}", self.start, self.end, self.process)?;
        write!(f, ", {:?}, {:?}", self.manner, self.plan.ending)?;
        match (&self.sent, &self.forged) {
            (Some(id), _) => write!(f, ", sends {id:?}")?,
            (None, Some(id)) => write!(f, ", forges {id:?}")?,
            (None, None) => {}
        }
        match &self.cookie {
            Cookie::Kept => {}
            Cookie::Set(id) => write!(f, ", gets {id:?}")?,
            other => write!(f, ", {other:?}")?,
        }
        match &self.answer {
            Answer::Done { status, .. } => writeln!(f, ": {status}")?,
            other => writeln!(f, ": {other:?}")?,
        }
        for (at, op) in self.plan.ops.iter().enumerate() {
            match self.result(at) {
                Some(result) if !result.is_null() => writeln!(f, "    {op:?} → {result}")?,
                _ => writeln!(f, "    {op:?}")?,
            }
        }
        self.plan
            .body
            .iter()
            .try_for_each(|op| writeln!(f, "    in the body {op:?}"))
    }
}

impl History {
    /// All calls in the order in which they began.
    #[must_use]
    pub fn print(&self) -> String {
        let mut calls: Vec<(usize, &Call)> = self.calls.iter().enumerate().collect();
        calls.sort_by_key(|(_, call)| call.start);
        let mut text = String::new();
        for (number, call) in calls {
            let _ = write!(text, "{number}: {call}");
        }
        text
    }
}
