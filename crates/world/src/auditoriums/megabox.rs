//! Megabox: `[row, number, x, y, class, width]`, a seat is one unit.

use admit_protocol::layout::SeatKind;
use serde::Deserialize;

use super::{Mappable, Mapped};

#[derive(Deserialize)]
pub(super) struct Hall {
    nm: String,
    tot: usize,
    seats: Vec<Seat>,
}

/// Row, number, x, y, class, width.
type Seat = (String, u32, f64, f64, String, f64);

impl Mappable for Hall {
    const CHAIN: &'static str = "Megabox";
    const FILE: &'static str = "layouts/kr-megabox-seat-layouts.json.gz";

    fn name(&self) -> &str {
        &self.nm
    }

    fn capacity(&self) -> usize {
        self.tot
    }

    fn seats(&self) -> Result<Vec<Mapped>, String> {
        let seat = |(row, number, x, y, class, width): &Seat| {
            let (kind, zone) = meaning(class);
            let (row, number, at) = (row.clone(), number.to_string(), (x + width / 2.0, *y));
            Mapped { row, number, at, width: *width, kind, zone, aisle: (false, false) }
        };
        Ok(self.seats.iter().map(seat).collect())
    }
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
