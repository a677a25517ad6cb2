//! The words of the Admit protocol.
//!
//! Admit is an open protocol for cinema tickets: each cinema runs its own server and stays the only authority over its
//! seats, an index helps people find it, and any app sells seats anywhere. This crate has what all three say to each
//! other: ids, money, time, texts, signed manifests, layouts, prices, holds, bookings, tickets, problems. It does no
//! input or output; every parser here takes bytes from strangers and answers with a value or an error, never a panic.
//!
//! Prose and schemas are in `spec/`; the schemas are made from these types.
//!
//! # Checking a ticket
//! A door needs the code and the cinema's public keys:
//!
//! ```
//! use admit_protocol::key::SecretKey;
//! use admit_protocol::ticket::{Ticket, TicketError, TicketId, screening_digest};
//!
//! let cinema = SecretKey::from_seed(&[7; 32]);
//! let ticket = Ticket {
//!     id: TicketId::derive(&[1; 16], 0, 1),
//!     not_before: "2026-11-20T19:00:00Z".parse()?,
//!     not_after: "2026-11-21T23:00:00Z".parse()?,
//!     holder: None,
//!     screening: screening_digest(&"scr_42".parse()?),
//!     hall: "Grand".into(),
//!     row: "F".into(),
//!     seat: "9".into(),
//!     ticket_type: "adult".into(),
//!     admits: 1,
//!     generation: 1,
//! };
//! let code = ticket.sign(&cinema)?;
//! assert!(code.starts_with("ADMIT1:"));
//! assert_eq!(Ticket::verify(&code, |_| [cinema.public()])?.seat, "9");
//!
//! let stranger = SecretKey::from_seed(&[8; 32]);
//! assert_eq!(Ticket::verify(&code, |_| [stranger.public()]), Err(TicketError::UnknownKey));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod booking;
pub mod capability;
pub mod cinema;
pub mod digest;
pub mod directory;
pub mod door;
pub mod endpoint;
pub mod exchange;
pub mod feed;
pub mod film;
pub mod geo;
pub mod hold;
pub mod holder;
pub mod id;
pub mod json;
pub mod jws;
pub mod key;
pub mod layout;
pub mod manifest;
pub mod money;
pub mod notification;
mod objects;
mod open_enum;
pub mod origin;
pub mod policy;
pub mod price;
pub mod problem;
pub mod queue;
pub mod receipt;
pub mod schema;
pub mod screening;
pub mod seats;
pub mod signature;
pub mod succession;
pub mod text;
pub mod ticket;
pub mod time;
pub mod waitlist;
