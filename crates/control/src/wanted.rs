//! Screenings as they are wanted, as rows of a programme file.

use admit_protocol::policy::CancellationPolicy;
use admit_protocol::screening::SeatRules;
use admit_protocol::time::after;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the run's cinema is.
const ZONE: &str = "Europe/Prague";

/// What a suite wants of a screening: the table in `spec/v1/control.md`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wanted {
    rows: u16,
    seats: u16,
    wheelchair: bool,
    area: Option<u32>,
    price: i64,
    starts_in_s: i64,
    sales_open_in_s: Option<i64>,
    queue: Option<WantedQueue>,
    late_sales: bool,
    cancellation: Option<CancellationPolicy>,
    seat_rules: Option<SeatRules>,
    open_end: bool,
    carer: bool,
    sofa: bool,
    holder_proof: bool,
}

/// A queue that it is sold to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedQueue {
    opens_in_s: i64,
    admits_per_min: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            rows: 2,
            seats: 10,
            wheelchair: false,
            area: None,
            price: 1000,
            starts_in_s: 172_800,
            sales_open_in_s: None,
            queue: None,
            late_sales: false,
            cancellation: None,
            seat_rules: None,
            open_end: false,
            carer: false,
            sofa: false,
            holder_proof: false,
        }
    }
}

/// A programme of a cinema with two films and nothing on.
pub(crate) fn programme() -> Value {
    json!({
        "layouts": {},
        "price_tables": {},
        "cinemas": [{"id": "kino", "name": {"en": "Test cinema"}, "zone": ZONE, "currency": "EUR",
            "address": {"street": "Test 1", "city": {"en": "Prague"}, "country": "CZ"},
            "position": {"lat_e6": 50_087_000, "lon_e6": 14_421_000}, "halls": []}],
        "films": [
            {"id": "film", "title": {"en": "Test film"}, "runtime_min": 120, "versions": [{"id": "v", "kind": "silent"}]},
            {"id": "of-no-length", "title": {"en": "Test film of no known length"}, "versions": [{"id": "v", "kind": "silent"}]},
        ],
        "screenings": [],
    })
}

impl Wanted {
    /// Adds it to a programme, with a hall and prices of its own: screening, hall, layout and prices are all named `name`.
    pub(crate) fn add_to(&self, programme: &mut Value, name: &str, now: Timestamp) {
        let cancellation = json!({"tiers": [{"until_before_start_s": 3600, "refund_percent": 100}]});
        let mut screening = json!({
            "id": name, "cinema": "kino", "hall": name, "starts": local(after(now, self.starts_in_s)),
            "items": [{"film": if self.open_end { "of-no-length" } else { "film" }}], "price_table": name, "trailers_min": 0, "attributes": ["test"],
            "late_sales_min": if self.late_sales { 30 } else { 0 },
            "cancellation": self.cancellation.as_ref().map_or(cancellation, |policy| json!(policy)),
            "seat_rules": self.seat_rules.unwrap_or_default(),
        });
        if self.holder_proof {
            push(&mut screening["attributes"], json!("holder_proof"));
        }
        if let Some(opens) = self.sales_open_in_s {
            screening["sales_open"] = json!(after(now, opens));
        }
        if let Some(queue) = &self.queue {
            screening["queue"] =
                json!({"opens_at": after(now, queue.opens_in_s), "admits_per_min": queue.admits_per_min});
        }
        programme["layouts"][name] = self.layout();
        programme["price_tables"][name] = prices(self.price);
        if self.carer {
            let free = json!({"amount": 0, "currency": "EUR"});
            let table = &mut programme["price_tables"][name];
            let carer = json!({"id": "carer", "name": {"en": "Carer"}, "audience": "carer", "needs_one_of": ["adult"]});
            push(&mut table["ticket_types"], carer);
            push(&mut table["offers"], json!({"ticket_type": "carer", "zone": "all", "base": free, "total": free}));
        }
        let halls = &mut programme["cinemas"][0]["halls"];
        push(halls, json!({"id": name, "name": {"en": format!("Hall {name}")}, "layout": name}));
        push(&mut programme["screenings"], screening);
    }

    fn layout(&self) -> Value {
        let seat = |row: u16, number: u16| {
            let id = |number: u16| format!("{row}-{number}");
            let mut seat = json!({"id": id(number), "row": row.to_string(), "number": number.to_string(),
                "x": u32::from(number) * 60, "y": u32::from(row) * 100 + 200, "zone": "all"});
            if number > 1 {
                seat["left"] = json!(id(number - 1));
            }
            if number < self.seats {
                seat["right"] = json!(id(number + 1));
            }
            match (self.wheelchair, row, number) {
                (true, 1, 1) => seat["kind"] = json!("wheelchair_space"),
                (true, 1, 2) => (seat["kind"], seat["companion_of"]) = (json!("companion"), json!(["1-1"])),
                _ => {}
            }
            if self.sofa && row == 1 && number <= 2 {
                seat["group"] = json!("sofa");
            }
            seat
        };
        let seats: Vec<Value> = (1..=self.rows).flat_map(|row| (1..=self.seats).map(move |n| seat(row, n))).collect();
        let floor = |capacity| json!([{"id": "floor", "name": {"en": "Floor"}, "zone": "all", "capacity": capacity}]);
        json!({
            "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 600, "y": 0}}, "focal_point": {"x": 300, "y": 300},
            "zones": [{"id": "all", "name": {"en": "All"}}], "seats": seats,
            "areas": self.area.map_or_else(|| json!([]), floor),
        })
    }
}

/// An instant as a programme file has it.
fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::get(ZONE).unwrap_or(TimeZone::UTC)).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The start of a row, so many seconds later.
pub(crate) fn moved(starts: &Value, by_s: i64) -> String {
    let before: Timestamp = starts.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    local(after(before, by_s))
}

/// An adult's ticket for this much, a child's for half.
pub(crate) fn prices(adult: i64) -> Value {
    let offer = |ticket_type: &str, amount: i64| {
        let money = json!({"amount": amount, "currency": "EUR"});
        json!({"ticket_type": ticket_type, "zone": "all", "base": money, "total": money})
    };
    json!({
        "currency": "EUR",
        "ticket_types": [
            {"id": "adult", "name": {"en": "Adult"}, "audience": "adult"},
            {"id": "child", "name": {"en": "Child"}, "audience": "child"},
        ],
        "offers": [offer("adult", adult), offer("child", adult / 2)],
    })
}

pub(crate) fn push(list: &mut Value, value: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}
