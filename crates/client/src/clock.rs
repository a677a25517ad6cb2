//! What time it is at a server: its `Admit-Now`, counted on by monotonic time (HTTP-020).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use admit_protocol::origin::Origin;
use jiff::{SignedDuration, Timestamp};

/// A better answer is waited for so long; then a newer one replaces it, in case the server's clock was set.
const KEPT: Duration = Duration::from_secs(60);

/// Servers say milliseconds.
const ROUNDED: Duration = Duration::from_millis(5);

/// The clocks of the servers that were heard of.
#[derive(Clone, Default)]
pub(crate) struct Clocks(Arc<Mutex<HashMap<Origin, Heard>>>);

/// What a server said the time was, somewhere within a round trip.
#[derive(Clone, Copy)]
struct Heard {
    said: Timestamp,
    /// The middle of the round trip.
    at: Instant,
    round_trip: Duration,
}

impl Clocks {
    /// Takes note of what a server said between two instants. The shorter the round trip, the better it is known.
    pub(crate) fn hear(&self, origin: &Origin, said: Timestamp, asked: Instant, answered: Instant) {
        let round_trip = answered.duration_since(asked);
        let heard = Heard { said, at: asked + round_trip / 2, round_trip };
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A device that slept has a monotonic clock that stood still: an answer that cannot be true beside the known one wins.
        let fits = |known: &Heard| {
            let expected = SignedDuration::try_from(heard.at.saturating_duration_since(known.at)).unwrap_or_default();
            let apart = (said.duration_since(known.said) - expected).unsigned_abs();
            apart <= (round_trip + known.round_trip) / 2 + ROUNDED
        };
        let better = |known: &Heard| round_trip <= known.round_trip || known.at.elapsed() > KEPT || !fits(known);
        if clocks.get(origin).is_none_or(better) {
            clocks.insert(origin.clone(), heard);
        }
    }

    /// The time at a server now.
    pub(crate) fn now(&self, origin: &Origin) -> Option<Timestamp> {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin)?;
        let since = SignedDuration::try_from(heard.at.elapsed()).ok()?;
        heard.said.checked_add(since).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use admit_protocol::origin::OriginPolicy;

    #[test]
    fn the_servers_clock_goes_on_whatever_ours_says() {
        let origin = Origin::parse("https://kino.example", OriginPolicy::Public).expect("an origin");
        let clocks = Clocks::default();
        assert_eq!(clocks.now(&origin), None);
        let said: Timestamp = "2031-01-01T00:00:00Z".parse().expect("an instant");
        let asked = Instant::now() - Duration::from_secs(10);
        clocks.hear(&origin, said, asked, asked + Duration::from_secs(2));
        let late = clocks.now(&origin).expect("heard").duration_since(said);
        assert!((9..=11).contains(&late.as_secs()), "the middle of the round trip is nine seconds ago: {late:?}");
        // A slower answer that fits says less.
        let second = SignedDuration::from_secs(1);
        clocks.hear(&origin, said + second, asked, asked + Duration::from_secs(3));
        let late = clocks.now(&origin).expect("heard").duration_since(said);
        assert!((9..10).contains(&late.as_secs()), "{late:?}");
        // One that does not fit was said after this device slept, or the server's clock was set.
        let ten_minutes = SignedDuration::from_mins(10);
        clocks.hear(&origin, said + ten_minutes, asked, asked + Duration::from_secs(3));
        let late = clocks.now(&origin).expect("heard").duration_since(said);
        assert!((608..=610).contains(&late.as_secs()), "{late:?}");
    }
}
