//! When things happen: an instant for "when", local time and zone for "what the poster says".

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a wall time could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The IANA database has no such zone.
    #[error("{0:?} is not an IANA time zone")]
    UnknownZone(String),
    /// Clocks jump over this time on that day.
    #[error("{0} does not exist in {1}: clocks go forward over it")]
    Gap(DateTime, String),
    /// Clocks show this time twice on that day: say which by giving the offset.
    #[error("{0} happens twice in {1}: give its offset, {2} or {3}")]
    Fold(DateTime, String, Offset, Offset),
    /// The offset given is not one that the zone has at that time.
    #[error("{0} is not at offset {2} in {1}")]
    WrongOffset(DateTime, String, Offset),
    /// Not `YYYY-MM-DDTHH:MM[:SS][+HH:MM]`.
    #[error("{0:?} is not a local time")]
    Unreadable(String),
    /// The instant and the wall time do not name the same moment.
    #[error("local time and instant are not the same moment")]
    Disagree,
}

/// An IANA time zone name, such as `Europe/Prague`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneName(Box<str>);

impl ZoneName {
    /// Reads a name that could be one: whether this machine's database has it is asked when it is used.
    ///
    /// # Errors
    /// When the text cannot be a zone name.
    pub fn parse(name: &str) -> Result<Self, TimeError> {
        let shape = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'/');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(shape) || !name.as_bytes()[0].is_ascii_alphabetic() {
            return Err(TimeError::UnknownZone(name.chars().take(64).collect()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rules of the zone.
    ///
    /// # Errors
    /// When the time zone database of this machine does not have it.
    pub fn rules(&self) -> Result<TimeZone, TimeError> {
        TimeZone::get(&self.0).map_err(|_| TimeError::UnknownZone(self.0.to_string()))
    }
}

impl FromStr for ZoneName {
    type Err = TimeError;
    fn from_str(name: &str) -> Result<Self, TimeError> {
        Self::parse(name)
    }
}
impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for ZoneName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for ZoneName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(d)?;
        Self::parse(&name).map_err(de::Error::custom)
    }
}
impl JsonSchema for ZoneName {
    fn schema_name() -> Cow<'static, str> {
        "ZoneName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z][A-Za-z0-9_+/-]{0,63}$",
            "description": "An IANA time zone name.",
        })
    }
}

/// A moment in the life of a cinema: the instant, and what a clock on its wall shows then.
///
/// On the wire `{"at": "2026-10-25T01:30:00Z", "local": "2026-10-25T02:30:00+01:00", "zone": "Europe/Prague"}`. The
/// local time carries its offset, so the hour that happens twice stays clear. Both must name the same moment
/// (`TIME-003`).
///
/// ```
/// use admit_protocol::time::Moment;
/// let start = Moment::from_local("2026-11-21T20:15", &"Europe/Prague".parse()?)?;
/// assert_eq!(start.at().to_string(), "2026-11-21T19:15:00Z");
/// # Ok::<(), admit_protocol::time::TimeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    at: Timestamp,
    local: DateTime,
    zone: ZoneName,
}

impl Moment {
    /// What clocks in `zone` show at `at`.
    ///
    /// # Errors
    /// When the zone is unknown here.
    pub fn new(at: Timestamp, zone: &ZoneName) -> Result<Self, TimeError> {
        let local = zone.rules()?.to_datetime(at);
        Ok(Self { at, local, zone: zone.clone() })
    }

    /// Reads a wall time, `2026-11-21T20:15`, with an offset where clocks show it twice: `2026-10-25T02:30+01:00`.
    ///
    /// # Errors
    /// When the zone is unknown, the time does not exist there, happens twice and no offset is given, or the offset
    /// is not one the zone has then (`TIME-004`, `TIME-005`).
    pub fn from_local(text: &str, zone: &ZoneName) -> Result<Self, TimeError> {
        let (local, offset) = read_local(text)?;
        let rules = zone.rules()?;
        let ambiguous = rules.to_ambiguous_timestamp(local);
        let name = || zone.to_string();
        let wrong = |offset| TimeError::WrongOffset(local, name(), offset);
        let chosen = match (ambiguous.offset(), offset) {
            (jiff::tz::AmbiguousOffset::Unambiguous { offset }, None) => offset,
            (jiff::tz::AmbiguousOffset::Unambiguous { offset }, Some(given)) if offset == given => given,
            (jiff::tz::AmbiguousOffset::Fold { before, after }, Some(given)) if given == before || given == after => {
                given
            }
            (jiff::tz::AmbiguousOffset::Gap { .. }, _) => return Err(TimeError::Gap(local, name())),
            (jiff::tz::AmbiguousOffset::Fold { before, after }, None) => {
                return Err(TimeError::Fold(local, name(), before, after));
            }
            (_, Some(given)) => return Err(wrong(given)),
        };
        let at = chosen.to_timestamp(local).map_err(|_| TimeError::Unreadable(text.to_owned()))?;
        Ok(Self { at, local, zone: zone.clone() })
    }

    /// The instant.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What the poster says.
    #[must_use]
    pub fn local(&self) -> DateTime {
        self.local
    }

    /// The cinema's zone.
    #[must_use]
    pub fn zone(&self) -> &ZoneName {
        &self.zone
    }

    /// How far local time is from UTC.
    #[must_use]
    pub fn offset(&self) -> Offset {
        // Both sides are within the range of a timestamp, so the difference is at most a day or so.
        let utc = Offset::UTC.to_datetime(self.at);
        let seconds = self.local.duration_since(utc).as_secs();
        i32::try_from(seconds).ok().and_then(|s| Offset::from_seconds(s).ok()).unwrap_or(Offset::UTC)
    }

    /// The business date: a screening that starts before `cutoff` belongs to the evening before.
    #[must_use]
    pub fn business_date(&self, cutoff: Time) -> Date {
        let date = self.local.date();
        if self.local.time() < cutoff { date.yesterday().unwrap_or(date) } else { date }
    }
}

fn read_local(text: &str) -> Result<(DateTime, Option<Offset>), TimeError> {
    let unreadable = || TimeError::Unreadable(text.chars().take(40).collect());
    if !text.is_ascii() || text.len() < 16 || !matches!(text.as_bytes()[10], b'T') {
        return Err(unreadable());
    }
    let at = text[11..].find(['+', '-', 'Z']).map_or(text.len(), |n| n + 11);
    let (civil, offset) = text.split_at(at);
    let local: DateTime = civil.parse().map_err(|_| unreadable())?;
    let offset = match offset {
        "" => None,
        "Z" => Some(Offset::UTC),
        _ => Some(read_offset(offset).ok_or_else(unreadable)?),
    };
    Ok((local, offset))
}

/// `+HH:MM`
fn read_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    (minutes < 60).then(|| Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()).flatten()
}

/// `+01:00`: an offset as RFC 3339 writes it.
struct Rfc3339Offset(Offset);

impl fmt::Display for Rfc3339Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.seconds();
        let minutes = seconds.abs() / 60;
        write!(f, "{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut wire = s.serialize_struct("Moment", 3)?;
        wire.serialize_field("at", &self.at)?;
        wire.serialize_field("local", &format_args!("{}{}", self.local, Rfc3339Offset(self.offset())))?;
        wire.serialize_field("zone", &self.zone)?;
        wire.end()
    }
}
impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(expecting = "a time, such as {\"at\": ..., \"local\": ..., \"zone\": ...}")]
        struct Wire {
            at: Timestamp,
            local: String,
            zone: ZoneName,
        }
        let Wire { at, local, zone } = Wire::deserialize(d)?;
        let (local, offset) = read_local(&local).map_err(de::Error::custom)?;
        let same = offset.and_then(|o| o.to_timestamp(local).ok()).is_some_and(|t| t == at);
        // A reader with older zone rules than the cinema's still believes the cinema.
        if same { Ok(Self { at, local, zone }) } else { Err(de::Error::custom(TimeError::Disagree)) }
    }
}
impl JsonSchema for Moment {
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(g: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let zone = g.subschema_for::<ZoneName>();
        schemars::json_schema!({
            "type": "object",
            "description": "The instant, and what a clock on the cinema's wall shows then.",
            "properties": {
                "at": { "type": "string", "format": "date-time" },
                "local": { "type": "string", "format": "date-time" },
                "zone": zone,
            },
            "required": ["at", "local", "zone"],
        })
    }
}

/// `at` moved by whole seconds, kept within the range of a timestamp.
#[must_use]
pub fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// `at` cut to whole milliseconds: what a server stores, sends and compares.
#[must_use]
pub fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> ZoneName {
        ZoneName::parse(name).expect(name)
    }

    #[test]
    fn a_time_that_does_not_exist_is_refused() {
        // Clocks in Prague go from 02:00 to 03:00 on 2026-03-29.
        let gap = Moment::from_local("2026-03-29T02:30", &zone("Europe/Prague"));
        assert!(matches!(gap, Err(TimeError::Gap(..))), "{gap:?}");
    }

    #[test]
    fn a_time_that_happens_twice_needs_its_offset() {
        let prague = zone("Europe/Prague");
        assert!(matches!(Moment::from_local("2026-10-25T02:30", &prague), Err(TimeError::Fold(..))));
        let first = Moment::from_local("2026-10-25T02:30+02:00", &prague).expect("summer");
        let second = Moment::from_local("2026-10-25T02:30+01:00", &prague).expect("winter");
        assert_eq!(second.at().duration_since(first.at()).as_secs(), 3600);
        let wrong = Moment::from_local("2026-10-25T02:30+03:00", &prague);
        assert!(matches!(wrong, Err(TimeError::WrongOffset(..))), "{wrong:?}");
    }

    #[test]
    fn a_moment_is_read_back_as_it_was() {
        for (local, name) in [
            ("2026-11-21T20:15", "Europe/Prague"),
            ("2026-10-25T02:30+01:00", "Europe/Prague"),
            ("2026-11-21T20:15", "Asia/Kathmandu"),
            ("2026-11-21T20:15", "America/St_Johns"),
        ] {
            let moment = Moment::from_local(local, &zone(name)).expect(local);
            let wire = serde_json::to_string(&moment).expect("writes");
            assert_eq!(serde_json::from_str::<Moment>(&wire).expect(&wire), moment);
        }
    }

    #[test]
    fn an_instant_and_a_wall_time_that_disagree_are_refused() {
        let wire = r#"{"at":"2026-11-21T19:15:00Z","local":"2026-11-21T20:15:00+02:00","zone":"Europe/Prague"}"#;
        assert!(serde_json::from_str::<Moment>(wire).is_err());
        let no_offset = r#"{"at":"2026-11-21T19:15:00Z","local":"2026-11-21T20:15:00","zone":"Europe/Prague"}"#;
        assert!(serde_json::from_str::<Moment>(no_offset).is_err());
    }

    #[test]
    fn a_late_show_belongs_to_the_evening_before() {
        let prague = zone("Europe/Prague");
        let cutoff = jiff::civil::time(5, 0, 0, 0);
        let late = Moment::from_local("2026-11-22T00:30", &prague).expect("late");
        assert_eq!(late.business_date(cutoff), jiff::civil::date(2026, 11, 21));
        let morning = Moment::from_local("2026-11-22T05:00", &prague).expect("morning");
        assert_eq!(morning.business_date(cutoff), jiff::civil::date(2026, 11, 22));
    }

    #[test]
    fn hostile_local_times_are_refused() {
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21 20:15",
            "2026-11-21T20:15+1:00",
            "2026-11-21T20:15+01:60",
            "２０２６-11-21T20:15",
            "2026-11-21T20:15+é",
        ] {
            assert!(Moment::from_local(bad, &zone("Europe/Prague")).is_err(), "{bad:?}");
        }
        assert!(matches!(Moment::from_local("2026-11-21T20:15", &zone("Mars/Base")), Err(TimeError::UnknownZone(_))));
    }
}
