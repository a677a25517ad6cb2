//! Lotte: `[row, number, x, y, width, height, grade, sweet spot]` in units of a drawing.

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
    div: String,
    seats: Vec<Seat>,
}

/// Row, number, x, y, width, height, grade, sweet spot.
type Seat = (String, u32, f64, f64, f64, f64, i32, i32);

pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Auditorium>> {
    let file: File = data::read(folder, "layouts/kr-lotte-seat-layouts.json.gz")?;
    let mut halls = Vec::new();
    for (site, cinema) in file.data {
        for (number, screen) in cinema.screens {
            let (kind, zone) = meaning(&screen.div);
            let seats = screen.seats.into_iter().map(|(row, number, x, y, width, height, _, _)| {
                let at = (x + width / 2.0, y + height / 2.0);
                Mapped { row, number: number.to_string(), at, width, kind, zone, aisle: (false, false) }
            });
            let layout = super::layout(seats.collect(), screen.tot);
            let (site, cinema) = (site.clone(), cinema.nm.clone());
            halls.push(Auditorium { chain: "Lotte Cinema", site, cinema, number, name: screen.nm, layout });
        }
    }
    Ok(halls)
}

/// What the chain's kinds of halls mean for each of their seats.
fn meaning(hall: &str) -> (SeatKind, &'static str) {
    match hall {
        "샤롯데" | "샤롯데 프라이빗" | "리클라이너" | "수퍼LED(리클)" => {
            (SeatKind::Recliner, "Comfort")
        }
        "수퍼MX4D" => (SeatKind::Motion, "Motion"),
        "씨네패밀리" => (SeatKind::Box, "Box"),
        _ => (SeatKind::Standard, "Standard"),
    }
}
