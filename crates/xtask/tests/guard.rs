//! The guard leaves neither processes nor files behind when whoever started it is gone.
#![expect(clippy::expect_used, reason = "the helper of a test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn what_was_started_ends_with_the_pipe() {
    let folder = tempfile::tempdir().unwrap().keep();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("guard").arg(&folder).stdin(Stdio::piped());
    let mut guard = command.spawn().unwrap();
    let mut pipe = guard.stdin.take().unwrap();

    let start = Instant::now();
    let mut registered = start_family(elsewhere.path());
    writeln!(pipe, "{} 15", registered.0.id()).unwrap();
    let mut unregistered = start_family(&folder);
    let mut stranger = start_family(elsewhere.path());
    drop(pipe);

    assert!(guard.wait().unwrap().success());
    assert!(!folder.exists());
    for (leader, output) in [&mut registered, &mut unregistered] {
        assert!(!leader.wait().unwrap().success());
        // The output ends when the last of the family has ended.
        assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
    }
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(
        stranger.0.try_wait().unwrap().is_none(),
        "the guard ended what was not ours"
    );
    stranger.0.stdin.take();
    stranger.0.wait().unwrap();
}

/// A shell in a session of its own with a child; both end with the shell's standard input.
fn start_family(folder: &Path) -> (std::process::Child, BufReader<ChildStdout>) {
    let mut command = Command::new("setsid");
    command.args([
        "sh",
        "-c",
        "sleep 60 & child=$!; echo ready; read line; kill $child",
    ]);
    command
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut shell = command.spawn().expect("setsid starts");
    let mut output = BufReader::new(shell.stdout.take().expect("the output is a pipe"));
    output
        .read_line(&mut String::new())
        .expect("the shell is ready");
    (shell, output)
}
