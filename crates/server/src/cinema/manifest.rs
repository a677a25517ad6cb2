//! What a server says of itself, signed: the same whichever of its processes is asked, and never older than it was (MAN-010).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use admit_protocol::capability::{AuthMethod, Capability, Role};
use admit_protocol::digest::ContentName;
use admit_protocol::manifest::{Keys, Manifest};
use admit_protocol::time::after;
use axum::body::Bytes;
use jiff::Timestamp;

use super::Cinema;
use crate::catalogue::Catalogue;
use crate::keys::KeyRing;
use crate::store::KeptManifest;

/// How long a manifest lives, in seconds: a day. It is signed anew long before.
const MANIFEST_LIFE_S: i64 = 24 * 3600;
/// A manifest with less life left than this is signed anew, in seconds.
const MANIFEST_RENEW_S: i64 = 18 * 3600;

/// What a server of ours can do beyond the core.
const CAPABILITIES: [Capability; 8] = [
    Capability::BestAvailable,
    Capability::BuyerKeys,
    Capability::Door,
    Capability::Exchange,
    Capability::Extend,
    Capability::Feed,
    Capability::GeneralAdmission,
    Capability::Live,
];

/// A manifest as it is sent, and the programme that it was looked up for.
pub(super) struct Published {
    kept: KeptManifest,
    bytes: Bytes,
    of: Arc<Catalogue>,
    /// When the store said that it is in force.
    asked: Timestamp,
}

/// Another process may have published a newer one: the store is asked again after so many seconds.
const ASK_AGAIN_S: i64 = 60;

impl Cinema {
    /// The signed manifest, as bytes. When something in it changed, or it nears its end, the store is asked first which one is in
    /// force.
    ///
    /// # Panics
    /// Never: a manifest always serialises.
    #[must_use]
    pub fn manifest(&self) -> Bytes {
        let now = self.now();
        let (keys, catalogue) = (self.keys(), self.catalogue());
        let mut published = self.0.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Published { kept, bytes, of, asked }) = &*published
            && kept.expires > after(now, MANIFEST_RENEW_S)
            && now < after(*asked, ASK_AGAIN_S)
            && Arc::ptr_eq(of, &catalogue)
        {
            return bytes.clone();
        }
        let known = published.as_ref().map(|published| published.kept.clone());
        let described = self.describe(now, &keys, &catalogue);
        let next = |before: Option<KeptManifest>| {
            let before = [before, known.clone()].into_iter().flatten().max_by_key(|before| before.serial);
            next(before, &described, &keys, catalogue.programme)
        };
        let (kept, asked) = match self.0.store.publish(&next) {
            Ok(kept) => (kept, now),
            Err(error) => {
                tracing::warn!(%error, "the manifest could not be kept: other processes may publish an older one");
                (next(None), Timestamp::UNIX_EPOCH)
            }
        };
        let bytes = crate::answers::json(&kept.jws);
        *published = Some(Published { kept, bytes: bytes.clone(), of: catalogue, asked });
        bytes
    }

    fn describe(&self, now: Timestamp, keys: &KeyRing, catalogue: &Catalogue) -> Manifest {
        let inner = &*self.0;
        Manifest {
            origin: inner.origin.clone(),
            role: Role::Server,
            versions: BTreeSet::from(["v1".to_owned()]),
            api_base: inner.api_base.clone(),
            operator: inner.operator.clone(),
            cinema_pages: catalogue.pages(),
            keys: Keys { ticket: keys.listed(now), ..keys.public() },
            capabilities: CAPABILITIES
                .into_iter()
                .chain(inner.programme.rules.waitlist.then_some(Capability::Waitlist))
                .chain(self.trail().is_some().then_some(Capability::Receipts))
                .chain(self.outbox().is_some().then_some(Capability::Notifications))
                .chain(self.has_queues().then_some(Capability::Queue))
                .chain(inner.test_control.then_some(Capability::TestControl))
                .collect(),
            auth_methods: vec![AuthMethod::Secret, AuthMethod::BuyerKey],
            payment_methods: inner.programme.rules.payment_methods.clone(),
            hold_policy: Some(inner.programme.rules.hold_policy.clone()),
            waitlist_policy: inner.programme.rules.waitlist.then(|| inner.programme.rules.waitlist_policy.clone()),
            queue_policy: self.has_queues().then(|| inner.programme.rules.queue_policy.clone()),
            contact: inner.contact.clone(),
            moved_to: None,
            moved_from: inner.moved_from.clone(),
            serial: now.as_millisecond().unsigned_abs(),
            issued: now,
            expires: after(now, MANIFEST_LIFE_S),
        }
    }
}

/// What is published after `before`: that one again, where it says the same and has long to live, or where it is of a later programme,
/// which another process has seen; else what is described, under a higher serial.
fn next(before: Option<KeptManifest>, described: &Manifest, keys: &KeyRing, programme: u64) -> KeptManifest {
    let now = described.issued;
    // Without what differs each time that it is signed.
    let timeless =
        Manifest { serial: 0, issued: Timestamp::UNIX_EPOCH, expires: Timestamp::UNIX_EPOCH, ..described.clone() };
    let content = ContentName::of(&crate::answers::json(&timeless));
    let keys_of = ContentName::of(&crate::answers::json(&described.keys));
    let serves = |before: &KeptManifest| {
        let newer = before.programme > programme && before.keys == keys_of;
        (before.content == content || newer) && before.expires > after(now, MANIFEST_RENEW_S)
    };
    match before {
        Some(before) if serves(&before) => before,
        before => {
            let serial = before.map_or(0, |before| before.serial + 1).max(described.serial);
            let manifest = Manifest { serial, ..described.clone() };
            let jws = manifest.sign(&keys.identity);
            KeptManifest { programme, content, keys: keys_of, serial, expires: manifest.expires, jws }
        }
    }
}
