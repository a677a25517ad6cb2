//! Real halls of three chains, each as its own booking site draws it, read into one form.

mod cgv;
mod lotte;
mod megabox;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use admit_protocol::layout::{Layout, SeatKind};
use admit_server::plans::{Drawing, DrawnRow, DrawnSeat, Neighbours};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::data;

/// One hall.
#[derive(Debug)]
pub(crate) struct Auditorium {
    pub(crate) chain: &'static str,
    /// Of which cinema: its number at the chain, and its name.
    pub(crate) site: String,
    pub(crate) cinema: String,
    /// Its number at the cinema, and its name.
    pub(crate) number: String,
    pub(crate) name: String,
    /// As the product understands it, or why not.
    pub(crate) layout: Result<Layout, String>,
}

/// A chain's file: its cinemas by number, their halls by number. What a hall is, each chain says in its own way.
#[derive(Deserialize)]
struct Chain<Hall> {
    data: BTreeMap<String, Site<Hall>>,
}

#[derive(Deserialize)]
struct Site<Hall> {
    #[serde(rename = "nm")]
    name: String,
    screens: BTreeMap<String, Hall>,
}

/// A hall as one of the chains describes it.
trait Mappable: DeserializeOwned {
    const CHAIN: &'static str;
    const FILE: &'static str;

    fn name(&self) -> &str;
    /// How many seats the chain says it has.
    fn capacity(&self) -> usize;
    fn seats(&self) -> Result<Vec<Mapped>, String>;
}

fn chain<Hall: Mappable>(folder: &Path) -> anyhow::Result<Vec<Auditorium>> {
    let file: Chain<Hall> = data::read(folder, Hall::FILE)?;
    let mut halls = Vec::new();
    for (site, Site { name: cinema, screens }) in file.data {
        for (number, hall) in screens {
            halls.push(Auditorium {
                chain: Hall::CHAIN,
                site: site.clone(),
                cinema: cinema.clone(),
                number,
                name: hall.name().to_owned(),
                layout: hall.seats().and_then(|seats| layout(seats, hall.capacity())),
            });
        }
    }
    Ok(halls)
}

/// A seat on a site's map: its middle and its width, in the units of that site.
struct Mapped {
    row: String,
    number: String,
    at: (f64, f64),
    width: f64,
    kind: SeatKind,
    zone: &'static str,
    /// Whether the map says that an aisle is to its left or right.
    aisle: (bool, bool),
}

/// Price zones that maps distinguish.
pub(crate) const ZONES: [&str; 5] = ["Standard", "Comfort", "Couple", "Motion", "Box"];

/// All halls of all three chains.
pub(crate) fn read(data: &Path) -> anyhow::Result<Vec<Auditorium>> {
    let chains = [chain::<cgv::Hall>(data)?, chain::<megabox::Hall>(data)?, chain::<lotte::Hall>(data)?];
    Ok(chains.into_iter().flatten().collect())
}

/// Rows by their distance from the screen, seats from left to right. A printed row is cut where the map says that an aisle
/// is, where most of a seat's width is empty, and where a seat stands behind another.
fn layout(mut seats: Vec<Mapped>, expected: usize) -> Result<Layout, String> {
    if seats.len() != expected {
        return Err(format!("the map has {} seats, the hall {expected}", seats.len()));
    }
    // Seats of a row are not always drawn on one line: a row stands where its front seat stands.
    let mut front = std::collections::HashMap::<String, f64>::new();
    for seat in &seats {
        let y = front.entry(seat.row.clone()).or_insert(f64::INFINITY);
        *y = y.min(seat.at.1);
    }
    seats.sort_by(|a, b| {
        let rows = front[&a.row].total_cmp(&front[&b.row]).then_with(|| a.row.cmp(&b.row));
        rows.then(a.at.0.total_cmp(&b.at.0)).then(a.at.1.total_cmp(&b.at.1))
    });
    let mut drawing = Drawing { categories: ZONES.map(str::to_owned).into(), ..Drawing::default() };
    let mut before: Option<Mapped> = None;
    for seat in seats {
        let apart = before.as_ref().is_none_or(|b| {
            let gap = (seat.at.0 - b.at.0) - f64::midpoint(seat.width, b.width);
            let narrow = seat.width.min(b.width);
            let behind = (seat.at.1 - b.at.1).abs() > narrow;
            b.row != seat.row || b.aisle.1 || seat.aisle.0 || behind || gap > narrow * 0.75
        });
        if apart {
            let (label, neighbours) = (seat.row.clone(), Neighbours::All);
            drawing.rows.push(DrawnRow { label, section: None, seats: vec![], neighbours });
        }
        if let Some(row) = drawing.rows.last_mut() {
            row.seats.push(DrawnSeat {
                id: None,
                number: seat.number.clone(),
                at: seat.at,
                category: seat.zone.to_owned(),
                kind: seat.kind,
                attributes: BTreeSet::new(),
            });
        }
        before = Some(seat);
    }
    drawing.layout().map_err(|e| e.to_string())
}
