//! Buy a seat at any cinema, without asking anybody.
//!
//! ```no_run
//! use admit_client::{Client, Options, RequestKey, Secret};
//! use admit_protocol::hold::{PlaceHold, SeatWish};
//!
//! # async fn buy() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Options::default())?;
//! // The manifest is fetched from the cinema itself and verified.
//! let cinema = client.server("https://kino.example", None).await?;
//! let screening = "scr_42".parse()?;
//! let seats = cinema.seats(screening).await?;
//! assert!(seats.sales.is_open());
//!
//! let secret = Secret::new()?;
//! let wish = PlaceHold {
//!     seats: vec![SeatWish { seat: "F9".parse()?, ticket_type: Some("adult".parse()?) }],
//!     ..PlaceHold::default()
//! };
//! // The same key again is the same hold: a lost reply costs nothing.
//! let hold = cinema.place_hold(screening, &secret, &RequestKey::new()?, &wish).await?;
//! println!("held until {}", hold.expires_at);
//! # Ok(())
//! # }
//! ```
//!
//! Requests are bounded in time and size, follow no redirect, and are sent again with the same key when a reply is
//! lost. Whoever wants secrets and bookings kept in a file uses a [`Wallet`]. What is still left of a hold is counted by
//! the cinema's clock: [`Server::now`]. `protocol` and `jiff` are the crates whose types appear here.

mod choosing;
mod clock;
mod door;
mod error;
mod index;
mod live;
mod secret;
mod server;
mod transport;
mod wallet;

pub use admit_protocol as protocol;
pub use choosing::{Choice, Choosing, LeftOver};
pub use door::{Checked, Door, DoorError, new_scan_id};
pub use error::ClientError;
pub use index::{Index, Indexes, Near, Search};
pub use jiff;
pub use live::Live;
pub use reqwest::dns::{Addrs, Name, Resolve, Resolving};
pub use secret::{NotAKey, NotASecret, RequestKey, Secret};
pub use server::{Scanner, Server, Which};
pub use transport::{Client, Options};
pub use wallet::{
    CheckedReceipts, Exchanging, Keepsake, KeptReceipt, Purchase, PurchaseNumber, Queueing, Waiting, Wallet,
    WalletError,
};
