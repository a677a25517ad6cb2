//! A server's signed description of itself: `GET /.well-known/admit`.

mod known;
mod policies;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capability::{AuthMethod, Capability, PaymentMethod, Role};
use crate::digest::ContentName;
use crate::json::MANIFEST_BYTES_MAX;
use crate::jws::{Jws, JwsError};
use crate::key::{KeyId, PublicKey, SecretKey};
use crate::origin::Origin;
use crate::queue::QueuePolicy;
use crate::succession::Succession;
use crate::text::Texts;

pub use self::known::Known;
pub use self::policies::{HoldPolicy, WaitlistPolicy};

/// Where every manifest is.
pub const MANIFEST_PATH: &str = "/.well-known/admit";
/// The `typ` of a signed manifest.
pub const MANIFEST_TYP: &str = "admit-manifest+jws";
/// The longest life of a manifest, in seconds: 7 days.
pub const MANIFEST_LIFE_MAX_S: i64 = 7 * 24 * 3600;
/// How far a manifest's issue may lie ahead of the reader's clock, in seconds.
pub const ISSUED_AHEAD_MAX_S: i64 = 300;
/// How many cinema pages a manifest links to. At 256 KiB a page holds 100 cinemas and more.
pub const CINEMA_PAGES_MAX: usize = 200;
/// How many ticket keys are listed. A key signs 90 days and is listed until its last ticket has expired.
pub const TICKET_KEYS_MAX: usize = 16;
/// How many origins a server may have left.
pub const MOVES_MAX: usize = 8;

/// What a server says of itself, signed by its identity key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// The server's name: the origin that this document is fetched from.
    pub origin: Origin,
    /// Whether this is a cinema's server or an index.
    pub role: Role,
    /// Protocol versions spoken, such as `v1`.
    pub versions: BTreeSet<String>,
    /// Where the API begins: a path on the same origin, without a slash at the end.
    #[schemars(regex(pattern = r"^(/[A-Za-z0-9_.-]+)+$"))]
    pub api_base: String,
    /// Who runs this server.
    pub operator: Texts,
    /// Pages of cinemas, each an immutable document under `{api_base}/cinema_pages/`.
    #[serde(default)]
    pub cinema_pages: Vec<ContentName>,
    /// The keys.
    pub keys: Keys,
    /// What it can do beyond the core.
    #[serde(default)]
    pub capabilities: BTreeSet<Capability>,
    /// How a buyer may prove to be the holder, best first.
    #[serde(default)]
    pub auth_methods: Vec<AuthMethod>,
    /// How a booking may be paid.
    #[serde(default)]
    pub payment_methods: Vec<PaymentMethod>,
    /// What holds are like here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_policy: Option<HoldPolicy>,
    /// What waiting is like here (capability `waitlist`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist_policy: Option<WaitlistPolicy>,
    /// What queues are like here (capability `queue`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_policy: Option<QueuePolicy>,
    /// Where a person is reached.
    pub contact: Contact,
    /// Where this server is now. It is not at `origin` any more, and sells nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Origin>,
    /// Where this server was before: what was bought there is good here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 8))]
    pub moved_from: BTreeSet<Origin>,
    /// Goes up with every manifest. A lower one than known is refused.
    pub serial: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// When it ends: at most 7 days after it was signed.
    pub expires: Timestamp,
}

/// The public keys of a server. Never shared between the three roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keys {
    /// Signs this manifest.
    pub identity: PublicKey,
    /// Kept offline; signs only a change of the identity key.
    pub recovery: PublicKey,
    /// The recovery key's word that this is the identity key, where it is not the first: see [`Succession`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<Jws>,
    /// Sign tickets and allow lists.
    #[serde(default)]
    pub ticket: Vec<TicketKey>,
}

/// A key that signs tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketKey {
    /// The public key.
    pub key: PublicKey,
    /// From when it signs.
    pub signs_from: Timestamp,
    /// Until when it signs.
    pub signs_until: Timestamp,
    /// Until when its tickets are good: fixed when the key is published.
    pub verify_until: Timestamp,
    /// Since when it is not to be believed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl TicketKey {
    /// Whether tickets that name the key so are believed at `now`.
    #[must_use]
    pub fn verifies(&self, short: [u8; 8], now: Timestamp) -> bool {
        self.key.id().short() == short && now < self.verify_until && self.revoked_at.is_none_or(|at| now < at)
    }
}

/// Where a person is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// For whoever runs other servers or an index.
    #[schemars(length(max = 254))]
    pub email: String,
    /// For everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub website: Option<String>,
}

/// Why a manifest was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not signed as it must be.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// It names another origin than the one it was fetched from.
    #[error("fetched from {fetched}, but it speaks for {claimed}")]
    WrongOrigin {
        /// Where it came from.
        fetched: Origin,
        /// Whom it names.
        claimed: Origin,
    },
    /// It was signed by another identity key than the one known.
    #[error("signed by identity key {found}, but {known} is known for this origin")]
    KeyChanged {
        /// The key known so far.
        known: KeyId,
        /// The key that signed.
        found: KeyId,
    },
    /// It lists another recovery key than the one known.
    #[error("its recovery key is {found}, but {known} is known for this origin")]
    RecoveryChanged {
        /// The key known so far.
        known: KeyId,
        /// The key found.
        found: KeyId,
    },
    /// Its identity key was replaced since.
    #[error("its identity key {0} was replaced by its recovery key")]
    Replaced(KeyId),
    /// It does not say that it was at the origin which says that it moved there.
    #[error("{from} says that it moved to {to}, which does not say that it came from there")]
    NotMovedFrom {
        /// Who says that it moved.
        from: Origin,
        /// Where it says it is.
        to: Origin,
    },
    /// Its serial is lower than one already seen.
    #[error("serial {found} is older than {known}, which was seen before")]
    Older {
        /// The serial known so far.
        known: u64,
        /// The serial found.
        found: u64,
    },
    /// It ended.
    #[error("expired at {0}")]
    Expired(Timestamp),
    /// It is issued in the future, or lives for more than 7 days.
    #[error("issued {issued}, expires {expires}: not possible now, or longer than 7 days")]
    BadLifetime {
        /// When it says it was signed.
        issued: Timestamp,
        /// When it says it ends.
        expires: Timestamp,
    },
    /// A list is longer than its limit, a path is not a path, or one key has two roles.
    #[error("{0}")]
    BadContent(&'static str),
}

impl Keys {
    /// The recovery key's word for the identity key, where there is one.
    fn succession(&self) -> Result<Option<Succession>, ManifestError> {
        let word = self.succession.as_ref().map(|jws| Succession::open(jws, self.recovery)).transpose()?;
        match word {
            Some(word) if word.identity != self.identity || word.number == 0 => {
                Err(ManifestError::BadContent("the succession is for another identity key than the one listed"))
            }
            word => Ok(word),
        }
    }
}

impl Manifest {
    /// Signs this manifest.
    #[must_use]
    pub fn sign(&self, identity: &SecretKey) -> Jws {
        Jws::sign(MANIFEST_TYP, self, identity)
    }

    /// Accepts a manifest that was fetched from `fetched`, or says why not. `known` is what was accepted before.
    ///
    /// A manifest is signed by the identity key that it lists itself: the first one is believed because it came over
    /// TLS from the origin that it names, later ones because the key stayed the same, or because the recovery key that is known put
    /// this one in its place (F1, F2).
    ///
    /// # Errors
    /// One for each thing that can be wrong.
    pub fn accept(jws: &Jws, fetched: &Origin, known: Option<Known>, now: Timestamp) -> Result<Self, ManifestError> {
        let listed = jws.unverified::<Self>(MANIFEST_BYTES_MAX)?.keys.identity;
        let manifest: Self = jws.open(MANIFEST_TYP, MANIFEST_BYTES_MAX, |id| (*id == listed.id()).then_some(listed))?;
        if manifest.origin != *fetched {
            return Err(ManifestError::WrongOrigin { fetched: fetched.clone(), claimed: manifest.origin });
        }
        if manifest.keys.succession()?.is_some_and(|word| !manifest.is_or_was_at(&word.origin)) {
            return Err(ManifestError::BadContent("the succession is of another origin"));
        }
        known.map_or(Ok(()), |known| known.check(&manifest))?;
        manifest.check_lifetime(now)?;
        manifest.check_content()?;
        Ok(manifest)
    }

    /// Whether `origin` is this server's, or one that it moved from or to.
    fn is_or_was_at(&self, origin: &Origin) -> bool {
        self.origin == *origin || self.moved_to.as_ref() == Some(origin) || self.moved_from.contains(origin)
    }

    /// Whether this is the server that `old` says moved here: it says so itself, and has the same keys. Both manifests were accepted
    /// before (MAN-015).
    ///
    /// # Errors
    /// When one of them does not name the other, or the keys are others.
    pub fn check_moved_from(&self, old: &Self) -> Result<(), ManifestError> {
        if old.moved_to.as_ref() != Some(&self.origin) || !self.moved_from.contains(&old.origin) {
            return Err(ManifestError::NotMovedFrom { from: old.origin.clone(), to: self.origin.clone() });
        }
        let (then, now) = (&old.keys, &self.keys);
        if then.recovery != now.recovery {
            return Err(ManifestError::RecoveryChanged { known: then.recovery.id(), found: now.recovery.id() });
        }
        if then.identity != now.identity {
            return Err(ManifestError::KeyChanged { known: then.identity.id(), found: now.identity.id() });
        }
        Ok(())
    }

    fn check_lifetime(&self, now: Timestamp) -> Result<(), ManifestError> {
        let bad = ManifestError::BadLifetime { issued: self.issued, expires: self.expires };
        let life = self.expires.duration_since(self.issued);
        if life <= SignedDuration::ZERO
            || life > SignedDuration::from_secs(MANIFEST_LIFE_MAX_S)
            || self.issued.duration_since(now) > SignedDuration::from_secs(ISSUED_AHEAD_MAX_S)
        {
            return Err(bad);
        }
        if self.expires <= now { Err(ManifestError::Expired(self.expires)) } else { Ok(()) }
    }

    fn check_content(&self) -> Result<(), ManifestError> {
        let bad = |why| Err(ManifestError::BadContent(why));
        if self.cinema_pages.len() > CINEMA_PAGES_MAX {
            return bad("more cinema pages than a manifest may have");
        }
        if self.keys.ticket.len() > TICKET_KEYS_MAX {
            return bad("more ticket keys than a manifest may have");
        }
        let path_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let segments = self.api_base.strip_prefix('/').map(|p| p.split('/'));
        let good = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(path_byte);
        if self.api_base.len() > 128 || !segments.is_some_and(|mut s| s.all(good)) {
            return bad("api_base is not a plain path");
        }
        let Keys { identity, recovery, ticket, .. } = &self.keys;
        if identity == recovery || ticket.iter().any(|t| t.key == *identity || t.key == *recovery) {
            return bad("one key is listed in two roles");
        }
        if self.moved_from.len() > MOVES_MAX {
            return bad("more origins that it moved from than a manifest may have");
        }
        if self.moved_to.as_ref() == Some(&self.origin) || self.moved_from.contains(&self.origin) {
            return bad("it says that it moved to where it is, or from there");
        }
        Ok(())
    }

    /// The URL of `path` (which begins with `/`) in this server's API.
    #[must_use]
    pub fn api_url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.api_base)
    }

    /// Whether `capability` is declared.
    #[must_use]
    pub fn offers(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::OriginPolicy::Public;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("an instant")
    }
    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }
    fn origin(host: &str) -> Origin {
        Origin::parse(&format!("https://{host}"), Public).expect(host)
    }
    fn manifest() -> Manifest {
        Manifest {
            origin: origin("kino.example"),
            role: Role::Server,
            versions: ["v1".to_owned()].into(),
            api_base: "/v1".into(),
            operator: Texts::one("en", "Kino").expect("text"),
            cinema_pages: vec![],
            keys: Keys { identity: key(1).public(), recovery: key(2).public(), succession: None, ticket: vec![] },
            capabilities: [Capability::Door].into(),
            auth_methods: vec![AuthMethod::Secret],
            payment_methods: vec![PaymentMethod::AtCinema],
            hold_policy: Some(HoldPolicy::default()),
            waitlist_policy: None,
            queue_policy: None,
            contact: Contact { email: "box@kino.example".into(), website: None },
            moved_to: None,
            moved_from: BTreeSet::new(),
            serial: 7,
            issued: now(),
            expires: now() + SignedDuration::from_hours(24),
        }
    }
    fn accept(manifest: &Manifest, known: Option<Known>) -> Result<Manifest, ManifestError> {
        Manifest::accept(&manifest.sign(&key(1)), &origin("kino.example"), known, now())
    }

    #[test]
    fn a_good_manifest_is_accepted() {
        let known = Known::by(&manifest());
        assert_eq!(accept(&manifest(), Some(known)).expect("good"), manifest());
    }

    #[test]
    fn one_origin_cannot_speak_for_another() {
        let jws = manifest().sign(&key(1));
        let refused = Manifest::accept(&jws, &origin("other.example"), None, now());
        assert!(matches!(refused, Err(ManifestError::WrongOrigin { .. })));
    }

    #[test]
    fn a_manifest_signed_by_a_key_it_does_not_list_is_refused() {
        let jws = manifest().sign(&key(3));
        let refused = Manifest::accept(&jws, &origin("kino.example"), None, now());
        assert!(matches!(refused, Err(ManifestError::Jws(JwsError::UnknownKey(_)))));
    }

    #[test]
    fn a_changed_identity_key_is_refused() {
        let known = Known { identity: key(9).public(), serial: 1, ..Known::by(&manifest()) };
        assert!(matches!(accept(&manifest(), Some(known)), Err(ManifestError::KeyChanged { .. })));
    }

    /// The cinema of key 1 after its recovery key gave it key `n`, by its word of this number.
    fn succeeded(n: u8, number: u32, recovery: u8) -> (Manifest, Jws) {
        let word = Succession { origin: origin("kino.example"), identity: key(n).public(), number };
        let succession = Some(word.sign(&key(recovery)));
        let before = manifest();
        let keys = Keys { identity: key(n).public(), recovery: key(recovery).public(), succession, ..before.keys };
        // Whoever stole the old key may have signed any serial.
        let manifest = Manifest { keys, serial: 1, ..before };
        let jws = manifest.sign(&key(n));
        (manifest, jws)
    }

    #[test]
    fn the_recovery_key_puts_another_identity_key_in_its_place() {
        let accept = |jws: &Jws, known: Known| Manifest::accept(jws, &origin("kino.example"), Some(known), now());
        let first = Known::by(&manifest());
        let (second, second_jws) = succeeded(3, 1, 2);
        let (third, third_jws) = succeeded(4, 2, 2);
        assert_eq!(accept(&second_jws, first).expect("by the recovery key"), second);
        assert_eq!(accept(&third_jws, first).expect("who missed one"), third);
        assert_eq!(accept(&third_jws, Known::by(&second)).expect("one after another"), third);
        let stolen = Manifest { serial: 99, ..manifest() }.sign(&key(1));
        for (jws, known) in [(&stolen, &second), (&second_jws, &third), (&stolen, &third)] {
            let refused = accept(jws, Known::by(known));
            assert!(matches!(refused, Err(ManifestError::Replaced(_))), "{refused:?}");
        }
        let unkept = Known { recovery: None, ..first };
        assert!(matches!(accept(&second_jws, unkept), Err(ManifestError::KeyChanged { .. })));
        let rival = accept(&succeeded(5, 1, 2).1, Known::by(&second));
        assert!(matches!(rival, Err(ManifestError::KeyChanged { .. })), "one number, one key: {rival:?}");
    }

    #[test]
    fn a_word_of_any_other_key_changes_nothing() {
        let accept = |jws: &Jws| {
            Manifest::accept(jws, &origin("kino.example"), Some(Known::by(&manifest())), now()).expect_err("refused")
        };
        assert!(matches!(accept(&succeeded(3, 1, 9).1), ManifestError::KeyChanged { .. }), "another recovery key");
        let (mut forged, _) = succeeded(3, 1, 2);
        let word = Succession { origin: origin("kino.example"), identity: key(3).public(), number: 1 };
        forged.keys.succession = Some(word.sign(&key(1)));
        assert!(
            matches!(accept(&forged.sign(&key(3))), ManifestError::Jws(JwsError::UnknownKey(_))),
            "the old identity"
        );
        for word in [
            Succession { origin: origin("other.example"), ..word.clone() },
            Succession { identity: key(4).public(), ..word.clone() },
            Succession { number: 0, ..word },
        ] {
            forged.keys.succession = Some(word.sign(&key(2)));
            assert!(matches!(accept(&forged.sign(&key(3))), ManifestError::BadContent(_)), "{word:?}");
        }
        let mut hidden = manifest();
        hidden.keys.recovery = key(9).public();
        assert!(matches!(accept(&hidden.sign(&key(1))), ManifestError::RecoveryChanged { .. }));
    }

    #[test]
    fn a_server_that_moved_says_so_at_both_places_with_the_same_keys_man_015() {
        let old = Manifest { moved_to: Some(origin("film.example")), ..manifest() };
        let new =
            Manifest { origin: origin("film.example"), moved_from: [origin("kino.example")].into(), ..manifest() };
        let accept = |manifest: &Manifest, at: &str| {
            Manifest::accept(&manifest.sign(&key(1)), &origin(at), None, now()).expect("good by itself")
        };
        let (left, met) = (accept(&old, "kino.example"), accept(&new, "film.example"));
        met.check_moved_from(&left).expect("one server");
        let elsewhere = Manifest { moved_to: Some(origin("other.example")), ..old.clone() };
        let silent = Manifest { moved_from: BTreeSet::new(), ..new.clone() };
        let stays = manifest();
        for (from, to) in [(&elsewhere, &new), (&old, &silent), (&stays, &new)] {
            let refused = to.check_moved_from(from);
            assert!(matches!(refused, Err(ManifestError::NotMovedFrom { .. })), "{refused:?}");
        }
        let mut thief = new.clone();
        thief.keys.identity = key(9).public();
        assert!(matches!(thief.check_moved_from(&old), Err(ManifestError::KeyChanged { .. })));
        thief.keys = Keys { recovery: key(9).public(), ..new.keys };
        assert!(matches!(thief.check_moved_from(&old), Err(ManifestError::RecoveryChanged { .. })));
    }

    #[test]
    fn the_recovery_keys_word_of_before_a_move_is_good_after_it() {
        let (before, _) = succeeded(3, 1, 2);
        let at_film = |manifest: &Manifest| {
            Manifest::accept(&manifest.sign(&key(3)), &origin("film.example"), None, now()).map(drop)
        };
        let mut moved = Manifest { origin: origin("film.example"), ..before };
        assert!(matches!(at_film(&moved), Err(ManifestError::BadContent(_))), "somebody else's word");
        moved.moved_from = [origin("kino.example")].into();
        at_film(&moved).expect("its own, of before");
    }

    #[test]
    fn an_older_serial_is_refused() {
        let known = Known { serial: 8, ..Known::by(&manifest()) };
        assert!(matches!(accept(&manifest(), Some(known)), Err(ManifestError::Older { known: 8, found: 7 })));
    }

    #[test]
    fn lifetimes_are_bounded() {
        let hour = SignedDuration::from_hours(1);
        let cases = [
            (now() - 2 * hour, now()),
            (now() - 2 * hour, now() - hour),
            (now() + SignedDuration::from_secs(301), now() + hour),
            (now(), now() + SignedDuration::from_hours(7 * 24) + SignedDuration::from_secs(1)),
            (now() + hour, now()),
        ];
        for (issued, expires) in cases {
            assert!(accept(&Manifest { issued, expires, ..manifest() }, None).is_err(), "{issued} {expires}");
        }
        let ahead = Manifest { issued: now() + SignedDuration::from_secs(300), expires: now() + hour, ..manifest() };
        assert!(accept(&ahead, None).is_ok());
    }

    #[test]
    fn content_is_bounded() {
        for api_base in ["", "/", "v1", "/v1/", "//v1", "/../v1", "/v1?x", "/v 1", "https://x"] {
            let bad = Manifest { api_base: api_base.into(), ..manifest() };
            assert!(matches!(accept(&bad, None), Err(ManifestError::BadContent(_))), "{api_base}");
        }
        let here = origin("kino.example");
        for bad in [
            Manifest { moved_to: Some(here.clone()), ..manifest() },
            Manifest { moved_from: [here].into(), ..manifest() },
            Manifest { moved_from: (0..=MOVES_MAX).map(|n| origin(&format!("k{n}.example"))).collect(), ..manifest() },
        ] {
            assert!(matches!(accept(&bad, None), Err(ManifestError::BadContent(_))), "{bad:?}");
        }
        let mut shared = manifest();
        shared.keys.recovery = shared.keys.identity;
        assert!(matches!(accept(&shared, None), Err(ManifestError::BadContent(_))));
        let many = Manifest { cinema_pages: vec![ContentName::of(b""); CINEMA_PAGES_MAX + 1], ..manifest() };
        assert!(matches!(accept(&many, None), Err(ManifestError::BadContent(_))));
    }
}
