//! What a client asks the server to do with its session: the one language of generator, server and checker.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The header of a request that holds its [`Plan`], as JSON.
pub const PLAN: &str = "x-plan";

/// The header by which a response says that the handler has made it, and not the library in its place.
pub const HANDLED: &str = "x-handled";

/// The header by which a response says that the handler had come to its end, whoever has made it.
pub const RAN: &str = "x-ran";

/// One operation on a session, or a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "each is the method of `SessionData` that has its name"
)]
pub enum Op {
    All,
    Keys,
    Get(String),
    GetOr(String, Value),
    Has(String),
    Missing(String),
    Only(Vec<String>),
    Except(Vec<String>),
    Put(String, Value),
    Remember(String, Value),
    /// What [`step`] makes of the number that is there.
    Update(String, i64),
    Forget(String),
    Flush,
    Pull(String),
    Push(String, Value),
    Increment(String, i64),
    Decrement(String, i64),
    Flash(String, Value),
    Now(String, Value),
    Reflash,
    Keep(Vec<String>),
    Token,
    RegenerateToken,
    Regenerate,
    Invalidate,
    Discard,
    Id,
    SetUser(String),
    Save,
    /// Not to the session: so many milliseconds pass.
    Wait(u64),
}

/// The closure of [`Op::Update`]. It does not commute, so the order of two updates can be told.
#[must_use]
pub fn step(number: i64, argument: i64) -> i64 {
    (number * 3 + argument) % 1_000_003
}

/// What one request does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In the handler, one after the other.
    pub ops: Vec<Op>,
    /// How the handler ends.
    pub ending: Ending,
    /// While the response's body streams on.
    pub body: Vec<Op>,
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// 200.
    #[default]
    Well,
    /// With another status, which commits all the same.
    Status(u16),
    /// With a panic, which commits nothing.
    Panic,
}

/// How a request is sent, which decides about flash and about the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// A person goes to a page.
    #[default]
    Navigate,
    /// A script fetches something for a page.
    Fetch,
    /// A script asks again and again; the application names its path, and flash is kept.
    Poll,
    /// The browser fetches what a person might want next.
    Prefetch,
    /// `HEAD`: the answer has no body, so nobody learns the results.
    Head,
}

impl Manner {
    /// Whether a response uses up the flash that its request saw.
    #[must_use]
    pub fn ages(self) -> bool {
        matches!(self, Self::Navigate | Self::Fetch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_reads_as_it_is_meant() {
        let plan = Plan {
            ops: vec![Op::All, Op::Put("k".into(), json!("v")), Op::Wait(3)],
            ending: Ending::Status(418),
            body: vec![Op::Save],
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(
            text,
            r#"{"ops":["all",{"put":["k","v"]},{"wait":3}],"ending":{"status":418},"body":["save"]}"#
        );
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
