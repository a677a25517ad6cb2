//! seats.io charts: rows, tables and areas, perhaps within sections.

use std::collections::{BTreeMap, BTreeSet};

use admit_protocol::layout::{SeatAttribute, SeatKind};
use serde_json::Value;

use super::{Drawing, DrawnArea, DrawnRow, DrawnSeat, Neighbours, PlanError, bad};

pub(super) fn read(chart: &Value) -> Result<Drawing, PlanError> {
    let categories = chart["categories"]["list"].as_array().or(chart["categories"].as_array());
    let mut names = BTreeMap::new();
    let mut drawing = Drawing::default();
    for category in categories.into_iter().flatten() {
        let label = category["label"].as_str().unwrap_or_default().to_owned();
        names.insert(category["key"].to_string(), label.clone());
        drawing.categories.push(label);
    }
    let focal = &chart["subChart"]["focalPoint"];
    drawing.focal_point = focal["x"].as_f64().zip(focal["y"].as_f64()).filter(|at| *at != (0.0, 0.0));
    let mut reader = Reader { names, drawing };
    reader.part(&chart["subChart"], None, (0.0, 0.0), &Value::Null)?;
    Ok(reader.drawing)
}

struct Reader {
    /// Categories by key.
    names: BTreeMap<String, String>,
    drawing: Drawing,
}

fn list<'a>(part: &'a Value, name: &str) -> &'a [Value] {
    part[name].as_array().map_or(&[], Vec::as_slice)
}

impl Reader {
    /// Rows, tables and areas of the chart or of a section; `category` is the section's, for what has none of its own.
    fn part(
        &mut self,
        part: &Value,
        section: Option<&str>,
        origin: (f64, f64),
        category: &Value,
    ) -> Result<(), PlanError> {
        for row in list(part, "rows") {
            self.row(row, section, origin, category, Neighbours::Near)?;
        }
        for table in list(part, "tables") {
            self.row(table, section, origin, category, Neighbours::None)?;
        }
        for area in list(part, "generalAdmissionAreas") {
            let name = area["label"].as_str().unwrap_or_default();
            let capacity = area["capacity"].as_u64().and_then(|c| u32::try_from(c).ok());
            let capacity = capacity.ok_or_else(|| bad(name, "it has no capacity"))?;
            let centre = area["center"]["x"].as_f64().zip(area["center"]["y"].as_f64()).unwrap_or((0.0, 0.0));
            self.drawing.areas.push(DrawnArea {
                name: name.to_owned(),
                capacity,
                category: self.category(area, category, name)?,
                at: (origin.0 + centre.0, origin.1 + centre.1),
            });
        }
        for inner in list(part, "sections") {
            let name = inner["label"].as_str().unwrap_or_default();
            if !self.drawing.sections.iter().any(|s| s == name) {
                self.drawing.sections.push(name.to_owned());
            }
            let corner = &inner["topLeft"];
            let corner = corner["x"].as_f64().zip(corner["y"].as_f64()).unwrap_or((0.0, 0.0));
            let origin = (origin.0 + corner.0, origin.1 + corner.1);
            self.part(&inner["subChart"], Some(name), origin, &inner["categoryKey"])?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        row: &Value,
        section: Option<&str>,
        origin: (f64, f64),
        category: &Value,
        neighbours: Neighbours,
    ) -> Result<(), PlanError> {
        let label = row["label"].as_str().unwrap_or_default().to_owned();
        let mut seats = Vec::new();
        for seat in list(row, "seats") {
            let number = seat["label"].as_str().unwrap_or_default().to_owned();
            let place = format!("row {label}, seat {number}");
            let (x, y) = seat["x"].as_f64().zip(seat["y"].as_f64()).ok_or_else(|| bad(&place, "it has no position"))?;
            let is = |name: &str| seat[name].as_bool() == Some(true);
            let kind = match (is("accessible"), is("companionSeat")) {
                (true, _) => SeatKind::WheelchairSpace,
                (false, true) => SeatKind::Companion,
                (false, false) => SeatKind::Standard,
            };
            let mut attributes = BTreeSet::new();
            if is("restrictedView") {
                attributes.insert(SeatAttribute::RestrictedView);
            }
            if neighbours == Neighbours::None {
                attributes.insert(SeatAttribute::Table);
            }
            seats.push(DrawnSeat {
                // Their ids are of the drawing, not of the chair: section, row and number are what stays.
                id: section.map(|s| format!("{s}-{label}-{number}")),
                at: (origin.0 + x, origin.1 + y),
                category: self.category(seat, category, &place)?,
                kind,
                attributes,
                number,
            });
        }
        self.drawing.rows.push(DrawnRow { label, section: section.map(str::to_owned), seats, neighbours });
        Ok(())
    }

    fn category(&self, thing: &Value, outer: &Value, place: &str) -> Result<String, PlanError> {
        let key = [&thing["categoryKey"], outer].into_iter().find(|key| !key.is_null());
        let name = key.and_then(|key| self.names.get(&key.to_string()));
        name.cloned().ok_or_else(|| bad(place, "it has no category"))
    }
}
