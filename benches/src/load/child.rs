//! A runner in a process of its own, for what cannot be linked into this one: two versions of SQLite.
//!
//! Requests and answers are lines of JSON on the child's standard input and output.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child as Process, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Load, Round, Runner};

#[derive(Serialize, Deserialize)]
enum Question {
    Prepare(Load),
    Round(Duration),
    Finish,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Done,
    Round(Round),
    Failed(String),
}

/// The parent's end.
#[derive(Debug)]
pub struct Child {
    process: Process,
    answers: BufReader<ChildStdout>,
}

impl Child {
    /// Starts the program; it ends when this is dropped.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().with_context(|| format!("{command:?}"))?;
        let answers = process.stdout.take().context("no pipe")?;
        Ok(Self {
            process,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, question: &Question) -> Result<Answer> {
        let pipe = self.process.stdin.as_mut().context("no pipe")?;
        writeln!(pipe, "{}", serde_json::to_string(question)?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        match serde_json::from_str(&line).context("the child has ended")? {
            Answer::Failed(why) => bail!(why),
            answer => Ok(answer),
        }
    }
}

impl Runner for Child {
    fn prepare(&mut self, load: Load) -> Result<()> {
        self.ask(&Question::Prepare(load)).map(drop)
    }

    fn round(&mut self, time: Duration) -> Result<Round> {
        match self.ask(&Question::Round(time))? {
            Answer::Round(round) => Ok(round),
            _ => bail!("the child does not answer the question"),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.ask(&Question::Finish).map(drop)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            eprintln!("bench: waiting for a child: {error}");
        }
    }
}

/// The child's end: answers until there are no more questions.
///
/// # Errors
/// The pipes are broken.
pub fn serve(runner: &mut impl Runner) -> Result<()> {
    for line in std::io::stdin().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Question::Prepare(load) => runner.prepare(load).map(|()| Answer::Done),
            Question::Round(time) => runner.round(time).map(Answer::Round),
            Question::Finish => runner.finish().map(|()| Answer::Done),
        };
        let answer = answer.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
        println!("{}", serde_json::to_string(&answer)?);
    }
    Ok(())
}
