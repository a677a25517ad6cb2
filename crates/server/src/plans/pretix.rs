//! pretix seating plans: zones, rows and seats, each placed within the one above.

use std::collections::BTreeSet;

use admit_protocol::layout::SeatKind;
use serde_json::Value;

use super::{Drawing, DrawnRow, DrawnSeat, Neighbours, PlanError, bad};

pub(super) fn read(plan: &Value) -> Result<Drawing, PlanError> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut drawing = Drawing {
        categories: list(&plan["categories"]).iter().filter_map(|c| c["name"].as_str().map(str::to_owned)).collect(),
        ..Drawing::default()
    };
    for (n, zone) in list(&plan["zones"]).iter().enumerate() {
        let name = zone["name"].as_str().filter(|n| !n.is_empty()).map(str::to_owned);
        let section = name.unwrap_or_else(|| format!("Zone {}", n + 1));
        let origin = position(&zone["position"], &section)?;
        for row in list(&zone["rows"]) {
            let label = row["row_number"].as_str().unwrap_or_default().to_owned();
            let of_row = if row["position"].is_object() { position(&row["position"], &label)? } else { (0.0, 0.0) };
            let mut seats = Vec::new();
            for seat in list(&row["seats"]) {
                let number = seat["seat_number"].as_str().unwrap_or_default().to_owned();
                let place = format!("row {label}, seat {number}");
                let (x, y) = position(&seat["position"], &place)?;
                let category = seat["category"].as_str().ok_or_else(|| bad(&place, "it has no category"))?.to_owned();
                seats.push(DrawnSeat {
                    id: seat["seat_guid"].as_str().map(str::to_owned),
                    number,
                    at: (origin.0 + of_row.0 + x, origin.1 + of_row.1 + y),
                    category,
                    kind: SeatKind::Standard,
                    attributes: BTreeSet::new(),
                });
            }
            drawing.rows.push(DrawnRow { label, section: Some(section.clone()), seats, neighbours: Neighbours::Near });
        }
        if !drawing.sections.contains(&section) {
            drawing.sections.push(section);
        }
    }
    Ok(drawing)
}

fn position(value: &Value, place: &str) -> Result<(f64, f64), PlanError> {
    let both = value["x"].as_f64().zip(value["y"].as_f64());
    both.ok_or_else(|| bad(place, "it has no position"))
}
