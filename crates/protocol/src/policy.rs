//! What a cancellation brings back. The policy is data: it is shown before buying and frozen into the booking.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Money, MoneyError};
use crate::time::after;

/// Tiers of one policy.
pub const TIERS_MAX: usize = 16;

/// What a cancellation brings back, by how long before the start it comes.
///
/// ```
/// use admit_protocol::policy::CancellationPolicy;
/// let policy: CancellationPolicy = serde_json::from_str(r#"{"tiers": [
///     {"until_before_start_s": 86400, "refund_percent": 100},
///     {"until_before_start_s": 7200, "refund_percent": 50}
/// ]}"#)?;
/// let start = "2026-11-21T20:00:00Z".parse()?;
/// assert_eq!(policy.refund_percent(start, "2026-11-21T17:59:59Z".parse()?), Some(50));
/// assert_eq!(policy.refund_percent(start, "2026-11-21T18:00:00Z".parse()?), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationPolicy {
    /// Earliest first. None at all: nothing can be cancelled.
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// Kept back for each cancelled ticket, never more than would be refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_per_ticket: Option<Money>,
    /// What tickets are worth in an exchange; what a cancellation would bring back, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeRule>,
}

/// Tickets are worth their whole price in an exchange, until some time before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeRule {
    /// This ends so many seconds before the start.
    pub until_before_start_s: u32,
    /// Kept back for each ticket, never more than it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_per_ticket: Option<Money>,
}

/// What is given back until some time before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// This tier ends so many seconds before the start; at that instant the next begins.
    pub until_before_start_s: u32,
    /// How much of the price comes back, in percent.
    #[schemars(range(max = 100))]
    pub refund_percent: u8,
}

impl CancellationPolicy {
    /// Whether tiers come in order and give back at most everything.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.tiers.len() > TIERS_MAX {
            return Err("a cancellation policy has at most 16 tiers");
        }
        if self.tiers.iter().any(|t| t.refund_percent > 100) {
            return Err("a refund is at most 100 percent");
        }
        if self.tiers.windows(2).any(|pair| pair[0].until_before_start_s <= pair[1].until_before_start_s) {
            return Err("tiers come earliest first");
        }
        if self.fees().any(|fee| fee.amount() < 0) {
            return Err("a cancellation fee is not below zero");
        }
        Ok(())
    }

    /// All fees that it has.
    pub(crate) fn fees(&self) -> impl Iterator<Item = Money> {
        [self.fee_per_ticket, self.exchange.and_then(|rule| rule.fee_per_ticket)].into_iter().flatten()
    }

    /// The tier that holds at `now`, if a cancellation is possible then.
    fn tier(&self, start: Timestamp, now: Timestamp) -> Option<&Tier> {
        self.tiers.iter().find(|t| now < after(start, -i64::from(t.until_before_start_s)))
    }

    /// How much comes back at `now`; `None` when nothing can be cancelled any more.
    #[must_use]
    pub fn refund_percent(&self, start: Timestamp, now: Timestamp) -> Option<u8> {
        self.tier(start, now).map(|t| t.refund_percent)
    }

    /// Until when what holds at `now` goes on holding.
    #[must_use]
    pub fn holds_until(&self, start: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.tier(start, now).map(|t| after(start, -i64::from(t.until_before_start_s)))
    }

    /// Until when tickets are worth their whole price in an exchange; nothing, if they are not at `now`.
    #[must_use]
    pub fn exchange_until(&self, start: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let until = after(start, -i64::from(self.exchange?.until_before_start_s));
        (now < until).then_some(until)
    }

    /// What comes back of `price` at `now`: the tier's share, less the fee, never below nothing.
    ///
    /// # Errors
    /// When the fee is in another currency than the price.
    pub fn refund(&self, price: Money, start: Timestamp, now: Timestamp) -> Result<Option<Money>, MoneyError> {
        let Some(percent) = self.refund_percent(start, now) else { return Ok(None) };
        let share = price.percent(percent);
        let less_fee = self.fee_per_ticket.map_or(Ok(share), |fee| share.minus(fee))?;
        Ok(Some(less_fee.max(Money::zero(price.currency()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> CancellationPolicy {
        serde_json::from_str(text).expect(text)
    }
    fn eur(amount: i64) -> Money {
        Money::new(amount, "EUR".parse().expect("EUR")).expect("in range")
    }

    #[test]
    fn a_tier_ends_at_its_very_instant() {
        let policy = policy(
            r#"{"tiers":[{"until_before_start_s":3600,"refund_percent":100}],
            "fee_per_ticket":{"amount":150,"currency":"EUR"}}"#,
        );
        let start: Timestamp = "2026-11-21T20:00:00Z".parse().expect("instant");
        let last: Timestamp = "2026-11-21T18:59:59.999Z".parse().expect("instant");
        assert_eq!(policy.refund(eur(1000), start, last), Ok(Some(eur(850))));
        assert_eq!(policy.refund(eur(100), start, last), Ok(Some(eur(0))));
        assert_eq!(policy.refund(eur(1000), start, after(start, -3600)), Ok(None));
        assert_eq!(policy.holds_until(start, last), Some(after(start, -3600)));
    }

    #[test]
    fn a_policy_out_of_order_is_refused() {
        for bad in [
            r#"{"tiers":[{"until_before_start_s":1,"refund_percent":50},{"until_before_start_s":1,"refund_percent":0}]}"#,
            r#"{"tiers":[{"until_before_start_s":1,"refund_percent":101}]}"#,
            r#"{"fee_per_ticket":{"amount":-1,"currency":"EUR"}}"#,
        ] {
            assert!(policy(bad).check().is_err(), "{bad}");
        }
        assert_eq!(CancellationPolicy::default().check(), Ok(()));
    }
}
