//! The queue of a hot session: from the first conflict on, the commits of one session in this process go behind each
//! other, so that they neither starve nor hammer the store. Each leaves its record for the next one to save over.
//!
//! Where a store executes what it is told in the order in which it is told, the next one need not wait for the answer: it
//! saves over what the one before is about to store. If that is not stored after all, neither is this: the store compares.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::record::{Key, Record, Revision};

const SHARDS: usize = 16;

/// How many commits may be under way from the oldest one on. A record knows its last four revisions (R8): whoever asks
/// what has become of his save must not find that others of this process have pushed it out.
const MOST_UNDER_WAY: usize = 4;

/// A queue for each session that is hot.
#[derive(Default)]
pub(crate) struct Queues {
    shards: [Mutex<Shard>; SHARDS],
    /// How many there are: as a rule none, so that nobody has to look for his.
    count: AtomicUsize,
}

type Shard = HashMap<Key, Arc<Mutex<Line>>>;

#[derive(Default)]
struct Line {
    tickets: u64,
    waiting: VecDeque<(u64, Option<Waker>)>,
    /// Those who have been let in, oldest first, and whether they have gone.
    inside: VecDeque<(u64, bool)>,
    /// Who has been let in last, until it has left something.
    turn: Option<u64>,
    /// The record that was left last, and how often what was left has turned out wrong.
    left: Option<Record>,
    errors: u64,
}

/// A place in a queue, and in the end the turn; dropping it lets the next one in.
pub(crate) struct Turn {
    queues: Arc<Queues>,
    key: Key,
    line: Arc<Mutex<Line>>,
    ticket: u64,
    /// What was left here, and how many errors were known when it took what was left for it.
    left: Option<Revision>,
    errors: u64,
}

/// Waits for a turn.
pub(crate) struct Entering(Option<Turn>);

impl Queues {
    /// Whether commits of this session are queueing.
    pub(crate) fn is_hot(&self, key: &Key) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.shard(key).contains_key(key)
    }

    pub(crate) fn enter(queues: &Arc<Self>, key: Key) -> Entering {
        let line = {
            let mut shard = queues.shard(&key);
            let line = shard.entry(key).or_insert_with(|| {
                queues.count.fetch_add(1, Ordering::Relaxed);
                Arc::default()
            });
            line.clone()
        };
        let ticket = lock(&line).queue();
        Entering(Some(Turn {
            queues: queues.clone(),
            key,
            line,
            ticket,
            left: None,
            errors: 0,
        }))
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::from(key.hash()[0]) % SHARDS])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    fn queue(&mut self) -> u64 {
        self.tickets += 1;
        self.waiting.push_back((self.tickets, None));
        self.tickets
    }

    /// Lets this one in, if it is the first that waits and there is room.
    fn let_in(&mut self, ticket: u64) -> bool {
        let is_first = (self.waiting.front()).is_some_and(|(first, _)| *first == ticket);
        if !is_first || !self.has_room() {
            return false;
        }
        self.waiting.pop_front();
        self.inside.push_back((ticket, false));
        self.turn = Some(ticket);
        true
    }

    fn has_room(&self) -> bool {
        self.turn.is_none() && self.inside.len() < MOST_UNDER_WAY
    }

    fn wake_next(&mut self) {
        if self.has_room()
            && let Some((_, waker)) = self.waiting.front_mut()
            && let Some(waker) = waker.take()
        {
            waker.wake();
        }
    }

    fn end_turn(&mut self, ticket: u64) {
        self.turn = self.turn.filter(|current| *current != ticket);
        self.wake_next();
    }

    fn go(&mut self, ticket: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
        for (inside, has_gone) in &mut self.inside {
            *has_gone |= *inside == ticket;
        }
        while self.inside.front().is_some_and(|(_, has_gone)| *has_gone) {
            self.inside.pop_front();
        }
        self.end_turn(ticket);
    }
}

impl Turn {
    pub(crate) fn is_for(&self, key: &Key) -> bool {
        self.key == *key
    }

    /// What the one before has left.
    pub(crate) fn found(&mut self) -> Option<Record> {
        let line = lock(&self.line);
        self.errors = line.errors;
        line.left.clone()
    }

    /// Leaves a record, once, for the next one, who is let in.
    pub(crate) fn leave(&mut self, record: &Record) {
        if self.left.replace(record.revision) == Some(record.revision) {
            return;
        }
        let mut line = lock(&self.line);
        line.left = Some(record.clone());
        line.end_turn(self.ticket);
    }

    /// What was found here, or left here, is not what is stored.
    pub(crate) fn met_conflict(&self) {
        let mut line = lock(&self.line);
        // Otherwise somebody has said so, and what lies there since then is newer.
        if line.errors == self.errors {
            line.errors += 1;
            line.left = None;
        }
    }
}

impl Future for Entering {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Turn> {
        let Some(turn) = &self.0 else {
            return Poll::Pending;
        };
        let mut line = lock(&turn.line);
        if !line.let_in(turn.ticket) {
            let place = (line.waiting.iter_mut()).find(|(waiting, _)| *waiting == turn.ticket);
            if let Some((_, waker)) = place {
                *waker = Some(task.waker().clone());
            }
            return Poll::Pending;
        }
        drop(line);
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.line).go(self.ticket);
        let line = std::mem::take(&mut self.line);
        let mut shard = self.queues.shard(&self.key);
        // Let go of under the lock: of two who leave at once, the second must see that it is the last.
        drop(line);
        if (shard.get(&self.key)).is_some_and(|last| Arc::strong_count(last) == 1) {
            shard.remove(&self.key);
            self.queues.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Time, record::Kind};

    fn key() -> Key {
        Key::new([0; 2], [7; 32])
    }

    fn record(revision: u64) -> Record {
        let expires = Time::from_millis(1);
        Record::new(Kind::Plain, Revision::from_u64(revision), expires, "")
    }

    fn now(entering: &mut Entering) -> Option<Turn> {
        let mut task = Context::from_waker(Waker::noop());
        match Pin::new(entering).poll(&mut task) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn found(turn: &mut Turn) -> Option<u64> {
        turn.found().map(|record| record.revision.as_u64())
    }

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left_behind() {
        let queues = Arc::new(Queues::default());
        assert!(!queues.is_hot(&key()));
        let first = Queues::enter(&queues, key()).await;
        let mut second = Queues::enter(&queues, key());
        let mut third = Queues::enter(&queues, key());
        assert!(now(&mut second).is_none());
        assert!(now(&mut third).is_none());
        assert!(queues.is_hot(&key()));
        drop(second);
        drop(first);
        let third = third.await;
        assert!(third.is_for(&key()));
        drop(third);
        assert!(!queues.is_hot(&key()));
        assert_eq!(queues.count.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn who_waits_is_woken_when_the_one_before_leaves_something_or_gives_up() {
        let queues = Arc::new(Queues::default());
        let mut first = Queues::enter(&queues, key()).await;
        let second = tokio::spawn(Queues::enter(&queues, key()));
        let third = Queues::enter(&queues, key());
        let fourth = tokio::spawn(Queues::enter(&queues, key()));
        tokio::task::yield_now().await;
        first.leave(&record(1));
        let mut second = second.await.unwrap();
        assert_eq!(found(&mut second), Some(1));
        drop(second);
        drop(third);
        drop(fourth.await.unwrap());
    }

    #[test]
    fn no_more_are_under_way_than_a_record_knows_revisions() {
        let queues = Arc::new(Queues::default());
        let enter = || now(&mut Queues::enter(&queues, key()));
        let mut inside = Vec::new();
        while let Some(mut turn) = enter() {
            turn.leave(&record(inside.len() as u64));
            inside.push(turn);
        }
        assert_eq!(inside.len(), 4);
        drop(inside.pop());
        assert!(enter().is_none(), "counted from the oldest on");
        drop(inside.remove(0));
        assert!(enter().is_some());
    }

    #[test]
    fn a_conflict_takes_away_what_it_makes_wrong_and_no_more() {
        let queues = Arc::new(Queues::default());
        let enter = || now(&mut Queues::enter(&queues, key())).unwrap();
        let mut first = enter();
        first.leave(&record(1));
        let mut second = enter();
        assert_eq!(found(&mut second), Some(1));
        second.leave(&record(2));
        first.met_conflict();
        assert_eq!(found(&mut first), None);
        first.leave(&record(3));
        // It was built on what was wrong already.
        second.met_conflict();
        assert_eq!(found(&mut second), Some(3));
        // Sent once more: it has left this before.
        first.leave(&record(4));
        second.leave(&record(2));
        assert_eq!(found(&mut first), Some(4));
    }

    #[test]
    fn two_who_leave_at_once_leave_nothing_behind() {
        let queues = Arc::new(Queues::default());
        for _ in 0..500 {
            let waiting = [(); 4].map(|()| Queues::enter(&queues, key()));
            std::thread::scope(|scope| {
                for entering in waiting {
                    scope.spawn(move || drop(entering));
                }
            });
            assert!(!queues.is_hot(&key()));
        }
    }
}
