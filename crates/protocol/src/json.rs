//! Reading JSON from strangers.
//!
//! One door for all of it: a limit on bytes for each kind of message, at most [`DEPTH_MAX`] levels, no member twice
//! in an object, integers within +-(2^53 - 1), and no fractions at all in anything signed (`HTTP-004`). What passes is
//! then read by serde. Nothing here panics, whatever the bytes.

mod words;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use crate::objects::ObjectsOnly;
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 32;

/// The largest integer that every JSON reader gets right: 2^53 - 1 (RFC 8259 section 6).
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// The largest request of a buyer.
///
/// The longest is a hold of 10 seats: 10 ids and ticket types of at most 64 bytes each and their member names make
/// about 1.7 KiB. 64 KiB leaves room for extensions.
pub const BUYER_REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The largest manifest or cinema page.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// The largest layout, price table or programme page. A hall of 6,000 seats at 350 bytes each makes 2 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a document may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Integers only: for anything that is signed or named by its hash.
    Integers,
    /// Fractions may appear in members that we do not know.
    Any,
}

/// Why bytes were not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The kind of message has a limit.
    #[error("the document has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// How many there were.
        bytes: usize,
        /// How many are read.
        limit: usize,
    },
    /// RFC 8259 section 8.1 wants none.
    #[error("it begins with a byte order mark, which JSON does not have: save it as UTF-8 without one")]
    ByteOrderMark,
    /// Not JSON, or JSON that a careful reader refuses: too deep, a member twice, a number out of range.
    #[error("not acceptable JSON: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// No text in UTF-8 (RFC 8259 section 8.1).
    #[error("it is not UTF-8: save it as UTF-8, without a byte order mark")]
    NotUtf8,
    /// Nothing at all.
    #[error("there is nothing in it")]
    Empty,
    /// Good JSON of the wrong shape.
    #[error("{}{}", place(.pointer), words::plain(&.source.to_string()))]
    WrongShape {
        /// Which member is meant: a JSON pointer (RFC 6901); the whole document if it is empty.
        pointer: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl JsonError {
    /// Which member of the document is meant, as a JSON pointer, if it is one.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::WrongShape { pointer, .. } if !pointer.is_empty() => Some(pointer),
            _ => None,
        }
    }
}

/// `/tickets/0/seat` as people write it: `tickets[0].seat`.
fn place(pointer: &str) -> String {
    let mut place = String::new();
    for step in pointer.split('/').skip(1) {
        match step.parse::<usize>() {
            Ok(n) => place += &format!("[{n}]"),
            Err(_) if place.is_empty() => place += step,
            Err(_) => place += &format!(".{step}"),
        }
    }
    if place.is_empty() { place } else { format!("`{place}`: ") }
}

/// What is wrong with the shape of a document, and where: read once more, slowly.
fn wrong_shape<'de, T: DeserializeOwned, D>(source: serde_json::Error, again: D) -> JsonError
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    use serde_path_to_error::Segment;
    let Err(error) = serde_path_to_error::deserialize::<_, T>(ObjectsOnly(again)) else {
        return JsonError::WrongShape { pointer: String::new(), source };
    };
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    let pointer = error.path().iter().map(step).collect();
    JsonError::WrongShape { pointer, source: error.into_inner() }
}

/// Reads one document of at most `limit` bytes.
///
/// # Errors
/// When the bytes are too many, are not JSON that this module accepts, or do not have the shape of `T`.
pub fn read<T: DeserializeOwned>(bytes: &[u8], limit: usize, numbers: Numbers) -> Result<T, JsonError> {
    if bytes.len() > limit {
        return Err(JsonError::TooLarge { bytes: bytes.len(), limit });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(JsonError::ByteOrderMark);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(JsonError::NotUtf8) };
    if text.trim_ascii().is_empty() {
        return Err(JsonError::Empty);
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    Checked { depth: 0, numbers }.deserialize(&mut reader).map_err(JsonError::Unreadable)?;
    reader.end().map_err(JsonError::Unreadable)?;
    T::deserialize(ObjectsOnly(&mut serde_json::Deserializer::from_str(text)))
        .map_err(|error| wrong_shape::<T, _>(error, &mut serde_json::Deserializer::from_str(text)))
}

/// Reads a part of a document that was read before.
///
/// # Errors
/// When it does not have the shape of `T`.
pub fn from_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, JsonError> {
    T::deserialize(ObjectsOnly(value)).map_err(|error| wrong_shape::<T, _>(error, value))
}

/// A member's name: where it has no escapes, it is that of the document.
#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Walks a document and keeps nothing of it.
#[derive(Clone, Copy)]
struct Checked {
    depth: usize,
    numbers: Numbers,
}

impl Checked {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: de::Error>(self, n: u64) -> Result<(), E> {
        if n > INTEGER_MAX.unsigned_abs() { Err(E::custom("an integer beyond 2^53 - 1")) } else { Ok(()) }
    }
    fn visit_i64<E: de::Error>(self, n: i64) -> Result<(), E> {
        self.visit_u64(n.unsigned_abs())
    }
    fn visit_f64<E: de::Error>(self, n: f64) -> Result<(), E> {
        // serde_json gives integers beyond 64 bits as floats, too.
        match self.numbers {
            Numbers::Integers => Err(E::custom("a number that is not an integer within 2^53 - 1")),
            Numbers::Any if n.fract() == 0.0 && n.abs() > 9_007_199_254_740_991.0 => {
                Err(E::custom("an integer beyond 2^53 - 1"))
            }
            Numbers::Any => Ok(()),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        // Objects are small, and most have fewer members than a hash set would pay for.
        let mut few: Vec<Name<'de>> = Vec::new();
        let mut many: HashSet<Name<'de>> = HashSet::new();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if few.contains(&name) || many.contains(&name) {
                return Err(de::Error::custom(format_args!("the member {:?} appears twice", name.0)));
            }
            members.next_value_seed(inner)?;
            if few.len() < 16 {
                few.push(name);
            } else {
                many.insert(name);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read_any(text: &str) -> Result<Value, JsonError> {
        read(text.as_bytes(), 1024, Numbers::Any)
    }

    #[test]
    fn a_member_that_appears_twice_is_refused() {
        assert!(read_any(r#"{"a":1,"b":{"c":1}}"#).is_ok());
        assert!(matches!(read_any(r#"{"a":1,"a":2}"#), Err(JsonError::Unreadable(_))));
        assert!(matches!(read_any(r#"{"x":{"a":1,"\u0061":2}}"#), Err(JsonError::Unreadable(_))));
        let wide: String = (0..40).map(|n| format!("\"m{n}\":0,")).collect();
        assert!(read_any(&format!("{{{wide}\"n\":0}}")).is_ok());
        assert!(matches!(read_any(&format!("{{{wide}\"m39\":0}}")), Err(JsonError::Unreadable(_))));
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read_any(&nested(DEPTH_MAX)).is_ok());
        assert!(matches!(read_any(&nested(DEPTH_MAX + 1)), Err(JsonError::Unreadable(_))));
        let bomb = "[".repeat(100_000);
        assert!(matches!(read::<Value>(bomb.as_bytes(), usize::MAX, Numbers::Any), Err(JsonError::Unreadable(_))));
    }

    #[test]
    fn integers_stay_within_what_every_reader_gets_right() {
        assert!(read_any("9007199254740991").is_ok());
        for bad in ["9007199254740992", "-9007199254740992", "18446744073709551616", "1e300"] {
            assert!(matches!(read_any(bad), Err(JsonError::Unreadable(_))), "{bad}");
        }
    }

    #[test]
    fn signed_documents_have_no_fractions() {
        assert!(read_any("[0.5]").is_ok());
        assert!(read::<Value>(b"[0.5]", 9, Numbers::Integers).is_err());
        assert!(read::<Value>(b"[1.0]", 9, Numbers::Integers).is_err());
    }

    #[test]
    fn size_has_a_limit_and_nothing_follows_the_document() {
        assert!(matches!(read::<Value>(b"[1,2]", 4, Numbers::Any), Err(JsonError::TooLarge { bytes: 5, limit: 4 })));
        assert!(matches!(read_any("{} {}"), Err(JsonError::Unreadable(_))));
        assert!(matches!(read_any(""), Err(JsonError::Empty)));
    }

    #[test]
    fn a_struct_is_an_object_at_every_depth() {
        use crate::hold::PlaceHold;
        let read = |text: &str| read::<PlaceHold>(text.as_bytes(), 1024, Numbers::Any);
        assert!(read(r#"{"seats":[{"seat":"A1"}]}"#).is_ok());
        for bad in ["[]", r#"{"seats":[["A1"]]}"#, r#"[[{"seat":"A1"}]]"#, r#"{"seats":{}}"#] {
            assert!(matches!(read(bad), Err(JsonError::WrongShape { .. })), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read::<Value>(&bytes, 1024, Numbers::Any);
        }
    }
}
