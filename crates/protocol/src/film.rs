//! Films, and the versions in which they are shown.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cinema::Country;
use crate::id::{FilmId, FilmVersionId};
use crate::open_enum::open_enum;
use crate::text::{LanguageTag, Texts, is_plain};

/// A film: the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Film {
    /// Its name for machines, at this server.
    pub id: FilmId,
    /// Its title, in the languages it is sold in.
    pub title: Texts,
    /// Its first title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub original_title: Option<String>,
    /// The language it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_language: Option<LanguageTag>,
    /// Its names elsewhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub external_ids: BTreeSet<ExternalId>,
    /// What kind of thing is shown.
    #[serde(default = "feature")]
    pub kind: FilmKind,
    /// How long it is, in minutes; nothing, if nobody knows yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub runtime_min: Option<u32>,
    /// When it first came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_year: Option<u16>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synopsis: Option<Texts>,
    /// Genres, as lower-case words: `comedy`, `horror`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub genres: BTreeSet<String>,
    /// Who made it and who is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Who may see it, country by country.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// What some would rather know before: flashing lights, violence.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub content_warnings: BTreeSet<String>,
    /// In which versions this server shows it.
    pub versions: Vec<FilmVersion>,
}

/// The longest film, in minutes: a little longer than the longest ever shown in one piece in a cinema.
pub const RUNTIME_MIN_MAX: u32 = 1_000;
/// Names in one list of a film.
const LIST_MAX: usize = 256;

impl Film {
    /// Checks what the schema cannot: versions that are listed once, a possible length, texts that can be shown.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let plain = |text: &str| !text.trim().is_empty() && is_plain(text, 1024);
        if self.runtime_min.is_some_and(|length| !(1..=RUNTIME_MIN_MAX).contains(&length)) {
            return Err(format!("a film is 1 to {RUNTIME_MIN_MAX} minutes long"));
        }
        let mut seen = BTreeSet::new();
        if let Some(version) = self.versions.iter().find(|v| !seen.insert(v.id)) {
            return Err(format!("version {} is listed twice", version.id));
        }
        if self.versions.is_empty() {
            return Err("a film needs at least one version".into());
        }
        let words = self.genres.iter().chain(&self.content_warnings).chain(&self.original_title);
        let names = self.people.iter().map(|p| &p.name).chain(self.external_ids.iter().map(|x| &x.value));
        let ratings = self.ratings.iter().flat_map(|r| [&r.system, &r.code]);
        if let Some(bad) = words.chain(names).chain(ratings).find(|text| !plain(text)) {
            let start: String = bad.chars().take(40).collect();
            return Err(format!("{start:?} is empty, longer than 1,024 bytes, or has control characters"));
        }
        let longest = [self.people.len(), self.ratings.len(), self.genres.len(), self.versions.len()];
        if longest.into_iter().chain([self.external_ids.len(), self.content_warnings.len()]).any(|n| n > LIST_MAX) {
            return Err(format!("a list of a film has at most {LIST_MAX} entries"));
        }
        Ok(())
    }

    /// The version of this id.
    #[must_use]
    pub fn version(&self, id: FilmVersionId) -> Option<&FilmVersion> {
        self.versions.iter().find(|v| v.id == id)
    }
}

fn feature() -> FilmKind {
    FilmKind::Feature
}

/// A film's name in somebody else's list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ExternalId {
    /// Whose list.
    pub scheme: FilmIdScheme,
    /// The name there, as text: ids have leading zeros.
    #[schemars(length(min = 1, max = 128))]
    pub value: String,
}

/// Somebody who made the film or is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The name as credited.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What they did.
    pub role: PersonRole,
}

/// Who may see a film in a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// Where.
    pub country: Country,
    /// Who says so: `bbfc`, `fsk`, `cnc`.
    #[schemars(length(min = 1, max = 64))]
    pub system: String,
    /// What they say: `12A`, `FSK 16`.
    #[schemars(length(min = 1, max = 64))]
    pub code: String,
    /// From which age, in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<u8>,
    /// Whether younger ones may see it with an adult.
    #[serde(default)]
    pub accompanied: bool,
}

/// What is on the screen and what is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilmVersion {
    /// Its name for machines, at this server.
    pub id: FilmVersionId,
    /// Original, dubbed or silent.
    pub kind: VersionKind,
    /// What is spoken; nothing in a silent film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_language: Option<LanguageTag>,
    /// What is written below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subtitle_languages: Vec<LanguageTag>,
    /// Captions for people who do not hear.
    #[serde(default = "no_captions")]
    pub captions: Captions,
    /// A spoken description for people who do not see, in this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_description: Option<LanguageTag>,
    /// Whether it is in 3D.
    #[serde(default)]
    pub three_d: bool,
    /// What it comes from.
    #[serde(default = "digital")]
    pub projection: Projection,
}

fn no_captions() -> Captions {
    Captions::None
}
fn digital() -> Projection {
    Projection::Digital
}

open_enum! {
    /// What kind of thing is shown.
    FilmKind {
        /// A film.
        Feature = "feature",
        /// A short film.
        Short = "short",
        /// Opera, sport, a concert on the screen.
        EventCinema = "event_cinema",
        /// People on a stage.
        LivePerformance = "live_performance",
        /// A sneak preview: the title is a secret.
        Mystery = "mystery",
        /// Something else.
        NotAFilm = "not_a_film",
    }

    /// Whose list of films.
    FilmIdScheme {
        /// Entertainment Identifier Registry.
        Eidr = "eidr",
        /// International Standard Audiovisual Number.
        Isan = "isan",
        /// Internet Movie Database.
        Imdb = "imdb",
        /// The Movie Database.
        Tmdb = "tmdb",
        /// Wikidata.
        Wikidata = "wikidata",
    }

    /// What somebody did for a film.
    PersonRole {
        /// Directed it.
        Director = "director",
        /// Is in it.
        Actor = "actor",
        /// Wrote it.
        Writer = "writer",
        /// Composed its music.
        Composer = "composer",
    }

    /// What was done to the sound.
    VersionKind {
        /// As it was made.
        Original = "original",
        /// In another language.
        Dubbed = "dubbed",
        /// Without speech.
        Silent = "silent",
    }

    /// Captions for people who do not hear.
    Captions {
        /// None.
        None = "none",
        /// On the screen, for all.
        Open = "open",
        /// On a device.
        Closed = "closed",
    }

    /// What a film is projected from.
    Projection {
        /// A file.
        Digital = "digital",
        /// 35 mm film.
        Film35 = "35mm",
        /// 70 mm film.
        Film70 = "70mm",
        /// A laser projector.
        Laser = "laser",
    }
}
