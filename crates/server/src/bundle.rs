//! A programme as a file of ours: what `admit cinema import` reads and `export` writes.
//!
//! Layouts and price tables have names of the author's; a screening says its time as the poster does. Everything is
//! checked row by row, and each row that cannot be used is named with its reason.

use std::collections::{BTreeMap, BTreeSet};

use admit_protocol::cinema::{AccessFacts, Cinema, Hall, HallFormat};
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, FilmId, FilmVersionId, HallId, ScreeningId};
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::layout::Layout;
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::{
    Item, PriceRange, SalesWindow, Screening, ScreeningAttribute, ScreeningStatus, Seating,
};
use admit_protocol::text::Texts;
use admit_protocol::time::{Moment, ZoneName, after};
use axum::body::Bytes;
use jiff::civil::Time;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::store::sqlite::Edit;
use crate::store::{Listing, StoreError};

/// A programme as a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Layouts by a name that is only used in this file.
    #[serde(default)]
    pub layouts: BTreeMap<String, Layout>,
    /// Price tables by a name that is only used in this file.
    #[serde(default)]
    pub price_tables: BTreeMap<String, PriceTable>,
    /// What a cancellation brings back, where a screening does not say.
    #[serde(default)]
    pub cancellation: CancellationPolicy,
    /// Cinemas.
    #[serde(default)]
    pub cinemas: Vec<BundleCinema>,
    /// Films.
    #[serde(default)]
    pub films: Vec<Film>,
    /// Screenings.
    #[serde(default)]
    pub screenings: Vec<BundleScreening>,
}

/// A cinema whose halls name layouts of this file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleCinema {
    /// The cinema as it will be published; its own list of halls is filled from `halls`.
    #[serde(flatten)]
    pub cinema: CinemaFacts,
    /// Its halls.
    pub halls: Vec<BundleHall>,
}

/// A cinema without its halls: the fields of [`Cinema`].
pub type CinemaFacts = serde_json::Map<String, serde_json::Value>;

/// A hall that names a layout of this file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleHall {
    /// Its name for machines.
    pub id: HallId,
    /// Its name for people.
    pub name: Texts,
    /// What it can show.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub formats: BTreeSet<HallFormat>,
    /// What a visitor with a disability finds in it.
    #[serde(default)]
    pub access: AccessFacts,
    /// A layout of this file.
    pub layout: String,
}

/// A screening as the poster says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleScreening {
    /// Its name for machines. The same id again is the same screening, changed.
    pub id: ScreeningId,
    /// Where.
    pub cinema: CinemaId,
    /// In which hall.
    pub hall: HallId,
    /// When, by the cinema's clock: `2026-11-21T20:15`, with an offset in the hour that happens twice, or
    /// `today+1 20:15`.
    pub starts: String,
    /// What is shown, in order.
    pub items: Vec<BundleItem>,
    /// Minutes from the time on the poster to the first film.
    #[serde(default = "fifteen")]
    pub trailers_min: u32,
    /// Minutes before the start that the doors open.
    #[serde(default = "thirty")]
    pub doors_min: u32,
    /// A price table of this file.
    pub price_table: String,
    /// From when it is sold; from now, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_open: Option<Timestamp>,
    /// Minutes after the start that it is still sold.
    #[serde(default)]
    pub late_sales_min: u32,
    /// Minutes before the start that who pays at the cinema must have paid.
    #[serde(default = "thirty")]
    pub collect_min: u32,
    /// Minutes before the start that companion seats are sold to anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion_release_min: Option<u32>,
    /// How seats are taken; as the layout says, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seating: Option<Seating>,
    /// Whether it takes place.
    #[serde(default = "on_sale")]
    pub status: ScreeningStatus,
    /// What is special about it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<ScreeningAttribute>,
    /// What a cancellation brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationPolicy>,
    /// A word to the visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Texts>,
}

/// A film of a screening.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleItem {
    /// The film.
    pub film: FilmId,
    /// In which version; the film's first, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<FilmVersionId>,
}

fn fifteen() -> u32 {
    15
}
fn thirty() -> u32 {
    30
}
fn on_sale() -> ScreeningStatus {
    ScreeningStatus::OnSale
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// What it is: `layout`, `price_table`, `cinema`, `film`, `screening`.
    pub kind: &'static str,
    /// Which.
    pub row: String,
    /// Why.
    pub why: String,
}

/// What a bundle comes to.
#[derive(Debug, Default)]
pub struct Checked {
    /// Everything that can be used, in an order in which it can be made.
    pub edits: Vec<Edit>,
    /// Everything that cannot.
    pub refused: Vec<RefusedRow>,
    /// Halls that can be used.
    pub halls: usize,
    /// Cinemas that can be used.
    pub cinemas: usize,
    /// Films that can be used.
    pub films: usize,
    /// Screenings that can be used.
    pub screenings: usize,
}

impl Bundle {
    /// Checks every row, at `now`.
    #[must_use]
    pub fn check(&self, now: Timestamp) -> Checked {
        let mut work = Work::new(self, now);
        work.run();
        work.checked
    }
}

impl Bundle {
    /// The programme that a store lists, as a file: importing it again changes nothing. What a file cannot say, such as
    /// sales that close before the start, is named and left out.
    ///
    /// # Errors
    /// When a document is missing or damaged.
    pub fn export(listing: &Listing, now: Timestamp) -> Result<(Self, Vec<RefusedRow>), StoreError> {
        let mut bundle = Self { films: listing.films.clone(), ..Self::default() };
        let in_halls = listing.cinemas.iter().flat_map(|c| &c.halls).map(|h| h.layout);
        let layouts: BTreeSet<ContentName> = in_halls.collect();
        let tables: BTreeSet<ContentName> = listing.screenings.iter().map(|l| l.screening.price_table).collect();
        for (name, bytes) in &listing.documents {
            if layouts.contains(name) {
                bundle.layouts.insert(name.to_string(), read_document(name, bytes)?);
            } else if tables.contains(name) {
                bundle.price_tables.insert(name.to_string(), read_document(name, bytes)?);
            }
        }
        for cinema in &listing.cinemas {
            let mut facts = match serde_json::to_value(cinema) {
                Ok(serde_json::Value::Object(facts)) => facts,
                _ => CinemaFacts::new(),
            };
            facts.remove("halls");
            let hall = |h: &Hall| BundleHall {
                id: h.id,
                name: h.name.clone(),
                formats: h.formats.clone(),
                access: h.access.clone(),
                layout: h.layout.to_string(),
            };
            bundle.cinemas.push(BundleCinema { cinema: facts, halls: cinema.halls.iter().map(hall).collect() });
        }
        let mut rows: Vec<&Screening> = listing.screenings.iter().map(|l| &l.screening).collect();
        rows.sort_by_key(|s| (s.starts_at.at(), s.id));
        bundle.screenings = rows.iter().map(|s| BundleScreening::of(s)).collect();
        // What was written is read again: only rows that come back as they were are kept.
        let checked = bundle.check(now);
        let back: BTreeMap<ScreeningId, &Screening> = checked
            .edits
            .iter()
            .filter_map(|edit| if let Edit::Screening(s) = edit { Some((s.id, &**s)) } else { None })
            .collect();
        let differs = |s: &&&Screening| back.get(&s.id).is_none_or(|b| **b != ***s);
        let lost: BTreeSet<ScreeningId> = rows.iter().filter(differs).map(|s| s.id).collect();
        bundle.screenings.retain(|row| !lost.contains(&row.id));
        let why = "its times, sales window or layout are none that a programme file can say";
        let refused = |id: &ScreeningId| RefusedRow { kind: "screening", row: id.to_string(), why: why.into() };
        Ok((bundle, lost.iter().map(refused).collect()))
    }
}

fn read_document<T: serde::de::DeserializeOwned>(name: &ContentName, bytes: &[u8]) -> Result<T, StoreError> {
    let bad = |e: admit_protocol::json::JsonError| StoreError::BadRow {
        table: "document",
        row: name.to_string(),
        why: e.to_string(),
    };
    admit_protocol::json::read(bytes, DOCUMENT_BYTES_MAX, admit_protocol::json::Numbers::Integers).map_err(bad)
}

impl BundleScreening {
    /// The poster of a screening.
    fn of(s: &Screening) -> Self {
        let start = s.starts_at.at();
        let minutes = |from: Timestamp, to: Timestamp| u32::try_from(to.duration_since(from).as_mins()).unwrap_or(0);
        let offset = s.starts_at.offset().seconds() / 60;
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, rest) = (offset.abs() / 60, offset.abs() % 60);
        Self {
            id: s.id,
            cinema: s.cinema,
            hall: s.hall,
            starts: format!("{}{sign}{hours:02}:{rest:02}", s.starts_at.local()),
            items: s.items.iter().map(|i| BundleItem { film: i.film, version: Some(i.version) }).collect(),
            trailers_min: s.items.first().map_or(0, |i| minutes(start, i.starts_at.at())),
            doors_min: s.doors_at.as_ref().map_or(0, |doors| minutes(doors.at(), start)),
            price_table: s.price_table.to_string(),
            sales_open: Some(s.sales.opens_at),
            late_sales_min: minutes(start, s.sales.closes_at),
            collect_min: s.collect_by.map_or_else(thirty, |by| minutes(by, start)),
            companion_release_min: s.accessible_release_at.map(|at| minutes(at, start)),
            seating: Some(s.seating),
            status: s.status,
            attributes: s.attributes.clone(),
            cancellation: Some(s.cancellation.clone()),
            note: s.note.clone(),
        }
    }
}

/// What is known while the rows are checked.
struct Work<'a> {
    bundle: &'a Bundle,
    now: Timestamp,
    checked: Checked,
    layouts: BTreeMap<&'a str, (ContentName, &'a Layout)>,
    tables: BTreeMap<&'a str, (ContentName, &'a PriceTable)>,
    cinemas: BTreeMap<CinemaId, Cinema>,
    films: BTreeMap<FilmId, &'a Film>,
}

impl<'a> Work<'a> {
    fn new(bundle: &'a Bundle, now: Timestamp) -> Self {
        Self {
            bundle,
            now,
            checked: Checked::default(),
            layouts: BTreeMap::new(),
            tables: BTreeMap::new(),
            cinemas: BTreeMap::new(),
            films: BTreeMap::new(),
        }
    }

    fn refuse(&mut self, kind: &'static str, row: impl ToString, why: impl ToString) {
        self.checked.refused.push(RefusedRow { kind, row: row.to_string(), why: why.to_string() });
    }

    fn run(&mut self) {
        for (name, layout) in &self.bundle.layouts {
            match layout.check().map_err(|e| e.to_string()).and_then(|()| document(layout)) {
                Ok(bytes) => {
                    self.layouts.insert(name, (ContentName::of(&bytes), layout));
                    self.checked.edits.push(Edit::Layout(bytes));
                }
                Err(why) => self.refuse("layout", name, why),
            }
        }
        for (name, table) in &self.bundle.price_tables {
            match table.check().map_err(|e| e.to_string()).and_then(|()| document(table)) {
                Ok(bytes) => {
                    self.tables.insert(name, (ContentName::of(&bytes), table));
                    self.checked.edits.push(Edit::PriceTable(bytes));
                }
                Err(why) => self.refuse("price_table", name, why),
            }
        }
        for row in &self.bundle.cinemas {
            let name = row.cinema.get("id").and_then(|v| v.as_str()).unwrap_or("without an id").to_owned();
            match self.cinema(row) {
                Ok(cinema) => {
                    self.checked.cinemas += 1;
                    self.checked.halls += cinema.halls.len();
                    self.checked.edits.push(Edit::Cinema(Box::new(cinema.clone())));
                    self.cinemas.insert(cinema.id, cinema);
                }
                Err(why) => self.refuse("cinema", name, why),
            }
        }
        for film in &self.bundle.films {
            match film.check() {
                Ok(()) => {
                    self.checked.films += 1;
                    self.films.insert(film.id, film);
                    self.checked.edits.push(Edit::Film(Box::new(film.clone())));
                }
                Err(why) => self.refuse("film", film.id, why),
            }
        }
        let mut seen = BTreeSet::new();
        for row in &self.bundle.screenings {
            let screening = if seen.insert(row.id) { self.screening(row) } else { Err("the id is used twice".into()) };
            match screening {
                Ok(screening) => {
                    self.checked.screenings += 1;
                    self.checked.edits.push(Edit::Screening(Box::new(screening)));
                }
                Err(why) => self.refuse("screening", row.id, why),
            }
        }
    }

    fn cinema(&self, row: &BundleCinema) -> Result<Cinema, String> {
        let mut facts = row.cinema.clone();
        facts.insert("halls".into(), serde_json::json!([]));
        let mut cinema: Cinema = serde_json::from_value(facts.into()).map_err(|e| e.to_string())?;
        for hall in &row.halls {
            let (layout, plan) = self
                .layouts
                .get(hall.layout.as_str())
                .ok_or(format!("hall {}: no layout {:?}", hall.id, hall.layout))?;
            cinema.halls.push(Hall {
                id: hall.id,
                name: hall.name.clone(),
                formats: hall.formats.clone(),
                access: hall.access.clone(),
                capacity: plan.capacity(),
                layout: *layout,
            });
        }
        cinema.check()?;
        Ok(cinema)
    }

    fn screening(&self, row: &BundleScreening) -> Result<Screening, String> {
        let cinema = self.cinemas.get(&row.cinema).ok_or(format!("there is no cinema {}", row.cinema))?;
        let hall = cinema.hall(row.hall).ok_or(format!("cinema {} has no hall {}", row.cinema, row.hall))?;
        let (table_name, table) =
            self.tables.get(row.price_table.as_str()).ok_or(format!("no price table {:?}", row.price_table))?;
        let layout = self.layouts.values().find(|(name, _)| *name == hall.layout).map(|(_, layout)| *layout);
        let layout = layout.ok_or("its hall has no layout")?;
        if let Some(zone) = layout.zones.iter().find(|z| !table.offers.iter().any(|o| o.zone == z.id)) {
            return Err(format!("price table {:?} has no price for zone {}", row.price_table, zone.id));
        }
        let starts_at = self.start(&row.starts, &cinema.zone)?;
        let moment = |at| Moment::new(at, &cinema.zone).map_err(|e| e.to_string());
        let minutes = |n: u32| i64::from(n) * 60;
        let mut next = after(starts_at.at(), minutes(row.trailers_min));
        let mut items = Vec::with_capacity(row.items.len());
        let mut end = starts_at.at();
        for item in &row.items {
            let film = self.films.get(&item.film).ok_or(format!("there is no film {}", item.film))?;
            let version = item.version.or(film.versions.first().map(|v| v.id)).ok_or("its film has no version")?;
            film.version(version).ok_or(format!("film {} has no version {version}", film.id))?;
            items.push(Item { film: film.id, version, starts_at: moment(next)? });
            end = after(next, minutes(film.runtime_min));
            // A quarter of an hour between two films of one evening.
            next = after(end, minutes(15));
        }
        let start = starts_at.at();
        let seating = match (layout.seats.is_empty(), layout.areas.is_empty()) {
            (true, _) => Seating::Free,
            (false, true) => Seating::Reserved,
            (false, false) => Seating::Mixed,
        };
        let screening = Screening {
            id: row.id,
            cinema: row.cinema,
            hall: row.hall,
            layout: hall.layout,
            items,
            doors_at: Some(moment(after(start, -minutes(row.doors_min)))?),
            business_date: starts_at.business_date(cinema.business_day_cutoff),
            ends_at: moment(end)?,
            starts_at,
            seating: row.seating.unwrap_or(seating),
            status: row.status,
            sales: SalesWindow {
                // Also a screening that began before it was imported has a window: one that is over.
                opens_at: row.sales_open.unwrap_or(self.now).min(after(start, -60)),
                closes_at: after(start, minutes(row.late_sales_min)),
            },
            attributes: row.attributes.clone(),
            price_table: *table_name,
            price_range: table.range().map(|(lowest, highest)| PriceRange { lowest, highest }),
            cancellation: row.cancellation.clone().unwrap_or_else(|| self.bundle.cancellation.clone()),
            collect_by: Some(after(start, -minutes(row.collect_min))),
            accessible_release_at: row.companion_release_min.map(|n| after(start, -minutes(n))),
            note: row.note.clone(),
        };
        screening.check()?;
        Ok(screening)
    }

    /// `2026-11-21T20:15`, or `today+1 20:15` by the cinema's calendar.
    fn start(&self, text: &str, zone: &ZoneName) -> Result<Moment, String> {
        let local = match text.strip_prefix("today") {
            None => text.to_owned(),
            Some(rest) => {
                let unreadable = || format!("{text:?} is not a time such as 2026-11-21T20:15 or today+1 20:15");
                let (days, time) = rest.split_once(' ').ok_or_else(unreadable)?;
                let days: i64 = if days.is_empty() { 0 } else { days.parse().map_err(|_| unreadable())? };
                let time: Time = time.parse().map_err(|_| unreadable())?;
                let today = zone.rules().map_err(|e| e.to_string())?.to_datetime(self.now).date();
                let date = today.checked_add(days.days()).map_err(|_| unreadable())?;
                format!("{date}T{time}")
            }
        };
        Moment::from_local(&local, zone).map_err(|e| e.to_string())
    }
}

/// The bytes of a document, which its name is made of.
fn document<T: Serialize>(value: &T) -> Result<Bytes, String> {
    let bytes = serde_json::to_vec(value).map_err(|e| e.to_string())?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("it has {} bytes, the limit is {DOCUMENT_BYTES_MAX}", bytes.len()));
    }
    Ok(bytes.into())
}
