//! A layout made ready for deciding: every seat and every place of an area has a number.

use std::collections::HashMap;

use admit_protocol::digest::ContentName;
use admit_protocol::id::{AreaId, SeatId, ZoneId};
use admit_protocol::layout::{Layout, LayoutError, Seat};

/// The number of a seat, or of a place in an area, within its plan. Seats come first, in the layout's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u16);

impl Place {
    /// For looking things up by place.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The places of an area without numbered seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AreaPlaces {
    /// The area.
    pub area: AreaId,
    /// Its price zone.
    pub zone: ZoneId,
    /// Its first place.
    pub first: Place,
    /// How many it has.
    pub capacity: u16,
}

impl AreaPlaces {
    /// All its places.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (self.first.0..self.first.0 + self.capacity).map(Place)
    }
}

/// A checked layout with numbered places. Shared by all screenings that use it.
#[derive(Debug)]
pub struct Plan {
    name: ContentName,
    layout: Layout,
    by_seat: HashMap<SeatId, Place>,
    /// Who sits to the left and to the right of each seat.
    beside: Vec<[Option<Place>; 2]>,
    areas: Vec<AreaPlaces>,
    places: u16,
}

impl Plan {
    /// Numbers the places of `layout`, which is the document called `name`.
    ///
    /// # Errors
    /// When the layout is not sound.
    pub fn new(name: ContentName, layout: Layout) -> Result<Self, LayoutError> {
        layout.check()?;
        let mut next = 0_u16;
        let mut take = |count: u32| {
            let first = Place(next);
            next += u16::try_from(count).map_err(|_| LayoutError::TooLarge)?;
            Ok(first)
        };
        let mut by_seat = HashMap::with_capacity(layout.seats.len());
        for seat in &layout.seats {
            by_seat.insert(seat.id, take(1)?);
        }
        let mut areas = Vec::with_capacity(layout.areas.len());
        for area in &layout.areas {
            let capacity = u16::try_from(area.capacity).map_err(|_| LayoutError::TooLarge)?;
            areas.push(AreaPlaces { area: area.id, zone: area.zone, first: take(area.capacity)?, capacity });
        }
        let place = |id: Option<SeatId>| id.and_then(|id| by_seat.get(&id).copied());
        let beside = layout.seats.iter().map(|seat| [place(seat.left), place(seat.right)]).collect();
        Ok(Self { name, layout, by_seat, beside, areas, places: next })
    }

    /// The document it was made from.
    #[must_use]
    pub fn name(&self) -> ContentName {
        self.name
    }

    /// The layout itself.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many places there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.places)
    }

    /// Whether there are none; there always are some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places == 0
    }

    /// All places.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.places).map(Place)
    }

    /// The areas without numbered seats.
    #[must_use]
    pub fn areas(&self) -> &[AreaPlaces] {
        &self.areas
    }

    /// The area of this id.
    #[must_use]
    pub fn area(&self, id: AreaId) -> Option<&AreaPlaces> {
        self.areas.iter().find(|a| a.area == id)
    }

    /// The place of a seat, or of `{area}.{n}`.
    #[must_use]
    pub fn place(&self, id: SeatId) -> Option<Place> {
        self.by_seat.get(&id).copied().or_else(|| {
            let (area, number) = id.as_str().rsplit_once('.')?;
            let area = self.area(AreaId::parse(area).ok()?)?;
            let number: u16 = number.parse().ok().filter(|n| (1..=area.capacity).contains(n))?;
            // One place, one name: `floor.07` is nobody.
            let place = Place(area.first.0 + number - 1);
            (self.seat_id(place) == id).then_some(place)
        })
    }

    /// The numbered seat at a place.
    #[must_use]
    pub fn seat(&self, place: Place) -> Option<&Seat> {
        self.layout.seats.get(place.index())
    }

    /// Who sits to the left and to the right of a place: nobody at an aisle, and nobody in an area without numbers.
    #[must_use]
    pub fn beside(&self, place: Place) -> [Option<Place>; 2] {
        self.beside.get(place.index()).copied().unwrap_or_default()
    }

    /// The area that a place is in.
    #[must_use]
    pub fn area_of(&self, place: Place) -> Option<&AreaPlaces> {
        self.areas.iter().find(|a| (a.first.0..a.first.0 + a.capacity).contains(&place.0))
    }

    /// The name of a place.
    ///
    /// # Panics
    /// When the place is not of this plan.
    #[must_use]
    pub fn seat_id(&self, place: Place) -> SeatId {
        if let Some(seat) = self.seat(place) {
            return seat.id;
        }
        let area = self.area_of(place).expect("a place of this plan");
        let name = format!("{}.{}", area.area, place.0 - area.first.0 + 1);
        // `Layout::check` keeps area ids short enough for any number.
        SeatId::parse(&name).expect("an area id leaves room for its numbers")
    }

    /// The price zone of a place.
    #[must_use]
    pub fn zone(&self, place: Place) -> Option<ZoneId> {
        self.seat(place).map(|s| s.zone).or_else(|| self.area_of(place).map(|a| a.zone))
    }
}
