//! The steps of a run, and the summary at its end: one line a step, with its result and its time.

use std::time::{Duration, Instant};

use xtask::error::{Error, Result};

/// What was run so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

const FAILED: &str = "FAILED";

struct Step {
    name: String,
    result: &'static str,
    took: Duration,
}

impl Steps {
    /// Runs a step whose failure must not keep the later ones from running. Only an interruption is handed on.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        match self.need(name, step) {
            Err(Error::Failed(why)) => {
                eprintln!("xtask: {name}: {why}");
                Ok(())
            }
            other => other,
        }
    }

    /// Runs a step that the later ones need.
    pub(crate) fn need<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("\n== {name}");
        let start = Instant::now();
        let result = step();
        self.done.push(Step {
            name: name.to_owned(),
            result: match result {
                Ok(_) => "ok",
                Err(Error::Failed(_)) => FAILED,
                Err(Error::Interrupted) => "stopped",
            },
            took: start.elapsed(),
        });
        result
    }

    /// Prints the summary.
    pub(crate) fn print(&self) {
        println!();
        for step in &self.done {
            println!(
                "{:<7} {:>7.1} s  {}",
                step.result,
                step.took.as_secs_f64(),
                step.name
            );
        }
    }

    /// An error when a step failed.
    pub(crate) fn verdict(&self) -> Result<()> {
        match self
            .done
            .iter()
            .filter(|step| step.result == FAILED)
            .count()
        {
            0 => Ok(()),
            failed => Err(Error::new(format!(
                "{failed} of {} steps failed",
                self.done.len()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_run_but_decides_it() {
        let mut steps = Steps::default();
        assert!(steps.run("one", || Err(Error::new("broken"))).is_ok());
        assert!(steps.run("two", || Ok(())).is_ok());
        assert_eq!(steps.done.len(), 2);
        assert!(steps.verdict().is_err());
    }

    #[test]
    fn an_interruption_stops_the_run() {
        let mut steps = Steps::default();
        assert!(matches!(
            steps.run("one", || Err(Error::Interrupted)),
            Err(Error::Interrupted)
        ));
    }
}
