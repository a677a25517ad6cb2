//! Megabox: `[row, number, x, y, class, width]`, a seat is one unit.

use std::collections::BTreeMap;
use std::path::Path;

use admit_protocol::layout::SeatKind;
use serde::Deserialize;

use super::{Auditorium, Mapped};
use crate::data;

#[derive(Deserialize)]
struct File {
    data: BTreeMap<String, Site>,
}

#[derive(Deserialize)]
struct Site {
    nm: String,
    screens: BTreeMap<String, Screen>,
}

#[derive(Deserialize)]
struct Screen {
    nm: String,
    tot: usize,
    seats: Vec<(String, u32, f64, f64, String, f64)>,
}

pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Auditorium>> {
    let file: File = data::read(folder, "layouts/kr-megabox-seat-layouts.json.gz")?;
    let mut halls = Vec::new();
    for (site, cinema) in file.data {
        for (number, screen) in cinema.screens {
            let seats = screen.seats.into_iter().map(|(row, number, x, y, class, width)| {
                let (kind, zone) = meaning(&class);
                let at = (x + width / 2.0, y);
                Mapped { row, number: number.to_string(), at, width, kind, zone, aisle: (false, false) }
            });
            let layout = super::layout(seats.collect(), screen.tot);
            let (site, cinema) = (site.clone(), cinema.nm.clone());
            halls.push(Auditorium { chain: "Megabox", site, cinema, number, name: screen.nm, layout });
        }
    }
    Ok(halls)
}

/// What the chain's classes mean.
fn meaning(class: &str) -> (SeatKind, &'static str) {
    match class {
        "DISABLED_CLS" => (SeatKind::WheelchairSpace, "Standard"),
        "RECLINE_CLS" => (SeatKind::Recliner, "Comfort"),
        "ROYAL_CLS" | "SPECIAL_CLS" => (SeatKind::Standard, "Comfort"),
        "COUPLE_CLS" | "SWEET_CLS" => (SeatKind::LoveSeat, "Couple"),
        "2P_CLS" | "BALCONY2_CLS" | "BALCONY2P_CLS" | "BALCONY3P_CLS" => (SeatKind::Box, "Box"),
        _ => (SeatKind::Standard, "Standard"),
    }
}
