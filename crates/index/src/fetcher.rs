//! Fetching from servers that strangers announced.

use std::sync::Arc;

use admit_client::{Client, ClientError, Options};
use admit_outbound::{CONNECT_TIMEOUT, Resolve, TIMEOUT, global_only};
use admit_protocol::origin::OriginPolicy;

/// A client for servers that strangers announced: every address that a name resolves to must be global, and the
/// connection goes to exactly one of those.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client(origins: OriginPolicy, resolver: Option<Arc<dyn Resolve>>) -> Result<Client, ClientError> {
    Client::new(Options {
        origins,
        connect_timeout: CONNECT_TIMEOUT,
        timeout: TIMEOUT,
        resolver: Some(global_only(resolver)),
        tries: 1,
        deadline: TIMEOUT,
        ..Options::default()
    })
}
