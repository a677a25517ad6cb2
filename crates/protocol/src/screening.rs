//! What is shown when: screenings, and the programme of a cinema.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cinema::Cinema;
use crate::digest::ContentName;
use crate::film::Film;
use crate::id::{CinemaId, FilmId, FilmVersionId, HallId, ScreeningId};
use crate::layout::Layout;
use crate::money::Money;
use crate::open_enum::open_enum;
use crate::policy::CancellationPolicy;
use crate::price::PriceTable;
use crate::queue::{ADMITS_PER_MIN_MAX, ScreeningQueue};
use crate::seats::SalesState;
use crate::text::Texts;
use crate::time::{Moment, after};

/// Screenings on one page of a programme.
pub const SCREENINGS_PER_PAGE: usize = 1_000;
/// Films in one screening: a double bill has two, a short-film night more.
pub const ITEMS_MAX: usize = 32;
/// A screening of unknown length counts as over six hours after its start: longer than any single film that people go to.
const OVER_IF_UNKNOWN_S: i64 = 6 * 3600;

/// A page of what a cinema shows. Films that the page's screenings show come with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Programme {
    /// The cinema.
    pub cinema: CinemaId,
    /// Films of these screenings.
    pub films: Vec<Film>,
    /// Screenings by start, then id.
    pub screenings: Vec<Screening>,
    /// Where the next page begins, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub next: Option<String>,
}

/// One showing, in one hall, at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Screening {
    /// Its name for machines.
    pub id: ScreeningId,
    /// Where.
    pub cinema: CinemaId,
    /// In which hall.
    pub hall: HallId,
    /// How its seats are arranged. Pinned: it stays, also when the hall gets a new layout.
    pub layout: ContentName,
    /// What is shown, in order. A double bill has two.
    pub items: Vec<Item>,
    /// When the doors open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doors_at: Option<Moment>,
    /// The time on the poster.
    pub starts_at: Moment,
    /// When the last item ends; nothing, if its length is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Moment>,
    /// The evening it belongs to: a show after midnight counts to the day before.
    pub business_date: Date,
    /// How seats are taken.
    #[serde(default = "reserved")]
    pub seating: Seating,
    /// Whether it takes place.
    #[serde(default = "on_sale")]
    pub status: ScreeningStatus,
    /// When it can be booked.
    pub sales: SalesWindow,
    /// That it is sold to who has a place in a queue, and how those are let in (capability `queue`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<ScreeningQueue>,
    /// What is special about it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<ScreeningAttribute>,
    /// Its prices.
    pub price_table: ContentName,
    /// What one ticket that anybody may buy costs at least and at most, booking fees and all else included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_range: Option<PriceRange>,
    /// What a cancellation brings back, from now on.
    pub cancellation: CancellationPolicy,
    /// Until when who pays at the cinema must have paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_by: Option<Timestamp>,
    /// From when companion seats are sold to anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accessible_release_at: Option<Timestamp>,
    /// What may be left over when seats are chosen.
    #[serde(default, skip_serializing_if = "SeatRules::is_default")]
    pub seat_rules: SeatRules,
    /// A word to the visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Texts>,
}

impl Screening {
    /// Whether seats can be held at `now`: what [`Seats::sales`](crate::seats::Seats::sales) says then. Whether any are left, only the
    /// seats say.
    #[must_use]
    pub fn sales_state(&self, now: Timestamp) -> SalesState {
        self.sales.state(self.status, (self.starts_at.at(), self.over_at()), now)
    }
}

impl ScreeningStatus {
    /// Whether it is to happen as it was announced. Of one that is not, no ticket opens a door, and everything that was paid comes
    /// back (`CANC-007`).
    #[must_use]
    pub fn takes_place(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Postponed | Self::Moved)
    }
}

fn reserved() -> Seating {
    Seating::Reserved
}
fn on_sale() -> ScreeningStatus {
    ScreeningStatus::OnSale
}

/// What may be left over when seats are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatRules {
    /// Whether a single seat may be left between taken ones.
    #[serde(default = "off")]
    pub orphans: OrphanRule,
    /// From how few free seats on a single one may be left all the same, in percent of the hall.
    #[serde(default = "ten")]
    #[schemars(range(max = 100))]
    pub orphans_below_percent: u8,
    /// How sofas and boxes are sold.
    #[serde(default = "by_place")]
    pub groups: GroupRule,
}

impl Default for SeatRules {
    /// Whoever wants a seat may have it.
    fn default() -> Self {
        Self { orphans: off(), orphans_below_percent: ten(), groups: by_place() }
    }
}

impl SeatRules {
    /// Whether these are what is meant where nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn off() -> OrphanRule {
    OrphanRule::Off
}
fn ten() -> u8 {
    10
}
fn by_place() -> GroupRule {
    GroupRule::ByPlace
}

/// One film of a screening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The film.
    pub film: FilmId,
    /// In which version.
    pub version: FilmVersionId,
    /// When it begins, trailers past.
    pub starts_at: Moment,
}

/// When a screening can be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SalesWindow {
    /// From this instant.
    pub opens_at: Timestamp,
    /// Until before this one. Later than the start only where the cinema sells to latecomers.
    pub closes_at: Timestamp,
}

impl SalesWindow {
    /// Whether seats can be held at `now`, of a screening of this status that takes this time.
    #[must_use]
    pub fn state(
        &self,
        status: ScreeningStatus,
        (starts_at, over_at): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> SalesState {
        match status {
            ScreeningStatus::OnSale => {}
            ScreeningStatus::Paused => return SalesState::Paused,
            status if !status.takes_place() => return SalesState::Cancelled,
            _ => return SalesState::Closed,
        }
        let under_way = now >= starts_at && now < over_at;
        match (now >= self.opens_at, now < self.closes_at) {
            (false, _) => SalesState::NotYetOpen,
            (true, true) if under_way => SalesState::UnderWayOpen,
            (true, true) => SalesState::Open,
            (true, false) if under_way => SalesState::UnderWay,
            (true, false) => SalesState::Closed,
        }
    }
}

/// From the cheapest to the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceRange {
    /// The cheapest.
    pub lowest: Money,
    /// The dearest.
    pub highest: Money,
}

open_enum! {
    /// How seats are taken.
    Seating {
        /// Each ticket has a seat.
        Reserved = "reserved",
        /// Seats are given out at the door.
        ChooseAtDoor = "choose_at_door",
        /// First come, best seat.
        Free = "free",
        /// Some areas have seats, some not.
        Mixed = "mixed",
    }

    /// Whether a single seat may be left over. A rule that is not known is not shown to buyers; the server says no by it.
    OrphanRule {
        /// Never.
        Strict = "strict",
        /// Only where no other choice in the same block would leave none.
        Lenient = "lenient",
        /// Always.
        Off = "off",
    }

    /// How sofas and boxes are sold.
    GroupRule {
        /// Seat by seat.
        ByPlace = "by_place",
        /// All of one, or none of it.
        Whole = "whole",
    }

    /// Whether a screening takes place. One of unknown status is shown, not sold.
    ScreeningStatus {
        /// Announced.
        Planned = "planned",
        /// It can be booked within its sales window.
        OnSale = "on_sale",
        /// Not just now.
        Paused = "paused",
        /// No more bookings.
        Closed = "closed",
        /// It does not take place.
        Cancelled = "cancelled",
        /// Later, at a time not known yet.
        Postponed = "postponed",
        /// Elsewhere or at another time.
        Moved = "moved",
    }

    /// What is special about a screening.
    ScreeningAttribute {
        /// Lights up, sound down, come and go.
        Relaxed = "relaxed",
        /// With babies.
        ParentAndBaby = "parent_and_baby",
        /// For children.
        Kids = "kids",
        /// Sing.
        SingAlong = "sing_along",
        /// With a talk after the film.
        QAndA = "q_and_a",
        /// Before its release.
        Preview = "preview",
        /// Title unknown.
        Sneak = "sneak",
        /// For members.
        Members = "members",
        /// For adults.
        Over18 = "over_18",
        /// As it happens elsewhere.
        Live = "live",
        /// Who bought with a key of their own shows a proof of it beside the ticket (TICK-009).
        HolderProof = "holder_proof",
        /// For tests of other implementations: nobody is let in.
        Test = "test",
    }
}

impl Screening {
    /// From when on it counts as over: its end, or six hours after its start where the end is not known (PROG-007).
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.ends_at.as_ref().map_or_else(|| after(self.starts_at.at(), OVER_IF_UNKNOWN_S), Moment::at)
    }

    /// Whether times, items and windows make sense together.
    ///
    /// # Errors
    /// With what does not.
    pub fn check(&self) -> Result<(), &'static str> {
        if !(1..=ITEMS_MAX).contains(&self.items.len()) {
            return Err("a screening has 1 to 32 items");
        }
        let over = self.over_at();
        if over <= self.starts_at.at() {
            return Err("a screening ends after it starts");
        }
        if over.duration_since(self.starts_at.at()).as_hours() > 72 {
            return Err("a screening lasts at most 72 hours");
        }
        if self.items.iter().any(|i| i.starts_at.at() < self.starts_at.at() || i.starts_at.at() >= over) {
            return Err("every item begins while the screening lasts");
        }
        if self.doors_at.as_ref().is_some_and(|doors| doors.at() > self.starts_at.at()) {
            return Err("doors open before the start");
        }
        if self.sales.closes_at <= self.sales.opens_at || self.sales.closes_at > over {
            return Err("sales close after they open and before the end");
        }
        if let Some(queue) = &self.queue {
            if queue.opens_at >= self.sales.opens_at {
                return Err("a queue opens before sales do");
            }
            if !(1..=ADMITS_PER_MIN_MAX).contains(&queue.admits_per_min) {
                return Err("a queue lets 1 to 60,000 in each minute");
            }
        }
        if self.collect_by.is_some_and(|by| by > self.starts_at.at()) {
            return Err("who pays at the cinema pays before the start");
        }
        self.cancellation.check()
    }

    /// Whether what it says of its cinema, seats and prices is what these say: PROG-008.
    ///
    /// # Errors
    /// With the first thing that differs.
    pub fn fits(&self, cinema: &Cinema, layout: &Layout, table: &PriceTable) -> Result<(), String> {
        if cinema.id != self.cinema || cinema.hall(self.hall).is_none() {
            return Err(format!("cinema {} has no hall {}", cinema.id, self.hall));
        }
        let moments = [Some(&self.starts_at), self.ends_at.as_ref(), self.doors_at.as_ref()];
        let moments = moments.into_iter().flatten().chain(self.items.iter().map(|i| &i.starts_at));
        if let Some(elsewhere) = moments.map(Moment::zone).find(|zone| **zone != cinema.zone) {
            return Err(format!("its times are by the clock of {elsewhere}, the cinema's of {}", cinema.zone));
        }
        let evening = self.starts_at.business_date(cinema.business_day_cutoff);
        if self.business_date != evening {
            return Err(format!("it belongs to the evening of {evening}, not of {}", self.business_date));
        }
        if table.currency != cinema.currency {
            return Err(format!("its prices are in {}, the cinema's in {}", table.currency, cinema.currency));
        }
        if let Some(fee) = self.cancellation.fees().find(|fee| fee.currency() != cinema.currency) {
            return Err(format!(
                "its cancellation policy has a fee in {}, the cinema sells in {}",
                fee.currency(),
                cinema.currency
            ));
        }
        if let Some(zone) = layout.zones.iter().find(|z| !table.offers.iter().any(|o| o.zone == z.id)) {
            return Err(format!("its price table has no price for zone {}", zone.id));
        }
        let range = table.range(layout).map(|(lowest, highest)| PriceRange { lowest, highest });
        if self.price_range.is_some() && self.price_range != range {
            return Err("its range of prices is not the one of its price table".into());
        }
        Ok(())
    }
}
