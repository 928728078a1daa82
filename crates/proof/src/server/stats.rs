//! What the process holds: what a leak would show in.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::{World, progress::Left};

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Tasks of the runtime that have not ended, connections among them.
    pub tasks: usize,
    /// Open files and sockets.
    pub files: usize,
    /// Bytes of memory that are not a file's.
    pub memory: usize,
    /// Requests whose clients have left.
    pub left: Left,
}

pub(super) async fn stats(State(world): State<World>) -> Json<Stats> {
    Json(Stats {
        tasks: Handle::current().metrics().num_alive_tasks(),
        files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        memory: memory().unwrap_or(0),
        left: world.requests.left(),
    })
}

fn memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
