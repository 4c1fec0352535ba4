//! Threads whose randomness is a function of a seed.
//!
//! A simulated run is repeated exactly only if nothing in it is left to chance, and much of what a program takes from the
//! operating system it takes unasked: the keys of every `HashMap`, the seed of `rand::rng()`, the order in which
//! `tokio::select!` looks at its branches. All of it comes through libc's `getrandom`, or is derived from what did. So
//! this crate defines that function anew: on a thread started by [`run`] it answers from a generator, on every other
//! thread it asks the kernel as before. That is the crate's one use of `unsafe`, and why it is a crate of its own.
//!
//! `fastrand`, of which kube-runtime's back-off takes its jitter, asks the clock instead, and is given its seed.
//!
//! It does not reach what asks the kernel without libc, nor what all threads share: the order of a map of `ahash` differs from
//! map to map. Elsewhere than on Linux it changes nothing, and runs are not repeatable.

use std::{cell::Cell, panic::resume_unwind, thread};

/// The golden ratio, as SplitMix64 takes it.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Nothing draws more bytes at once for a thread alone: 16 are the keys of its hash maps, 32 the seed of `rand::rng()`.
const OWN_MAX: usize = 32;

thread_local! {
    /// The state of the thread's generator; `None`: its randomness is the kernel's.
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    /// The state of the generator that answers longer draws. What all threads share is drawn by the first that comes to need
    /// it (`ahash` draws 64 bytes, once in a process), and must not shift what is drawn after it on that thread alone.
    static SHARED: Cell<u64> = const { Cell::new(0) };
}

/// Runs `work` to its end on a new thread, to which nothing is random that does not follow from `seed`.
///
/// A new one each time: what a thread has drawn once it keeps, such as the keys of its hash maps.
///
/// # Panics
/// As `work` does; or if the thread cannot be started.
pub fn run<T: Send>(seed: u64, work: impl FnOnce() -> T + Send) -> T {
    let seeded = move || {
        STATE.set(Some(seed));
        SHARED.set(mix(seed));
        fastrand::seed(seed);
        work()
    };
    let ended = thread::scope(|scope| scope.spawn(seeded).join());
    ended.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The next bytes of the thread's generators; false if it has none.
fn fill(bytes: &mut [u8]) -> bool {
    let Some(own) = STATE.get() else { return false };
    if bytes.len() > OWN_MAX {
        SHARED.set(fill_from(SHARED.get(), bytes));
    } else {
        STATE.set(Some(fill_from(own, bytes)));
    }
    true
}

/// Fills all of it; returns the generator's next state.
fn fill_from(mut state: u64, bytes: &mut [u8]) -> u64 {
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(STEP);
        chunk.copy_from_slice(&mix(state).to_le_bytes()[..chunk.len()]);
    }
    state
}

/// SplitMix64's output function.
fn mix(state: u64) -> u64 {
    let first = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    second ^ (second >> 31)
}

/// `getrandom(2)` as libc has it.
///
/// # Safety
/// As of the system call: `buffer` must be good for writes of `length` bytes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    if STATE.get().is_none() || buffer.is_null() {
        // SAFETY: The very call that the caller meant, with its own arguments.
        let answer = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return answer as libc::ssize_t;
    }
    // SAFETY: The caller promises `length` writable bytes; they are made defined before a reference to them is.
    let bytes = unsafe {
        buffer.cast::<u8>().write_bytes(0, length);
        std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length)
    };
    fill(bytes);
    length as libc::ssize_t
}
