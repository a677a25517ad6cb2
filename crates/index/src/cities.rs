//! Cities by any of their names, typos forgiven where no city has the name that was typed.

use std::collections::{BTreeMap, HashMap, HashSet};

use admit_protocol::text::Texts;

use crate::fold::words;
use crate::names::Names;

/// The cities that listings are in.
#[derive(Debug, Default)]
pub(crate) struct Cities {
    /// Listings by the folded name of their city.
    listings: BTreeMap<Vec<String>, Vec<u32>>,
    /// The same names, each once, and where typos are forgiven.
    names: Names,
    by_number: HashMap<u32, Vec<String>>,
}

impl Cities {
    /// Adds a listing, which is in this city.
    pub(crate) fn add(&mut self, listing: u32, city: &Texts) {
        for (_, text) in city.iter() {
            let name = words(text);
            let known = self.listings.entry(name.clone()).or_default();
            if known.is_empty() {
                let number = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
                self.names.add(number, text);
                self.by_number.insert(number, name);
            }
            known.push(listing);
        }
    }

    /// Listings in the cities whose names begin with these words: "frankfurt" is "Frankfurt am Main", too. If there is none, those in the
    /// cities that are spelt most nearly so.
    pub(crate) fn find(&self, typed: &str) -> HashSet<u32> {
        let wanted = words(typed);
        let begins: Vec<&Vec<u32>> =
            self.listings.iter().filter(|(name, _)| name.starts_with(&wanted)).map(|(_, listings)| listings).collect();
        if !begins.is_empty() {
            return begins.into_iter().flatten().copied().collect();
        }
        let found = self.names.find(typed, 100);
        let best = found.first().map_or(0.0, |(_, closeness)| *closeness);
        let nearest = found.into_iter().take_while(|(_, closeness)| *closeness >= best);
        let names = nearest.filter_map(|(number, _)| self.by_number.get(&number));
        names.filter_map(|name| self.listings.get(name)).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_city_is_found_as_people_spell_it() {
        let cities = ["Paris", "Parma", "Frankfurt am Main", "Köln", "Kolín", "東京", "Le Mans", "Lemans"];
        let mut known = Cities::default();
        for (n, city) in cities.iter().enumerate() {
            known.add(u32::try_from(n).expect("few"), &Texts::one("en", city).expect("a text"));
        }
        let found = |typed: &str| {
            let mut found: Vec<&str> = known.find(typed).into_iter().map(|n| cities[n as usize]).collect();
            found.sort_unstable();
            found
        };
        for (typed, wanted) in [
            ("paris", &["Paris"][..]),
            ("PARSI", &["Paris"]),
            ("parma", &["Parma"]),
            ("frankfurt", &["Frankfurt am Main"]),
            ("frankfrut", &["Frankfurt am Main"]),
            ("koln", &["Köln"]),
            ("kolin", &["Kolín"]),
            ("東京", &["東京"]),
            ("le mnas", &["Le Mans"]),
            ("brno", &[]),
        ] {
            assert_eq!(found(typed), wanted, "{typed}");
        }
    }
}
