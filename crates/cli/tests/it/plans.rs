//! Seat plans that others drew.

use admit_protocol::layout::LayoutError;
use admit_server::plans::{PlanError, read};
use serde_json::Value;

use crate::data;

#[test]
fn charts_of_seats_io_become_layouts() {
    let Some(folder) = data::folder("plans: seats.io") else { return };
    let chart = |name: &str| read(&data::read(&folder.join(format!("layouts/seatsio-sampleChart{name}.json"))));
    let plain = chart("").expect("a chart");
    assert_eq!((plain.areas.len(), plain.zones.len()), (2, 3));
    assert!(!plain.seats.is_empty() && plain.seats.iter().any(|s| s.left.is_some()));
    let sections = chart("WithSections").expect("a chart");
    assert_eq!(sections.sections.len(), 2);
    assert!(sections.seats.iter().all(|s| s.section.is_some()));
    // Its two tables are drawn one over the other: nobody could sell that. Apart, they can be sold.
    assert!(
        matches!(chart("WithTables"), Err(PlanError::Layout(LayoutError::SamePoint(..)))),
        "{:?}",
        chart("WithTables")
    );
    let file = data::read(&folder.join("layouts/seatsio-sampleChartWithTables.json"));
    let mut apart: Value = serde_json::from_slice(&file).expect("JSON");
    for seat in apart["subChart"]["tables"][1]["seats"].as_array_mut().expect("seats") {
        seat["x"] = (seat["x"].as_f64().expect("a number") + 100.0).into();
    }
    let tables = read(apart.to_string().as_bytes()).expect("a chart");
    assert!(tables.seats.iter().all(|s| s.left.is_none() && s.right.is_none()), "who sits around a table");
    assert!(
        matches!(chart("WithErrors"), Err(PlanError::BadPlace { .. } | PlanError::Layout(_))),
        "{:?}",
        chart("WithErrors")
    );
}
