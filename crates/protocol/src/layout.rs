//! How the seats of a hall are arranged. A layout is immutable and named by its hash; a new arrangement is a new one.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AreaId, GroupId, SeatId, SectionId, ZoneId};
use crate::open_enum::open_enum;
use crate::text::{Texts, is_plain};

/// Seats and places of one layout: the largest halls on earth seat fewer.
pub const PLACES_MAX: usize = 20_000;
/// Price zones of one layout.
pub const ZONES_MAX: usize = 64;
/// The longest printed label, in bytes.
pub const LABEL_BYTES_MAX: usize = 64;
/// Coordinates and sizes stay within a kilometre, in centimetres.
const COORDINATE_MAX: i32 = 100_000;

/// An arrangement of seats. Lengths are whole centimetres; x grows to the right as the audience sees it, y away from
/// the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layout {
    /// The screen, from its left end to its right.
    pub screen: Line,
    /// The best place to sit: usually the middle, two thirds back.
    pub focal_point: Point,
    /// The walls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<Point>,
    /// What else is drawn: doors, stairs, a stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<Shape>,
    /// Price zones. Every seat and area is in one.
    pub zones: Vec<Zone>,
    /// Parts of the hall, such as stalls and balcony.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// Areas without numbered seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Area>,
    /// The seats, in reading order: front to back, left to right.
    pub seats: Vec<Seat>,
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// To the right, in centimetres.
    pub x: i32,
    /// Away from the screen, in centimetres.
    pub y: i32,
}

/// A straight line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// From here.
    pub from: Point,
    /// To here.
    pub to: Point,
}

/// Something drawn on the map that is not a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// What it is.
    pub kind: ShapeKind,
    /// Its corners; one for a label.
    pub points: Vec<Point>,
    /// What is written on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Texts>,
}

/// A price zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Zone {
    /// Its name for machines and price tables.
    pub id: ZoneId,
    /// Its name for people.
    pub name: Texts,
}

/// A part of the hall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    /// Its name for machines.
    pub id: SectionId,
    /// Its name for people.
    pub name: Texts,
}

/// An area without numbered seats: a count of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Area {
    /// Its name for machines. Its places are `{id}.1` to `{id}.{capacity}`, so it is shorter than other ids.
    pub id: AreaId,
    /// Its name for people.
    pub name: Texts,
    /// Its price zone.
    pub zone: ZoneId,
    /// How many people it takes.
    pub capacity: u32,
    /// Where it is drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<Point>,
}

/// One seat, or one space for a wheelchair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seat {
    /// Its name for machines; the same where the chair is the same.
    pub id: SeatId,
    /// The part of the hall it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<SectionId>,
    /// The row as printed. Never compute with it: rows skip letters.
    #[schemars(length(min = 1, max = 64))]
    pub row: String,
    /// The number as printed. Never compute with it: numbers skip, and count from either side.
    #[schemars(length(min = 1, max = 64))]
    pub number: String,
    /// Its middle.
    pub x: i32,
    /// Its middle.
    pub y: i32,
    /// How wide it is, in centimetres.
    #[serde(default = "chair", skip_serializing_if = "is_chair")]
    pub w: u16,
    /// How deep it is, in centimetres.
    #[serde(default = "chair", skip_serializing_if = "is_chair")]
    pub h: u16,
    /// How far it is turned, in degrees clockwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = -359, max = 359))]
    pub rotation: i16,
    /// Who sits to the left, as the audience sees it; nobody at an aisle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<SeatId>,
    /// Who sits to the right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<SeatId>,
    /// What it is.
    #[serde(default = "standard", skip_serializing_if = "is_standard")]
    pub kind: SeatKind,
    /// Its price zone.
    pub zone: ZoneId,
    /// The sofa or box it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// The wheelchair spaces beside which this is the companion's seat.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub companion_of: BTreeSet<SeatId>,
    /// What is special about it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<SeatAttribute>,
}

const CHAIR_CM: u16 = 50;
fn chair() -> u16 {
    CHAIR_CM
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_chair(cm: &u16) -> bool {
    *cm == CHAIR_CM
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(degrees: &i16) -> bool {
    *degrees == 0
}
fn standard() -> SeatKind {
    SeatKind::Standard
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_standard(kind: &SeatKind) -> bool {
    *kind == SeatKind::Standard
}

open_enum! {
    /// What a seat is. An unknown kind is shown as a standard seat with its attributes.
    SeatKind {
        /// An ordinary chair.
        Standard = "standard",
        /// A space for a wheelchair, without a chair.
        WheelchairSpace = "wheelchair_space",
        /// A chair that one can move onto from a wheelchair.
        AccessibleTransfer = "accessible_transfer",
        /// The seat beside a wheelchair space, for who comes along.
        Companion = "companion",
        /// A seat for two.
        LoveSeat = "love_seat",
        /// Part of a sofa.
        Sofa = "sofa",
        /// It reclines.
        Recliner = "recliner",
        /// A bed.
        Bed = "bed",
        /// A beanbag.
        Beanbag = "beanbag",
        /// A stool at a bar.
        BarStool = "bar_stool",
        /// In a box.
        Box = "box",
        /// It moves with the film.
        Motion = "motion",
        /// It can be taken out.
        Removable = "removable",
    }

    /// What is special about a seat.
    SeatAttribute {
        /// Part of the screen is hidden.
        RestrictedView = "restricted_view",
        /// The armrest lifts.
        LiftUpArmrest = "lift_up_armrest",
        /// Wider.
        PlusSize = "plus_size",
        /// More room for legs.
        ExtraLegroom = "extra_legroom",
        /// Within a hearing loop.
        HearingLoop = "hearing_loop",
        /// Near an exit.
        NearExit = "near_exit",
        /// With a table.
        Table = "table",
        /// With a socket.
        Power = "power",
    }

    /// What is drawn beside seats.
    ShapeKind {
        /// A stage.
        Stage = "stage",
        /// A wall.
        Wall = "wall",
        /// Stairs.
        Stairs = "stairs",
        /// A door.
        Door = "door",
        /// The way in.
        Entrance = "entrance",
        /// Words.
        Label = "label",
    }
}

/// Why a layout was not accepted: which seat or area, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// It seats nobody.
    #[error("a layout needs at least one seat or area")]
    Empty,
    /// More than [`PLACES_MAX`] places, or more than [`ZONES_MAX`] zones.
    #[error("a layout has at most {PLACES_MAX} places in at most {ZONES_MAX} zones")]
    TooLarge,
    /// Two seats, areas, zones or sections share an id.
    #[error("the id {0} is used twice")]
    DoubleId(String),
    /// Two seats of a section have the same printed row and number.
    #[error("seats {0} and {1} have the same printed row and number")]
    DoubleLabel(SeatId, SeatId),
    /// A printed label is empty or too long.
    #[error("seat {0} needs a printed row and number of at most {LABEL_BYTES_MAX} bytes each")]
    BadLabel(SeatId),
    /// A seat or area is in a zone or section that is not listed.
    #[error("{place} is in {missing}, which is not listed")]
    Missing {
        /// The seat or area.
        place: String,
        /// The zone or section.
        missing: String,
    },
    /// A neighbour that the hall does not have.
    #[error("seat {0} has {1} as neighbour, and there is no such seat")]
    NoSuchNeighbour(SeatId, SeatId),
    /// Neighbours must see each other.
    #[error("seat {0} has {1} as neighbour, but not the other way round")]
    OneSidedNeighbour(SeatId, SeatId),
    /// A companion's seat points to something that is no wheelchair space.
    #[error("seat {0} is for the companion of {1}, which is no wheelchair space")]
    CompanionOfNoWheelchair(SeatId, SeatId),
    /// A companion's seat points to nothing (`LAY-003`).
    #[error("seat {0} is for a companion: say of which wheelchair spaces, in `companion_of`")]
    CompanionOfNobody(SeatId),
    /// Two seats are drawn at the same point.
    #[error("seats {0} and {1} are at the same point")]
    SamePoint(SeatId, SeatId),
    /// Somewhere outside of a square kilometre.
    #[error("{0} is drawn outside of the plan")]
    OutsidePlan(String),
    /// An area takes nobody, or its id leaves no room for place numbers.
    #[error("area {0} needs a capacity of at least 1 and an id of at most 50 characters")]
    BadArea(AreaId),
}

impl Layout {
    /// Checks what the schema cannot: ids, neighbours, companions, labels, zones.
    ///
    /// # Errors
    /// With the first fault found, naming the place.
    pub fn check(&self) -> Result<(), LayoutError> {
        let places = self.seats.len() as u64 + self.areas.iter().map(|a| u64::from(a.capacity)).sum::<u64>();
        if places == 0 {
            return Err(LayoutError::Empty);
        }
        if places > PLACES_MAX as u64 || self.zones.len() > ZONES_MAX || self.areas.len() > PLACES_MAX {
            return Err(LayoutError::TooLarge);
        }
        let zones = unique(self.zones.iter().map(|z| z.id.as_str()))?;
        let sections = unique(self.sections.iter().map(|s| s.id.as_str()))?;
        let seats = unique(self.seats.iter().map(|s| s.id.as_str()))?;
        // Seats and areas are what people ask for: one name, one thing.
        unique(self.areas.iter().map(|a| a.id.as_str()).chain(seats.iter().copied()))?;
        let listed = |set: &BTreeSet<&str>, id: &str, place: &str| {
            let missing = || LayoutError::Missing { place: place.to_owned(), missing: id.to_owned() };
            set.contains(id).then_some(()).ok_or_else(missing)
        };
        for area in &self.areas {
            if area.capacity == 0 || area.id.as_str().len() > 50 {
                return Err(LayoutError::BadArea(area.id));
            }
            // A place of an area must not have the name of a seat: `{area}.{n}` is a name of its own.
            let prefix = format!("{}.", area.id);
            let clash = |s: &&&str| s.strip_prefix(prefix.as_str()).is_some_and(|n| n.parse::<u32>().is_ok());
            if let Some(seat) = seats.iter().find(clash) {
                return Err(LayoutError::DoubleId((*seat).to_owned()));
            }
            listed(&zones, area.zone.as_str(), area.id.as_str())?;
        }
        self.check_seats(&zones, &sections, listed)
    }

    fn check_seats<'a>(
        &'a self,
        zones: &BTreeSet<&'a str>,
        sections: &BTreeSet<&'a str>,
        listed: impl Fn(&BTreeSet<&str>, &str, &str) -> Result<(), LayoutError>,
    ) -> Result<(), LayoutError> {
        let by_id: BTreeMap<SeatId, &Seat> = self.seats.iter().map(|s| (s.id, s)).collect();
        let mut labels = BTreeMap::new();
        let mut points = BTreeMap::new();
        for seat in &self.seats {
            let good = |label: &str| !label.trim().is_empty() && is_plain(label, LABEL_BYTES_MAX);
            if !good(&seat.row) || !good(&seat.number) {
                return Err(LayoutError::BadLabel(seat.id));
            }
            if let Some(first) = labels.insert((seat.section, &seat.row, &seat.number), seat.id) {
                return Err(LayoutError::DoubleLabel(first, seat.id));
            }
            if let Some(first) = points.insert((seat.x, seat.y), seat.id) {
                return Err(LayoutError::SamePoint(first, seat.id));
            }
            if seat.x.abs() > COORDINATE_MAX || seat.y.abs() > COORDINATE_MAX || seat.rotation.abs() > 359 {
                return Err(LayoutError::OutsidePlan(seat.id.to_string()));
            }
            listed(zones, seat.zone.as_str(), seat.id.as_str())?;
            if let Some(section) = seat.section {
                listed(sections, section.as_str(), seat.id.as_str())?;
            }
            let neighbour = |id: SeatId, back: fn(&Seat) -> Option<SeatId>| {
                let missing = || LayoutError::NoSuchNeighbour(seat.id, id);
                let symmetric = back(by_id.get(&id).ok_or_else(missing)?) == Some(seat.id);
                symmetric.then_some(()).ok_or(LayoutError::OneSidedNeighbour(seat.id, id))
            };
            seat.left.map_or(Ok(()), |id| neighbour(id, |s| s.right))?;
            seat.right.map_or(Ok(()), |id| neighbour(id, |s| s.left))?;
            if seat.kind == SeatKind::Companion && seat.companion_of.is_empty() {
                return Err(LayoutError::CompanionOfNobody(seat.id));
            }
            for space in &seat.companion_of {
                if by_id.get(space).is_none_or(|s| s.kind != SeatKind::WheelchairSpace) {
                    return Err(LayoutError::CompanionOfNoWheelchair(seat.id, *space));
                }
            }
        }
        Ok(())
    }

    /// How many people it takes.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        let areas: u32 = self.areas.iter().map(|a| a.capacity).sum();
        u32::try_from(self.seats.len()).unwrap_or(u32::MAX).saturating_add(areas)
    }
}

fn unique<'a>(ids: impl Iterator<Item = &'a str>) -> Result<BTreeSet<&'a str>, LayoutError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(LayoutError::DoubleId(id.to_owned()));
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layout() -> serde_json::Value {
        json!({
            "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 600, "y": 0}},
            "focal_point": {"x": 300, "y": 400},
            "zones": [{"id": "std", "name": {"en": "Standard"}}],
            "areas": [{"id": "floor", "name": {"en": "Floor"}, "zone": "std", "capacity": 20}],
            "seats": [
                {"id": "A1", "row": "A", "number": "1", "x": 100, "y": 100, "zone": "std", "right": "A2"},
                {"id": "A2", "row": "A", "number": "2", "x": 160, "y": 100, "zone": "std", "left": "A1"},
                {"id": "W1", "row": "B", "number": "1", "x": 100, "y": 200, "zone": "std", "kind": "wheelchair_space"},
                {"id": "B2", "row": "B", "number": "2", "x": 160, "y": 200, "zone": "std", "kind": "companion",
                 "companion_of": ["W1"]},
            ],
        })
    }

    fn check(change: impl FnOnce(&mut serde_json::Value)) -> Result<(), LayoutError> {
        let mut plan = layout();
        change(&mut plan);
        serde_json::from_value::<Layout>(plan).expect("a layout").check()
    }

    #[test]
    fn a_good_layout_passes() {
        assert_eq!(check(|_| ()), Ok(()));
        assert_eq!(serde_json::from_value::<Layout>(layout()).expect("a layout").capacity(), 24);
    }

    #[test]
    fn neighbours_see_each_other() {
        let refused = check(|p| p["seats"][0]["right"] = json!("W1"));
        assert!(matches!(refused, Err(LayoutError::OneSidedNeighbour(..))), "{refused:?}");
        let refused = check(|p| p["seats"][0]["left"] = json!("nobody"));
        assert!(matches!(refused, Err(LayoutError::NoSuchNeighbour(..))), "{refused:?}");
    }

    #[test]
    fn a_name_is_that_of_one_seat_or_area() {
        let refused = check(|p| p["areas"][0]["id"] = json!("W1"));
        assert_eq!(refused, Err(LayoutError::DoubleId("W1".into())));
        let refused = check(|p| p["seats"][1]["id"] = json!("A1"));
        assert_eq!(refused, Err(LayoutError::DoubleId("A1".into())));
    }

    #[test]
    fn companions_sit_beside_wheelchairs() {
        let refused = check(|p| p["seats"][3]["companion_of"] = json!(["A1"]));
        assert!(matches!(refused, Err(LayoutError::CompanionOfNoWheelchair(..))), "{refused:?}");
        let refused = check(|p| p["seats"][3]["companion_of"] = json!([]));
        assert!(matches!(refused, Err(LayoutError::CompanionOfNobody(..))), "{refused:?}");
    }

    #[test]
    fn ids_labels_and_points_are_unique() {
        let refused = check(|p| p["seats"][1]["id"] = json!("A1"));
        assert!(matches!(refused, Err(LayoutError::DoubleId(_))), "{refused:?}");
        let refused = check(|p| p["seats"][2]["row"] = json!("A"));
        assert!(matches!(refused, Err(LayoutError::DoubleLabel(..))), "{refused:?}");
        let refused = check(|p| p["seats"][2]["y"] = json!(100));
        assert!(matches!(refused, Err(LayoutError::SamePoint(..))), "{refused:?}");
        let refused = check(|p| p["seats"][2]["id"] = json!("floor.7"));
        assert!(matches!(refused, Err(LayoutError::DoubleId(_))), "{refused:?}");
    }

    #[test]
    fn every_place_has_a_price_zone() {
        let refused = check(|p| p["seats"][0]["zone"] = json!("vip"));
        assert!(matches!(refused, Err(LayoutError::Missing { .. })), "{refused:?}");
        let refused = check(|p| p["areas"][0]["zone"] = json!("vip"));
        assert!(matches!(refused, Err(LayoutError::Missing { .. })), "{refused:?}");
        let refused = check(|p| p["seats"][0]["section"] = json!("balcony"));
        assert!(matches!(refused, Err(LayoutError::Missing { .. })), "{refused:?}");
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(check(|p| p["areas"][0]["capacity"] = json!(20_001)), Err(LayoutError::TooLarge));
        assert!(matches!(check(|p| p["areas"][0]["capacity"] = json!(0)), Err(LayoutError::BadArea(_))));
        assert!(matches!(check(|p| p["seats"][0]["x"] = json!(1_000_000)), Err(LayoutError::OutsidePlan(_))));
        assert!(matches!(check(|p| p["seats"][0]["row"] = json!("")), Err(LayoutError::BadLabel(_))));
        let refused = check(|p| {
            p["seats"] = json!([]);
            p["areas"] = json!([]);
        });
        assert_eq!(refused, Err(LayoutError::Empty));
    }
}
