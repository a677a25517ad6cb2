//! What a store keeps of queues (capability `queue`): rows in, rows out.

use admit_booking::queue::{Line, QueuePlace};
use admit_booking::{Network, Owner};
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;

use super::{CommitError, StoreError};

/// A store that keeps queues.
pub trait QueueStore {
    /// The line of a screening. Where there is none yet, `fresh` is kept and is it from now on.
    ///
    /// # Errors
    /// When it cannot be read or written, or there is no such screening.
    fn line(&self, screening: ScreeningId, fresh: &Line) -> Result<Line, StoreError>;

    /// The line as it is now, and somebody's place in it.
    ///
    /// # Errors
    /// When they cannot be read.
    fn place(&self, screening: ScreeningId, owner: Owner) -> Result<Option<(Line, QueuePlace)>, StoreError>;

    /// Works on a line alone, in one durable commit: on return with `Ok` everything that `work` put is on disk (D1); when `work` fails,
    /// nothing is.
    ///
    /// # Errors
    /// When nothing was saved, or when that is not known (D2).
    fn work(
        &self,
        screening: ScreeningId,
        work: &mut dyn FnMut(&mut dyn LineRows) -> Result<(), StoreError>,
    ) -> Result<(), CommitError>;
}

/// A line that nobody else works on meanwhile.
pub trait LineRows {
    /// The line.
    ///
    /// # Errors
    /// When it cannot be read, or there is none.
    fn line(&mut self) -> Result<Line, StoreError>;

    /// Keeps what became of the line.
    ///
    /// # Errors
    /// When it cannot be written.
    fn set_line(&mut self, line: &Line) -> Result<(), StoreError>;

    /// Somebody's place.
    ///
    /// # Errors
    /// When it cannot be read.
    fn place(&mut self, owner: Owner) -> Result<Option<QueuePlace>, StoreError>;

    /// How many places a network has without a turn, or with one after `since`.
    ///
    /// # Errors
    /// When they cannot be counted.
    fn of_network(&mut self, network: Network, since: Timestamp) -> Result<u64, StoreError>;

    /// Keeps a place, instead of the one that its owner had.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&mut self, place: &QueuePlace) -> Result<(), StoreError>;

    /// Forgets a place. Whether there was one.
    ///
    /// # Errors
    /// When it cannot be written.
    fn remove(&mut self, owner: Owner) -> Result<bool, StoreError>;

    /// Everybody who has a place and no turn.
    ///
    /// # Errors
    /// When they cannot be read.
    fn without_turn(&mut self) -> Result<Vec<Owner>, StoreError>;

    /// Gives turns.
    ///
    /// # Errors
    /// When they cannot be written.
    fn set_turns(&mut self, turns: &[(Owner, Timestamp)]) -> Result<(), StoreError>;
}
