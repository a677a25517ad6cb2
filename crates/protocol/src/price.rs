//! What a seat costs. One table serves many screenings; it is immutable and named by its hash.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{FeeId, TicketTypeId, ZoneId};
use crate::layout::Layout;
use crate::money::{Currency, Money};
use crate::open_enum::open_enum;
use crate::text::Texts;

/// Ticket types of one table.
pub const TICKET_TYPES_MAX: usize = 64;
/// Offers of one table.
pub const OFFERS_MAX: usize = 2048;

/// The dearest ticket or fee, in minor units: a hundred of them still make a sum that JSON carries exactly.
pub const PRICE_MAX: i64 = 1_000_000_000_000;

/// All prices of a screening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceTable {
    /// The currency of every amount in it.
    pub currency: Currency,
    /// The kinds of ticket.
    pub ticket_types: Vec<TicketType>,
    /// What each costs in each zone. A pair that is not listed is not sold.
    pub offers: Vec<Offer>,
    /// Paid once for a booking, however many tickets. To be shown beside the first price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub booking_fees: Vec<Fee>,
}

/// A kind of ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketType {
    /// Its name for machines.
    pub id: TicketTypeId,
    /// Its name for people.
    pub name: Texts,
    /// Whom it is for.
    pub audience: Audience,
    /// The youngest, in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_age: Option<u8>,
    /// The oldest, in years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u8>,
    /// What has to be shown.
    #[serde(default = "no_proof")]
    pub proof: Proof,
    /// How many people one ticket lets in.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 99))]
    pub admits: u8,
    /// For each ticket of this type, the same booking has one of these types: a carer comes with somebody who pays.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs_one_of: BTreeSet<TicketTypeId>,
    /// How many tickets of this type one of those goes with: one carer for each who pays, four children for each adult.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 99))]
    pub each_goes_with: u8,
    /// How many of it one booking may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_booking: Option<u16>,
}

fn no_proof() -> Proof {
    Proof::None
}
fn one() -> u8 {
    1
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_one(count: &u8) -> bool {
    *count == 1
}

/// What one ticket of a type costs in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The type.
    pub ticket_type: TicketTypeId,
    /// The zone.
    pub zone: ZoneId,
    /// The price before fees.
    pub base: Money,
    /// What is added for each ticket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<Fee>,
    /// Taxes in the total or on top of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
    /// What the buyer pays: base, fees, and taxes that are not included. Nothing is ever added to it.
    pub total: Money,
}

/// Something that must be paid on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fee {
    /// Its name for machines.
    pub id: FeeId,
    /// Its name for people.
    pub name: Texts,
    /// How much.
    pub amount: Money,
    /// Whether it comes back with a refund.
    #[serde(default)]
    pub refundable: bool,
}

/// A tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tax {
    /// Its name for people.
    pub name: Texts,
    /// Its rate in hundredths of a percent: 2000 is 20 %.
    pub rate_e2: u32,
    /// How much it is.
    pub amount: Money,
    /// Whether base and fees hold it already.
    pub included: bool,
}

open_enum! {
    /// Whom a ticket is for.
    Audience {
        /// Anybody.
        Adult = "adult",
        /// Children.
        Child = "child",
        /// Teenagers.
        Teen = "teen",
        /// Students.
        Student = "student",
        /// Older people.
        Senior = "senior",
        /// People with a disability.
        Disabled = "disabled",
        /// Who comes with somebody with a disability.
        Carer = "carer",
        /// Families.
        Family = "family",
        /// Members.
        Member = "member",
        /// Schools.
        School = "school",
        /// Guests of the house.
        Comp = "comp",
    }

    /// What has to be shown.
    Proof {
        /// Nothing.
        None = "none",
        /// A card, at the door.
        AtDoor = "at_door",
        /// A code, when booking.
        Code = "code",
    }
}

/// Why a price table was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceTableError {
    /// No types or no offers, or more than [`TICKET_TYPES_MAX`] and [`OFFERS_MAX`].
    #[error("a price table has 1 to {TICKET_TYPES_MAX} ticket types and 1 to {OFFERS_MAX} offers")]
    Size,
    /// Two types share an id, or a type has two offers for a zone.
    #[error("{0} is listed twice")]
    Twice(String),
    /// An offer, or a type's companion, names a type that is not listed.
    #[error("ticket type {0} is not listed")]
    UnknownType(TicketTypeId),
    /// One table has one currency.
    #[error("{0} is not in {1}, the currency of this table")]
    Currency(Money, Currency),
    /// A price or fee is below nothing, or dearer than [`PRICE_MAX`].
    #[error("{0} is below zero, or dearer than a price may be")]
    OutOfRange(Money),
    /// The parts do not make the whole.
    #[error("the total of {ticket_type} in zone {zone} is {stated}, its parts make {sum}")]
    Sum {
        /// Which type.
        ticket_type: TicketTypeId,
        /// Which zone.
        zone: ZoneId,
        /// What it says.
        stated: Money,
        /// What it makes.
        sum: Money,
    },
    /// `admits` is not 1 to 99.
    #[error("ticket type {0} must admit 1 to 99 people")]
    Admits(TicketTypeId),
    /// `each_goes_with` is not 1 to 99.
    #[error("each ticket that {0} needs goes with 1 to 99 of it")]
    EachGoesWith(TicketTypeId),
}

impl PriceTable {
    /// Checks what the schema cannot: sums, currencies, references.
    ///
    /// # Errors
    /// With the first fault found.
    pub fn check(&self) -> Result<(), PriceTableError> {
        if !(1..=TICKET_TYPES_MAX).contains(&self.ticket_types.len()) || !(1..=OFFERS_MAX).contains(&self.offers.len())
        {
            return Err(PriceTableError::Size);
        }
        let mut types = BTreeSet::new();
        for t in &self.ticket_types {
            if !types.insert(t.id) {
                return Err(PriceTableError::Twice(t.id.to_string()));
            }
            if !(1..=99).contains(&t.admits) {
                return Err(PriceTableError::Admits(t.id));
            }
            if !(1..=99).contains(&t.each_goes_with) {
                return Err(PriceTableError::EachGoesWith(t.id));
            }
        }
        let needed = self.ticket_types.iter().flat_map(|t| &t.needs_one_of);
        if let Some(unknown) = needed.chain(self.offers.iter().map(|o| &o.ticket_type)).find(|t| !types.contains(*t)) {
            return Err(PriceTableError::UnknownType(*unknown));
        }
        let mut pairs = BTreeSet::new();
        for offer in &self.offers {
            if !pairs.insert((offer.ticket_type, offer.zone)) {
                return Err(PriceTableError::Twice(format!("{} in zone {}", offer.ticket_type, offer.zone)));
            }
            self.check_offer(offer)?;
        }
        if self.booking_fees.len() > TICKET_TYPES_MAX {
            return Err(PriceTableError::Size);
        }
        self.booking_fees.iter().try_for_each(|fee| self.check_amount(fee.amount))
    }

    fn check_offer(&self, offer: &Offer) -> Result<(), PriceTableError> {
        let added = offer.taxes.iter().filter(|t| !t.included).map(|t| t.amount);
        let parts = offer.fees.iter().map(|f| f.amount).chain(added);
        for amount in parts.clone().chain([offer.base, offer.total]).chain(offer.taxes.iter().map(|t| t.amount)) {
            self.check_amount(amount)?;
        }
        let sum = Money::sum(self.currency, parts.chain([offer.base]));
        let sum = sum.map_err(|_| PriceTableError::OutOfRange(offer.total))?;
        if sum == offer.total {
            return Ok(());
        }
        Err(PriceTableError::Sum { ticket_type: offer.ticket_type, zone: offer.zone, stated: offer.total, sum })
    }

    fn check_amount(&self, amount: Money) -> Result<(), PriceTableError> {
        if amount.currency() != self.currency {
            return Err(PriceTableError::Currency(amount, self.currency));
        }
        let possible = (0..=PRICE_MAX).contains(&amount.amount());
        possible.then_some(()).ok_or(PriceTableError::OutOfRange(amount))
    }

    /// The offer for a type in a zone.
    #[must_use]
    pub fn offer(&self, ticket_type: TicketTypeId, zone: ZoneId) -> Option<&Offer> {
        self.offers.iter().find(|o| o.ticket_type == ticket_type && o.zone == zone)
    }

    /// The ticket type of this id.
    #[must_use]
    pub fn ticket_type(&self, id: TicketTypeId) -> Option<&TicketType> {
        self.ticket_types.iter().find(|t| t.id == id)
    }

    /// The least and the most that somebody pays who buys one ticket that anybody may buy in a hall, booking fees included: only
    /// zones in which somebody can sit.
    #[must_use]
    pub fn range(&self, layout: &Layout) -> Option<(Money, Money)> {
        let zones: BTreeSet<ZoneId> =
            layout.seats.iter().map(|s| s.zone).chain(layout.areas.iter().map(|a| a.zone)).collect();
        let here = || self.offers.iter().filter(|o| zones.contains(&o.zone));
        let open = |o: &&Offer| self.ticket_type(o.ticket_type).is_some_and(|t| t.audience == Audience::Adult);
        let totals: Vec<Money> = here().filter(open).map(|o| o.total).collect();
        let totals = if totals.is_empty() { here().map(|o| o.total).collect() } else { totals };
        let fees = Money::sum(self.currency, self.booking_fees.iter().map(|f| f.amount)).ok()?;
        Some((totals.iter().min()?.plus(fees).ok()?, totals.iter().max()?.plus(fees).ok()?))
    }

    /// How many tickets of each type would break a rule of that type: more than allowed, or without company.
    ///
    /// # Errors
    /// With the first rule that is broken.
    pub fn check_types(&self, wanted: &[TicketTypeId]) -> Result<(), TicketRule> {
        let mut counts: BTreeMap<TicketTypeId, u16> = BTreeMap::new();
        for id in wanted {
            *counts.entry(*id).or_default() += 1;
        }
        for (id, count) in &counts {
            let Some(t) = self.ticket_type(*id) else { return Err(TicketRule::NotSold(*id)) };
            if let Some(max) = t.max_per_booking
                && *count > max
            {
                return Err(TicketRule::TooMany { ticket_type: *id, max });
            }
            let company: u16 = t.needs_one_of.iter().filter_map(|other| counts.get(other)).sum();
            if !t.needs_one_of.is_empty() && u32::from(company) * u32::from(t.each_goes_with) < u32::from(*count) {
                return Err(TicketRule::NeedsCompany {
                    ticket_type: *id,
                    needs_one_of: t.needs_one_of.clone(),
                    each_goes_with: t.each_goes_with,
                });
            }
        }
        Ok(())
    }
}

/// Which rule of a ticket type a choice of tickets breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketRule {
    /// There is no such ticket for that seat.
    #[error("{0} is not sold here")]
    NotSold(TicketTypeId),
    /// There are more of it than one booking may have.
    #[error("a booking has at most {max} tickets of type {ticket_type}")]
    TooMany {
        /// The type.
        ticket_type: TicketTypeId,
        /// How many there may be.
        max: u16,
    },
    /// It is only sold together with another.
    #[error("{ticket_type} tickets are only sold together with others: one for every {each_goes_with}")]
    NeedsCompany {
        /// The type.
        ticket_type: TicketTypeId,
        /// Which types those are.
        needs_one_of: BTreeSet<TicketTypeId>,
        /// How many tickets of the type one of those goes with.
        each_goes_with: u8,
    },
}

impl TicketRule {
    /// What must be bought together, in words, with the names that `called` gives to types.
    #[must_use]
    pub fn company(
        ticket_type: TicketTypeId,
        needs_one_of: &BTreeSet<TicketTypeId>,
        each_goes_with: u8,
        called: impl Fn(TicketTypeId) -> String,
    ) -> String {
        let others: Vec<String> = needs_one_of.iter().map(|id| called(*id)).collect();
        let (others, of) = (others.join(" or "), called(ticket_type));
        match each_goes_with {
            1 => format!("each {of} goes with a ticket of its own of another type: {others}"),
            n => format!("{of} only goes with {others} in the same booking, at most {n} for each"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn table() -> Value {
        let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
        json!({
            "currency": "EUR",
            "ticket_types": [
                {"id": "adult", "name": {"en": "Adult"}, "audience": "adult"},
                {"id": "carer", "name": {"en": "Carer"}, "audience": "carer", "proof": "at_door",
                 "needs_one_of": ["adult"], "max_per_booking": 2},
            ],
            "offers": [
                {"ticket_type": "adult", "zone": "std", "base": eur(1000),
                 "fees": [{"id": "booking", "name": {"en": "Booking"}, "amount": eur(50)}],
                 "taxes": [{"name": {"en": "VAT"}, "rate_e2": 2000, "amount": eur(175), "included": true}],
                 "total": eur(1050)},
                {"ticket_type": "carer", "zone": "std", "base": eur(0), "total": eur(0)},
            ],
        })
    }

    fn check(change: impl FnOnce(&mut Value)) -> Result<(), PriceTableError> {
        let mut t = table();
        change(&mut t);
        serde_json::from_value::<PriceTable>(t).expect("a table").check()
    }

    #[test]
    fn a_total_is_the_sum_of_its_parts() {
        assert_eq!(check(|_| ()), Ok(()));
        let refused = check(|t| t["offers"][0]["total"]["amount"] = json!(1000));
        assert!(matches!(refused, Err(PriceTableError::Sum { .. })), "{refused:?}");
        let on_top = check(|t| {
            t["offers"][0]["taxes"][0]["included"] = json!(false);
            t["offers"][0]["total"]["amount"] = json!(1225);
        });
        assert_eq!(on_top, Ok(()));
    }

    #[test]
    fn a_table_has_one_currency_and_no_negative_price() {
        let refused = check(|t| t["offers"][0]["fees"][0]["amount"]["currency"] = json!("USD"));
        assert!(matches!(refused, Err(PriceTableError::Currency(..))), "{refused:?}");
        let refused = check(|t| t["offers"][1]["base"]["amount"] = json!(-1));
        assert!(matches!(refused, Err(PriceTableError::OutOfRange(_))), "{refused:?}");
    }

    #[test]
    fn types_and_offers_are_listed_once() {
        assert!(matches!(check(|t| t["offers"][1]["ticket_type"] = json!("adult")), Err(PriceTableError::Twice(_))));
        assert!(matches!(check(|t| t["ticket_types"][1]["id"] = json!("adult")), Err(PriceTableError::Twice(_))));
        assert!(matches!(check(|t| t["offers"][1]["ticket_type"] = json!("x")), Err(PriceTableError::UnknownType(_))));
        assert_eq!(check(|t| t["offers"] = json!([])), Err(PriceTableError::Size));
        assert!(matches!(check(|t| t["ticket_types"][0]["admits"] = json!(0)), Err(PriceTableError::Admits(_))));
        let none = check(|t| t["ticket_types"][1]["each_goes_with"] = json!(0));
        assert!(matches!(none, Err(PriceTableError::EachGoesWith(_))));
    }

    #[test]
    fn an_adult_comes_with_as_many_children_as_the_table_says() {
        let mut families = table();
        families["ticket_types"][1] = json!({"id": "child", "name": {"en": "Child"}, "audience": "child",
            "needs_one_of": ["adult"], "each_goes_with": 3});
        families["offers"][1]["ticket_type"] = json!("child");
        let table: PriceTable = serde_json::from_value(families).expect("a table");
        let [adult, child] = ["adult", "child"].map(|id| TicketTypeId::parse(id).expect(id));
        assert_eq!(table.check_types(&[adult, child, child, child]), Ok(()));
        let four = table.check_types(&[adult, child, child, child, child]).expect_err("one too many");
        let TicketRule::NeedsCompany { ticket_type, needs_one_of, each_goes_with } = four else { panic!("{four}") };
        let words = TicketRule::company(ticket_type, &needs_one_of, each_goes_with, |id| id.to_string());
        assert_eq!(words, "child only goes with adult in the same booking, at most 3 for each");
        assert_eq!(table.check_types(&[adult, adult, child, child, child, child]), Ok(()));
    }

    #[test]
    fn a_carer_comes_with_somebody_who_pays() {
        let table: PriceTable = serde_json::from_value(table()).expect("a table");
        let [adult, carer] = ["adult", "carer"].map(|id| TicketTypeId::parse(id).expect(id));
        assert_eq!(table.check_types(&[adult, carer]), Ok(()));
        assert!(matches!(table.check_types(&[carer]), Err(TicketRule::NeedsCompany { .. })));
        assert!(matches!(table.check_types(&[adult, carer, carer]), Err(TicketRule::NeedsCompany { .. })));
        let crowd = [adult, adult, adult, carer, carer, carer];
        assert_eq!(table.check_types(&crowd), Err(TicketRule::TooMany { ticket_type: carer, max: 2 }));
        let unknown = TicketTypeId::parse("vip").expect("id");
        assert_eq!(table.check_types(&[unknown]), Err(TicketRule::NotSold(unknown)));
    }

    #[test]
    fn the_price_shown_is_one_that_anybody_pays() {
        let mut priced = table();
        let zone = priced["offers"][0]["zone"].clone();
        // A cheap zone of another hall.
        let cheap = json!({"ticket_type": "adult", "zone": "elsewhere", "base": {"amount": 1, "currency": "EUR"},
            "total": {"amount": 1, "currency": "EUR"}});
        priced["offers"].as_array_mut().expect("offers").push(cheap);
        let table: PriceTable = serde_json::from_value(priced).expect("a table");
        let layout = |zone: &serde_json::Value| -> Layout {
            serde_json::from_value(json!({
                "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 9, "y": 0}}, "focal_point": {"x": 0, "y": 0},
                "zones": [{"id": zone, "name": {"en": "Z"}}, {"id": "elsewhere", "name": {"en": "E"}}],
                "seats": [{"id": "A1", "row": "A", "number": "1", "x": 1, "y": 1, "zone": zone}],
            }))
            .expect("a layout")
        };
        let range = |zone| table.range(&layout(&zone)).map(|(lowest, highest)| (lowest.amount(), highest.amount()));
        assert_eq!(range(zone), Some((1050, 1050)));
        assert_eq!(range(json!("elsewhere")), Some((1, 1)));
        assert_eq!(range(json!("unpriced")), None);
    }
}
