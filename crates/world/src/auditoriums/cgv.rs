//! CGV: rows as `number,x,y[,kKIND][,L][,R];...`, half a seat is one unit, L and R are aisles.

use std::collections::BTreeMap;
use std::path::Path;

use admit_protocol::layout::SeatKind;
use anyhow::Context as _;
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
    kinds: BTreeMap<String, String>,
    rows: BTreeMap<String, String>,
}

pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<Auditorium>> {
    let file: File = data::read(folder, "layouts/kr-cgv-seat-layouts.json.gz")?;
    let mut halls = Vec::new();
    for (site, cinema) in file.data {
        for (number, screen) in cinema.screens {
            let seats = seats(&screen).with_context(|| format!("CGV {} {}", cinema.nm, screen.nm));
            let layout = seats.map_err(|e| format!("{e:#}")).and_then(|seats| super::layout(seats, screen.tot));
            let (site, cinema) = (site.clone(), cinema.nm.clone());
            halls.push(Auditorium { chain: "CGV", site, cinema, number, name: screen.nm, layout });
        }
    }
    Ok(halls)
}

fn seats(screen: &Screen) -> anyhow::Result<Vec<Mapped>> {
    let mut seats = Vec::new();
    for (row, line) in &screen.rows {
        for text in line.split(';') {
            let mut parts = text.split(',');
            let number = parts.next().unwrap_or_default().to_owned();
            let mut coordinate = || parts.next().and_then(|p| p.parse::<f64>().ok()).with_context(|| text.to_owned());
            let at = (coordinate()?, coordinate()?);
            let rest: Vec<&str> = parts.collect();
            let kind = rest.iter().find_map(|p| screen.kinds.get(p.strip_prefix('k')?));
            let (kind, zone) = meaning(kind.map_or("", String::as_str));
            let aisle = (rest.contains(&"L"), rest.contains(&"R"));
            seats.push(Mapped { row: row.clone(), number, at, width: 2.0, kind, zone, aisle });
        }
    }
    Ok(seats)
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
