//! The rules of the house: of all who want a seat, exactly one gets it.
//!
//! A [`House`] is the seats of one screening. [`House::decide`] says what a [`Command`] would change and changes nothing;
//! [`House::apply`] makes it true. There is no input or output here, no clock and no randomness: time, ids and seeds come
//! with the command. So the rules can be tested a million times a second, and run the same in a server, in a test and
//! behind a box office of your own.
//!
//! ```
//! use std::sync::Arc;
//! use admit_booking::queue::Admission;
//! use admit_booking::{Command, House, HoldKey, Owner, PlaceHold, Refusal, example};
//!
//! let mut house = House::new(Arc::new(example::terms()));
//! let now = example::NOW.parse()?;
//! let hold = |key: u128, owner: u8, seat: &str| {
//!     Command::PlaceHold(PlaceHold {
//!         hold: HoldKey(key),
//!         owner: Owner([owner; 32]),
//!         network: None,
//!         seats: vec![(seat.parse().unwrap(), None)],
//!         areas: vec![],
//!         best: None,
//!         ttl_s: None,
//!         admission: Admission::None,
//!     })
//! };
//! let changes = house.decide(&hold(1, b'a', "A1"), now).unwrap();
//! house.apply(changes)?;
//! assert!(matches!(house.decide(&hold(2, b'b', "A1"), now), Err(Refusal::SeatsTaken(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod command;
mod decide;
pub mod door;
pub mod example;
mod hold;
mod house;
mod invariants;
mod plan;
pub mod price;
pub mod queue;
mod refusal;
pub mod seating;
mod terms;
mod unpaid;
mod waitlist;

pub use changes::{Block, BlockReason, Changes, Claim, ScanRecord, ScannedTicket};
pub use command::{By, Cancellation, Choice, Command, DoorScan, Forget, JoinWaitlist, PlaceHold};
pub use decide::{CancellationOffer, ExchangeOffer, ExchangeWish};
pub use hold::{
    Booking, Exchanged, HeldPlace, Hold, HoldKey, HoldState, Line, Link, Network, Order, OrderLine, Owner, TypeNo,
};
pub use house::{Broken, House, Saved};
pub use invariants::Violation;
pub use plan::{AreaPlaces, Place, Plan};
pub use refusal::Refusal;
pub use terms::{Prices, Terms};
pub use waitlist::{Entry, EntryKey, EntryState};

/// The absolute bound of a hold, in seconds: 15 minutes to choose and 35 to pay (H1).
pub const HOLD_LIFE_MAX_S: i64 = 50 * 60;
