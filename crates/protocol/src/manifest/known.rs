//! What keeps a reader from being told other keys, or an older truth.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Keys, Manifest, ManifestError};
use crate::key::PublicKey;

/// What a reader already knows of an origin, so that nobody can turn back time or swap keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its identity key.
    pub identity: PublicKey,
    /// Its recovery key; none, if it was met by a program that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<PublicKey>,
    /// The number of the last [`Succession`](crate::succession::Succession); 0 where the identity key is the first.
    #[serde(default)]
    pub succession: u32,
    /// The highest serial that this identity key signed.
    pub serial: u64,
}

impl Known {
    /// What is known by a manifest that was accepted.
    #[must_use]
    pub fn by(manifest: &Manifest) -> Self {
        let Keys { identity, recovery, .. } = &manifest.keys;
        let succession = manifest.keys.succession().ok().flatten().map_or(0, |word| word.number);
        Self { identity: *identity, recovery: Some(*recovery), succession, serial: manifest.serial }
    }

    /// Whether these are the same keys, or what the recovery key that is known has put in their place (F2).
    ///
    /// # Errors
    /// When they are not, or the manifest is older than what is known.
    pub fn check(self, manifest: &Manifest) -> Result<(), ManifestError> {
        let now = Self::by(manifest);
        let changed = || ManifestError::KeyChanged { known: self.identity.id(), found: now.identity.id() };
        let recovery = self.recovery.unwrap_or(manifest.keys.recovery);
        if manifest.keys.recovery != recovery {
            return Err(match now.identity == self.identity {
                true => ManifestError::RecoveryChanged { known: recovery.id(), found: manifest.keys.recovery.id() },
                false => changed(),
            });
        }
        match now.succession.cmp(&self.succession) {
            Ordering::Less => Err(ManifestError::Replaced(now.identity.id())),
            // Who never kept the recovery key cannot tell whose word it is.
            Ordering::Greater if self.recovery.is_none() && now.identity != self.identity => Err(changed()),
            Ordering::Greater => Ok(()),
            Ordering::Equal if now.identity != self.identity => Err(changed()),
            Ordering::Equal if now.serial < self.serial => {
                Err(ManifestError::Older { known: self.serial, found: now.serial })
            }
            Ordering::Equal => Ok(()),
        }
    }
}
