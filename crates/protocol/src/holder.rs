//! Proofs of holders: that who shows a ticket has the key that it was bought with. No network, and nothing that the door could keep and use.
//!
//! ```
//! use admit_protocol::holder::{HolderProof, holder_of};
//! use admit_protocol::key::SecretKey;
//! use admit_protocol::ticket::TicketId;
//!
//! let (key, ticket, now) = (SecretKey::from_seed(&[7; 32]), TicketId([1; 16]), jiff::Timestamp::now());
//! let code = HolderProof::sign(ticket, &key, now)?;
//! assert!(HolderProof::check(&code, ticket, holder_of(&key.public()), now).is_ok());
//! # Ok::<(), admit_protocol::ticket::TicketError>(())
//! ```

use coset::cbor::value::Value;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use jiff::Timestamp;

use crate::key::{PublicKey, SecretKey};
use crate::ticket::{DECODER_BYTES_MAX, Ticket, TicketError, TicketId};
use crate::time::after;

/// Every code of a proof begins with this.
pub const PROOF_PREFIX: &str = "ADMITP1:";
/// How long a proof is good after it was made, and before, in seconds: two clocks that are not set alike, and a queue that moves on.
pub const PROOF_GOOD_S: i64 = 120;

/// Bound into the signature, so that no other signed object passes for a proof.
const EXTERNAL_AAD: &[u8] = b"admit-holder-proof-v1";

/// How a ticket names the key of its holder: the first 16 bytes of its thumbprint (RFC 7638).
#[must_use]
pub fn holder_of(key: &PublicKey) -> [u8; 16] {
    holder_from(&key.thumbprint())
}

/// As [`holder_of`], of a thumbprint.
#[must_use]
pub fn holder_from(thumbprint: &[u8; 32]) -> [u8; 16] {
    let mut holder = [0; 16];
    holder.copy_from_slice(&thumbprint[..16]);
    holder
}

/// A proof, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HolderProof {
    /// Of which ticket.
    pub ticket: TicketId,
    /// When it was made, by the holder's clock.
    pub made: Timestamp,
    /// The key that signed it.
    pub key: PublicKey,
}

impl HolderProof {
    /// Signs a proof for a ticket, now, and gives the text of its QR code.
    ///
    /// # Errors
    /// When the time is beyond what CBOR carries here.
    pub fn sign(ticket: TicketId, key: &SecretKey, now: Timestamp) -> Result<String, TicketError> {
        let payload = Value::Array(vec![
            Value::Bytes(ticket.0.to_vec()),
            Value::Integer(now.as_second().into()),
            Value::Bytes(key.public().to_bytes().to_vec()),
        ]);
        let mut bytes = Vec::new();
        coset::cbor::into_writer(&payload, &mut bytes).map_err(|_| TicketError::Damaged)?;
        let signed = CoseSign1Builder::new()
            .protected(HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build())
            .payload(bytes)
            .create_signature(EXTERNAL_AAD, |bytes| key.sign(bytes).to_vec())
            .build();
        let bytes = signed.to_tagged_vec().map_err(|_| TicketError::Damaged)?;
        Ok(format!("{PROOF_PREFIX}{}", base45::encode(bytes)))
    }

    /// Whether a code proves, at `now`, that who shows this ticket is its holder.
    ///
    /// # Errors
    /// When it is no proof, of another ticket, by another key, or not of now.
    pub fn check(code: &str, ticket: TicketId, holder: [u8; 16], now: Timestamp) -> Result<(), TicketError> {
        let proof = Self::read(code)?;
        if proof.ticket != ticket {
            return Err(TicketError::BadContent("the proof is of another ticket"));
        }
        if holder_of(&proof.key) != holder {
            return Err(TicketError::UnknownKey);
        }
        if now < after(proof.made, -PROOF_GOOD_S) || now >= after(proof.made, PROOF_GOOD_S) {
            return Err(TicketError::BadContent("the proof is not of now: show a new one"));
        }
        Ok(())
    }

    /// Whether a ticket was shown with the proof that it wants; one that names no holder wants none.
    #[must_use]
    pub fn is_given(ticket: &Ticket, proof: Option<&str>, now: Timestamp) -> bool {
        let given = |holder| proof.is_some_and(|code| Self::check(code, ticket.id, holder, now).is_ok());
        ticket.holder.is_none_or(given)
    }

    /// Reads a code whose signature fits the key that is in it. Whose key that is, it does not say.
    fn read(code: &str) -> Result<Self, TicketError> {
        let text = code.trim().strip_prefix(PROOF_PREFIX).ok_or(TicketError::NotATicket)?;
        if text.len() > DECODER_BYTES_MAX / 2 * 3 {
            return Err(TicketError::NotATicket);
        }
        let bytes = base45::decode(text).map_err(|_| TicketError::NotATicket)?;
        let signed = CoseSign1::from_tagged_slice(&bytes).map_err(|_| TicketError::Damaged)?;
        let header = &signed.protected.header;
        let eddsa = coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA);
        if header.alg != Some(eddsa) || !header.crit.is_empty() || !signed.unprotected.is_empty() {
            return Err(TicketError::Damaged);
        }
        let payload = signed.payload.as_deref().ok_or(TicketError::Damaged)?;
        let payload: Value = coset::cbor::from_reader(payload).map_err(|_| TicketError::Damaged)?;
        let (ticket, made, key) = parts(&payload).ok_or(TicketError::BadContent("not a proof"))?;
        let key = PublicKey::from_bytes(&key).map_err(|_| TicketError::BadSignature)?;
        let signature: &[u8; 64] = signed.signature.as_slice().try_into().map_err(|_| TicketError::BadSignature)?;
        key.verify(&signed.tbs_data(EXTERNAL_AAD), signature).map_err(|_| TicketError::BadSignature)?;
        Ok(Self { ticket, made, key })
    }
}

fn parts(payload: &Value) -> Option<(TicketId, Timestamp, [u8; 32])> {
    let [ticket, made, key, ..] = payload.as_array()?.as_slice() else { return None };
    let made = Timestamp::from_second(made.as_integer()?.try_into().ok()?).ok()?;
    Some((TicketId(ticket.as_bytes()?.as_slice().try_into().ok()?), made, key.as_bytes()?.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKET: TicketId = TicketId([1; 16]);

    fn key() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }
    fn now() -> Timestamp {
        "2026-11-21T20:00:00Z".parse().expect("instant")
    }
    fn check(code: &str, at: Timestamp) -> Result<(), TicketError> {
        HolderProof::check(code, TICKET, holder_of(&key().public()), at)
    }

    #[test]
    fn a_proof_is_good_for_two_minutes_tick_010() {
        let code = HolderProof::sign(TICKET, &key(), now()).expect("signs");
        for (seconds, good) in [(-121, false), (-120, true), (0, true), (119, true), (120, false)] {
            assert_eq!(check(&code, after(now(), seconds)).is_ok(), good, "{seconds}");
        }
    }

    #[test]
    fn nothing_else_is_a_proof_tick_010() {
        let by_another = HolderProof::sign(TICKET, &SecretKey::from_seed(&[8; 32]), now()).expect("signs");
        assert_eq!(check(&by_another, now()), Err(TicketError::UnknownKey));
        let of_another = HolderProof::sign(TicketId([2; 16]), &key(), now()).expect("signs");
        assert!(matches!(check(&of_another, now()), Err(TicketError::BadContent(_))));
        let good = HolderProof::sign(TICKET, &key(), now()).expect("signs");
        let mut bytes = base45::decode(&good[PROOF_PREFIX.len()..]).expect("base45");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let forged = format!("{PROOF_PREFIX}{}", base45::encode(&bytes));
        assert_eq!(check(&forged, now()), Err(TicketError::BadSignature));
        for code in ["", "ADMITP1:", "ADMIT1:AAA", &good[8..]] {
            assert!(check(code, now()).is_err(), "{code}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_changed_code_is_no_proof(at in 0_usize..150, bits in 1_u8..=255) {
            let good = HolderProof::sign(TICKET, &key(), now()).expect("signs");
            let mut bytes = base45::decode(&good[PROOF_PREFIX.len()..]).expect("base45");
            let at = at % bytes.len();
            bytes[at] ^= bits;
            let forged = format!("{PROOF_PREFIX}{}", base45::encode(&bytes));
            proptest::prop_assert!(check(&forged, now()).is_err());
        }
    }
}
