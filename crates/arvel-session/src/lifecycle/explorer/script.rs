//! What a request's handler does, and what that must do to a session's content.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    SessionData,
    record::{Body, Revision},
};

/// One call of a handler. Whatever it stores bears the request's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Puts a key that nobody else puts.
    Put,
    /// Puts a key that everybody puts.
    PutShared,
    /// Increments a number, and pushes its name to a list: whose increments are in it can be told, and how often.
    Count,
    Flash,
    Reflash,
    Token,
    /// Notes who is logged in.
    User,
    Regenerate,
    Invalidate,
    Flush,
}

use Op::*;

/// A request's handler: its parts are divided by `save().await`, the last is committed with the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) name: &'static str,
    pub(super) parts: &'static [&'static [Op]],
    pub(super) ages: bool,
    pub(super) navigation: bool,
}

impl Script {
    const fn new(name: &'static str, parts: &'static [&'static [Op]]) -> Self {
        Self {
            name,
            parts,
            ages: true,
            navigation: false,
        }
    }

    pub(super) fn has(&self, op: Op) -> bool {
        self.parts.iter().any(|part| part.contains(&op))
    }

    /// Logs the user in, and nobody out.
    pub(super) fn is_login(&self) -> bool {
        self.has(User)
    }
}

/// Sets the scene: data and flash that were there before.
pub(super) const SEED: Script = Script::new("seed", &[&[Put, Count, Flash]]);
/// The id of the seed is dead.
pub(super) const MOVE: Script = Script {
    ages: false,
    ..Script::new("move", &[&[Regenerate]])
};

pub(super) const FETCH: Script = Script::new("fetch", &[&[]]);
pub(super) const POLL: Script = Script {
    ages: false,
    ..Script::new("poll", &[&[]])
};
pub(super) const PAGE: Script = Script {
    navigation: true,
    ..Script::new("page", &[&[]])
};
pub(super) const PUT: Script = Script::new("put", &[&[Put]]);
/// A form, sent by a person.
pub(super) const FORM: Script = Script {
    navigation: true,
    ..Script::new("form", &[&[Put, PutShared]])
};
pub(super) const SHARED: Script = Script::new("shared", &[&[PutShared]]);
pub(super) const COUNT: Script = Script::new("count", &[&[Count]]);
pub(super) const FLASH: Script = Script::new("flash", &[&[Flash]]);
pub(super) const REFLASH: Script = Script::new("reflash", &[&[Reflash]]);
pub(super) const TOKEN: Script = Script::new("token", &[&[Token]]);
pub(super) const FLUSH: Script = Script::new("flush", &[&[Flush, Count]]);
pub(super) const REGENERATE: Script = Script::new("regenerate", &[&[Regenerate, Count]]);
pub(super) const LOGIN: Script = Script::new("login", &[&[Regenerate, User]]);
pub(super) const LOGOUT: Script = Script::new("logout", &[&[Invalidate]]);
pub(super) const SWITCH: Script = Script::new("switch user", &[&[Put, Invalidate, User]]);
pub(super) const GOODBYE: Script = Script::new("logout with flash", &[&[Invalidate, Flash]]);
pub(super) const SAVE: Script = Script::new("save halfway", &[&[Put, Count], &[Count]]);
pub(super) const TWICE: Script =
    Script::new("regenerate twice", &[&[Regenerate], &[Regenerate, User]]);
pub(super) const RENEW: Script = Script::new("regenerate alone", &[&[Regenerate]]);
pub(super) const HALVES: Script = Script::new("log in by halves", &[&[Regenerate], &[User]]);
pub(super) const CHANGE: Script = Script::new("switch by halves", &[&[Invalidate], &[User]]);
pub(super) const LEAVE: Script = Script::new("save, log out", &[&[Put], &[Invalidate]]);
pub(super) const QUIT: Script = Script::new("regenerate, log out", &[&[Regenerate], &[Invalidate]]);
pub(super) const SAVES: Script = Script::new(
    "save five times",
    &[&[Count], &[Count], &[Count], &[Count], &[Count]],
);

/// The scripts that are combined with each other.
pub(super) const ALL: &[Script] = &[
    FETCH, POLL, PAGE, PUT, FORM, SHARED, COUNT, FLASH, REFLASH, TOKEN, FLUSH, REGENERATE, LOGIN,
    LOGOUT, SWITCH, GOODBYE, SAVE, TWICE, RENEW, HALVES, CHANGE, LEAVE, QUIT,
];

/// What a session holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) data: BTreeMap<String, Value>,
    pub(super) flash: BTreeMap<String, (Revision, Value)>,
}

/// The flash that a request was shown.
pub(super) type Shown = BTreeMap<String, (Revision, Value)>;

impl Contents {
    pub(super) fn of(body: &Body) -> Self {
        let parse = |bytes| serde_json::from_slice(bytes).unwrap();
        Self {
            data: body
                .data()
                .map(|entry| (entry.key.to_owned(), parse(entry.value)))
                .collect(),
            flash: body
                .flash()
                .map(|entry| {
                    let flash = (entry.birth.unwrap(), parse(entry.value));
                    (entry.key.to_owned(), flash)
                })
                .collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.flash.is_empty()
    }

    /// Whether this is there and was shown to the request.
    pub(super) fn has_shown(&self, shown: &Shown) -> bool {
        let mut flash = self.flash.iter();
        flash.any(|(key, (birth, _))| shown.get(key).is_some_and(|(seen, _)| seen == birth))
    }

    /// What a commit of these operations as `revision` must make of it.
    pub(super) fn after(
        &self,
        ops: &[Op],
        name: &str,
        shown: &Shown,
        ages: bool,
        revision: Revision,
    ) -> Self {
        let mut after = self.clone();
        let mut readable = shown.clone();
        let mut born = BTreeMap::new();
        let mut flushed = false;
        for op in ops {
            match op {
                Put => drop(after.data.insert(name.to_owned(), json!(name))),
                PutShared => drop(after.data.insert("shared".to_owned(), json!(name))),
                User => drop(after.data.insert("user".to_owned(), json!(name))),
                Count => after.count(name),
                Flash => drop(born.insert("status".to_owned(), json!(name))),
                Reflash => {
                    for (key, (birth, value)) in &readable {
                        let newer = self.flash.get(key).is_some_and(|(there, _)| there != birth);
                        if flushed || !newer {
                            born.entry(key.clone()).or_insert_with(|| value.clone());
                        }
                    }
                }
                Flush | Invalidate => {
                    after = Self::default();
                    readable.clear();
                    born.clear();
                    flushed = true;
                }
                Token | Regenerate => {}
            }
        }
        if ages {
            after
                .flash
                .retain(|key, (birth, _)| shown.get(key).is_none_or(|(seen, _)| seen != birth));
        }
        let born = born
            .into_iter()
            .map(|(key, value)| (key, (revision, value)));
        after.flash.extend(born);
        after
    }

    fn count(&mut self, name: &str) {
        let number = self.data.entry("number".to_owned()).or_insert(json!(0));
        *number = json!(number.as_i64().unwrap() + 1);
        let list = self.data.entry("list".to_owned()).or_insert(json!([]));
        list.as_array_mut().unwrap().push(json!(name));
    }
}

/// Does it to a real session; answers the CSRF token, if it was asked for.
pub(super) fn perform(session: &SessionData, ops: &[Op], name: &str) -> Option<String> {
    let mut token = None;
    for op in ops {
        match op {
            Put => session.put(name, name).unwrap(),
            PutShared => session.put("shared", name).unwrap(),
            User => session.put("user", name).unwrap(),
            Count => {
                session.increment("number", 1).unwrap();
                session.push("list", name).unwrap();
            }
            Flash => session.flash("status", name).unwrap(),
            Reflash => session.reflash(),
            Token => token = Some(session.token()),
            Regenerate => session.regenerate(),
            Invalidate => session.invalidate(),
            Flush => session.flush(),
        }
    }
    token
}
