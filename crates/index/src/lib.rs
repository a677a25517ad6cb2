//! A directory of cinemas, as a library.
//!
//! Anybody may announce a server; the index looks for itself: it fetches the well-known document, checks that it speaks
//! for the address it came from, and reads cinemas and programme. It passes manifests on unchanged and is in the path of
//! no purchase.
//!
//! ```
//! use admit_index::{Index, Settings, SqliteStore};
//! use admit_protocol::key::SecretKey;
//! use admit_protocol::manifest::Contact;
//! use admit_protocol::origin::{Origin, OriginPolicy};
//! use admit_protocol::text::Texts;
//!
//! let folder = tempfile::tempdir()?;
//! let index = Index::open(
//!     Settings {
//!         origin: Origin::parse("https://index.example", OriginPolicy::Public)?,
//!         operator: Texts::one("en", "Index")?,
//!         contact: Contact { email: "ops@index.example".into(), website: None },
//!         identity: SecretKey::from_seed(&[1; 32]),
//!         recovery: SecretKey::from_seed(&[2; 32]).public(),
//!         succession: None,
//!         origins: OriginPolicy::Public,
//!     },
//!     SqliteStore::open(folder.path())?,
//! )?;
//! let app: axum::Router = index.router();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cities;
pub mod fetcher;
mod fold;
pub mod import;
mod index;
mod look;
mod names;
mod routes;
mod store;
mod world;

pub use index::{Index, IndexError, Settings};
pub use store::{SqliteStore, StoreError};
pub use world::Place;
