//! Tickets: a CWT in COSE_Sign1 (RFC 8392, RFC 9052), in Base45 with a prefix, for an alphanumeric QR code.
//!
//! A door needs the code and the cinema's public keys, and nothing else: no network, no shared secret. There is no
//! personal data in a ticket. At most [`TICKET_BYTES_MAX`] signed bytes keep the code readable on a cracked phone.

use coset::cbor::value::Value;
use coset::cwt::{ClaimName, ClaimsSet, ClaimsSetBuilder, Timestamp as CwtTime};
use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _, iana,
};
use jiff::Timestamp;

use crate::digest::sha256;
use crate::id::ScreeningId;
use crate::key::{PublicKey, SecretKey};

/// Every ticket code begins with this.
pub const TICKET_PREFIX: &str = "ADMIT1:";
/// Signed bytes of a ticket without a holder.
pub const TICKET_BYTES_MAX: usize = 200;
/// Signed bytes of a ticket with a holder.
pub const TICKET_WITH_HOLDER_BYTES_MAX: usize = 220;
/// From so long before the doors open a ticket lets in, in seconds (TICK-007).
pub const TICKET_EARLY_S: i64 = 24 * 3600;
/// Until so long after the end, in seconds (TICK-007).
pub const TICKET_LATE_S: i64 = 3600;
/// What a decoder reads at most: room for claims of later versions.
pub const DECODER_BYTES_MAX: usize = 1024;

/// Bound into the signature, so that no other signed object passes for a ticket.
const EXTERNAL_AAD: &[u8] = b"admit-ticket-v1";
/// The one private claim.
const PLACE_CLAIM: i64 = -65537;
/// The member of `cnf` (RFC 8747) that names a key.
const CNF_KID: i64 = 3;

/// The longest labels, in bytes.
const HALL_BYTES_MAX: usize = 23;
const ROW_BYTES_MAX: usize = 12;
const SEAT_BYTES_MAX: usize = 8;
const TYPE_BYTES_MAX: usize = 16;

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The name of this ticket: `cti`.
    pub id: TicketId,
    /// From when it opens the door.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// The holder's key, where the cinema asks for a proof.
    pub holder: Option<[u8; 16]>,
    /// For which screening: see [`screening_digest`].
    pub screening: [u8; 8],
    /// The hall as printed.
    pub hall: String,
    /// Section and row as printed.
    pub row: String,
    /// The seat as printed.
    pub seat: String,
    /// The ticket type's id, shortened if need be.
    pub ticket_type: String,
    /// How many people it lets in: 1 to 99.
    pub admits: u8,
    /// Goes up when a ticket is issued anew; a higher one voids the lower.
    pub generation: u16,
}

/// The 16 bytes that name a ticket: the first of SHA-256 over the booking's seed, the line and the generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(pub [u8; 16]);

impl TicketId {
    /// Names the ticket of `line` in its `generation`. The seed never leaves the server, so ids cannot be guessed.
    #[must_use]
    pub fn derive(seed: &[u8; 16], line: u16, generation: u16) -> Self {
        let digest = sha256(&[b"admit-ticket-id", seed, &line.to_be_bytes(), &generation.to_be_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}

impl std::fmt::Display for TicketId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::str::FromStr for TicketId {
    type Err = TicketError;
    fn from_str(text: &str) -> Result<Self, TicketError> {
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(TicketError::BadContent("a ticket id is 32 lower-case hexadecimal digits"));
        }
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap_or(0);
        Ok(Self(std::array::from_fn(byte)))
    }
}

impl serde::Serialize for TicketId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> serde::Deserialize<'de> for TicketId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
impl schemars::JsonSchema for TicketId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TicketId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{32}$" })
    }
}

/// How a ticket names its screening: the first 8 bytes of SHA-256 of the screening's id.
#[must_use]
pub fn screening_digest(screening: &ScreeningId) -> [u8; 8] {
    let digest = sha256(&[screening.as_str().as_bytes()]);
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    short
}

/// A label cut to `max` bytes at a character, so that it fits a ticket: `Grand balcony` becomes `Grand balco…`.
#[must_use]
pub fn short_label(label: &str, max: usize) -> String {
    if label.len() <= max {
        return label.to_owned();
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &label[..end])
}

/// Why a code is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not begin with [`TICKET_PREFIX`], or is not Base45 of a readable length.
    #[error("this is not an Admit ticket code")]
    NotATicket,
    /// It is Base45, but not a COSE_Sign1 of this protocol.
    #[error("the code is damaged")]
    Damaged,
    /// No key of this cinema has that name.
    #[error("signed by a key that this cinema does not list")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature does not fit: this ticket is forged or damaged")]
    BadSignature,
    /// A claim is missing or beyond its bounds.
    #[error("{0}")]
    BadContent(&'static str),
}

impl Ticket {
    /// Signs the ticket and gives the text of its QR code.
    ///
    /// # Errors
    /// When a label is too long, `admits` is not 1 to 99, or the times are before 1970: see [`short_label`].
    pub fn sign(&self, key: &SecretKey) -> Result<String, TicketError> {
        self.check()?;
        let place = Value::Array(vec![
            Value::Bytes(self.screening.to_vec()),
            Value::Text(self.hall.clone()),
            Value::Text(self.row.clone()),
            Value::Text(self.seat.clone()),
            Value::Text(self.ticket_type.clone()),
            Value::Integer(self.admits.into()),
            Value::Integer(self.generation.into()),
        ]);
        let mut claims = ClaimsSetBuilder::new()
            .expiration_time(CwtTime::WholeSeconds(self.not_after.as_second()))
            .not_before(CwtTime::WholeSeconds(self.not_before.as_second()))
            .cwt_id(self.id.0.to_vec());
        if let Some(holder) = self.holder {
            let confirmation = Value::Map(vec![(Value::Integer(CNF_KID.into()), Value::Bytes(holder.to_vec()))]);
            claims = claims.claim(iana::CwtClaimName::Cnf, confirmation);
        }
        let claims = claims.private_claim(PLACE_CLAIM, place).build();
        let payload = claims.to_vec().map_err(|_| TicketError::Damaged)?;
        let header =
            HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(key.public().id().short().to_vec()).build();
        let signed = CoseSign1Builder::new()
            .protected(header)
            .payload(payload)
            .create_signature(EXTERNAL_AAD, |bytes| key.sign(bytes).to_vec())
            .build();
        let bytes = signed.to_tagged_vec().map_err(|_| TicketError::Damaged)?;
        Ok(format!("{TICKET_PREFIX}{}", base45::encode(bytes)))
    }

    /// Reads a code whose signature fits one of the cinema's keys. `key` finds keys by their short name; two keys may
    /// share one, so it gives all that do. `alg` and key are the verifier's choice, never the ticket's.
    ///
    /// # Errors
    /// When the code is no ticket, is signed by nobody listed, or says something out of bounds.
    pub fn verify<K: IntoIterator<Item = PublicKey>>(
        code: &str,
        key: impl FnOnce([u8; 8]) -> K,
    ) -> Result<Self, TicketError> {
        let text = code.trim().strip_prefix(TICKET_PREFIX).ok_or(TicketError::NotATicket)?;
        // Three characters of Base45 carry two bytes.
        if text.len() > DECODER_BYTES_MAX / 2 * 3 {
            return Err(TicketError::NotATicket);
        }
        let bytes = base45::decode(text).map_err(|_| TicketError::NotATicket)?;
        let signed = CoseSign1::from_tagged_slice(&bytes).map_err(|_| TicketError::Damaged)?;
        let header = &signed.protected.header;
        let kid: [u8; 8] = header.key_id.as_slice().try_into().map_err(|_| TicketError::Damaged)?;
        let eddsa = coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA);
        if header.alg != Some(eddsa) || !header.crit.is_empty() || !signed.unprotected.is_empty() {
            return Err(TicketError::Damaged);
        }
        let mut keys = key(kid).into_iter().filter(|k| k.id().short() == kid).peekable();
        if keys.peek().is_none() {
            return Err(TicketError::UnknownKey);
        }
        let signature: &[u8; 64] = signed.signature.as_slice().try_into().map_err(|_| TicketError::BadSignature)?;
        let message = signed.tbs_data(EXTERNAL_AAD);
        if !keys.any(|k| k.verify(&message, signature).is_ok()) {
            return Err(TicketError::BadSignature);
        }
        Self::from_claims(signed.payload.as_deref().ok_or(TicketError::Damaged)?)
    }

    fn from_claims(payload: &[u8]) -> Result<Self, TicketError> {
        let claims = ClaimsSet::from_slice(payload).map_err(|_| TicketError::Damaged)?;
        let seconds = |time: Option<CwtTime>| match time {
            Some(CwtTime::WholeSeconds(s)) => Timestamp::from_second(s).ok(),
            _ => None,
        };
        let missing = TicketError::BadContent;
        let id = claims.cwt_id.as_deref().and_then(|id| id.try_into().ok());
        let find = |name: ClaimName| claims.rest.iter().find(|(n, _)| *n == name).map(|(_, value)| value);
        let holder = match find(RegisteredLabelWithPrivate::Assigned(iana::CwtClaimName::Cnf)) {
            None => None,
            Some(confirmation) => Some(read_holder(confirmation).ok_or(missing("the holder is not 16 bytes"))?),
        };
        let place = find(RegisteredLabelWithPrivate::PrivateUse(PLACE_CLAIM)).and_then(Value::as_array);
        let Some([screening, hall, row, seat, ticket_type, admits, generation, ..]) = place.map(Vec::as_slice) else {
            return Err(missing("the claim that names the place is missing"));
        };
        let text = |value: &Value| value.as_text().map(str::to_owned).ok_or(missing("a label is not text"));
        let number = |value: &Value| value.as_integer().map(i128::from).ok_or(missing("a count is not a number"));
        let ticket = Self {
            id: TicketId(id.ok_or(missing("the ticket id is not 16 bytes"))?),
            not_before: seconds(claims.not_before).ok_or(missing("nbf is missing"))?,
            not_after: seconds(claims.expiration_time).ok_or(missing("exp is missing"))?,
            holder,
            screening: screening
                .as_bytes()
                .and_then(|b| b.as_slice().try_into().ok())
                .ok_or(missing("the screening is not 8 bytes"))?,
            hall: text(hall)?,
            row: text(row)?,
            seat: text(seat)?,
            ticket_type: text(ticket_type)?,
            admits: number(admits)?.try_into().map_err(|_| missing("admits is not 1 to 99"))?,
            generation: number(generation)?.try_into().map_err(|_| missing("the generation is not 0 to 65535"))?,
        };
        ticket.check()?;
        Ok(ticket)
    }

    fn check(&self) -> Result<(), TicketError> {
        let bad = |why| Err(TicketError::BadContent(why));
        let labels = [
            (&self.hall, HALL_BYTES_MAX),
            (&self.row, ROW_BYTES_MAX),
            (&self.seat, SEAT_BYTES_MAX),
            (&self.ticket_type, TYPE_BYTES_MAX),
        ];
        if labels.iter().any(|(label, max)| label.len() > *max) {
            return bad("a label is longer than a ticket carries");
        }
        if !(1..=99).contains(&self.admits) {
            return bad("admits is not 1 to 99");
        }
        if self.not_before.as_second() < 0 || self.not_after <= self.not_before {
            return bad("the ticket's times are not in order");
        }
        Ok(())
    }

    /// Shortens labels so that [`Ticket::sign`] takes them.
    #[must_use]
    pub fn with_short_labels(mut self) -> Self {
        for (label, max) in [
            (&mut self.hall, HALL_BYTES_MAX),
            (&mut self.row, ROW_BYTES_MAX),
            (&mut self.seat, SEAT_BYTES_MAX),
            (&mut self.ticket_type, TYPE_BYTES_MAX),
        ] {
            *label = short_label(label, max);
        }
        self
    }
}

fn read_holder(confirmation: &Value) -> Option<[u8; 16]> {
    let members = confirmation.as_map()?;
    let (_, value) = members.iter().find(|(name, _)| name.as_integer() == Some(CNF_KID.into()))?;
    value.as_bytes()?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[5; 32])
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("in range")
    }
    fn ticket() -> Ticket {
        Ticket {
            id: TicketId::derive(&[9; 16], 0, 1),
            not_before: at(1_795_000_000),
            not_after: at(1_795_090_000),
            holder: None,
            screening: screening_digest(&ScreeningId::parse("scr_1").expect("id")),
            hall: "Grand".into(),
            row: "F".into(),
            seat: "9".into(),
            ticket_type: "adult".into(),
            admits: 1,
            generation: 1,
        }
    }
    fn verify(code: &str) -> Result<Ticket, TicketError> {
        Ticket::verify(code, |_| [key().public()])
    }
    fn signed_bytes(code: &str) -> Vec<u8> {
        base45::decode(&code[TICKET_PREFIX.len()..]).expect("base45")
    }

    #[test]
    fn a_ticket_is_read_back_as_it_was() {
        for holder in [None, Some([3; 16])] {
            let ticket = Ticket { holder, ..ticket() };
            assert_eq!(verify(&ticket.sign(&key()).expect("signs")), Ok(ticket));
        }
    }

    #[test]
    fn the_longest_ticket_stays_within_its_bytes() {
        let longest = Ticket {
            hall: "h".repeat(23),
            row: "r".repeat(12),
            seat: "s".repeat(8),
            ticket_type: "t".repeat(16),
            admits: 99,
            generation: u16::MAX,
            not_before: at(i64::from(u32::MAX) - 1),
            not_after: at(i64::from(u32::MAX)),
            ..ticket()
        };
        let bare = signed_bytes(&longest.sign(&key()).expect("signs")).len();
        assert!(bare <= TICKET_BYTES_MAX, "{bare}");
        let held = Ticket { holder: Some([1; 16]), ..longest };
        let held = signed_bytes(&held.sign(&key()).expect("signs")).len();
        assert!(held <= TICKET_WITH_HOLDER_BYTES_MAX, "{held}");
    }

    #[test]
    fn every_generation_of_a_ticket_has_a_name_of_its_own() {
        let name = |line, generation| TicketId::derive(&[1; 16], line, generation);
        assert_ne!(name(0, 1), name(0, 2), "a ticket that was made anew is another one at the door (TICK-008)");
        assert_ne!(name(0, 1), name(1, 1));
        assert_eq!(name(0, 1), name(0, 1));
    }

    #[test]
    fn long_labels_are_shortened_at_a_character() {
        assert_eq!(short_label("Grand balcony", 12), "Grand bal…");
        assert_eq!(short_label("スクリーン大", 12), "スクリ…");
        let long = Ticket { hall: "大ホール大ホール大ホール".into(), ..ticket() };
        assert_eq!(long.sign(&key()), Err(TicketError::BadContent("a label is longer than a ticket carries")));
        assert!(long.with_short_labels().sign(&key()).is_ok());
    }

    #[test]
    fn a_ticket_of_another_key_is_refused() {
        let code = ticket().sign(&SecretKey::from_seed(&[6; 32])).expect("signs");
        assert_eq!(verify(&code), Err(TicketError::UnknownKey));
    }

    #[test]
    fn a_webhook_or_manifest_signature_is_no_ticket() {
        let mut signed =
            CoseSign1::from_tagged_slice(&signed_bytes(&ticket().sign(&key()).expect("signs"))).expect("cose");
        signed.signature = key().sign(&signed.tbs_data(b"admit-allow-list-v1")).to_vec();
        let code = format!("{TICKET_PREFIX}{}", base45::encode(signed.to_tagged_vec().expect("cbor")));
        assert_eq!(verify(&code), Err(TicketError::BadSignature));
    }

    #[test]
    fn what_is_no_ticket_is_refused_before_any_cryptography() {
        for code in ["", "ADMIT1:", "HC1:6BF", "admit1:AB", "ADMIT1:é", "ADMIT1:00"] {
            assert!(matches!(verify(code), Err(TicketError::NotATicket | TicketError::Damaged)), "{code}");
        }
        assert_eq!(verify(&format!("{TICKET_PREFIX}{}", "0".repeat(5000))), Err(TicketError::NotATicket));
    }

    #[test]
    fn untagged_and_trailing_bytes_are_refused() {
        let bytes = signed_bytes(&ticket().sign(&key()).expect("signs"));
        let untagged = format!("{TICKET_PREFIX}{}", base45::encode(&bytes[1..]));
        assert_eq!(verify(&untagged), Err(TicketError::Damaged));
        let trailing = format!("{TICKET_PREFIX}{}", base45::encode([bytes.as_slice(), &[0]].concat()));
        assert_eq!(verify(&trailing), Err(TicketError::Damaged));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_accepted(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let good = signed_bytes(&ticket().sign(&key()).expect("signs"));
            let mut bytes = good.clone();
            let at = at.index(bytes.len());
            bytes[at] = to;
            let code = format!("{TICKET_PREFIX}{}", base45::encode(&bytes));
            prop_assert!(bytes == good || verify(&code).is_err());
        }

        #[test]
        fn any_text_is_refused_without_panic(text in ".{0,300}") {
            let code = format!("{TICKET_PREFIX}{text}");
            prop_assert!(verify(&code).is_err());
        }

        #[test]
        fn any_payload_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Ticket::from_claims(&bytes);
        }
    }
}
