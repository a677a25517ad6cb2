//! A cinema's own server, as a library.
//!
//! ```
//! use admit_protocol::manifest::Contact;
//! use admit_protocol::origin::{Origin, OriginPolicy};
//! use admit_protocol::text::Texts;
//! use admit_server::keys::KeyRing;
//! use admit_server::store::sqlite::SqliteStore;
//! use admit_server::Cinema;
//!
//! let folder = tempfile::tempdir()?;
//! let (keys, _recovery) = KeyRing::generate(jiff::Timestamp::now())?;
//! let cinema = Cinema::builder(Origin::parse("https://kino.example", OriginPolicy::Public)?)
//!     .operator(Texts::one("en", "Kino")?, Contact { email: "box@kino.example".into(), website: None })
//!     .keys(keys)
//!     .store(SqliteStore::open(folder.path())?)
//!     .build()?;
//! // Merge it into any axum app.
//! let app: axum::Router = axum::Router::new().merge(cinema.router());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Seats are decided by `admit-booking`, in memory, one command after another, and are on disk before anyone is told.
//! A cinema with a box office of its own implements [`store::Store`] and keeps the rest.

mod answers;
mod asker;
pub mod bundle;
mod catalogue;
mod cinema;
pub mod clock;
mod engine;
mod exact;
mod farewell;
mod forget;
pub mod keys;
mod live;
pub mod management;
mod notify;
pub mod plans;
mod receipts;
mod refusals;
mod routes;
pub mod store;

pub use catalogue::HouseRules;
pub use cinema::{BuildError, Builder, Cinema};
pub use farewell::Farewell;
