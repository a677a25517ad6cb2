//! What Prague shows: 22 cinemas, each in real halls from somewhere else, run by whoever runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use admit_protocol::layout::Layout;
use anyhow::Context as _;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auditoriums::ZONES;
use crate::data::{self, slug};
use crate::korea::position;
use crate::servers::Programme;

#[derive(Deserialize)]
struct CinemaFile {
    cinemas: Vec<Cinema>,
}

#[derive(Deserialize)]
struct Cinema {
    name: String,
    address: String,
    lat: f64,
    lng: f64,
}

#[derive(Deserialize)]
struct FilmFile {
    films: Vec<Film>,
}

#[derive(Deserialize)]
struct Film {
    film_id: String,
    title_cz: String,
    title_en: String,
    original_title: String,
    year: Option<u16>,
    synopsis: String,
    synopsis_language: String,
    runtime_min: Option<u32>,
    genres: Vec<String>,
    director: Vec<String>,
    screenwriter: Vec<String>,
    cast: Vec<String>,
    age_rating: String,
    tmdb_id: Option<u64>,
}

#[derive(Deserialize)]
struct ScreeningFile {
    generated_at: Timestamp,
    screenings: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    cinema: String,
    title_cz: String,
    date: Date,
    time: String,
    language: String,
    language_version: String,
    format: String,
    strand: String,
    hall: String,
    runtime_min: Option<u32>,
    film_id: String,
}

/// What the files say.
pub(crate) struct Prague {
    cinemas: Vec<Cinema>,
    films: BTreeMap<String, Film>,
    rows: Vec<Row>,
    /// The day on which the list was made: today, in the world that is made of it.
    day: Date,
}

/// Who runs several of the cinemas. The others run themselves.
const CHAINS: [&str; 2] = ["Cinema City", "CineStar"];
/// Between two screenings in a hall, in minutes: people leave, somebody cleans.
const TURNAROUND_MIN: i64 = 15;
/// How long a film is if nobody says, only to find it a hall.
const SOME_LENGTH_MIN: u32 = 120;

impl Prague {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let cinemas: CinemaFile = data::read(folder, "screenings/cz-prague-cinemas.json")?;
        let films: FilmFile = data::read(folder, "films/cz-prague-films-2026.json")?;
        let screenings: ScreeningFile = data::read(folder, "screenings/cz-prague-2026-08.json")?;
        let zone = jiff::tz::TimeZone::get("Europe/Prague")?;
        Ok(Self {
            cinemas: cinemas.cinemas,
            films: films.films.into_iter().map(|f| (f.film_id.clone(), f)).collect(),
            rows: screenings.screenings,
            day: zone.to_datetime(screenings.generated_at).date(),
        })
    }

    pub(crate) fn screenings(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn cinemas(&self) -> usize {
        self.cinemas.len()
    }

    /// A programme for each operator, in halls taken from `layouts` one after another.
    pub(crate) fn operators(&self, layouts: &[&Layout]) -> anyhow::Result<Vec<Programme>> {
        let mut by_operator: BTreeMap<&str, Vec<&Cinema>> = BTreeMap::new();
        for cinema in &self.cinemas {
            let chain = CHAINS.into_iter().find(|chain| cinema.name.starts_with(chain));
            by_operator.entry(chain.unwrap_or(&cinema.name)).or_default().push(cinema);
        }
        // One chain after another, and not one cinema's halls side by side.
        let mut next = (0..).map(|n: usize| layouts[n * 37 % layouts.len()]);
        by_operator.into_iter().map(|(operator, cinemas)| self.programme(operator, &cinemas, &mut next)).collect()
    }

    fn programme<'a>(
        &self,
        operator: &str,
        cinemas: &[&Cinema],
        layouts: &mut impl Iterator<Item = &'a Layout>,
    ) -> anyhow::Result<Programme> {
        let today = Timestamp::now().in_tz("Europe/Prague")?.date();
        let mut plans = Map::new();
        let mut described = Vec::new();
        let mut screenings = Vec::new();
        let mut films: BTreeMap<&str, Versions> = BTreeMap::new();
        for cinema in cinemas {
            let id = slug(&cinema.name);
            let rows: Vec<&Row> = self.rows.iter().filter(|r| r.cinema == cinema.name).collect();
            let halls = halls_of(&rows);
            let names: BTreeSet<&String> = halls.iter().collect();
            let names: Vec<String> =
                if names.is_empty() { vec!["Kinosál".into()] } else { names.into_iter().cloned().collect() };
            let mut listed = Vec::new();
            for name in &names {
                let plan = format!("{id}/{}", slug(name));
                let layout = layouts.next().context("there is always another hall")?;
                plans.insert(plan.clone(), serde_json::to_value(layout)?);
                listed.push(json!({"id": hall_id(name), "name": {"cs": name}, "layout": plan}));
            }
            described.push(cinema.describe(&id, listed));
            for (n, (row, hall)) in rows.iter().zip(&halls).enumerate() {
                let version = films.entry(&row.film_id).or_default().of(row);
                let date = today.checked_add(self.day.until(row.date)?)?;
                screenings.push(json!({
                    "id": format!("{id}-{n}"), "cinema": id, "hall": hall_id(hall),
                    "starts": format!("{date}T{}", row.time),
                    "items": [{"film": slug(&row.film_id), "version": version}], "price_table": "all",
                }));
            }
        }
        let films: Vec<Value> = films.into_iter().map(|(id, versions)| self.film(id, versions)).collect();
        Ok(Programme {
            operator: operator.to_owned(),
            folder: slug(operator),
            bundle: json!({
                "layouts": plans, "price_tables": {"all": prices()}, "cancellation": {"tiers": [
                    {"until_before_start_s": 86_400, "refund_percent": 100},
                    {"until_before_start_s": 7_200, "refund_percent": 50},
                ]},
                "cinemas": described, "films": films, "screenings": screenings,
            }),
        })
    }

    fn film(&self, id: &str, versions: Versions) -> Value {
        let rows = || self.rows.iter().filter(|r| r.film_id == id);
        let Some(film) = self.films.get(id) else {
            let title = rows().next().map_or(id, |r| &r.title_cz);
            return json!({"id": slug(id), "title": {"cs": title}, "versions": versions.list});
        };
        let mut title = json!({"cs": film.title_cz});
        if !film.title_en.is_empty() {
            title["en"] = json!(film.title_en);
        }
        let person = |role: &'static str| move |name: &String| json!({"name": name, "role": role});
        let people = film.director.iter().map(person("director"));
        let people = people.chain(film.screenwriter.iter().map(person("writer")));
        let people: Vec<Value> = people.chain(film.cast.iter().map(person("actor"))).collect();
        let mut described = json!({
            "id": slug(id), "title": title, "people": people, "versions": versions.list,
            "genres": film.genres.iter().map(|g| g.to_lowercase()).collect::<BTreeSet<_>>(),
            "ratings": rating(&film.age_rating),
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                described[name] = value;
            }
        };
        // Some films have their length only with a screening.
        add("runtime_min", film.runtime_min.or_else(|| rows().find_map(|r| r.runtime_min)).map(Value::from));
        add("release_year", film.year.map(Value::from));
        add("original_title", (!film.original_title.is_empty()).then(|| json!(film.original_title)));
        add("synopsis", (!film.synopsis.is_empty()).then(|| json!({film.synopsis_language.clone(): film.synopsis})));
        add("external_ids", film.tmdb_id.map(|id| json!([{"scheme": "tmdb", "value": id.to_string()}])));
        described
    }
}

impl Cinema {
    fn describe(&self, id: &str, halls: Vec<Value>) -> Value {
        // "Biskupcova 31, 130 00 Praha 3"
        let (street, city) = self.address.split_once(", ").unwrap_or((&self.address, "Praha"));
        let at = city.find("Praha").unwrap_or(0);
        let (postcode, city) = city.split_at(at);
        json!({
            "id": id, "name": {"cs": self.name}, "zone": "Europe/Prague", "currency": "CZK", "languages": ["cs", "en"],
            "address": {"street": street, "postcode": postcode.trim(), "city": {"cs": city, "en": "Prague"}, "country": "CZ"},
            "position": position(self.lat, self.lng), "halls": halls,
        })
    }
}

/// A hall for each row. Where the list does not say, the first hall that is empty at that time.
fn halls_of(rows: &[&Row]) -> Vec<String> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let start = |row: &Row| {
        let time = row.time.parse::<jiff::civil::Time>().unwrap_or_default();
        row.date.to_datetime(time)
    };
    order.sort_by_key(|n| start(rows[*n]));
    // From when each hall is empty.
    let mut empty: Vec<DateTime> = Vec::new();
    let mut halls = vec![String::new(); rows.len()];
    for n in order {
        let row = rows[n];
        if !row.hall.is_empty() {
            halls[n].clone_from(&row.hall);
            continue;
        }
        let begins = start(row);
        let length = i64::from(row.runtime_min.unwrap_or(SOME_LENGTH_MIN)) + TURNAROUND_MIN;
        let ends = begins.saturating_add(length.minutes());
        let hall = empty.iter().position(|from| *from <= begins).unwrap_or(empty.len());
        if hall == empty.len() {
            empty.push(ends);
        } else {
            empty[hall] = ends;
        }
        halls[n] = format!("Sál {}", hall + 1);
    }
    halls
}

fn hall_id(name: &str) -> String {
    format!("hall-{}", slug(name))
}

/// The versions in which a film is shown.
#[derive(Default)]
struct Versions {
    list: Vec<Value>,
}

impl Versions {
    fn of(&mut self, row: &Row) -> String {
        let language = language(&row.language);
        let mut version = json!({
            "kind": if row.language_version == "dabing" { "dubbed" } else { "original" },
            "three_d": row.format == "3D",
            "projection": match (row.format.as_str(), row.strand.as_str()) {
                ("35 mm", _) => "35mm",
                ("70 mm", _) => "70mm",
                (_, "Laser") => "laser",
                _ => "digital",
            },
        });
        match (row.language_version.as_str(), language) {
            ("dabing", _) => version["audio_language"] = json!("cs"),
            (_, Some(language)) => version["audio_language"] = json!(language),
            (_, None) => {}
        }
        if row.language_version == "titulky" {
            version["subtitle_languages"] = json!(["cs"]);
        }
        let same = |known: &&Value| {
            let mut known = (*known).clone();
            known.as_object_mut().is_some_and(|k| k.remove("id").is_some()) && known == version
        };
        if let Some(known) = self.list.iter().find(same) {
            return known["id"].as_str().unwrap_or_default().to_owned();
        }
        let id = format!("v{}", self.list.len() + 1);
        version["id"] = json!(id);
        self.list.push(version);
        id
    }
}

/// The language spoken, where the list names exactly one.
fn language(word: &str) -> Option<&'static str> {
    Some(match word {
        "angličtina" => "en",
        "čeština" => "cs",
        "japonština" => "ja",
        "španělština" => "es",
        "francouzština" => "fr",
        "ukrajinština" => "uk",
        "ruština" => "ru",
        "němčina" => "de",
        "italština" => "it",
        "ml" => "ml",
        _ => return None,
    })
}

/// `12+` and `U` are Czech; `PG (US)` says where it comes from.
fn rating(text: &str) -> Value {
    if text.is_empty() {
        return json!([]);
    }
    if let Some(code) = text.strip_suffix(" (US)") {
        return json!([{"country": "US", "system": "mpa", "code": code}]);
    }
    let mut rating = json!({"country": "CZ", "system": "cz", "code": text});
    if let Some(age) = text.strip_suffix('+').and_then(|n| n.parse::<u8>().ok()) {
        rating["min_age"] = json!(age);
    }
    json!([rating])
}

/// Koruny for every zone of every hall: one price list for all of Prague.
fn prices() -> Value {
    let money = |crowns: i64| json!({"amount": crowns * 100, "currency": "CZK"});
    let crowns = [219, 269, 259, 329, 399];
    let offer = |ticket: &str, zone: &str, price: i64| json!({"ticket_type": ticket, "zone": zone, "base": money(price), "total": money(price)});
    let offers: Vec<Value> = ZONES
        .into_iter()
        .zip(crowns)
        .flat_map(|(zone, price)| {
            [offer("adult", zone, price), offer("child", zone, price - 60), offer("carer", zone, 0)]
        })
        .collect();
    json!({
        "currency": "CZK",
        "ticket_types": [
            {"id": "adult", "name": {"cs": "Dospělý", "en": "Adult"}, "audience": "adult"},
            {"id": "child", "name": {"cs": "Dítě", "en": "Child"}, "audience": "child", "max_age": 14},
            {"id": "carer", "name": {"cs": "Doprovod ZTP/P", "en": "Carer"}, "audience": "carer", "proof": "at_door",
             "needs_one_of": ["adult", "child"]},
        ],
        "offers": offers,
    })
}
