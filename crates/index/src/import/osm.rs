//! OpenStreetMap as GeoJSON (RFC 7946): points with `amenity=cinema` and their tags.

use std::collections::BTreeMap;

use admit_protocol::cinema::{Address, Country, is_website};
use admit_protocol::geo::Position;
use admit_protocol::text::{LanguageTag, Texts};
use serde_json::Value;

use super::{Imported, List, NotAList};

/// Reads a GeoJSON feature collection. `country` is for points whose tags do not say.
///
/// # Errors
/// When it is not a feature collection.
pub fn read_geojson(bytes: &[u8], country: Country) -> Result<List, NotAList> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotAList("this is not UTF-8".into()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole: Value = serde_json::from_str(text).map_err(|e| NotAList(e.to_string()))?;
    let features = whole["features"].as_array();
    let features = features.ok_or_else(|| NotAList("this is not a GeoJSON feature collection".into()))?;
    let mut list = List::default();
    for (n, feature) in features.iter().enumerate() {
        let name = feature["properties"]["name"].as_str().unwrap_or("without a name");
        list.take(format!("feature {} ({name})", n + 1), read(feature, country));
    }
    Ok(list)
}

fn read(feature: &Value, country: Country) -> Result<Imported, String> {
    let tags = &feature["properties"];
    let tag = |name: &str| tags[name].as_str().map(str::trim).filter(|t| !t.is_empty());
    // Extracts of one kind of place leave the tag out.
    if let Some(other) = tag("amenity").filter(|amenity| *amenity != "cinema") {
        return Err(format!("it is a {other}, not a cinema"));
    }
    let position = position(&feature["geometry"])?;
    let name = names(tags)?;
    let id = feature["id"].as_str().or(tag("@id")).map(str::to_owned);
    let source = match id {
        Some(id) => format!("osm:{id}"),
        // Without an id, a point is known by where it is.
        None => format!("osm:{},{}", position.lat_e6(), position.lon_e6()),
    };
    let city = tag("addr:city").or(tag("is_in:city")).unwrap_or("?");
    let country = tag("addr:country").and_then(|c| Country::parse(&c.to_uppercase()).ok()).unwrap_or(country);
    let street = [tag("addr:street"), tag("addr:housenumber")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Imported {
        source,
        name,
        address: Address {
            street,
            postcode: tag("addr:postcode").unwrap_or_default().to_owned(),
            city: Texts::one("und", city).map_err(|e| format!("city: {e}"))?,
            region: None,
            country,
        },
        position,
        website: tag("website").or(tag("contact:website")).filter(|w| is_website(w)).map(str::to_owned),
        halls: tag("screen").and_then(|n| n.parse().ok()),
    })
}

/// A point, or the middle of the outline of a building.
fn position(geometry: &Value) -> Result<Position, String> {
    let point = |pair: &Value| Some((pair[1].as_f64()?, pair[0].as_f64()?));
    let (lat, lon) = match geometry["type"].as_str() {
        Some("Point") => point(&geometry["coordinates"]).ok_or("its point has no coordinates")?,
        Some("Polygon") => {
            let ring = geometry["coordinates"][0].as_array().ok_or("its outline has no coordinates")?;
            let corners: Vec<(f64, f64)> = ring.iter().filter_map(point).collect();
            let (south, north) = extent(corners.iter().map(|c| c.0)).ok_or("its outline has no corners")?;
            let (west, east) = extent(corners.iter().map(|c| c.1)).ok_or("its outline has no corners")?;
            (f64::midpoint(south, north), f64::midpoint(west, east))
        }
        _ => return Err("it is neither a point nor an outline".into()),
    };
    Position::from_degrees(lat, lon).map_err(|e| e.to_string())
}

fn extent(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    Some((values.clone().reduce(f64::min)?, values.reduce(f64::max)?))
}

/// `name` in an unknown language, and `name:en` and its like in theirs.
fn names(tags: &Value) -> Result<Texts, String> {
    let mut texts = BTreeMap::new();
    for (tag, value) in tags.as_object().into_iter().flatten() {
        let Some(text) = value.as_str().map(str::trim).filter(|t| !t.is_empty()) else { continue };
        let language = if tag == "name" { Some("und") } else { tag.strip_prefix("name:") };
        if let Some(Ok(language)) = language.map(LanguageTag::parse) {
            texts.insert(language, text.to_owned());
        }
    }
    if texts.is_empty() {
        return Err("it has no name".into());
    }
    Texts::new(texts).map_err(|e| format!("name: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_and_outlines_are_read_and_nameless_ones_refused() {
        let text = r#"{"type":"FeatureCollection","features":[
            {"id":"node/1","properties":{"name":"ユーロスペース","name:en":"Eurospace","website":"https://eurospace.example"},
             "geometry":{"type":"Point","coordinates":[139.695,35.659]}},
            {"properties":{"name":"Box","addr:country":"de"},"geometry":{"type":"Polygon","coordinates":[[[1,2],[3,2],[3,4],[1,4],[1,2]]]}},
            {"properties":{},"geometry":{"type":"Point","coordinates":[1,2]}},
            {"properties":{"name":"Nowhere"},"geometry":{"type":"Point","coordinates":[1,200]}},
            {"properties":{"name":"Line"},"geometry":{"type":"LineString","coordinates":[]}}]}"#;
        let list = read_geojson(text.as_bytes(), Country::parse("JP").expect("code")).expect("a list");
        assert_eq!(list.entries.len(), 2);
        assert_eq!(list.entries[0].source, "osm:node/1");
        assert_eq!((list.entries[1].position.lat_e6(), list.entries[1].position.lon_e6()), (3_000_000, 2_000_000));
        assert_eq!(list.entries[1].address.country.as_str(), "DE", "written small, it is a country all the same");
        assert_eq!(list.refused.len(), 3);
        let hostile = r#"{"type":"FeatureCollection","features":[
            {"properties":{"name":"Kino","website":"javascript:alert(1)"},"geometry":{"type":"Point","coordinates":[1,2]}},
            {"properties":{"name":"Kino","addr:street":"\u202Eteerts"},"geometry":{"type":"Point","coordinates":[1,2]}},
            {"properties":{"name":"\u202Eonik"},"geometry":{"type":"Point","coordinates":[1,2]}}]}"#;
        let list = read_geojson(hostile.as_bytes(), Country::parse("JP").expect("code")).expect("a list");
        assert_eq!(list.entries.iter().map(|e| e.website.as_deref()).collect::<Vec<_>>(), [None], "no link that runs");
        assert_eq!(list.refused.len(), 2);
        assert!(read_geojson(b"[]", Country::parse("JP").expect("code")).is_err());
    }
}
