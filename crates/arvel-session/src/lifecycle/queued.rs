//! A commit in the queue of a hot session: it saves over what the one before it has left (R7).

use super::{
    Ask, Context, Step,
    commit::{Commit, Committed, Next, Stage},
    failures::lost_answer,
    open::unexpected,
    rule,
    work::Target,
};
use crate::{Result, Time, observe, record::Record, session::Intent};

impl Commit {
    /// Tries again on what is there now, behind the others.
    pub(super) fn again(&mut self, cx: &Context, current: Target) -> Next {
        if !self.work.resolve_attempts(&current) {
            return Err(lost_answer());
        }
        observe::conflict(cx.capabilities.name);
        self.queue(current)
    }

    /// Goes behind the other commits of this session in this process.
    pub(super) fn queue(&mut self, current: Target) -> Next {
        let queue = Ask::Queue(current.key);
        self.ask(Stage::Waiting(current), queue)
    }

    pub(super) fn queued(&mut self, cx: &Context, now: Time, left: Option<Record>) -> Next {
        let seen = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Destroying(destroy) => return self.destroy_current(cx, now, *destroy),
            Stage::Waiting(target) => target,
            _ => return Err(unexpected()),
        };
        // What was left may never be stored. If it leads to a save, the store finds out; nothing else may follow from it.
        let left = self.left(cx, &seen, left);
        let retried = match left.map(|target| self.retry(cx, now, target)) {
            Some(Ok(Some(step))) => return Ok(step),
            Some(conclusion) if !rule!(Left) => conclusion,
            _ => self.retry(cx, now, seen),
        }?;
        Ok(retried.unwrap_or_else(|| Step::Done(Ok(self.unchanged(cx, now)))))
    }

    /// What the commit before has left, to save over that: as a rule it is newer than what this one saw before it began to
    /// wait.
    fn left(&self, cx: &Context, seen: &Target, left: Option<Record>) -> Option<Target> {
        // A save whose outcome is unknown was looked for in what was seen.
        let left = left.filter(|_| self.work.attempts.is_empty())?;
        Target::read(cx, seen.key, &left, seen.own)
    }

    /// The same changes over this record, if there is still something to do.
    fn retry(
        &mut self,
        cx: &Context,
        now: Time,
        target: Target,
    ) -> Result<Option<Step<Result<Committed>>>> {
        let draft = self.work.replay(Some(target.body.clone()))?;
        if !self.work.is_worth_a_retry(&draft) {
            return Ok(None);
        }
        let step = if self.work.intent == Intent::Regenerate && target.own {
            self.replace(cx, now, target, Some(&draft))
        } else {
            self.save(cx, now, target, Some(&draft))
        };
        step.map(Some)
    }
}
