//! `rule!(R9)`: whether a rule of the design is in force. It always is, except where a test turns it off, to see that the
//! violation which the rule prevents is found (`explorer/`).

#[cfg(not(test))]
macro_rules! rule {
    ($name:ident) => {
        true
    };
}

#[cfg(test)]
macro_rules! rule {
    ($name:ident) => {
        $crate::lifecycle::in_force($crate::lifecycle::Rule::$name)
    };
}

pub(crate) use rule;

#[cfg(test)]
pub(crate) use off::{Rule, in_force, without};

#[cfg(test)]
mod off {
    use std::cell::Cell;

    /// The rules of DESIGN that repair a violation of the obvious design.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Rule {
        /// Of several cookies, a live one counts before a marker (§2.1).
        LiveFirst,
        /// A failure to age flash never changes the response (R3).
        R3,
        /// A save that was sent again recognises its own revision (R8).
        R8,
        /// A save that was sent again and meets a marker does not know whether it was executed (R8).
        R8Marker,
        /// A save that was sent again and finds neither itself nor what it expected does not know either (R8).
        R8Forgotten,
        /// A late request's journal is replayed on the successor (R9).
        R9,
        /// A late request's response sets no cookie (R9).
        R9Cookie,
        /// Nothing but a save follows from a record that another commit has left, and that may never be stored (R7).
        Left,
        /// A logout follows the chain (R11).
        R11,
        /// What opens on a marker and does not regenerate creates nothing (R12).
        R12,
        /// A login that was sent twice gets a session of its own (R12).
        R12Own,
        /// Who has left a dead id with nothing to keep does not go back to where that leads (R12).
        R12Empty,
        /// Nobody saves over a session that has expired (§6).
        Expired,
        /// Nothing extends a marker (§4).
        Marker,
        /// Reading the token of a live session writes nothing (§5).
        Token,
        /// Ageing goes by key and birth (§5).
        Birth,
        /// A background fetch does not send an unchanged id again (R13).
        R13,
    }

    thread_local! {
        static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(crate) fn in_force(rule: Rule) -> bool {
        OFF.get() != Some(rule)
    }

    /// Runs `action` in this thread without this rule.
    pub(crate) fn without<T>(rule: Rule, action: impl FnOnce() -> T) -> T {
        OFF.set(Some(rule));
        let result = action();
        OFF.set(None);
        result
    }
}
