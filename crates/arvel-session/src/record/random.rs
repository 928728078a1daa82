//! Random numbers, all of them from the operating system.

use std::cell::RefCell;

use ring::rand::{SecureRandom, SystemRandom};

/// How many bytes one system call fetches. A call for 24 bytes costs about what this one does.
const POOL: usize = 512;

struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

thread_local! {
    static RANDOM: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL }) };
}

/// `N` random bytes (at most 64), from a pool that the operating system fills. What was handed out is wiped.
#[allow(
    clippy::panic,
    reason = "without random numbers no session is safe, and none can be made"
)]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    const { assert!(N <= 64) };
    RANDOM.with_borrow_mut(|pool| {
        if pool.used + N > POOL {
            if SystemRandom::new().fill(&mut pool.bytes).is_err() {
                panic!("the operating system gives no random numbers");
            }
            pool.used = 0;
        }
        let mut bytes = [0; N];
        let taken = &mut pool.bytes[pool.used..pool.used + N];
        bytes.copy_from_slice(taken);
        taken.fill(0);
        pool.used += N;
        bytes
    })
}
