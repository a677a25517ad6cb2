//! CGV: rows as `number,x,y[,kKIND][,L][,R];...`, half a seat is one unit, L and R are aisles.

use std::collections::BTreeMap;

use admit_protocol::layout::SeatKind;
use serde::Deserialize;

use super::{Mappable, Mapped};

#[derive(Deserialize)]
pub(super) struct Hall {
    nm: String,
    tot: usize,
    /// The chain's words for kinds of seats.
    kinds: BTreeMap<String, String>,
    rows: BTreeMap<String, String>,
}

impl Mappable for Hall {
    const CHAIN: &'static str = "CGV";
    const FILE: &'static str = "layouts/kr-cgv-seat-layouts.json.gz";

    fn name(&self) -> &str {
        &self.nm
    }

    fn capacity(&self) -> usize {
        self.tot
    }

    fn seats(&self) -> Result<Vec<Mapped>, String> {
        let mut seats = Vec::new();
        for (row, line) in &self.rows {
            for text in line.split(';') {
                let mut parts = text.split(',');
                let number = parts.next().unwrap_or_default().to_owned();
                let mut coordinate = || {
                    let read = parts.next().and_then(|p| p.parse::<f64>().ok());
                    read.ok_or_else(|| format!("row {row}: {text:?} is no seat"))
                };
                let at = (coordinate()?, coordinate()?);
                let rest: Vec<&str> = parts.collect();
                let kind = rest.iter().find_map(|p| self.kinds.get(p.strip_prefix('k')?));
                let (kind, zone) = meaning(kind.map_or("", String::as_str));
                let aisle = (rest.contains(&"L"), rest.contains(&"R"));
                seats.push(Mapped { row: row.clone(), number, at, width: 2.0, kind, zone, aisle });
            }
        }
        Ok(seats)
    }
}

/// What the chain's words for seats mean.
fn meaning(word: &str) -> (SeatKind, &'static str) {
    match word {
        "리클라이너" | "C)리클라이너" => (SeatKind::Recliner, "Comfort"),
        "컴포트석" | "컴포트석B" | "릴렉스시트" | "프리미엄" | "골드" => {
            (SeatKind::Standard, "Comfort")
        }
        "4DX" | "진동석" => (SeatKind::Motion, "Motion"),
        "SWEETBOX" | "커플석" => (SeatKind::LoveSeat, "Couple"),
        "커플소파" | "패밀리 리클라이너" => (SeatKind::Sofa, "Couple"),
        "모션베드" | "매트석" => (SeatKind::Bed, "Comfort"),
        "빈백석" => (SeatKind::Beanbag, "Comfort"),
        "WIDEBOX" | "MYBOX" | "PRIVATE 2인" | "PRIVATE 4인" | "Suite 4인" | "카바나석" => (SeatKind::Box, "Box"),
        _ => (SeatKind::Standard, "Standard"),
    }
}
