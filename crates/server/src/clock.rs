//! Time that never goes back (C1, C2).

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Instant;

use admit_protocol::time::to_millisecond;
use jiff::{SignedDuration, Timestamp};

/// Where the server takes its time from.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now, in whole milliseconds.
    fn now(&self) -> Timestamp;

    /// Whether it is meant to tell the world's time: then a server whose store has a clock of its own compares the two.
    fn is_real(&self) -> bool {
        true
    }
}

/// The wall clock at start, and the monotonic clock from then on: somebody who sets the machine's clock neither ends
/// holds nor makes them longer.
#[derive(Debug)]
pub struct SystemClock {
    anchor: Timestamp,
    began: Instant,
}

impl SystemClock {
    /// A clock that starts at the wall's time, but never before `latest_saved`.
    #[must_use]
    pub fn starting_after(latest_saved: Timestamp) -> Self {
        Self { anchor: Timestamp::now().max(latest_saved), began: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.began.elapsed()).unwrap_or(SignedDuration::ZERO);
        to_millisecond(self.anchor.checked_add(elapsed).unwrap_or(self.anchor))
    }
}

/// A clock that a test moves.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves it on.
    pub fn advance(&self, seconds: i64) {
        self.advance_ms(seconds.saturating_mul(1000));
    }

    /// Moves it on by milliseconds.
    pub fn advance_ms(&self, ms: i64) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.checked_add(SignedDuration::from_millis(ms)).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        to_millisecond(*self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn is_real(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use admit_protocol::time::after;

    use super::*;

    #[test]
    fn time_does_not_go_back_over_a_restart() {
        let saved = after(Timestamp::now(), 3600);
        let clock = SystemClock::starting_after(saved);
        assert!(clock.now() >= to_millisecond(saved));
        assert!(clock.now() <= after(saved, 60));
    }
}
