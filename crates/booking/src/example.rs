//! A small screening to try things on: two rows of four seats and a floor for ten, at eight in the evening.

use std::sync::Arc;

use admit_protocol::capability::PaymentMethod;
use admit_protocol::digest::ContentName;
use admit_protocol::layout::Layout;
use admit_protocol::manifest::{HoldPolicy, WaitlistPolicy};
use admit_protocol::policy::{CancellationPolicy, Tier};
use admit_protocol::price::PriceTable;
use admit_protocol::screening::{SalesWindow, ScreeningStatus, SeatRules};
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::terms::{Prices, Terms};

/// Noon of the day.
pub const NOW: &str = "2026-11-21T12:00:00Z";

/// Row A: four chairs. Row B: a wheelchair space, its companion's seat, two chairs. A floor for ten.
///
/// # Panics
/// Never: the layout is a good one.
#[must_use]
pub fn plan() -> Plan {
    let seat = |row: &str, n: i32| {
        let id = |n: i32| format!("{row}{n}");
        let mut seat = json!({
            "id": id(n), "row": row, "number": n.to_string(), "x": n * 60, "y": if row == "A" { 100 } else { 200 },
            "zone": "std",
        });
        if n > 1 {
            seat["left"] = json!(id(n - 1));
        }
        if n < 4 {
            seat["right"] = json!(id(n + 1));
        }
        seat
    };
    let mut seats: Vec<Value> = ["A", "B"].iter().flat_map(|row| (1..=4).map(|n| seat(row, n))).collect();
    seats[4]["kind"] = json!("wheelchair_space");
    seats[5]["kind"] = json!("companion");
    seats[5]["companion_of"] = json!(["B1"]);
    let layout: Layout = serde_json::from_value(json!({
        "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 300, "y": 0}},
        "focal_point": {"x": 150, "y": 150},
        "zones": [{"id": "std", "name": {"en": "Standard"}}, {"id": "floor", "name": {"en": "Floor"}}],
        "areas": [{"id": "floor", "name": {"en": "Floor"}, "zone": "floor", "capacity": 10}],
        "seats": seats,
    }))
    .expect("a layout");
    Plan::new(ContentName::of(b"example layout"), layout).expect("a good layout")
}

/// Adult 10.00, child 7.00, a free ticket for a carer who comes with an adult, and 0.50 for each booking.
///
/// # Panics
/// Never: the table is a good one.
#[must_use]
pub fn prices() -> Prices {
    let eur = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let offer = |t: &str, zone: &str, total: i64| json!({"ticket_type": t, "zone": zone, "base": eur(total), "total": eur(total)});
    let table: PriceTable = serde_json::from_value(json!({
        "currency": "EUR",
        "ticket_types": [
            {"id": "adult", "name": {"en": "Adult"}, "audience": "adult"},
            {"id": "child", "name": {"en": "Child"}, "audience": "child", "max_age": 13},
            {"id": "carer", "name": {"en": "Carer"}, "audience": "carer", "needs_one_of": ["adult", "child"]},
        ],
        "offers": [
            offer("adult", "std", 1000), offer("child", "std", 700), offer("carer", "std", 0),
            offer("adult", "floor", 800), offer("child", "floor", 500),
        ],
        "booking_fees": [{"id": "booking", "name": {"en": "Booking"}, "amount": eur(50)}],
    }))
    .expect("a table");
    Prices::new(ContentName::of(b"example prices"), table).expect("a good table")
}

/// On sale from now to the start, to be paid at the cinema half an hour before.
///
/// # Panics
/// Never: the times are good ones.
#[must_use]
pub fn terms() -> Terms {
    let at = |text: &str| text.parse().expect("an instant");
    let tier = |hours: u32, percent| Tier { until_before_start_s: hours * 3600, refund_percent: percent };
    Terms {
        screening: "scr_example".parse().expect("an id"),
        plan: Arc::new(plan()),
        prices: Arc::new(prices()),
        status: ScreeningStatus::OnSale,
        sales: SalesWindow { opens_at: at(NOW), closes_at: at("2026-11-21T20:00:00Z") },
        starts_at: at("2026-11-21T20:00:00Z"),
        ends_at: at("2026-11-21T22:00:00Z"),
        hold_policy: HoldPolicy::default(),
        cancellation: Arc::new(CancellationPolicy {
            tiers: vec![tier(6, 100), tier(2, 50)],
            ..CancellationPolicy::default()
        }),
        collect_by: at("2026-11-21T19:30:00Z"),
        companion_release_at: None,
        payment_methods: vec![PaymentMethod::None, PaymentMethod::AtCinema],
        seat_rules: SeatRules::default(),
        waitlist: Some(WaitlistPolicy::default()),
        queue: None,
        unpaid_percent_per_network: 100,
    }
}
