//! Random numbers, all of them from the operating system.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};

use ring::rand::{SecureRandom, SystemRandom};

/// How many bytes one system call fetches. A call for 24 bytes costs about what this one does.
const POOL: usize = 512;

struct Pool {
    bytes: [u8; POOL],
    used: usize,
    /// After how many forks it was filled.
    forks: u64,
}

/// How many forks lie between the first process and this one, as far as we were told.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Throws away the random numbers that this process has in stock. Call it in a child that was made by `fork` without
/// `exec`, before it makes or changes a session.
///
/// A program in Rust has no need of it. It is for servers in other languages, which fork their workers.
///
/// # Security
/// Parent and child hold the same stock: without this call they give the same ids to different visitors.
pub fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

thread_local! {
    static RANDOM: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL, forks: 0 }) };
}

/// `N` random bytes (at most 64), from a pool that the operating system fills. What was handed out is wiped.
#[allow(
    clippy::panic,
    reason = "without random numbers no session is safe, and none can be made"
)]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    const { assert!(N <= 64) };
    #[cfg(test)]
    if let Some(bytes) = scripted::draw() {
        return bytes;
    }
    RANDOM.with_borrow_mut(|pool| {
        let forks = FORKS.load(Ordering::Relaxed);
        if pool.used + N > POOL || pool.forks != forks {
            if SystemRandom::new().fill(&mut pool.bytes).is_err() {
                panic!("the operating system gives no random numbers");
            }
            pool.used = 0;
            pool.forks = forks;
        }
        let mut bytes = [0; N];
        let taken = &mut pool.bytes[pool.used..pool.used + N];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        pool.used += N;
        bytes
    })
}

/// A stream that a test chooses in place of the operating system's, so that the same steps draw the same numbers.
#[cfg(test)]
pub(crate) mod scripted {
    use std::cell::Cell;

    thread_local! {
        static STREAM: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
    }

    /// Runs `action` on the stream `seed`, of which `drawn` numbers have been drawn before.
    pub(crate) fn with<T>(seed: u64, drawn: &mut u64, action: impl FnOnce() -> T) -> T {
        STREAM.set(Some((seed, *drawn)));
        let result = action();
        if let Some((_, now)) = STREAM.take() {
            *drawn = now;
        }
        result
    }

    pub(super) fn draw<const N: usize>() -> Option<[u8; N]> {
        let (seed, drawn) = STREAM.get()?;
        STREAM.set(Some((seed, drawn + 1)));
        let mut bytes = [0; N];
        for (index, chunk) in bytes.chunks_mut(8).enumerate() {
            let word = spread((seed << 32) ^ (drawn << 8) ^ index as u64);
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        Some(bytes)
    }

    /// SplitMix64.
    fn spread(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_throws_the_stock_away() {
        let _: [u8; 8] = random();
        RANDOM.with_borrow_mut(|pool| pool.bytes.fill(7));
        assert_eq!(random(), [7; 8]);
        after_fork();
        assert_ne!(random(), [7; 8]);
        RANDOM.with_borrow_mut(|pool| pool.bytes.fill(7));
        assert_eq!(random(), [7; 8]);
    }
}
