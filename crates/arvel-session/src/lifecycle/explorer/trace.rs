//! A violation told as a story.

use std::fmt::Write as _;

use super::{
    check,
    world::{Event, Fate, Sweep, World},
};
use crate::{
    lifecycle::{Ask, Context},
    record::{Key, Kind, Record, Token},
    store::Expect,
};

/// The keys by their letters, in the order in which they turn up.
#[derive(Default)]
struct Letters(Vec<Key>);

impl Letters {
    fn of(&mut self, key: Key) -> char {
        let at = self.0.iter().position(|known| *known == key);
        let at = at.unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        char::from(b'A' + u8::try_from(at).unwrap())
    }

    fn record(&mut self, record: &Record) -> String {
        match record.kind {
            Kind::Plain | Kind::Sealed => "a session".to_owned(),
            Kind::Regenerated(next) => format!("the marker: regenerated to {}", self.of(next)),
            Kind::Destroyed => "the marker: destroyed".to_owned(),
        }
    }

    fn ask(&mut self, ask: &Ask) -> String {
        match ask {
            Ask::Load(key) => format!("load {}", self.of(*key)),
            Ask::Save(key, Expect::Absent, write) => {
                format!("insert {} = {}", self.of(*key), self.record(&write.record))
            }
            Ask::Save(key, Expect::Revision(_), write) => {
                format!("save {} = {}", self.of(*key), self.record(&write.record))
            }
            Ask::Replace(ask) => {
                format!("replace {} by {}", self.of(ask.old), self.of(ask.new))
            }
            Ask::Touch(key, _) => format!("touch {}", self.of(*key)),
            Ask::Read(_) | Ask::Queue(_) => format!("{ask:?}"),
        }
    }
}

/// What happens, one line an event.
pub(super) fn tell(cx: &Context, start: &World, events: &[Event]) -> String {
    let mut letters = Letters::default();
    let mut world = start.clone();
    let mut story = String::new();
    for (number, event) in events.iter().enumerate() {
        let line = before(cx, &world, *event, &mut letters);
        let verdict = world.apply(cx, *event);
        let then = after(&world, *event);
        let _ = writeln!(story, "{:4}. {line}{then}", number + 1);
        let verdict = verdict.and_then(|()| check::end(&world, cx));
        if let Err(violation) = verdict {
            let _ = writeln!(story, "      {violation:?}");
        }
    }
    story
}

fn before(cx: &Context, world: &World, event: Event, letters: &mut Letters) -> String {
    let name = |index: usize| {
        let request = &world.requests[index];
        format!("{} ({})", request.name, request.script.name)
    };
    match event {
        Event::Start(index) => {
            let jar = world.jar();
            let tokens = jar
                .iter()
                .filter_map(|value| Token::decode(value.as_bytes(), &cx.keys));
            let held: String = tokens.map(|token| letters.of(token.id.key())).collect();
            format!("{} comes with [{held}]", name(index))
        }
        Event::Finish(index) => format!("{}: its handler is done", name(index)),
        Event::Arrive(index) => {
            format!(
                "{}: its {:?} arrives",
                name(index),
                world.requests[index].cookie
            )
        }
        Event::Call(index, fate) => {
            let ask = world.requests[index].ask().map(|ask| letters.ask(ask));
            let fate = match fate {
                Fate::Answered => "",
                Fate::Lost => ": executed, the answer is lost",
                Fate::Refused => ": not executed, an error",
                Fate::Delayed => ": an error, but to be executed later",
                Fate::Deserted => ": executed, but nobody waits any more",
                Fate::DesertedEarly => ": nobody waits any more, to be executed later",
            };
            format!("{}: {}{fate}", name(index), ask.unwrap_or_default())
        }
        Event::Late => "the delayed call is executed".to_owned(),
        Event::Lose(index) => {
            let key = *world.shelf.0.keys().nth(index).unwrap();
            format!("the store loses {}", letters.of(key))
        }
        Event::Pass(time, sweep) => {
            let swept = if sweep == Sweep::Yes {
                ", and a sweep"
            } else {
                ""
            };
            format!("{time:?} pass{swept}")
        }
    }
}

fn after(world: &World, event: Event) -> String {
    let (Event::Start(index) | Event::Finish(index) | Event::Call(index, _)) = event else {
        return String::new();
    };
    let request = &world.requests[index];
    if !request.has_ended() {
        return String::new();
    }
    match (request.failed, request.outcome) {
        (true, _) => " → an error".to_owned(),
        (_, Some(outcome)) => format!(" → {outcome:?}, cookie {:?}", request.cookie),
        (_, None) => String::new(),
    }
}
