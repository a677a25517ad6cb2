//! A change of the identity key, said by the recovery key.
//!
//! Whoever has the identity key speaks for a server, and can be stolen from. The recovery key lies elsewhere and says one thing: which
//! identity key is the server's now. Each word has a higher number than the one before, so that an older one, brought up again with a
//! stolen key, changes nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jws::{Jws, JwsError};
use crate::key::{PublicKey, SecretKey};
use crate::origin::Origin;

/// What kind of document it is signed as.
pub const SUCCESSION_TYP: &str = "admit-succession+jws";
/// The longest, in bytes.
const SUCCESSION_BYTES_MAX: usize = 4096;

/// Which identity key is a server's from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Succession {
    /// Whose.
    pub origin: Origin,
    /// The identity key.
    pub identity: PublicKey,
    /// Goes up with every change; a server's first identity key has none.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub number: u32,
}

impl Succession {
    /// Signs it with the recovery key.
    #[must_use]
    pub fn sign(&self, recovery: &SecretKey) -> Jws {
        Jws::sign(SUCCESSION_TYP, self, recovery)
    }

    /// Reads one that this recovery key signed.
    ///
    /// # Errors
    /// When it is none, or another key signed it.
    pub fn open(jws: &Jws, recovery: PublicKey) -> Result<Self, JwsError> {
        jws.open(SUCCESSION_TYP, SUCCESSION_BYTES_MAX, |id| (*id == recovery.id()).then_some(recovery))
    }
}
