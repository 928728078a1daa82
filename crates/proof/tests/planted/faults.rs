//! The faults, and the rules that each must be found by.

use std::sync::Arc;

use arvel_session::StartSession;
use axum::{Router, middleware::from_fn};
use proof::checker::Rule;

use crate::{around, shelf::Deeds, stores};

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) rules: &'static [Rule],
    pub(crate) plant: Plant,
}

pub(crate) enum Plant {
    /// In the store.
    Store(Box<dyn Fn() -> Arc<dyn Deeds>>),
    /// In how the application sets the layer.
    Layer(fn(StartSession) -> StartSession),
    /// Around the application.
    Around(fn(Router) -> Router),
    /// The same, where every answer has to come in time.
    InTime(fn(Router) -> Router),
}

fn store<D: Deeds + Default>(name: &'static str, rules: &'static [Rule]) -> Fault {
    let plant = Plant::Store(Box::new(|| Arc::new(D::default())));
    Fault { name, rules, plant }
}

pub(crate) fn all() -> Vec<Fault> {
    let mut all = of_stores();
    all.extend(of_applications());
    all
}

fn of_stores() -> Vec<Fault> {
    vec![
        store::<stores::LastWriteWins>("last write wins", &[Rule::LostUpdate, Rule::SplitBrain]),
        store::<stores::UpsertOnSave>("upsert on save", &[Rule::DeadTold]),
        store::<stores::SaveAfterResponse>("save after the response", &[Rule::LostUpdate]),
        store::<stores::ReadErrorIsEmpty>("a read error is an empty session", &[Rule::LostSession]),
        store::<stores::WriteErrorIsSuccess>("a write error is a success", &[Rule::LostUpdate]),
        store::<stores::TouchRewrites>("touch rewrites the data", &[Rule::LostUpdate]),
        store::<stores::MarkersExpire>("markers expire at once", &[Rule::DeadGiven]),
        store::<stores::LostIncrements>("one write in thirty is lost", &[Rule::LostUpdate]),
        store::<stores::ResendsByItself>("the driver sends again by itself", &[Rule::AppliedTwice]),
        store::<stores::OwnRevisions>(
            "the store counts revisions by itself",
            &[Rule::AppliedTwice],
        ),
        store::<stores::OldIdLives>("the old id stays good after regenerate", &[Rule::DeadTold]),
        store::<stores::LogoutForgotten>("destroy does not delete", &[Rule::DeadTold]),
        store::<stores::BlindReplace>(
            "regenerate overwrites without comparing",
            &[Rule::LostUpdate],
        ),
        store::<stores::StaleReads>("reads come from a lagging copy", &[Rule::LostUpdate]),
        store::<stores::Mixed>("another session's record is answered", &[Rule::FromNowhere]),
        store::<stores::LateAndBlind>(
            "a late, blind save brings a dead session back",
            &[Rule::DeadAgain],
        ),
        store::<stores::ReadsFail>("a load fails now and then", &[Rule::WrongAnswer]),
        store::<stores::SuccessorsSurvive>(
            "a logout ends the id that it has sent alone",
            &[Rule::LogoutLeftLive],
        ),
        store::<stores::RegenerateLeaks>("regenerate leaves a copy behind", &[Rule::TooManyLive]),
    ]
}

fn of_applications() -> [Fault; 10] {
    let layer = |name, rules, dress| Fault {
        name,
        rules,
        plant: Plant::Layer(dress),
    };
    let around = |name, rules, wrap| Fault {
        name,
        rules,
        plant: Plant::Around(wrap),
    };
    [
        layer("flash is never used up", &[Rule::FlashAgain], |sessions| {
            sessions.keep_flash(|_| true)
        }),
        layer("polling eats flash", &[Rule::FlashLost], |sessions| {
            sessions.keep_flash(|_| false)
        }),
        around("prefetching eats flash", &[Rule::FlashLost], |app| {
            app.layer(from_fn(around::without_purpose))
        }),
        around("the client's id is adopted", &[Rule::Adopted], |app| {
            app.layer(from_fn(around::adopting))
        }),
        around("two cookies in one response", &[Rule::WrongCookie], |app| {
            app.layer(from_fn(around::doubling))
        }),
        around("what was discarded is stored", &[Rule::TookEffect], |app| {
            app.layer(from_fn(around::without_discard))
        }),
        around(
            "forget removes nothing",
            &[Rule::WrongContent, Rule::WrongResult],
            |app| app.layer(from_fn(around::without_forget)),
        ),
        around(
            "each look at the CSRF token makes another",
            &[Rule::TokenChanged],
            |app| app.layer(from_fn(around::with_new_tokens)),
        ),
        around(
            "the last two commits are seen the other way round",
            &[Rule::OutOfOrder],
            |app| app.layer(from_fn(around::swapping)),
        ),
        Fault {
            name: "somebody waits for a lock",
            rules: &[Rule::TooLate],
            plant: Plant::InTime(|app| app.layer(from_fn(around::dawdling))),
        },
    ]
}
