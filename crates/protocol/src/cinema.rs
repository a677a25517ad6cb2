//! Cinemas and their halls.

use std::collections::BTreeSet;

use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::ContentName;
use crate::geo::Position;
use crate::id::{CinemaId, HallId};
use crate::money::Currency;
use crate::open_enum::open_enum;
use crate::text::{LanguageTag, Texts, is_plain};
use crate::time::ZoneName;

/// How many halls a cinema lists.
pub const HALLS_MAX: usize = 200;

/// The longest description of a cinema, in bytes: two of them fit a page.
pub const CINEMA_BYTES_MAX: usize = 120 * 1024;

/// A page of cinemas: an immutable document, named by its hash in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CinemaPage {
    /// The cinemas of this page.
    pub cinemas: Vec<Cinema>,
}

/// A place with one or more halls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cinema {
    /// Its name for machines.
    pub id: CinemaId,
    /// Its name for people.
    pub name: Texts,
    /// Where it is.
    pub address: Address,
    /// Where it is, on the map.
    pub position: Position,
    /// Its time zone: all local times are in it.
    pub zone: ZoneName,
    /// Screenings that start before this local time belong to the business date before.
    #[serde(default = "five_in_the_morning")]
    pub business_day_cutoff: Time,
    /// The currency of its prices.
    pub currency: Currency,
    /// Languages its staff speak.
    #[serde(default)]
    pub languages: Vec<LanguageTag>,
    /// When its doors are open.
    #[serde(default)]
    pub opening_hours: Vec<OpeningHours>,
    /// What a visitor with a wheelchair, a hearing aid or a guide dog finds.
    #[serde(default)]
    pub access: AccessFacts,
    /// Schemes it takes part in, such as `cea` (a free ticket for a carer).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub schemes: BTreeSet<String>,
    /// Its own page for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub website: Option<String>,
    /// Its telephone number, in international form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub telephone: Option<String>,
    /// Its halls.
    pub halls: Vec<Hall>,
}

impl Cinema {
    /// Checks what the schema cannot: halls that are listed once, texts without control characters, a known zone.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=HALLS_MAX).contains(&self.halls.len()) {
            return Err(format!("a cinema has 1 to {HALLS_MAX} halls"));
        }
        if serde_json::to_vec(self).map_or(usize::MAX, |bytes| bytes.len()) > CINEMA_BYTES_MAX {
            return Err(format!("the description of a cinema has at most {CINEMA_BYTES_MAX} bytes"));
        }
        let mut seen = BTreeSet::new();
        if let Some(hall) = self.halls.iter().find(|h| !seen.insert(h.id)) {
            return Err(format!("hall {} is listed twice", hall.id));
        }
        self.zone.rules().map_err(|e| e.to_string())?;
        let website = self.website.as_deref().unwrap_or("https://");
        if !is_website(website) {
            return Err("the website must be an http or https address of at most 2,048 bytes".into());
        }
        let telephone = self.telephone.as_deref().unwrap_or_default();
        self.address.check()?;
        let days = self.opening_hours.iter().flat_map(|o| &o.weekdays);
        if !is_plain(telephone, 32) || self.schemes.len() > 32 || self.opening_hours.len() > 32 {
            return Err("the telephone number or a list is too long, or has control characters".into());
        }
        if days.into_iter().any(|day| !(1..=7).contains(day)) {
            return Err("weekdays are 1 (Monday) to 7 (Sunday)".into());
        }
        Ok(())
    }

    /// The hall of this id.
    #[must_use]
    pub fn hall(&self, id: HallId) -> Option<&Hall> {
        self.halls.iter().find(|h| h.id == id)
    }
}

/// Five in the morning: when a business day ends where nothing else is said.
#[must_use]
pub fn five_in_the_morning() -> Time {
    jiff::civil::time(5, 0, 0, 0)
}

/// Where letters go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// Street and number.
    #[schemars(length(max = 400))]
    pub street: String,
    /// Post code.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub postcode: String,
    /// City, in the languages it is known by.
    pub city: Texts,
    /// State, county, prefecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Texts>,
    /// ISO 3166-1 alpha-2, in upper case.
    #[schemars(regex(pattern = "^[A-Z]{2}$"))]
    pub country: Country,
}

impl Address {
    /// Checks what the schema cannot: a street of at most 400 bytes and a post code of at most 32, without control
    /// characters.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if is_plain(&self.street, 400) && is_plain(&self.postcode, 32) {
            return Ok(());
        }
        Err("the street or post code is too long, or has control characters".into())
    }
}

/// Whether an address can be given to people as a link: http or https, and nothing that would be read otherwise than it
/// stands there.
#[must_use]
pub fn is_website(address: &str) -> bool {
    (address.starts_with("https://") || address.starts_with("http://")) && is_plain(address, 2048)
}

/// A country: ISO 3166-1 alpha-2 in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// Reads two upper-case letters.
    ///
    /// # Errors
    /// With the text, when it is not two of A-Z.
    pub fn parse(text: &str) -> Result<Self, NotACountry> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([a, b])),
            _ => Err(NotACountry),
        }
    }

    /// No country in particular: ISO 3166-1 leaves `ZZ` to its users.
    pub const UNKNOWN: Self = Self(*b"ZZ");

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A text that is not a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a country is two upper-case letters (ISO 3166-1 alpha-2)")]
pub struct NotACountry;

impl TryFrom<String> for Country {
    type Error = NotACountry;
    fn try_from(text: String) -> Result<Self, NotACountry> {
        Self::parse(&text)
    }
}
impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
    }
}
impl std::fmt::Display for Country {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
impl JsonSchema for Country {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Country".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Z]{2}$" })
    }
}

/// When the doors are open on some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpeningHours {
    /// Days, 1 (Monday) to 7 (Sunday), as in ISO 8601.
    #[schemars(inner(range(min = 1, max = 7)))]
    pub weekdays: BTreeSet<u8>,
    /// From this local time.
    pub opens: Time,
    /// To this local time; if that is not later, to the next day.
    pub closes: Time,
}

/// What a visitor with a disability finds. `None` means: not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessFacts {
    /// Street to foyer without a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_free: Option<bool>,
    /// A lift where there are stairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lift: Option<bool>,
    /// A hearing loop or infrared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hearing_loop: Option<bool>,
    /// Assistance animals are welcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistance_animals: Option<bool>,
    /// An accessible toilet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessible_toilet: Option<bool>,
    /// Accessible parking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parking: Option<bool>,
}

/// A room with a screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hall {
    /// Its name for machines.
    pub id: HallId,
    /// Its name for people, as printed on tickets.
    pub name: Texts,
    /// What it can show.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub formats: BTreeSet<HallFormat>,
    /// What a visitor with a disability finds in it.
    #[serde(default)]
    pub access: AccessFacts,
    /// How many people it seats.
    pub capacity: u32,
    /// The layout of new screenings. A screening pins its own.
    pub layout: ContentName,
}

open_enum! {
    /// What a hall can show.
    HallFormat {
        /// IMAX.
        Imax = "imax",
        /// Dolby Cinema.
        DolbyCinema = "dolby_cinema",
        /// Moving seats.
        FourDx = "4dx",
        /// Pictures on three walls.
        ScreenX = "screenx",
        /// Any other premium large screen.
        Plf = "plf",
        /// 3D.
        ThreeD = "3d",
        /// 35 mm film.
        Film35 = "35mm",
        /// 70 mm film.
        Film70 = "70mm",
        /// Dolby Atmos.
        Atmos = "atmos",
        /// Reclining chairs.
        Recliner = "recliner",
    }
}
