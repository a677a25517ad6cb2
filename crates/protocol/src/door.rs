//! The door: scans, verdicts, and the signed list that lets a scanner work without a network.

use coset::cbor::value::Value;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable as _, iana};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, ScanId, ScreeningId, SeatId, TicketTypeId};
use crate::key::{PublicKey, SecretKey};
use crate::open_enum::open_enum;
use crate::ticket::{TicketError, TicketId};

/// Scans in one upload: an evening of one door, offline.
pub const SCANS_MAX: usize = 1_000;
/// The `Content-Type` of an allow list.
pub const ALLOW_LIST_MEDIA_TYPE: &str = "application/cose; cose-type=\"cose-sign1\"";
/// Bytes of an allow list: 20,000 places at 19 bytes, and room around them.
pub const ALLOW_LIST_BYTES_MAX: usize = 512 * 1024;

const EXTERNAL_AAD: &[u8] = b"admit-allow-list-v1";
/// 16 bytes of id, 2 of generation, 1 of state.
const ENTRY_BYTES: usize = 19;

/// Scans from one device. Sending them again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadScans {
    /// The scans, in any order.
    #[schemars(length(min = 1, max = 1000))]
    pub scans: Vec<Scan>,
}

/// One scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scan {
    /// Chosen by the device; never used again.
    pub id: ScanId,
    /// What was done.
    pub kind: ScanKind,
    /// The code that was read; for an undo, nothing.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub code: String,
    /// The proof that was read beside it, where a ticket wants one (TICK-010).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub proof: Option<String>,
    /// For an undo: the scan that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<ScanId>,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// Whether the device decided alone and somebody is already in.
    #[serde(default)]
    pub offline: bool,
}

/// What came of scans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanResults {
    /// One for each scan, in the same order.
    pub results: Vec<ScanResult>,
}

/// What came of one scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanResult {
    /// The scan.
    pub id: ScanId,
    /// What the person at the door sees.
    pub verdict: Verdict,
    /// The ticket, if one was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketId>,
    /// The seat, if one was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<SeatId>,
    /// For whom it is: who lets people in asks for the proof that this type needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketTypeId>,
    /// Whether that type needs a proof at the door.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proof_at_door: bool,
    /// The scan that let this ticket in first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstScan>,
}

/// The scan that let a ticket in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstScan {
    /// On which device.
    pub device: DeviceId,
    /// When.
    pub at: Timestamp,
}

open_enum! {
    /// What was done.
    ScanKind {
        /// Somebody came in.
        Entry = "entry",
        /// That was a mistake.
        Undo = "undo",
    }

    /// What the person at the door sees. The first that applies, in this order (DOOR-004). Of an unknown verdict: do not
    /// let in.
    Verdict {
        /// No ticket of this cinema.
        Invalid = "invalid",
        /// A ticket for another screening.
        WrongShow = "wrong_show",
        /// Cancelled, or replaced by a newer one.
        Revoked = "revoked",
        /// Too early or too late.
        Expired = "expired",
        /// To be paid at the box office first.
        Unpaid = "unpaid",
        /// Its holder's proof is missing, or not of now.
        Unproven = "unproven",
        /// Somebody came in with it.
        Duplicate = "duplicate",
        /// Come in.
        Green = "green",
    }

    /// The state of a ticket in an allow list.
    AllowState {
        /// It opens the door.
        Valid = "valid",
        /// Not before it is paid.
        Unpaid = "unpaid",
        /// It opened the door.
        Used = "used",
        /// It does not open the door any more.
        Revoked = "revoked",
    }
}

/// All tickets of a screening, signed by the ticket key: about 19 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    /// Of which screening.
    pub screening: ScreeningId,
    /// The house version that it shows.
    pub version: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// Every ticket that exists, by id.
    pub entries: Vec<AllowEntry>,
}

/// One ticket of an allow list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowEntry {
    /// The ticket.
    pub id: TicketId,
    /// In which generation.
    pub generation: u16,
    /// What became of it.
    pub state: AllowState,
}

impl AllowList {
    /// Signs the list: COSE_Sign1 over `[screening, version, issued, entries]`.
    ///
    /// # Errors
    /// When the version or the time is beyond what CBOR carries here.
    pub fn sign(&self, key: &SecretKey) -> Result<Vec<u8>, TicketError> {
        let mut entries = self.entries.clone();
        entries.sort_unstable();
        let mut packed = Vec::with_capacity(entries.len() * ENTRY_BYTES);
        for entry in &entries {
            packed.extend_from_slice(&entry.id.0);
            packed.extend_from_slice(&entry.generation.to_be_bytes());
            packed.push(match entry.state {
                AllowState::Valid => 0,
                AllowState::Unpaid => 1,
                AllowState::Used => 2,
                AllowState::Revoked | AllowState::Unknown => 3,
            });
        }
        let payload = Value::Array(vec![
            Value::Text(self.screening.to_string()),
            Value::Integer(self.version.into()),
            Value::Integer(self.issued.as_second().into()),
            Value::Bytes(packed),
        ]);
        let mut bytes = Vec::new();
        coset::cbor::into_writer(&payload, &mut bytes).map_err(|_| TicketError::Damaged)?;
        let header =
            HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(key.public().id().short().to_vec()).build();
        let signed = CoseSign1Builder::new()
            .protected(header)
            .payload(bytes)
            .create_signature(EXTERNAL_AAD, |bytes| key.sign(bytes).to_vec())
            .build();
        signed.to_tagged_vec().map_err(|_| TicketError::Damaged)
    }

    /// Reads a list that one of the cinema's ticket keys signed.
    ///
    /// # Errors
    /// When it is no list, is signed by nobody listed, or names a ticket twice.
    pub fn verify<K: IntoIterator<Item = PublicKey>>(
        bytes: &[u8],
        key: impl FnOnce([u8; 8]) -> K,
    ) -> Result<Self, TicketError> {
        if bytes.len() > ALLOW_LIST_BYTES_MAX {
            return Err(TicketError::NotATicket);
        }
        let signed = CoseSign1::from_tagged_slice(bytes).map_err(|_| TicketError::Damaged)?;
        let kid: [u8; 8] = signed.protected.header.key_id.as_slice().try_into().map_err(|_| TicketError::Damaged)?;
        let signature: &[u8; 64] = signed.signature.as_slice().try_into().map_err(|_| TicketError::BadSignature)?;
        let message = signed.tbs_data(EXTERNAL_AAD);
        let mut keys = key(kid).into_iter().filter(|k| k.id().short() == kid).peekable();
        if keys.peek().is_none() {
            return Err(TicketError::UnknownKey);
        }
        if !keys.any(|k| k.verify(&message, signature).is_ok()) {
            return Err(TicketError::BadSignature);
        }
        let payload = signed.payload.as_deref().ok_or(TicketError::Damaged)?;
        let payload: Value = coset::cbor::from_reader(payload).map_err(|_| TicketError::Damaged)?;
        Self::from_payload(&payload).ok_or(TicketError::BadContent("not an allow list"))
    }

    fn from_payload(payload: &Value) -> Option<Self> {
        let [screening, version, issued, entries, ..] = payload.as_array()?.as_slice() else { return None };
        let (records, []) = entries.as_bytes()?.as_chunks::<ENTRY_BYTES>() else { return None };
        let entries: Vec<AllowEntry> = records.iter().map(read_entry).collect::<Option<_>>()?;
        // Sorted and without doubles, so that a scanner can search it as it is.
        if !entries.is_sorted_by(|a, b| a.id < b.id) {
            return None;
        }
        Some(Self {
            screening: ScreeningId::parse(screening.as_text()?).ok()?,
            version: version.as_integer()?.try_into().ok()?,
            issued: Timestamp::from_second(issued.as_integer()?.try_into().ok()?).ok()?,
            entries,
        })
    }

    /// The entry of a ticket.
    #[must_use]
    pub fn find(&self, id: TicketId) -> Option<&AllowEntry> {
        let at = self.entries.binary_search_by_key(&id, |e| e.id).ok()?;
        self.entries.get(at)
    }
}

fn read_entry(record: &[u8; ENTRY_BYTES]) -> Option<AllowEntry> {
    let mut id = [0; 16];
    id.copy_from_slice(&record[..16]);
    let state = match record[18] {
        0 => AllowState::Valid,
        1 => AllowState::Unpaid,
        2 => AllowState::Used,
        3 => AllowState::Revoked,
        _ => return None,
    };
    Some(AllowEntry { id: TicketId(id), generation: u16::from_be_bytes([record[16], record[17]]), state })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[4; 32])
    }
    fn list(tickets: u16) -> AllowList {
        let entry = |n: u16| AllowEntry {
            id: TicketId::derive(&[1; 16], n, 1),
            generation: 1,
            state: if n == 0 { AllowState::Revoked } else { AllowState::Valid },
        };
        let mut entries: Vec<AllowEntry> = (0..tickets).map(entry).collect();
        entries.sort_unstable();
        AllowList {
            screening: ScreeningId::parse("scr_1").expect("id"),
            version: 7,
            issued: Timestamp::from_second(1_795_000_000).expect("instant"),
            entries,
        }
    }

    #[test]
    fn a_list_is_read_back_and_finds_its_tickets() {
        let list = list(50);
        let bytes = list.sign(&key()).expect("signs");
        let read = AllowList::verify(&bytes, |_| [key().public()]).expect("fits");
        assert_eq!(read, list);
        let revoked = TicketId::derive(&[1; 16], 0, 1);
        assert_eq!(read.find(revoked).map(|e| e.state), Some(AllowState::Revoked));
        assert_eq!(read.find(TicketId([0; 16])), None);
    }

    #[test]
    fn a_thousand_seats_take_at_most_20_kilobytes() {
        assert!(list(1000).sign(&key()).expect("signs").len() <= 20_000);
    }

    #[test]
    fn a_forged_list_is_refused() {
        let bytes = list(3).sign(&SecretKey::from_seed(&[5; 32])).expect("signs");
        assert_eq!(AllowList::verify(&bytes, |_| [key().public()]), Err(TicketError::UnknownKey));
        let mut changed = list(3).sign(&key()).expect("signs");
        let last_entry = changed.len() - 67;
        changed[last_entry] ^= 3;
        assert_eq!(AllowList::verify(&changed, |_| [key().public()]), Err(TicketError::BadSignature));
    }

    #[test]
    fn a_list_that_names_a_ticket_twice_is_refused() {
        let mut doubled = list(2);
        doubled.entries.push(doubled.entries[0]);
        let bytes = doubled.sign(&key()).expect("signs");
        assert!(matches!(AllowList::verify(&bytes, |_| [key().public()]), Err(TicketError::BadContent(_))));
    }
}
