//! Everything an index knows, in memory, made for searching.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use admit_protocol::cinema::five_in_the_morning;
use admit_protocol::directory::{Day, FilmShowing, ListedCinema, Listing, ListingKind, PAGE_MAX, ScreeningHint};
use admit_protocol::film::Film;
use admit_protocol::geo::Position;
use admit_protocol::id::{CinemaId, FilmId, ListingId};
use admit_protocol::jws::Jws;
use admit_protocol::origin::Origin;
use admit_protocol::screening::{Screening, ScreeningStatus};
use admit_protocol::time::{Moment, ZoneName};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use rstar::RTree;
use rstar::primitives::GeomWithData;
use url::Url;

use crate::cities::Cities;
use crate::fold::words;
use crate::names::Names;
use crate::store::{SeenServer, StoredListing};

/// An imported entry this near is taken for the same place until its operator says otherwise, in metres.
pub(crate) const SAME_PLACE_M: f64 = 300.0;

/// A listing with which something is to be decided, or was: is an entry of a list the same cinema?
#[derive(Debug, Clone, serde::Serialize)]
pub struct Place {
    /// The listing that is shown.
    pub listing: Listing,
    /// Entries of lists that may be the same cinema, nearest first, with their distance: why it is unconfirmed.
    pub beside: Vec<Listing>,
    /// Listings that are hidden, because this one speaks for them.
    pub speaks_for: Vec<Listing>,
}

/// A place on the unit sphere, and the number of what is there. In three dimensions there are no poles and no antimeridian.
type Spot = GeomWithData<[f64; 3], u32>;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) text: Option<String>,
    pub(crate) near: Option<(Position, f64)>,
    /// South, west, north, east.
    pub(crate) within: Option<[i32; 4]>,
    pub(crate) city: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) date: Option<Day>,
    pub(crate) limit: usize,
}

/// A film at one server.
#[derive(Debug)]
struct SeenFilm {
    film: Film,
    /// What it is called everywhere: see [`work_of`].
    work: String,
}

/// A screening, and where it is.
#[derive(Debug)]
struct SeenScreening {
    screening: Screening,
    listing: u32,
    /// What is shown, in order; at least one.
    films: Vec<u32>,
    seen_at: Timestamp,
}

/// Everything an index knows.
#[derive(Debug, Default)]
pub(crate) struct World {
    listings: Vec<Listing>,
    /// Those that another one speaks for.
    hidden: Vec<StoredListing>,
    by_id: HashMap<ListingId, u32>,
    names: Names,
    cities: Cities,
    spots: RTree<Spot>,
    films: Vec<SeenFilm>,
    titles: Names,
    screenings: Vec<SeenScreening>,
    manifests: HashMap<Origin, Jws>,
}

impl World {
    pub(crate) fn new(servers: Vec<SeenServer>, stored: Vec<StoredListing>) -> Self {
        let mut world = Self::default();
        // Whether it is confirmed is reckoned below, from what is there now.
        let server = |mut s: StoredListing| {
            if s.listing.origin.is_some() {
                s.listing.kind = ListingKind::Server;
            }
            s
        };
        let stored = stored.into_iter().map(server);
        // Whoever speaks for another is found by its names, too.
        let (shown, hidden): (Vec<StoredListing>, Vec<StoredListing>) = stored.partition(|s| s.merged_into.is_none());
        let shown: Vec<Listing> = shown.into_iter().map(|s| s.listing).collect();
        let mut spots = Vec::with_capacity(shown.len());
        let mut by_cinema: HashMap<(Origin, CinemaId), u32> = HashMap::new();
        for listing in shown {
            let number = index(world.listings.len());
            for (_, text) in listing.name.iter() {
                world.names.add(number, text);
                // "lux paris": a name and its city, typed as one.
                for (_, city) in listing.address.city.iter() {
                    world.names.add(number, &format!("{text} {city}"));
                }
            }
            world.cities.add(number, &listing.address.city);
            spots.push(Spot::new(listing.position.unit_vector(), number));
            if let (Some(origin), Some(cinema)) = (&listing.origin, listing.cinema) {
                by_cinema.insert((origin.clone(), cinema), number);
            }
            world.by_id.insert(listing.id, number);
            world.listings.push(listing);
        }
        for StoredListing { listing, merged_into } in &hidden {
            if let Some(&number) = merged_into.and_then(|into| world.by_id.get(&into)) {
                listing.name.iter().for_each(|(_, text)| world.names.add(number, text));
            }
        }
        world.hidden = hidden;
        world.spots = RTree::bulk_load(spots);
        let unconfirmed: Vec<usize> =
            (0..world.listings.len()).filter(|&number| world.is_unconfirmed(number)).collect();
        for number in unconfirmed {
            world.listings[number].kind = ListingKind::Unconfirmed;
        }
        for server in servers {
            world.add_programme(server, &by_cinema);
        }
        world.screenings.sort_by_key(|s| (s.screening.starts_at.at(), s.screening.id));
        world
    }

    fn add_programme(&mut self, server: SeenServer, by_cinema: &HashMap<(Origin, CinemaId), u32>) {
        let mut numbers: HashMap<FilmId, u32> = HashMap::new();
        for film in server.programme.films {
            let number = index(self.films.len());
            for (_, title) in film.title.iter() {
                self.titles.add(number, title);
            }
            film.original_title.iter().for_each(|title| self.titles.add(number, title));
            numbers.insert(film.id, number);
            self.films.push(SeenFilm { work: work_of(&film), film });
        }
        for screening in server.programme.screenings {
            let listing = by_cinema.get(&(server.origin.clone(), screening.cinema));
            let films: Vec<u32> = screening.items.iter().filter_map(|item| numbers.get(&item.film).copied()).collect();
            if let (Some(&listing), false) = (listing, films.is_empty()) {
                self.screenings.push(SeenScreening { screening, listing, films, seen_at: server.verified_at });
            }
        }
        self.manifests.insert(server.origin, server.manifest);
    }

    pub(crate) fn manifest(&self, origin: &Origin) -> Option<&Jws> {
        self.manifests.get(origin)
    }

    /// Whether a cinema of this server can be found.
    pub(crate) fn lists(&self, origin: &Origin) -> bool {
        self.listings.iter().any(|l| l.origin.as_ref() == Some(origin))
    }

    /// How the cinemas of a server stand here, those that are hidden last.
    pub(crate) fn cinemas_of(&self, origin: &Origin) -> Vec<ListedCinema> {
        let of = |listing: &&Listing| listing.origin.as_ref() == Some(origin);
        let shown = self.listings.iter().filter(of).map(|listing| ListedCinema {
            listing: listing.id,
            kind: listing.kind,
            beside: self.beside(listing),
            merged_into: None,
        });
        let hidden = self.hidden.iter().filter(|hidden| of(&&hidden.listing)).map(|hidden| ListedCinema {
            listing: hidden.listing.id,
            kind: hidden.listing.kind,
            beside: Vec::new(),
            merged_into: hidden.merged_into,
        });
        shown.chain(hidden).collect()
    }

    /// Whether nobody knows if a server's cinema is one that a list has at its place: entries there that stand by themselves, and none
    /// that it speaks for.
    fn is_unconfirmed(&self, number: usize) -> bool {
        let Listing { id, origin, position, .. } = &self.listings[number];
        let own = |hidden: &StoredListing| hidden.merged_into == Some(*id) && hidden.listing.origin.is_none();
        origin.is_some() && !self.unclaimed_near(*position, SAME_PLACE_M).is_empty() && !self.hidden.iter().any(own)
    }

    /// Entries that servers' cinemas speak for by themselves, and which cinema: those at its place whose known website is at the very host of
    /// the server. An entry has one speaker.
    pub(crate) fn claims(&self, of: Option<&Origin>) -> Vec<(ListingId, ListingId)> {
        let mut claims: Vec<(ListingId, ListingId)> = Vec::new();
        for listing in &self.listings {
            let Some(origin) = listing.origin.as_ref().filter(|origin| of.is_none_or(|of| of == *origin)) else {
                continue;
            };
            let own = |entry: &&Listing| {
                let website = entry.website.as_deref().and_then(|w| Url::parse(w).ok());
                website.is_some_and(|w| host_of(&w) == origin.authority())
                    && claims.iter().all(|(known, _)| *known != entry.id)
            };
            let near = self.unclaimed_near(listing.position, SAME_PLACE_M).into_iter().find(own).map(|entry| entry.id);
            claims.extend(near.map(|entry| (entry, listing.id)));
        }
        claims
    }

    /// The entries that make a cinema unconfirmed, nearest first, and how far from it each is.
    fn beside(&self, listing: &Listing) -> Vec<Listing> {
        if listing.kind != ListingKind::Unconfirmed {
            return Vec::new();
        }
        let far = |entry: &Listing| metres(listing.position.distance_m(&entry.position));
        let entries = self.unclaimed_near(listing.position, SAME_PLACE_M).into_iter();
        entries.map(|entry| Listing { distance_m: Some(far(entry)), ..entry.clone() }).collect()
    }

    /// What an operator decides: cinemas that are unconfirmed, and listings that speak for others.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut speaks_for: HashMap<ListingId, Vec<Listing>> = HashMap::new();
        for hidden in &self.hidden {
            if let Some(into) = hidden.merged_into {
                speaks_for.entry(into).or_default().push(hidden.listing.clone());
            }
        }
        let place = |listing: &Listing| {
            let place = Place {
                beside: self.beside(listing),
                speaks_for: speaks_for.remove(&listing.id).unwrap_or_default(),
                listing: listing.clone(),
            };
            (!place.beside.is_empty() || !place.speaks_for.is_empty()).then_some(place)
        };
        self.listings.iter().filter_map(place).collect()
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.listings.len(), self.screenings.len())
    }

    /// Entries without a server within `metres`, nearest first.
    pub(crate) fn unclaimed_near(&self, position: Position, metres: f64) -> Vec<&Listing> {
        let near = self.near(position, metres).map(|(number, _)| &self.listings[number as usize]);
        near.filter(|l| l.origin.is_none()).collect()
    }

    fn near(&self, position: Position, metres: f64) -> impl Iterator<Item = (u32, f64)> + '_ {
        let chord = Position::chord_of(metres);
        let from = position.unit_vector();
        let nearest = self.spots.nearest_neighbor_iter_with_distance_2(&from);
        // A hair more than the chord, so that rounding drops nobody at the very edge; the exact distance decides.
        let reach = (chord + 1e-9).powi(2);
        nearest.take_while(move |(_, d2)| *d2 <= reach).filter_map(move |(spot, _)| {
            let distance = position.distance_m(&self.listings[spot.data as usize].position);
            (distance <= metres).then_some((spot.data, distance))
        })
    }

    /// Cinemas that fit, best first: by name if one was typed, else by distance, else by name. On a day, those that show
    /// something then.
    pub(crate) fn cinemas(&self, wanted: &Wanted, now: Timestamp) -> Vec<Listing> {
        let limit = wanted.limit.clamp(1, PAGE_MAX);
        let showing: Option<HashSet<u32>> = wanted.date.is_some().then(|| {
            let any = Wanted { text: None, ..wanted.clone() };
            self.screenings_that_fit(&any, now).map(|s| s.listing).collect()
        });
        let city = self.in_city(wanted);
        let fits = |number: &u32| {
            let shows = showing.as_ref().is_none_or(|showing| showing.contains(number));
            let there = city.as_ref().is_none_or(|city| city.contains(number));
            shows && there && self.listing_fits(&self.listings[*number as usize], wanted)
        };
        let numbers: Vec<u32> = match (&wanted.text, wanted.near) {
            // Enough to be left with a page after the other filters.
            (Some(text), _) => {
                self.names.find(text, 2000).into_iter().map(|(n, _)| n).filter(fits).take(limit).collect()
            }
            (None, Some((position, radius))) => {
                self.near(position, radius).map(|(n, _)| n).filter(fits).take(limit).collect()
            }
            (None, None) => {
                let mut all: Vec<u32> = (0..index(self.listings.len())).filter(fits).collect();
                all.sort_by_cached_key(|n| {
                    let listing = &self.listings[*n as usize];
                    (listing.name.iter().next().map(|(_, text)| words(text)), listing.id)
                });
                all.truncate(limit);
                all
            }
        };
        let shown = |number: u32| {
            let listing = &self.listings[number as usize];
            let distance_m = wanted.near.map(|(position, _)| metres(position.distance_m(&listing.position)));
            Listing { distance_m, ..listing.clone() }
        };
        numbers.into_iter().map(shown).collect()
    }

    fn listing_fits(&self, listing: &Listing, wanted: &Wanted) -> bool {
        let near = wanted.near.is_none_or(|(position, radius)| position.distance_m(&listing.position) <= radius);
        let within = wanted.within.is_none_or(|[south, west, north, east]| {
            let (lat, lon) = (listing.position.lat_e6(), listing.position.lon_e6());
            let inside = if west <= east { (west..=east).contains(&lon) } else { lon >= west || lon <= east };
            (south..=north).contains(&lat) && inside
        });
        let country = wanted.country.as_ref().is_none_or(|c| listing.address.country.as_str() == c);
        near && within && country
    }

    /// Who is in the city that is asked for, if one is.
    fn in_city(&self, wanted: &Wanted) -> Option<HashSet<u32>> {
        wanted.city.as_ref().map(|city| self.cities.find(city))
    }

    /// Films whose title is what was typed, or nearly; nothing, if no title was.
    fn films_by_title(&self, wanted: &Wanted) -> Option<HashSet<u32>> {
        wanted.text.as_ref().map(|text| self.titles.find(text, 500).into_iter().map(|(n, _)| n).collect())
    }

    /// Screenings that fit and have not begun, by start.
    fn screenings_that_fit<'a>(
        &'a self,
        wanted: &'a Wanted,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a SeenScreening> {
        let place = Wanted { text: None, ..wanted.clone() };
        let city = self.in_city(wanted);
        let places: HashSet<u32> = (0..index(self.listings.len()))
            .filter(|n| {
                let listing = &self.listings[*n as usize];
                let there = city.as_ref().is_none_or(|city| city.contains(n));
                listing.origin.is_some() && there && self.listing_fits(listing, &place)
            })
            .collect();
        let films = self.films_by_title(wanted).filter(|films| !films.is_empty());
        // What is no film's title may be a cinema's name: what do they show?
        let named: Option<HashSet<u32>> = match (&wanted.text, &films) {
            (Some(text), None) => Some(self.names.find(text, 100).into_iter().map(|(n, _)| n).collect()),
            _ => None,
        };
        let evenings = Evenings { now, known: RefCell::default() };
        let from = self.screenings.partition_point(|s| s.screening.starts_at.at() <= now);
        self.screenings[from..].iter().filter(move |s| {
            s.screening.status == ScreeningStatus::OnSale
                && places.contains(&s.listing)
                && films.as_ref().is_none_or(|films| s.films.iter().any(|film| films.contains(film)))
                && named.as_ref().is_none_or(|named| named.contains(&s.listing))
                && wanted.date.is_none_or(|day| evenings.is_on(&s.screening, day))
        })
    }

    /// Screenings, as hints.
    pub(crate) fn screenings(&self, wanted: &Wanted, now: Timestamp) -> Vec<ScreeningHint> {
        let hint = |s: &SeenScreening| {
            let listing = &self.listings[s.listing as usize];
            Some(ScreeningHint {
                origin: listing.origin.clone()?,
                listing: listing.id,
                cinema_name: listing.name.clone(),
                titles: s.films.iter().map(|film| self.films[*film as usize].film.title.clone()).collect(),
                business_date: s.screening.business_date,
                screening: s.screening.clone(),
                distance_m: wanted.near.map(|(position, _)| metres(position.distance_m(&listing.position))),
                seen_at: s.seen_at,
            })
        };
        self.screenings_that_fit(wanted, now).filter_map(hint).take(wanted.limit.clamp(1, PAGE_MAX)).collect()
    }

    /// Films, most screenings first: the same film at several cinemas is one.
    pub(crate) fn films(&self, wanted: &Wanted, now: Timestamp) -> Vec<FilmShowing> {
        let mut works: BTreeMap<&str, (u32, Vec<&SeenScreening>)> = BTreeMap::new();
        let wanted_works = self.films_by_title(wanted);
        for screening in self.screenings_that_fit(wanted, now) {
            for film in &screening.films {
                let work = self.films[*film as usize].work.as_str();
                // Of a double bill, the film that was asked for.
                if wanted_works.as_ref().is_none_or(|works| works.is_empty() || works.contains(film)) {
                    works.entry(work).or_insert((*film, Vec::new())).1.push(screening);
                }
            }
        }
        let showing = |(film, screenings): (u32, Vec<&SeenScreening>)| {
            let cinemas: HashSet<u32> = screenings.iter().map(|s| s.listing).collect();
            let next = screenings.iter().map(|s| s.screening.starts_at.at()).min()?;
            Some(FilmShowing {
                film: self.films[film as usize].film.clone(),
                cinemas: index(cinemas.len()),
                screenings: index(screenings.len()),
                next_starts_at: next,
            })
        };
        let mut films: Vec<FilmShowing> = works.into_values().filter_map(showing).collect();
        films.sort_by(|a, b| b.screenings.cmp(&a.screenings).then(a.next_starts_at.cmp(&b.next_starts_at)));
        films.truncate(wanted.limit.clamp(1, PAGE_MAX));
        films
    }
}

/// Which evening it is where a screening is.
struct Evenings {
    now: Timestamp,
    known: RefCell<HashMap<ZoneName, Date>>,
}

impl Evenings {
    fn is_on(&self, screening: &Screening, day: Day) -> bool {
        let ahead = match day {
            Day::On(date) => return screening.business_date == date,
            Day::Today => 0,
            Day::Tomorrow => 1,
        };
        let zone = screening.starts_at.zone();
        let mut known = self.known.borrow_mut();
        let today = match known.get(zone) {
            Some(today) => *today,
            None => {
                let Ok(now) = Moment::new(self.now, zone) else { return false };
                *known.entry(zone.clone()).or_insert(now.business_date(five_in_the_morning()))
            }
        };
        today.checked_add(ahead.days()).is_ok_and(|date| screening.business_date == date)
    }
}

/// Host, and the port of a development server.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a film is called in every cinema: an id that all share, else title, year and length.
fn work_of(film: &Film) -> String {
    match film.external_ids.iter().next() {
        Some(id) => format!("{}:{}", id.scheme, id.value),
        None => {
            let title = film.original_title.as_deref().or(film.title.iter().next().map(|(_, t)| t));
            format!("{} {:?} {:?}", words(title.unwrap_or_default()).join(" "), film.release_year, film.runtime_min)
        }
    }
}

/// Numbers of things in memory fit 32 bits.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn metres(distance: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most half the earth's girth")]
    let metres = distance.round() as u32;
    metres
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A listing some metres north of a place; of a server, or of a list.
    fn listing(id: u8, metres_north: i32, origin: Option<&str>) -> Listing {
        // As a store of before kept it.
        let kind = if origin.is_some() { "unconfirmed" } else { "unclaimed" };
        let listing = json!({
            "id": format!("lst_{id:026}"), "kind": kind, "origin": origin, "name": {"en": "Kino"},
            "address": {"street": "1", "city": {"en": "Praha"}, "country": "CZ"},
            "position": {"lat_e6": 50_000_000 + metres_north * 9, "lon_e6": 14_000_000},
        });
        serde_json::from_value(listing).expect("a listing")
    }

    /// IDX-006: what is unconfirmed hangs on what stands at its place today, not on what stood there when it was announced.
    #[test]
    fn a_cinema_is_unconfirmed_while_an_entry_at_its_place_stands_by_itself_and_it_speaks_for_none() {
        let (first, second) =
            (listing(1, 0, Some("https://first.example")), listing(2, 100, Some("https://b.example")));
        let (entry, other) = (listing(3, 10, None), listing(4, 250, None));
        let far = listing(5, 2000, None);
        let (yes, no) = (ListingKind::Unconfirmed, ListingKind::Server);
        let kinds = |merged: &[(&Listing, &Listing)]| {
            let into = |l: &Listing| merged.iter().find(|(hidden, _)| hidden.id == l.id).map(|(_, by)| by.id);
            let all = [&first, &second, &entry, &other, &far]
                .map(|l| StoredListing { listing: l.clone(), merged_into: into(l) });
            let world = World::new(vec![], all.to_vec());
            [&first, &second].map(|of| world.listings.iter().find(|l| l.id == of.id).map_or(yes, |l| l.kind))
        };
        assert_eq!(kinds(&[]), [yes, yes]);
        assert_eq!(kinds(&[(&entry, &first)]), [no, yes], "the other entry may be the second's still");
        assert_eq!(kinds(&[(&entry, &first), (&other, &first)]), [no, no], "nothing is left at the place");
        assert_eq!(kinds(&[(&far, &second)]), [yes, no], "the operator said which entry it is");
        assert_eq!(kinds(&[(&first, &second)])[1], yes, "a server is no entry");
    }
}
