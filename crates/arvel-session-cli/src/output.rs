//! What is printed, and what becomes of it when nobody listens any more.

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
};

/// Prints to the standard output. Who closes the pipe has read enough: that is no error.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot print: {error}"))
        }
        _ => Ok(()),
    }
}

/// Prints a line to the standard error, if somebody listens there.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "arvel-session: {text}");
}

/// An error and what caused it, in one line. A cause that the text before it quotes already is left out.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
