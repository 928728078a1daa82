//! The queue of a hot session: after its first conflict a commit waits for the others of the same session in this
//! process, so that they neither starve nor hammer the store. Each leaves what it has stored for the next one to save over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};

use crate::record::{Key, Record};

const SHARDS: usize = 16;

/// A turnstile for each session that has a queue.
#[derive(Default)]
pub(crate) struct Queues {
    shards: [Mutex<Shard>; SHARDS],
}

/// Behind each turnstile lies the record that the one who was in last has stored.
type Shard = HashMap<Key, Arc<Turnstile<Option<Record>>>>;

/// A place in a queue, and in the end the turn; dropping it lets the next one in.
pub(crate) struct Turn {
    queues: Arc<Queues>,
    key: Key,
    turnstile: Arc<Turnstile<Option<Record>>>,
    guard: Option<OwnedMutexGuard<Option<Record>>>,
}

/// Waits for a turn.
pub(crate) type Entering = std::pin::Pin<Box<dyn Future<Output = Turn> + Send>>;

impl Queues {
    pub(crate) fn enter(queues: &Arc<Self>, key: Key) -> Entering {
        let mut turn = Turn {
            queues: queues.clone(),
            key,
            turnstile: queues.with_shard(&key, |shard| shard.entry(key).or_default().clone()),
            guard: None,
        };
        Box::pin(async move {
            turn.guard = Some(turn.turnstile.clone().lock_owned().await);
            turn
        })
    }

    fn with_shard<T>(&self, key: &Key, action: impl FnOnce(&mut Shard) -> T) -> T {
        let shard = &self.shards[usize::from(key.hash()[0]) % SHARDS];
        action(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turn {
    pub(crate) fn is_for(&self, key: &Key) -> bool {
        self.key == *key
    }

    /// What the one before has left.
    pub(crate) fn take_left(&mut self) -> Option<Record> {
        self.guard.as_deref_mut()?.take()
    }

    /// Leaves a record for the next one.
    pub(crate) fn leave(&mut self, record: Record) {
        if let Some(guard) = &mut self.guard {
            **guard = Some(record);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let turnstile = std::mem::take(&mut self.turnstile);
        self.queues.with_shard(&self.key, |shard| {
            // Let go of under the lock: of two who leave at once, the second must see that it is the last.
            drop(turnstile);
            if shard
                .get(&self.key)
                .is_some_and(|last| Arc::strong_count(last) == 1)
            {
                shard.remove(&self.key);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left_behind() {
        let queues = Arc::new(Queues::default());
        let key = Key::new([0; 2], [7; 32]);
        let first = Queues::enter(&queues, key).await;
        let mut second = Queues::enter(&queues, key);
        let mut third = Queues::enter(&queues, key);
        assert!(futures_now(&mut second).is_none());
        assert!(futures_now(&mut third).is_none());
        drop(second);
        drop(first);
        let third = third.await;
        assert!(third.is_for(&key));
        drop(third);
        assert!(
            queues
                .shards
                .iter()
                .all(|shard| shard.lock().unwrap().is_empty())
        );
    }

    #[test]
    fn two_who_leave_at_once_leave_nothing_behind() {
        let queues = Arc::new(Queues::default());
        let key = Key::new([0; 2], [7; 32]);
        for _ in 0..500 {
            let waiting = [(); 4].map(|()| Queues::enter(&queues, key));
            std::thread::scope(|scope| {
                for entering in waiting {
                    scope.spawn(move || drop(entering));
                }
            });
            assert!(queues.with_shard(&key, |shard| shard.is_empty()));
        }
    }

    fn futures_now(entering: &mut Entering) -> Option<Turn> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match entering.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(turn) => Some(turn),
            std::task::Poll::Pending => None,
        }
    }
}
