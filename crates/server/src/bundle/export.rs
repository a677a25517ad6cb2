//! A programme as it is sold, written as a file.

use std::collections::{BTreeMap, BTreeSet};

use admit_protocol::cinema::Hall;
use admit_protocol::digest::ContentName;
use admit_protocol::id::{CinemaId, HallId, ScreeningId};
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::screening::Screening;
use jiff::Timestamp;

use super::{Bundle, BundleCinema, BundleHall, BundleItem, BundleScreening, CinemaFacts, Row, RowReport, thirty};
use crate::store::Edit;
use crate::store::{Document, Listing, StoreError};

impl Bundle {
    /// The programme that a store lists, as a file: importing it again changes nothing. What a file cannot say, such as
    /// sales that close before the start, is named and left out.
    ///
    /// # Errors
    /// When a document is missing or damaged.
    pub fn export(listing: &Listing, now: Timestamp) -> Result<(Self, Vec<RowReport>), StoreError> {
        let mut bundle = Self { films: listing.films.iter().map(Row::of).collect(), ..Self::default() };
        let halls = listing.cinemas.iter().flat_map(|c| c.halls.iter().map(|h| ((c.id, h.id), h.layout)));
        let halls: BTreeMap<(CinemaId, HallId), ContentName> = halls.collect();
        let pinned = listing.screenings.iter().map(|l| l.screening.layout);
        let layouts: BTreeSet<ContentName> = halls.values().copied().chain(pinned).collect();
        let tables: BTreeSet<ContentName> = listing.screenings.iter().map(|l| l.screening.price_table).collect();
        // As the file called it that it came with; otherwise by its own name.
        let called: BTreeMap<ContentName, String> = listing
            .documents
            .iter()
            .map(|d| (d.name, d.called.clone().unwrap_or_else(|| d.name.to_string())))
            .collect();
        let said = |name: ContentName| called.get(&name).cloned().unwrap_or_else(|| name.to_string());
        for Document { name, bytes, .. } in &listing.documents {
            if layouts.contains(name) {
                bundle.layouts.insert(said(*name), Row::of(&read_document(name, bytes)?));
            } else if tables.contains(name) {
                bundle.price_tables.insert(said(*name), Row::of(&read_document(name, bytes)?));
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
                layout: said(h.layout),
            };
            let halls = cinema.halls.iter().map(hall).collect();
            bundle.cinemas.push(Row::of(&BundleCinema { cinema: facts, halls }));
        }
        let mut rows: Vec<&Screening> = listing.screenings.iter().map(|l| &l.screening).collect();
        rows.sort_by_key(|s| (s.starts_at.at(), s.id));
        let poster = |s: &Screening| BundleScreening::of(s, halls.get(&(s.cinema, s.hall)).copied(), &said);
        bundle.screenings = rows.iter().map(|s| Row::of(&poster(s))).collect();
        // What was written is read again: only rows that come back as they were are kept.
        let checked = bundle.check(now);
        let back: BTreeMap<ScreeningId, &Screening> = checked
            .edits
            .iter()
            .filter_map(|edit| if let Edit::Screening(s) = edit { Some((s.id, &**s)) } else { None })
            .collect();
        let differs = |s: &&&Screening| back.get(&s.id).is_none_or(|b| **b != ***s);
        let (lost, kept): (Vec<&Screening>, Vec<&Screening>) = rows.iter().partition(differs);
        bundle.screenings = kept.iter().map(|s| Row::of(&poster(s))).collect();
        let why = "its times or sales window are none that a programme file can say";
        let refused = |s: &&Screening| RowReport {
            kind: "screening".into(),
            row: s.id.to_string(),
            why: why.into(),
            because_of: None,
        };
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
    /// The poster of a screening, in a hall that has this layout now.
    pub(super) fn of(s: &Screening, hall: Option<ContentName>, said: &impl Fn(ContentName) -> String) -> Self {
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
            price_table: said(s.price_table),
            layout: (hall != Some(s.layout)).then(|| said(s.layout)),
            sales_open: Some(s.sales.opens_at),
            queue: s.queue,
            late_sales_min: minutes(start, s.sales.closes_at),
            collect_min: s.collect_by.map_or_else(thirty, |by| minutes(by, start)),
            companion_release_min: s.accessible_release_at.map(|at| minutes(at, start)),
            seating: Some(s.seating),
            status: s.status,
            attributes: s.attributes.clone(),
            cancellation: Some(s.cancellation.clone()),
            seat_rules: s.seat_rules,
            note: s.note.clone(),
        }
    }
}
