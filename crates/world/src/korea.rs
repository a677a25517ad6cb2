//! Three chains as servers of their own, with every cinema and every hall. They show nothing: nobody wrote down what.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auditoriums::Auditorium;
use crate::data::{self, slug};
use crate::refused::Refused;
use crate::servers::Programme;

/// A programme for each chain; halls that could not be read are named in `refused`.
pub(crate) fn chains(
    folder: &Path,
    auditoriums: &[Auditorium],
    refused: &mut Vec<Refused>,
) -> anyhow::Result<Vec<Programme>> {
    let cities = Cities::read(folder)?;
    let mut chains: BTreeMap<&str, BTreeMap<&str, Vec<&Auditorium>>> = BTreeMap::new();
    for hall in auditoriums {
        chains.entry(hall.chain).or_default().entry(&hall.site).or_default().push(hall);
    }
    chains.into_iter().map(|(chain, sites)| programme(chain, sites, &cities, refused)).collect()
}

fn programme(
    chain: &'static str,
    sites: BTreeMap<&str, Vec<&Auditorium>>,
    cities: &Cities,
    refused: &mut Vec<Refused>,
) -> anyhow::Result<Programme> {
    let mut layouts = serde_json::Map::new();
    let mut cinemas = Vec::new();
    for (site, auditoriums) in sites {
        let mut halls = Vec::new();
        let mut cinema = "";
        for hall in auditoriums {
            cinema = &hall.cinema;
            let layout = match &hall.layout {
                Ok(layout) => serde_json::to_value(layout)?,
                Err(why) => {
                    refused.push(Refused::new("hall", format!("{chain} {cinema} {}", hall.name), why));
                    continue;
                }
            };
            let name = format!("{site}-{}", hall.number);
            layouts.insert(name.clone(), layout);
            halls.push(json!({"id": format!("hall-{}", hall.number), "name": {"ko": hall.name}, "layout": name}));
        }
        let place = cities.of(cinema);
        cinemas.push(json!({
            "id": format!("site-{site}"), "name": {"ko": format!("{chain} {cinema}")}, "zone": "Asia/Seoul",
            "currency": "KRW", "languages": ["ko"],
            "address": {"street": "", "city": {"ko": cinema}, "country": "KR"},
            "position": place, "halls": halls,
        }));
    }
    Ok(Programme {
        operator: chain.to_owned(),
        folder: slug(chain),
        bundle: json!({"layouts": layouts, "cinemas": cinemas}),
    })
}

/// Where Korean cities are. The chains' maps do not say where a cinema is, so it is put into the city that its name begins
/// with, and into the largest one if it begins with none.
struct Cities {
    by_name: BTreeMap<String, (f64, f64)>,
    largest: (f64, f64),
}

#[derive(Deserialize)]
struct City {
    countrycode: String,
    latitude: f64,
    longitude: f64,
    population: u64,
    alternatenames: Vec<String>,
}

impl Cities {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let all: BTreeMap<String, City> = data::read(folder, "cities/geonames-cities5000.json.gz")?;
        let mut korean: Vec<&City> = all.values().filter(|c| c.countrycode == "KR").collect();
        korean.sort_by_key(|c| c.population);
        let largest = korean.last().map(|c| (c.latitude, c.longitude)).context("no city in Korea")?;
        let is_hangul = |name: &&String| name.chars().count() > 1 && name.chars().all(|c| ('가'..='힣').contains(&c));
        // A larger city of the same name comes later and stays. Signs leave out the ending "city".
        let names = korean.iter().flat_map(|c| c.alternatenames.iter().filter(is_hangul).map(|name| (name, *c)));
        let short = |name: &str| {
            let root = name.strip_suffix('시').unwrap_or(name);
            if root.chars().count() > 1 { root.to_owned() } else { name.to_owned() }
        };
        let by_name = names.map(|(name, c)| (short(name), (c.latitude, c.longitude))).collect();
        Ok(Self { by_name, largest })
    }

    fn of(&self, cinema: &str) -> Value {
        let named = self.by_name.iter().filter(|(name, _)| cinema.starts_with(name.as_str()));
        let (latitude, longitude) = named.max_by_key(|(name, _)| name.len()).map_or(self.largest, |(_, at)| *at);
        position(latitude, longitude)
    }
}

/// Degrees as the protocol writes them: whole millionths.
pub(crate) fn position(latitude: f64, longitude: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "degrees are far below 2^31 millionths")]
    let millionths = |degrees: f64| (degrees * 1e6).round() as i64;
    json!({"lat_e6": millionths(latitude), "lon_e6": millionths(longitude)})
}
