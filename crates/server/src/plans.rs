//! Seat plans drawn with other people's tools, made into layouts: pretix and seats.io, and any other that somebody reads
//! into a [`Drawing`].
//!
//! Their units are pixels; ours are centimetres. The usual distance of neighbours becomes the width of a chair and its
//! armrest. Who sits beside whom is read from each row's own order and from gaps, once, here: from then on it is explicit.

mod pretix;
mod seatsio;

use std::collections::{BTreeMap, BTreeSet};

use admit_protocol::id::{AreaId, SeatId, SectionId, ZoneId};
use admit_protocol::layout::{Area, Layout, LayoutError, Line, Point, Seat, SeatAttribute, SeatKind, Section, Zone};
use admit_protocol::text::Texts;

/// Neighbours sit this far apart, in centimetres.
const SEAT_CM: f64 = 60.0;
/// Two seats of a row with more between them than so many usual distances have an aisle between them.
const AISLE: f64 = 1.6;

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is not a plan of a form that is read here.
    #[error("this is neither a pretix seating plan nor a seats.io chart: {0}")]
    UnknownForm(String),
    /// Something in it is missing or makes no sense.
    #[error("{place}: {why}")]
    BadPlace {
        /// Where.
        place: String,
        /// What.
        why: String,
    },
    /// It was read, and is not a sound layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Reads a plan, whichever of both forms it has.
///
/// # Errors
/// With the first place that cannot be used.
pub fn read(bytes: &[u8]) -> Result<Layout, PlanError> {
    let plan: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| PlanError::UnknownForm(e.to_string()))?;
    let drawing = if plan["subChart"].is_object() {
        seatsio::read(&plan)?
    } else if plan["zones"].is_array() && plan["categories"].is_array() {
        pretix::read(&plan)?
    } else {
        return Err(PlanError::UnknownForm("it has neither `subChart` nor `zones` and `categories`".into()));
    };
    drawing.layout()
}

fn bad(place: impl Into<String>, why: impl Into<String>) -> PlanError {
    PlanError::BadPlace { place: place.into(), why: why.into() }
}

/// A plan as it was drawn, in the units of whoever drew it; y grows away from the screen.
#[derive(Debug, Default)]
pub struct Drawing {
    /// Price zones, by the name they have there.
    pub categories: Vec<String>,
    /// Parts of the hall, by the name they have there.
    pub sections: Vec<String>,
    /// Rows of seats. Where a wide gap is no aisle, or a narrow one is, one printed row is drawn as several.
    pub rows: Vec<DrawnRow>,
    /// Areas without numbered seats.
    pub areas: Vec<DrawnArea>,
    /// The best place; the middle, two thirds back, if nothing is said.
    pub focal_point: Option<(f64, f64)>,
}

/// Seats one beside the other.
#[derive(Debug)]
pub struct DrawnRow {
    /// What is printed on it.
    pub label: String,
    /// The part of the hall, one of [`Drawing::sections`].
    pub section: Option<String>,
    /// From one end to the other.
    pub seats: Vec<DrawnSeat>,
    /// Who of them sits beside whom.
    pub neighbours: Neighbours,
}

/// Who sits beside whom in a drawn row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// Those that are about as near as seats usually are: between others is an aisle.
    Near,
    /// Each and the next.
    All,
    /// Nobody, as around a table.
    None,
}

/// One seat of a row.
#[derive(Debug)]
pub struct DrawnSeat {
    /// Its name for machines, if it has one there; else row and number make one.
    pub id: Option<String>,
    /// What is printed on it.
    pub number: String,
    /// Its middle.
    pub at: (f64, f64),
    /// One of [`Drawing::categories`].
    pub category: String,
    /// What it is.
    pub kind: SeatKind,
    /// What is special about it.
    pub attributes: BTreeSet<SeatAttribute>,
}

/// An area without numbered seats.
#[derive(Debug)]
pub struct DrawnArea {
    /// Its name for people.
    pub name: String,
    /// How many people it takes.
    pub capacity: u32,
    /// One of [`Drawing::categories`].
    pub category: String,
    /// Its middle.
    pub at: (f64, f64),
}

impl Drawing {
    /// The layout that was drawn, in centimetres: the usual distance of neighbours becomes 60 cm.
    ///
    /// # Errors
    /// With the first place that makes no sense.
    pub fn layout(&self) -> Result<Layout, PlanError> {
        let distance = |a: &DrawnSeat, b: &DrawnSeat| (a.at.0 - b.at.0).hypot(a.at.1 - b.at.1);
        let rows = self.rows.iter().filter(|r| r.neighbours != Neighbours::None);
        let mut gaps: Vec<f64> = rows.flat_map(|r| r.seats.windows(2).map(|w| distance(&w[0], &w[1]))).collect();
        gaps.retain(|gap| *gap > 0.0);
        gaps.sort_by(f64::total_cmp);
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(SEAT_CM);
        let all = || self.rows.iter().flat_map(|r| &r.seats).map(|s| s.at).chain(self.areas.iter().map(|a| a.at));
        let left = all().map(|at| at.0).fold(f64::INFINITY, f64::min);
        let top = all().map(|at| at.1).fold(f64::INFINITY, f64::min);
        let point = |(x, y): (f64, f64)| Point {
            x: centimetres((x - left) / usual * SEAT_CM + SEAT_CM / 2.0),
            // Three metres from the screen to the first row.
            y: centimetres((y - top) / usual * SEAT_CM + 300.0),
        };
        let zones = self.zone_ids();
        let zone = |category: &str, place: &str| {
            zones.get(category).copied().ok_or_else(|| bad(place, format!("its category {category:?} is not listed")))
        };
        let sections: BTreeMap<&str, SectionId> =
            self.sections.iter().enumerate().map(|(n, name)| (name.as_str(), name_or(name, "section", n))).collect();
        let mut used = BTreeSet::new();
        let mut seats = Vec::new();
        for row in &self.rows {
            let mut made: Vec<Seat> = Vec::with_capacity(row.seats.len());
            for drawn in &row.seats {
                let place = format!("row {}, seat {}", row.label, drawn.number);
                let wanted = drawn.id.clone().unwrap_or_else(|| format!("{}-{}", row.label, drawn.number));
                let id: SeatId = name_or(&wanted, "seat", seats.len() + made.len());
                // The same chair under two names is a fault of the plan; the same name for two chairs gets a number.
                let id = if used.insert(id) { id } else { name_or("", "seat", seats.len() + made.len()) };
                let at = point(drawn.at);
                made.push(Seat {
                    id,
                    section: row.section.as_deref().and_then(|s| sections.get(s).copied()),
                    row: row.label.clone(),
                    number: drawn.number.clone(),
                    x: at.x,
                    y: at.y,
                    w: 50,
                    h: 50,
                    rotation: 0,
                    left: None,
                    right: None,
                    kind: drawn.kind,
                    zone: zone(&drawn.category, &place)?,
                    group: None,
                    companion_of: BTreeSet::new(),
                    attributes: drawn.attributes.clone(),
                });
            }
            for n in 1..row.seats.len() {
                let together = match row.neighbours {
                    Neighbours::Near => distance(&row.seats[n - 1], &row.seats[n]) <= usual * AISLE,
                    Neighbours::All => true,
                    Neighbours::None => false,
                };
                if together {
                    join(&mut made, n);
                }
            }
            link_companions(&mut made);
            seats.extend(made);
        }
        let areas = self.areas.iter().enumerate().map(|(n, a)| {
            let name = Texts::one("und", &a.name).map_err(|e| bad(&a.name, e.to_string()))?;
            let id: AreaId = name_or(&a.name, "area", n);
            Ok(Area { id, name, zone: zone(&a.category, &a.name)?, capacity: a.capacity, outline: vec![point(a.at)] })
        });
        let areas: Vec<Area> = areas.collect::<Result<_, PlanError>>()?;
        let right = seats.iter().map(|s| s.x).max().unwrap_or(600);
        let back = seats.iter().map(|s| s.y).max().unwrap_or(600);
        let name = |text: &str| Texts::one("und", text).map_err(|e| bad(text, e.to_string()));
        let layout = Layout {
            screen: Line { from: Point { x: 0, y: 0 }, to: Point { x: right, y: 0 } },
            focal_point: self.focal_point.map_or(Point { x: right / 2, y: 300 + (back - 300) * 2 / 3 }, point),
            outline: vec![],
            shapes: vec![],
            zones: self
                .categories
                .iter()
                .map(|c| Ok(Zone { id: zone(c, c)?, name: name(c)? }))
                .collect::<Result<_, PlanError>>()?,
            sections: self
                .sections
                .iter()
                .map(|s| Ok(Section { id: sections[s.as_str()], name: name(s)? }))
                .collect::<Result<_, PlanError>>()?,
            areas,
            seats,
        };
        layout.check()?;
        Ok(layout)
    }

    fn zone_ids(&self) -> BTreeMap<&str, ZoneId> {
        self.categories.iter().enumerate().map(|(n, name)| (name.as_str(), name_or(name, "zone", n))).collect()
    }
}

/// Makes seat `n` and the one before it neighbours, left and right as the audience sees them.
fn join(row: &mut [Seat], n: usize) {
    let (before, here) = (row[n - 1].id, row[n].id);
    if row[n - 1].x <= row[n].x {
        row[n - 1].right = Some(here);
        row[n].left = Some(before);
    } else {
        row[n - 1].left = Some(here);
        row[n].right = Some(before);
    }
}

/// A companion's seat goes with the wheelchair spaces beside it; with none beside it, it is an ordinary seat.
fn link_companions(row: &mut [Seat]) {
    let spaces: BTreeSet<SeatId> = row.iter().filter(|s| s.kind == SeatKind::WheelchairSpace).map(|s| s.id).collect();
    for seat in row.iter_mut().filter(|s| s.kind == SeatKind::Companion) {
        seat.companion_of = [seat.left, seat.right].into_iter().flatten().filter(|id| spaces.contains(id)).collect();
        if seat.companion_of.is_empty() {
            seat.kind = SeatKind::Standard;
        }
    }
}

/// The name as an id, if it can be one; else a word and a number.
fn name_or<T: std::str::FromStr>(name: &str, word: &str, n: usize) -> T {
    let id = name.parse().ok().filter(|_| name.len() <= 48);
    id.or_else(|| format!("{word}-{}", n + 1).parse().ok()).expect("a word and a number are an id")
}

fn centimetres(value: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and the layout's check refuses what is too far out"
    )]
    let whole = value.round() as i32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pretix_plan_becomes_a_layout_with_aisles() {
        let seat = |n: i32, x: i32| json!({"seat_guid": format!("g {n}"), "seat_number": n.to_string(), "position": {"x": x, "y": 0}, "category": "Stalls"});
        let plan = json!({
            "name": "Hall", "size": {"width": 100, "height": 100}, "categories": [{"name": "Stalls", "color": "#000"}],
            "zones": [{"name": "Main", "position": {"x": 10, "y": 10}, "rows": [
                {"row_number": "A", "position": {"x": 0, "y": 0}, "seats": [seat(1, 0), seat(2, 25), seat(3, 75), seat(4, 100)]},
                {"row_number": "B", "position": {"x": 0, "y": 40}, "seats": [seat(5, 0), seat(6, 25), seat(7, 50)]},
            ]}],
        });
        let layout = read(plan.to_string().as_bytes()).expect("a plan");
        assert_eq!(layout.seats.len(), 7);
        let neighbours: Vec<bool> = layout.seats.iter().map(|s| s.right.is_some()).collect();
        assert_eq!(neighbours, [true, false, true, false, true, true, false], "an aisle between 2 and 3");
        assert_eq!(
            (layout.seats[1].x - layout.seats[0].x, layout.seats[0].section.map(|s| s.to_string())),
            (60, Some("Main".into()))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let plan = json!({"subChart": {"rows": [{"label": "A", "seats": [{"x": 1, "y": 1, "label": "1", "categoryKey": null}]}]},
            "categories": {"list": [{"label": "Cat1", "key": 1}]}});
        let error = read(plan.to_string().as_bytes()).expect_err("no category").to_string();
        assert_eq!(error, "row A, seat 1: it has no category");
        assert!(matches!(read(b"{}"), Err(PlanError::UnknownForm(_))));
        assert!(matches!(read(b"\xff"), Err(PlanError::UnknownForm(_))));
    }
}
