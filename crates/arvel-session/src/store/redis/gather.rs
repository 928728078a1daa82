//! The task that carries a connection's bytes waits until every other task that is ready has had its turn, so that what
//! they send and what has come for them is carried in one go.

use std::{future::poll_fn, mem, pin::pin, task::Poll};

use tokio::task::yield_now;

/// Drives `connection`, each time as the last of all tasks that are ready.
///
/// Left to itself it is tokio's next task as soon as one command is there (the runtime's LIFO slot), and makes a system
/// call for that one alone.
pub(super) async fn after_others(connection: impl Future<Output = ()>) {
    let mut connection = pin!(connection);
    while !poll_fn(|task| Poll::Ready(connection.as_mut().poll(task).is_ready())).await {
        let mut is_woken = false;
        poll_fn(|_| match mem::replace(&mut is_woken, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        yield_now().await;
    }
}
