//! What a house knows of its screening: everything that deciding reads, besides who has which seat.

use std::sync::Arc;

use admit_protocol::capability::PaymentMethod;
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::manifest::{HoldPolicy, WaitlistPolicy};
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::{PriceTable, PriceTableError};
use admit_protocol::screening::{SalesWindow, ScreeningStatus, SeatRules};
use admit_protocol::seats::SalesState;
use jiff::Timestamp;

use crate::plan::Plan;
use crate::queue::{QueueTerms, ms};
use crate::refusal::Refusal;

/// A checked price table and its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Prices {
    /// The document.
    pub name: ContentName,
    /// What it says.
    pub table: PriceTable,
}

impl Prices {
    /// Takes a price table into use.
    ///
    /// # Errors
    /// When the table is not sound.
    pub fn new(name: ContentName, table: PriceTable) -> Result<Self, PriceTableError> {
        table.check()?;
        Ok(Self { name, table })
    }
}

/// What deciding reads of a screening.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The screening.
    pub screening: ScreeningId,
    /// Its seats.
    pub plan: Arc<Plan>,
    /// Its prices for new holds. A hold keeps those it was made with.
    pub prices: Arc<Prices>,
    /// Whether it takes place.
    pub status: ScreeningStatus,
    /// When it is sold.
    pub sales: SalesWindow,
    /// The time on the poster.
    pub starts_at: Timestamp,
    /// The end.
    pub ends_at: Timestamp,
    /// What holds are like.
    pub hold_policy: HoldPolicy,
    /// What a cancellation brings back, for new bookings.
    pub cancellation: Arc<CancellationPolicy>,
    /// Until when who pays at the cinema must have paid.
    pub collect_by: Timestamp,
    /// From when companion seats are sold to anybody.
    pub companion_release_at: Option<Timestamp>,
    /// What may be left over when seats are chosen.
    pub seat_rules: SeatRules,
    /// What waiting for seats is like, if one can.
    pub waitlist: Option<WaitlistPolicy>,
    /// That it is sold to who has a pass of its queue.
    pub queue: Option<QueueTerms>,
    /// How it can be paid.
    pub payment_methods: Vec<PaymentMethod>,
    /// How many percent of all places one network may have unpaid; 100 is no limit.
    pub unpaid_percent_per_network: u8,
}

impl Terms {
    /// Refuses what is not sold at `now`.
    pub(crate) fn check_sold(&self, now: Timestamp) -> Result<(), Refusal> {
        let opens_at = self.sales.opens_at;
        match self.sales_state(now) {
            state if state.is_open() => Ok(()),
            SalesState::NotYetOpen => Err(Refusal::SalesNotOpen { opens_at, wait_ms: ms(now, opens_at) }),
            state => Err(Refusal::NotOnSale(state)),
        }
    }

    /// Whether seats can be held at `now`.
    #[must_use]
    pub fn sales_state(&self, now: Timestamp) -> SalesState {
        self.sales.state(self.status, (self.starts_at, self.ends_at), now)
    }

    /// Whether companions' seats are sold to anybody at `now`.
    #[must_use]
    pub fn companions_released(&self, now: Timestamp) -> bool {
        self.companion_release_at.is_some_and(|at| now >= at)
    }

    /// When the state of sales changes next by itself.
    #[must_use]
    pub fn next_sales_change(&self, now: Timestamp) -> Option<Timestamp> {
        [self.sales.opens_at, self.starts_at, self.sales.closes_at, self.ends_at].into_iter().filter(|t| *t > now).min()
    }
}
