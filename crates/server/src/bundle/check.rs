//! A file, row by row: what can be used, and why the rest cannot.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use admit_protocol::cinema::{Cinema, Hall};
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, FilmId, ScreeningId};
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::layout::Layout;
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::{Item, PriceRange, SalesWindow, Screening, Seating};
use admit_protocol::time::{Moment, TimeError, ZoneName, after};
use axum::body::Bytes;
use jiff::civil::Time;
use jiff::{Timestamp, ToSpan as _};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::known::Known;
use super::{Bundle, BundleCinema, BundleScreening, Checked, Row, RowReport};
use crate::exact;
use crate::store::Edit;
use crate::store::{Document, DocumentKind, Listing};

pub(super) fn check(bundle: &Bundle, now: Timestamp, there: Option<&Listing>) -> Checked {
    let mut work = Work::new(bundle, now, Known::of(there));
    work.run();
    work.look_for_strange();
    work.look_for_changes();
    work.checked
}

/// Why a row cannot be used.
struct Why {
    why: String,
    because_of: Option<String>,
}

impl<T: Into<String>> From<T> for Why {
    fn from(why: T) -> Self {
        Self { why: why.into(), because_of: None }
    }
}

/// What is known while the rows are checked.
pub(super) struct Work<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) now: Timestamp,
    pub(super) checked: Checked,
    pub(super) known: Known<'a>,
    /// The file's screenings by their ids, also those that cannot be used.
    pub(super) rows: HashMap<&'a str, &'a Value>,
    pub(super) layouts: BTreeMap<&'a str, (ContentName, Rc<Layout>)>,
    pub(super) tables: BTreeMap<&'a str, (ContentName, Rc<PriceTable>)>,
    pub(super) cinemas: BTreeMap<CinemaId, Cow<'a, Cinema>>,
    pub(super) films: BTreeMap<FilmId, Cow<'a, Film>>,
    pub(super) screenings: Vec<Screening>,
    /// What the file says of cancellations, where a screening does not; nothing, if it cannot be read.
    pub(super) cancellation: Option<CancellationPolicy>,
    pub(super) refused: BTreeSet<(&'static str, String)>,
}

impl<'a> Work<'a> {
    fn new(bundle: &'a Bundle, now: Timestamp, known: Known<'a>) -> Self {
        Self {
            // What the file does not have is as it was.
            cinemas: known.cinemas.iter().map(|c| (c.id, Cow::Borrowed(c))).collect(),
            films: known.films.iter().map(|f| (f.id, Cow::Borrowed(f))).collect(),
            known,
            rows: bundle.screenings.iter().filter_map(|row| Some((row.value["id"].as_str()?, &row.value))).collect(),
            bundle,
            now,
            checked: Checked::default(),
            layouts: BTreeMap::new(),
            tables: BTreeMap::new(),
            screenings: Vec::new(),
            cancellation: None,
            refused: BTreeSet::new(),
        }
    }

    fn refuse(&mut self, kind: &'static str, row: impl ToString, why: impl Into<Why>) {
        let Why { why, because_of } = why.into();
        self.refused.insert((kind, row.to_string()));
        self.checked.refused.push(RowReport { kind: kind.into(), row: row.to_string(), why, because_of });
    }

    /// A row that is named and cannot be had: because it is not in the file, or because it was refused itself.
    fn missing(&self, kind: &'static str, row: impl ToString, why: String) -> Why {
        let refused = (kind, row.to_string());
        let because_of = self.refused.contains(&refused).then(|| format!("{kind} {}", refused.1));
        Why { why, because_of }
    }

    fn run(&mut self) {
        let bundle = self.bundle;
        let lists = [bundle.cinemas.len(), bundle.films.len(), bundle.screenings.len()];
        if lists == [0; 3] && bundle.layouts.is_empty() && bundle.price_tables.is_empty() {
            self.refuse("programme", "", "nothing is in it: `admit cinema example` prints one to begin with");
        }
        let cancellation = bundle.cancellation.as_ref().map_or_else(|| Ok(CancellationPolicy::default()), Row::read);
        match cancellation {
            Ok(policy) => self.cancellation = Some(policy),
            Err(why) => self.refuse("programme", "cancellation", why),
        }
        for (name, row) in &bundle.layouts {
            let layout = row.read().and_then(|layout: Layout| {
                layout.check().map_err(|e| e.to_string())?;
                Ok((document(&layout)?, layout))
            });
            match layout {
                Ok((bytes, layout)) => {
                    let document = Document::of(DocumentKind::Layout, bytes, called(name));
                    self.layouts.insert(name, (document.name, Rc::new(layout)));
                    self.checked.edits.push(Edit::Document(document));
                }
                Err(why) => self.refuse("layout", name, why),
            }
        }
        for (name, row) in &bundle.price_tables {
            let table = row.read().and_then(|table: PriceTable| {
                table.check().map_err(|e| e.to_string())?;
                Ok((document(&table)?, table))
            });
            match table {
                Ok((bytes, table)) => {
                    let document = Document::of(DocumentKind::PriceTable, bytes, called(name));
                    self.tables.insert(name, (document.name, Rc::new(table)));
                    self.checked.edits.push(Edit::Document(document));
                }
                Err(why) => self.refuse("price_table", name, why),
            }
        }
        let mut once = Once::default();
        for row in &bundle.cinemas {
            match once.more(row).map_err(Why::from).and_then(|()| self.cinema(&row.read()?)) {
                Ok(cinema) => {
                    self.checked.cinemas += 1;
                    self.checked.halls += cinema.halls.len();
                    self.checked.edits.push(Edit::Cinema(Box::new(cinema.clone())));
                    self.cinemas.insert(cinema.id, Cow::Owned(cinema));
                }
                Err(why) => self.refuse("cinema", row.name(), why),
            }
        }
        let mut once = Once::default();
        for row in &bundle.films {
            let film = once.more(row).and_then(|()| row.read());
            match film.and_then(|film| film.check().map(|()| film)) {
                Ok(film) => {
                    self.checked.films += 1;
                    self.checked.edits.push(Edit::Film(Box::new(film.clone())));
                    self.films.insert(film.id, Cow::Owned(film));
                }
                Err(why) => self.refuse("film", row.name(), why),
            }
        }
        let mut once = Once::default();
        for row in &bundle.screenings {
            match once.more(row).map_err(Why::from).and_then(|()| self.screening(&row.read()?)) {
                Ok(screening) => {
                    self.checked.screenings += 1;
                    self.checked.edits.push(Edit::Screening(Box::new(screening.clone())));
                    self.screenings.push(screening);
                }
                Err(why) => self.refuse("screening", row.name(), why),
            }
        }
    }

    /// A layout of the file; or one that is there already, by its own name or what an earlier file called it.
    fn layout(&self, name: &str) -> Option<(ContentName, Rc<Layout>)> {
        self.layouts.get(name).cloned().or_else(|| self.known.layout(self.known.named(DocumentKind::Layout, name)?))
    }

    fn layout_of(&self, hall: &Hall) -> Option<(ContentName, Rc<Layout>)> {
        let here = self.layouts.values().find(|(name, _)| *name == hall.layout);
        here.cloned().or_else(|| self.known.layout(hall.layout))
    }

    /// A price table of the file; or one that is there already.
    fn table(&self, name: &str) -> Option<(ContentName, Rc<PriceTable>)> {
        self.tables.get(name).cloned().or_else(|| self.known.table(self.known.named(DocumentKind::PriceTable, name)?))
    }

    fn cinema(&mut self, row: &BundleCinema) -> Result<Cinema, Why> {
        let mut facts = row.cinema.clone();
        facts.insert("halls".into(), serde_json::json!([]));
        let mut cinema: Cinema = exact::read(&facts.into())?;
        for hall in &row.halls {
            let Some((layout, plan)) = self.layout(&hall.layout) else {
                let name = format!("{} of {}", hall.id, cinema.id);
                let why = self.missing("layout", &hall.layout, format!("there is no layout {:?}", hall.layout));
                self.refuse("hall", name, why);
                continue;
            };
            cinema.halls.push(Hall {
                id: hall.id,
                name: hall.name.clone(),
                formats: hall.formats.clone(),
                access: hall.access.clone(),
                capacity: plan.capacity(),
                layout,
            });
        }
        if let (Some(hall), true) = (row.halls.first(), cinema.halls.is_empty()) {
            let name = format!("{} of {}", hall.id, cinema.id);
            return Err(self.missing("hall", name, "none of its halls can be used".into()));
        }
        cinema.check()?;
        let left_out = self.known.screenings.iter().map(|l| &l.screening).filter(|s| s.cinema == cinema.id);
        let other = left_out.filter(|s| !self.rows.contains_key(s.id.as_str())).find_map(|s| {
            let currency = self.known.table(s.price_table)?.1.currency;
            (currency != cinema.currency).then_some((s.id, currency))
        });
        if let Some((screening, currency)) = other {
            let why = format!("screening {screening}, which this file leaves out, is sold in {currency}");
            return Err(format!("{why}, not in {}", cinema.currency).into());
        }
        Ok(cinema)
    }

    fn screening(&self, row: &BundleScreening) -> Result<Screening, Why> {
        let no = |kind, row: &dyn ToString| {
            self.missing(kind, row.to_string(), format!("there is no {kind} {}", row.to_string()))
        };
        let cinema = self.cinemas.get(&row.cinema).ok_or_else(|| no("cinema", &row.cinema))?;
        let hall = cinema.hall(row.hall).ok_or_else(|| no("hall", &format!("{} of {}", row.hall, row.cinema)))?;
        let (table_name, table) = self.table(&row.price_table).ok_or_else(|| no("price_table", &row.price_table))?;
        let (layout_name, layout) = match &row.layout {
            Some(name) => self.layout(name).ok_or_else(|| no("layout", name))?,
            None => self.layout_of(hall).ok_or("its hall has no layout")?,
        };
        let starts_at = self.start(&row.starts, &cinema.zone)?;
        let moment = |at| Moment::new(at, &cinema.zone).map_err(|e| e.to_string());
        let minutes = |n: u32| i64::from(n) * 60;
        let mut items = Vec::with_capacity(row.items.len());
        let mut end = None;
        for item in &row.items {
            let film = self.films.get(&item.film).ok_or_else(|| no("film", &item.film))?;
            let version = item.version.or(film.versions.first().map(|v| v.id)).ok_or("its film has no version")?;
            film.version(version).ok_or(format!("film {} has no version {version}", film.id))?;
            let begins = match (items.is_empty(), end) {
                (true, _) => after(starts_at.at(), minutes(row.trailers_min)),
                // A quarter of an hour between two films of one evening.
                (false, Some(end)) => after(end, minutes(15)),
                (false, None) => return Err(format!("film {} follows one of unknown length", film.id).into()),
            };
            items.push(Item { film: film.id, version, starts_at: moment(begins)? });
            end = film.runtime_min.map(|length| after(begins, minutes(length)));
        }
        let start = starts_at.at();
        let closes_at = after(start, minutes(row.late_sales_min));
        if let Some(opens_at) = row.sales_open.filter(|opens_at| *opens_at >= closes_at) {
            let opens_at = moment(opens_at)?.local().strftime("%a %d %b %Y, %H:%M");
            return Err(format!("`sales_open` is {opens_at}, when its sales are over already").into());
        }
        let not_read = || self.missing("programme", "cancellation", "the file's `cancellation` cannot be read".into());
        let cancellation = row.cancellation.as_ref().or(self.cancellation.as_ref()).ok_or_else(not_read)?.clone();
        let seating = match (layout.seats.is_empty(), layout.areas.is_empty()) {
            (true, _) => Seating::Free,
            (false, true) => Seating::Reserved,
            (false, false) => Seating::Mixed,
        };
        let screening = Screening {
            id: row.id,
            cinema: row.cinema,
            hall: row.hall,
            layout: layout_name,
            items,
            doors_at: Some(moment(after(start, -minutes(row.doors_min)))?),
            business_date: starts_at.business_date(cinema.business_day_cutoff),
            ends_at: end.map(moment).transpose()?,
            starts_at,
            seating: row.seating.unwrap_or(seating),
            status: row.status,
            sales: SalesWindow {
                // Also a screening that began before it was imported has a window: one that is over.
                opens_at: row.sales_open.unwrap_or_else(|| self.opened(row.id)).min(after(start, -60)),
                closes_at,
            },
            queue: row.queue,
            attributes: row.attributes.clone(),
            price_table: table_name,
            price_range: table.range(&layout).map(|(lowest, highest)| PriceRange { lowest, highest }),
            cancellation,
            collect_by: Some(after(start, -minutes(row.collect_min))),
            accessible_release_at: row.companion_release_min.map(|n| after(start, -minutes(n))),
            seat_rules: row.seat_rules,
            note: row.note.clone(),
        };
        screening.check()?;
        screening.fits(cinema, &layout, &table)?;
        Ok(screening)
    }

    /// From when a screening is sold of which nothing is said: from now, unless it is sold already.
    fn opened(&self, screening: ScreeningId) -> Timestamp {
        let known = self.known.screening(screening);
        known.map(|s| s.sales.opens_at).filter(|at| *at <= self.now).unwrap_or(self.now)
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
        Moment::from_local(&local, zone).map_err(|e| match e {
            TimeError::Unreadable(_) if local == text => format!("{e}: say it as 2026-11-21T20:15, or today+1 20:15"),
            _ => e.to_string(),
        })
    }
}

/// Ids that were there already.
#[derive(Default)]
struct Once(BTreeSet<String>);

impl Once {
    fn more<T: DeserializeOwned + Serialize + JsonSchema>(&mut self, row: &Row<T>) -> Result<(), String> {
        if self.0.insert(row.name()) { Ok(()) } else { Err("the id is used twice".into()) }
    }
}

/// What to remember that a file calls a document; its own name says nothing more.
fn called(name: &str) -> Option<String> {
    name.parse::<ContentName>().is_err().then(|| name.to_owned())
}

/// The bytes of a document, which its name is made of.
fn document<T: Serialize>(value: &T) -> Result<Bytes, String> {
    let bytes = serde_json::to_vec(value).map_err(|e| e.to_string())?;
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("it has {} bytes, the limit is {DOCUMENT_BYTES_MAX}", bytes.len()));
    }
    Ok(bytes.into())
}
