//! What every Admit server does with HTTP, a cinema's and an index alike.
//!
//! Problems as answers ([`Reply`]), bodies read through the strict door ([`StrictJson`]), one accept loop that does not
//! wait for slow clients ([`listen::serve`]), the address a request comes from ([`ClientAddress`]), and the headers that
//! every answer has ([`headers::layer`]).
//!
//! ```
//! use admit_http::{Reply, StrictJson, headers};
//! use admit_protocol::problem::ProblemCode;
//! use axum::{Router, routing::post};
//!
//! async fn greet(names: StrictJson<Vec<String>>) -> Result<String, Reply> {
//!     let first = names.value.first().ok_or_else(|| Reply::new(ProblemCode::Invalid, "name somebody"))?;
//!     Ok(format!("good evening, {first}"))
//! }
//! let app = headers::layer(Router::new().route("/greetings", post(greet)), jiff::Timestamp::now);
//! ```

pub mod address;
pub mod body;
pub mod conditional;
pub mod headers;
pub mod listen;
mod parameters;
mod reply;

pub use address::{ClientAddress, TrustedProxies};
pub use body::StrictJson;
pub use parameters::{Path, Query};
pub use reply::Reply;
