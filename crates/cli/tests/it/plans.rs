//! Seat plans that others drew.

use admit_server::plans::{PlanError, read};

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
    let tables = chart("WithTables").expect("a chart");
    assert!(tables.seats.iter().all(|s| s.left.is_none() && s.right.is_none()), "who sits around a table");
    assert!(
        matches!(chart("WithErrors"), Err(PlanError::BadPlace { .. } | PlanError::Layout(_))),
        "{:?}",
        chart("WithErrors")
    );
}
