//! Lotte: `[row, number, x, y, width, height, grade, sweet spot]` in units of a drawing.

use admit_protocol::layout::SeatKind;
use serde::Deserialize;

use super::{Mappable, Mapped};

#[derive(Deserialize)]
pub(super) struct Hall {
    nm: String,
    tot: usize,
    div: String,
    seats: Vec<Seat>,
}

/// Row, number, x, y, width, height, grade, sweet spot.
type Seat = (String, u32, f64, f64, f64, f64, i32, i32);

impl Mappable for Hall {
    const CHAIN: &'static str = "Lotte Cinema";
    const FILE: &'static str = "layouts/kr-lotte-seat-layouts.json.gz";

    fn name(&self) -> &str {
        &self.nm
    }

    fn capacity(&self) -> usize {
        self.tot
    }

    fn seats(&self) -> Result<Vec<Mapped>, String> {
        let (kind, zone) = meaning(&self.div);
        let seat = |(row, number, x, y, width, height, _, _): &Seat| {
            let (row, number, at) = (row.clone(), number.to_string(), (x + width / 2.0, y + height / 2.0));
            Mapped { row, number, at, width: *width, kind, zone, aisle: (false, false) }
        };
        Ok(self.seats.iter().map(seat).collect())
    }
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
