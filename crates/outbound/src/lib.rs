//! Asking at addresses that strangers name: only global ones, once resolved, over https, without redirects, proxies, cookies and
//! compression, bounded in time and size (threat model: SSRF; IDX-004, NOTE-005).

mod courier;
mod global;

use std::time::Duration;

pub use courier::{Courier, Said, SetupError};
pub use global::{NotGlobal, global_only, is_global};
pub use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long a connection may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long all of it may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
