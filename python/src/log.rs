//! What the core has to say, in Python's log: warnings and errors of the logger `arvel_session`.
//!
//! The core speaks from any thread, and now and then while a session is locked. Python's loggers run code of others, which
//! may ask that session; so what is said is handed to a thread that has no other work.

use std::{
    fmt::{self, Write as _},
    sync::mpsc::{Sender, channel},
    thread::Builder,
};

use pyo3::{intern, prelude::*};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

use crate::runtime::PerProcess;

/// A level as Python numbers it, and a text.
type Line = (u8, String);

/// Listens to the core, unless somebody else in this process does.
pub(crate) fn register() {
    let _ = tracing::subscriber::set_global_default(Listener::default());
}

#[derive(Default)]
struct Listener {
    lines: PerProcess<Sender<Line>>,
}

impl Listener {
    fn lines(&self) -> Option<Sender<Line>> {
        if let Some(lines) = self.lines.get() {
            return Some(lines);
        }
        let (lines, said) = channel();
        let name = "arvel-session-log".to_owned();
        let thread = Builder::new().name(name).spawn(move || {
            for line in said {
                // Python's log is for Python to mend.
                let _ = Python::try_attach(|py| say(py, &line));
            }
        });
        thread.ok().map(|_| self.lines.keep(lines))
    }
}

fn say(py: Python<'_>, (level, text): &Line) -> PyResult<()> {
    let logging = py.import(intern!(py, "logging"))?;
    let logger = logging.call_method1(intern!(py, "getLogger"), ("arvel_session",))?;
    logger.call_method1(intern!(py, "log"), (*level, "%s", text))?;
    Ok(())
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
        && *metadata.level() <= Level::WARN
        && metadata.target().starts_with("arvel_session")
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            _ => 30,
        };
        let mut text = Text::default();
        event.record(&mut text);
        if let Some(lines) = self.lines() {
            let _ = lines.send((level, text.message + &text.fields));
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !value.is_empty() {
            let _ = write!(self.fields, " {}={value}", field.name());
        }
    }
}
