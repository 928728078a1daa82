//! A session that expires while a request holds it: what the request wrote is gone with it (DESIGN §6).

use super::{
    Ask, Context,
    commit::{Commit, Next, Stage},
    failures::lost_record,
    work::Target,
};
use crate::{Time, record::Record, session::Intent};

impl Commit {
    /// The record was due to expire while the handler ran. Unless another request has moved its expiry, it is gone, sweep
    /// or no sweep: nobody saves over it.
    pub(super) fn expiring(&mut self, cx: &Context, now: Time, target: Target) -> Next {
        if !cx.capabilities.server_side {
            return self.expired(cx, now);
        }
        let key = target.key;
        self.ask(Stage::Expiring(target), Ask::Load(key))
    }

    pub(super) fn found_at_end(
        &mut self,
        cx: &Context,
        now: Time,
        target: Target,
        there: Option<Record>,
    ) -> Next {
        if let Some(there) = &there
            && there.kind.is_live()
            && there.is_expired(now)
        {
            return self.expired(cx, now);
        }
        if self.work.intent == Intent::Regenerate && target.own {
            return self.replace_conflict(cx, now, &target, there);
        }
        let doubtful = !self.work.attempts.is_empty();
        self.save_conflict(cx, now, target, there, doubtful, None)
    }

    /// What the request wrote is gone with the session, but a login gets a session of its own.
    fn expired(&mut self, cx: &Context, now: Time) -> Next {
        match self.work.intent {
            Intent::Regenerate => self.create_alone(cx, now),
            _ => Ok(self.dropped()),
        }
    }

    /// The record is not there any more, and no marker says why.
    ///
    /// If it was due to expire, it has; unless the request took so long that a marker could have come and gone.
    pub(super) fn vanished(&self, cx: &Context, now: Time, target: &Target) -> Next {
        if self.has_expired(cx, now, target) {
            return Ok(self.dropped());
        }
        Err(lost_record())
    }

    pub(super) fn has_expired(&self, cx: &Context, now: Time, target: &Target) -> bool {
        let grace = cx.rules.grace;
        target.expires <= now && now.since(self.work.opened) < grace
    }
}
