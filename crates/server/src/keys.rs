//! The keys of a server: identity, ticket keys, and the public half of the recovery key, which is kept elsewhere.

mod folder;

use std::path::PathBuf;

use admit_protocol::jws::Jws;
use admit_protocol::key::{KeyId, PublicKey, SecretKey};
use admit_protocol::manifest::{Keys, TICKET_KEYS_MAX, TicketKey};
use admit_protocol::time::after;
use jiff::Timestamp;

pub use self::folder::KeyFileError;

/// How long a ticket key signs, in seconds: 90 days.
pub const TICKET_KEY_SIGNS_S: i64 = 90 * 24 * 3600;
/// How far ahead screenings are sold at most, in seconds: 400 days.
pub const SALES_HORIZON_S: i64 = 400 * 24 * 3600;
/// How long tickets are verified after the last screening that a key can have signed for, in seconds: 30 days.
const VERIFY_AFTER_S: i64 = 30 * 24 * 3600;

/// A new ticket key is made so long before the newest one ends, in seconds: 45 days.
const RENEW_BEFORE_S: i64 = 45 * 24 * 3600;
/// A ticket key is listed so long before it signs, in seconds: 7 days.
const LISTED_BEFORE_S: i64 = 7 * 24 * 3600;

/// The keys of a server.
#[derive(Debug, Clone)]
pub struct KeyRing {
    /// Signs manifests.
    pub identity: SecretKey,
    /// Kept offline; this is its public half.
    pub recovery: PublicKey,
    /// The recovery key's word for the identity key, where it is not the first.
    pub succession: Option<Jws>,
    /// Sign tickets, oldest first.
    pub ticket: Vec<(SecretKey, TicketKey)>,
    /// Where they are kept, if they came from a folder.
    kept_in: Option<PathBuf>,
}

impl KeyRing {
    /// New keys from the system's random source, and the recovery key, which the caller stores apart.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<(Self, SecretKey), getrandom::Error> {
        let [identity, recovery, ticket] = [random_key()?, random_key()?, random_key()?];
        let ticket = (ticket.clone(), ticket_key(&ticket, now));
        let keys =
            Self { identity, recovery: recovery.public(), succession: None, ticket: vec![ticket], kept_in: None };
        Ok((keys, recovery))
    }

    /// Whether the newest ticket key ends within 45 days.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let ends = self.ticket.iter().filter(|(_, k)| k.revoked_at.is_none()).map(|(_, k)| k.signs_until).max();
        ends.is_none_or(|ends| ends <= after(now, RENEW_BEFORE_S))
    }

    /// Adds a ticket key when the newest one ends within 45 days. It is listed at once and signs a week later, so that
    /// doors know it before they meet its tickets; or at once, if there is no other. Gives whether it added one: then the
    /// ring has to be kept. A running [`Cinema`](crate::Cinema) does this by itself.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn renew(&mut self, now: Timestamp) -> Result<bool, getrandom::Error> {
        if self.is_due(now) {
            self.add_ticket_key(now)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Adds a ticket key, due or not.
    fn add_ticket_key(&mut self, now: Timestamp) -> Result<(), getrandom::Error> {
        let known_first = after(now, LISTED_BEFORE_S);
        let always = self.signing(now).is_some() && self.signing(known_first).is_some();
        let from = if always { known_first } else { now };
        let key = random_key()?;
        let listed = ticket_key(&key, from);
        self.ticket.push((key, listed));
        Ok(())
    }

    /// A ticket key is not to be believed any more, from now on: it is in wrong hands. Buyers read their tickets again, and get them by
    /// another key; nothing that it signed opens a door. Gives whether it was listed, and believed until now.
    ///
    /// # Errors
    /// When the system has no randomness to give for another one.
    pub fn revoke(&mut self, key: KeyId, now: Timestamp) -> Result<bool, getrandom::Error> {
        let listed = self.ticket.iter_mut().map(|(_, listed)| listed);
        let Some(listed) = listed.into_iter().find(|k| k.key.id() == key && k.revoked_at.is_none()) else {
            return Ok(false);
        };
        listed.revoked_at = Some(now);
        if self.signing(now).is_none() {
            // Nobody waits a week for a ticket: doors learn of it with their next list.
            self.add_ticket_key(now)?;
        }
        Ok(true)
    }

    /// The public halves, for the manifest.
    #[must_use]
    pub fn public(&self) -> Keys {
        Keys {
            identity: self.identity.public(),
            recovery: self.recovery,
            succession: self.succession.clone(),
            ticket: self.ticket.iter().map(|(_, listed)| listed.clone()).collect(),
        }
    }

    /// Ticket keys that a manifest lists now: those whose tickets may still be used, and as many as it may have. Of more, the first to
    /// go are revoked ones, which are believed no more than one that nobody lists; then the oldest.
    pub(crate) fn listed(&self, now: Timestamp) -> Vec<TicketKey> {
        let mut listed: Vec<TicketKey> =
            self.ticket.iter().map(|(_, key)| key).filter(|key| now < key.verify_until).cloned().collect();
        while listed.len() > TICKET_KEYS_MAX {
            let goes = listed.iter().position(|key| key.revoked_at.is_some()).unwrap_or(0);
            listed.remove(goes);
        }
        listed
    }

    /// The key that signs tickets now (T1): the newest inside its window.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<&SecretKey> {
        let inside = |listed: &TicketKey| {
            listed.signs_from <= now && now < listed.signs_until && listed.revoked_at.is_none_or(|at| now < at)
        };
        self.ticket.iter().rev().find(|(_, listed)| inside(listed)).map(|(key, _)| key)
    }

    /// Keys that tickets are checked with now, by their short name.
    #[must_use]
    pub fn verifying(&self, short: [u8; 8], now: Timestamp) -> Vec<PublicKey> {
        self.ticket.iter().map(|(_, listed)| listed).filter(|k| k.verifies(short, now)).map(|k| k.key).collect()
    }
}

/// A key from the system's random source.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random_key() -> Result<SecretKey, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(SecretKey::from_seed(&seed))
}

/// A ticket key that signs from now on. How long its tickets are good is fixed here, once.
fn ticket_key(key: &SecretKey, now: Timestamp) -> TicketKey {
    let signs_until = after(now, TICKET_KEY_SIGNS_S);
    TicketKey {
        key: key.public(),
        signs_from: now,
        signs_until,
        verify_until: after(signs_until, SALES_HORIZON_S + VERIFY_AFTER_S),
        revoked_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_key_that_signs_and_doors_know_it_first() {
        let day = 24 * 3600;
        let start: Timestamp = "2026-11-21T12:00:00Z".parse().expect("an instant");
        let (mut keys, _) = KeyRing::generate(start).expect("random");
        assert_eq!(keys.renew(start), Ok(false), "it is new");
        // Restarted once in 40 days, for two years.
        for n in 1..=18 {
            let now = after(start, n * 40 * day);
            let (before, signer) = (keys.ticket.len(), keys.signing(now).map(SecretKey::public));
            let added = keys.renew(now).expect("random");
            assert_eq!(keys.ticket.len(), before + usize::from(added));
            assert_eq!(keys.signing(now).map(SecretKey::public), signer, "a new key waits until it is known");
            for later in 0..40 {
                assert!(keys.signing(after(now, later * day)).is_some(), "{n}, {later} days later");
            }
        }
        let stolen = keys.ticket.last().expect("a key").1.key;
        let now = after(start, 725 * day);
        let signer = |keys: &KeyRing| keys.signing(now).map(SecretKey::public);
        let before = signer(&keys).expect("signs");
        assert_eq!(keys.revoke(before.id(), now), Ok(true));
        assert!(signer(&keys).is_some_and(|key| key != before), "another one signs at once");
        assert!(keys.verifying(before.id().short(), now).is_empty(), "and the stolen one opens nothing");
        assert_eq!(keys.revoke(before.id(), now), Ok(false), "once");
        assert_eq!(keys.revoke(keys.identity.public().id(), now), Ok(false), "ticket keys only");
        assert_eq!(keys.revoke(stolen.id(), now), Ok(stolen != before));
        let many = (0..40).fold(keys.clone(), |mut keys, _| {
            keys.add_ticket_key(now).expect("random");
            keys
        });
        assert_eq!(many.listed(now).len(), TICKET_KEYS_MAX);
        assert!(keys.listed(after(start, 1300 * day)).is_empty(), "what nobody can use any more is not listed");
        // After a year in a drawer there is no key left: a new one signs at once.
        let late = after(start, 1200 * day);
        assert!(keys.signing(late).is_none() && keys.renew(late).expect("random") && keys.signing(late).is_some());
    }
}
