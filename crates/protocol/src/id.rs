//! Names of things: opaque to everyone but whoever made them.
//!
//! Every id on the wire matches `[A-Za-z0-9_.-]{1,64}` (`ID-001`). An id is kept inline, so copying one costs no
//! allocation, and a [`HoldId`] in the place of a [`ScreeningId`] does not compile.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// The pattern of every id, as a regular expression.
pub const ID_PATTERN: &str = "^[A-Za-z0-9_.-]{1,64}$";

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// An id has at least one character.
    #[error("an id must not be empty")]
    Empty,
    /// An id has at most [`ID_BYTES_MAX`] characters.
    #[error("an id has at most {ID_BYTES_MAX} characters")]
    TooLong,
    /// An id is made of `A-Z a-z 0-9 _ . -`.
    #[error("an id has only letters, digits, '_', '.' and '-'")]
    BadCharacter,
}

/// The characters of an id, without a kind.
#[derive(Clone, Copy)]
pub struct Id {
    len: u8,
    bytes: [u8; ID_BYTES_MAX],
}

impl Id {
    /// Reads an id.
    ///
    /// # Errors
    /// When `text` is empty, too long, or has a character outside `[A-Za-z0-9_.-]`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > ID_BYTES_MAX {
            return Err(IdError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-')) {
            return Err(IdError::BadCharacter);
        }
        let mut bytes = [0; ID_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most 64, checked above")]
        Ok(Self { len: text.len() as u8, bytes })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII ever gets in, so this never takes the default.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for Id {}
impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Id {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // As text: ASCII sorts as its bytes do.
        self.as_bytes().cmp(other.as_bytes())
    }
}
impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id: 1 to {ID_BYTES_MAX} letters, digits, '_', '.' or '-'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Id::parse(text).map_err(E::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Id);

        impl $name {
            /// Reads an id.
            ///
            /// # Errors
            /// When `text` does not match [`ID_PATTERN`].
            pub fn parse(text: &str) -> Result<Self, IdError> {
                Id::parse(text).map(Self)
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_str(IdVisitor).map(Self)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": ID_PATTERN })
            }
        }
    )*};
}

ids! {
    /// Names a cinema: one place with one or more halls.
    CinemaId;
    /// Names a hall of a cinema.
    HallId;
    /// Names a seat within its layout. Where a chair stays the same, so does its id, from layout to layout.
    SeatId;
    /// Names an area without numbered seats.
    AreaId;
    /// Names a price zone of a layout.
    ZoneId;
    /// Names a section of a layout (stalls, balcony).
    SectionId;
    /// Names a group of seats that belong together, such as a sofa.
    GroupId;
    /// Names a film (the work).
    FilmId;
    /// Names a version of a film: what is on the screen and what is heard.
    FilmVersionId;
    /// Names a screening.
    ScreeningId;
    /// Names a kind of ticket of a price table: `adult`, `child`, `carer`.
    TicketTypeId;
    /// Names a hold.
    HoldId;
    /// Names a party that waits for seats.
    WaitlistEntryId;
    /// Names a booking.
    BookingId;
    /// Names a quote for a cancellation.
    QuoteId;
    /// Names something that a webhook is told.
    NotificationId;
    /// Names one scan of a ticket; the device chooses it.
    ScanId;
    /// Names a scanning device.
    DeviceId;
    /// Names a run of the houses: a new epoch voids what a client knew of seats.
    EpochId;
    /// Names a cinema within an index.
    ListingId;
    /// Names one line of a price (a fee, a tax).
    FeeId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_read_back_as_it_was() {
        for text in ["a", "scr_0192f3a4b5c67d8e9fa0b1c2d3e4f5a6", "A-12", "x.y_z", &"m".repeat(64)] {
            assert_eq!(ScreeningId::parse(text).expect(text).as_str(), text);
        }
    }

    #[test]
    fn what_is_not_an_id_is_refused_with_its_reason() {
        assert_eq!(SeatId::parse(""), Err(IdError::Empty));
        assert_eq!(SeatId::parse(&"m".repeat(65)), Err(IdError::TooLong));
        for bad in ["a b", "é", "a/b", "a\0", "%41", "A\n", "座"] {
            assert_eq!(SeatId::parse(bad), Err(IdError::BadCharacter), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_id_exactly_when_it_matches_the_pattern(text in ".{0,70}") {
            let fits = (1..=64).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            prop_assert_eq!(HoldId::parse(&text).is_ok(), fits);
        }
    }
}
