//! Names that somebody really gave: stored, published, found, and the same as they were.

use std::collections::BTreeMap;

use admit_protocol::cinema::Country;
use admit_protocol::text::Texts;
use serde_json::{Value, json};

use super::{both, get, hostile, programme};

#[tokio::test]
async fn a_title_is_published_as_it_was_written_or_refused_by_name() {
    let Some(hostile) = hostile("robustness: titles") else { return };
    let mut whole = programme();
    let (film, show) = (whole["films"][0].clone(), whole["screenings"][0].clone());
    let mut list = |name: &str, row: Value| whole[name].as_array_mut().expect("a list").push(row);
    for (n, text) in hostile.texts.iter().enumerate() {
        let (mut film, mut show) = (film.clone(), show.clone());
        film["id"] = json!(format!("film-{n}"));
        film["title"] = json!({"en": text});
        show["id"] = json!(format!("show-{n}"));
        show["items"][0]["film"] = film["id"].clone();
        list("films", film);
        list("screenings", show);
    }
    let both = both(whole);
    let mut published = BTreeMap::new();
    let mut page = "/v1/cinemas/kino/programme".to_owned();
    loop {
        let (_, programme) = get(&both.cinema, &page).await;
        for film in programme["films"].as_array().expect("films") {
            let id = film["id"].as_str().expect("an id").to_owned();
            published.insert(id, film["title"]["en"].as_str().expect("a title").to_owned());
        }
        let Some(next) = programme["next"].as_str() else { break };
        page = format!("/v1/cinemas/kino/programme?cursor={next}");
    }
    let mut kept = 0;
    for (n, text) in hostile.texts.iter().enumerate() {
        let there = published.get(&format!("film-{n}"));
        assert_eq!(there.is_some(), Texts::one("en", text).is_ok(), "{text:?}");
        assert!(there.is_none_or(|title| title == text), "{text:?} became {there:?}");
        kept += usize::from(there.is_some());
    }
    assert!(kept > 1_000, "{kept}");
}

#[tokio::test]
async fn a_cinema_of_somebodys_list_keeps_its_name() {
    let Some(hostile) = hostile("robustness: names of cinemas") else { return };
    let feature = |(n, name): (usize, &String)| {
        json!({"id": format!("node/{n}"), "properties": {"name": name, "addr:street": name, "website": name},
            "geometry": {"type": "Point", "coordinates": [0.001 * f64::from(u32::try_from(n).expect("few")), 50.0]}})
    };
    let features: Vec<Value> = hostile.texts.iter().enumerate().map(feature).collect();
    let file = json!({"type": "FeatureCollection", "features": features}).to_string();
    let list = admit_index::import::read_geojson(file.as_bytes(), Country::parse("FR").expect("FR")).expect("a list");
    assert_eq!(list.entries.len() + list.refused.len(), hostile.texts.len());
    assert!(list.entries.len() > 1_000, "{}", list.entries.len());
    for entry in &list.entries {
        let n: usize = entry.source.strip_prefix("osm:node/").and_then(|n| n.parse().ok()).expect("a number");
        let name = entry.name.iter().next().map(|(_, name)| name);
        assert_eq!(name, Some(hostile.texts[n].trim()), "as it was, without the blanks around it");
        let link = entry.website.as_deref().is_none_or(|w| w.starts_with("http://") || w.starts_with("https://"));
        assert!(link, "{:?} would run in a page", entry.website);
    }
}
