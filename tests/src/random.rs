//! Chance that can be repeated, and work in several lanes.
use std::sync::atomic::{AtomicUsize, Ordering};

/// A source of numbers that are the same for the same seed (splitmix64, by Sebastiano Vigna).
#[derive(Clone, Copy, Debug)]
pub struct Random {
    /// What it began with: `ORLOP_SEED` repeats a run.
    pub seed: u64,
    state: u64,
}

impl Random {
    /// One that begins with `ORLOP_SEED`, or else always with the same number.
    pub fn seeded() -> Self {
        let seed =
            std::env::var("ORLOP_SEED").map_or(1, |text| text.parse().expect("ORLOP_SEED is a number"));
        Self { seed, state: seed }
    }

    /// Another one, as independent as chance has it: the same for the same number.
    #[must_use]
    pub fn nth(&self, number: u64) -> Self {
        let mut other =
            Self { seed: self.seed, state: self.state ^ number.wrapping_mul(0xd129_0d24_8b6c_9d3f) };
        other.number();
        other
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of several.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[(self.number() % all.len() as u64) as usize]
    }
}

/// Calls `work` with every number below `count`, in so many threads.
pub fn in_lanes(lanes: usize, count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    work(number);
                }
            });
        }
    });
}
