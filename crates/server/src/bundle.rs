//! A programme as a file of ours: what `admit cinema import` reads and `export` writes.
//!
//! Layouts and price tables have names of the author's; a screening says its time as the poster does. Everything is
//! checked row by row, and each row that cannot be used is named with its reason.

mod check;
mod contact;
mod export;
mod known;
mod strange;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use admit_protocol::cinema::{AccessFacts, HallFormat};
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, FilmId, FilmVersionId, HallId, ScreeningId};
use admit_protocol::layout::Layout;
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::{Fee, PriceTable, TicketType};
use admit_protocol::queue::ScreeningQueue;
use admit_protocol::screening::{ScreeningAttribute, ScreeningStatus, SeatRules, Seating};
use admit_protocol::text::Texts;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::{Edit, Layouts, StaffStore};
use crate::store::{Listing, StoreError};

/// A programme as a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Layouts by a name that is only used in this file.
    #[serde(default)]
    pub layouts: BTreeMap<String, Row<Layout>>,
    /// Price tables by a name that is only used in this file.
    #[serde(default)]
    pub price_tables: BTreeMap<String, Row<PriceTable>>,
    /// What a cancellation brings back, where a screening does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Row<CancellationPolicy>>,
    /// Cinemas.
    #[serde(default)]
    pub cinemas: Vec<Row<BundleCinema>>,
    /// Films.
    #[serde(default)]
    pub films: Vec<Row<Film>>,
    /// Screenings.
    #[serde(default)]
    pub screenings: Vec<Row<BundleScreening>>,
}

/// A row as the file has it. It is read when it is checked: one bad row spoils no other.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Row<T> {
    value: Value,
    kind: PhantomData<T>,
}

impl<T: Serialize> Row<T> {
    /// The row of something.
    ///
    /// # Panics
    /// Never: what rows are made of serialises.
    #[must_use]
    pub fn of(thing: &T) -> Self {
        Self { value: serde_json::to_value(thing).expect("rows serialise"), kind: PhantomData }
    }
}

impl<T: DeserializeOwned + Serialize + JsonSchema> Row<T> {
    fn read(&self) -> Result<T, String> {
        crate::exact::read(&self.value)
    }

    /// Its id, to name it by when it cannot be read.
    fn name(&self) -> String {
        self.value["id"].as_str().unwrap_or("without an id").to_owned()
    }
}

/// In a schema, a row is what it is a row of.
impl<T: JsonSchema> JsonSchema for Row<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl JsonSchema for BundleCinema {
    fn schema_name() -> Cow<'static, str> {
        "BundleCinema".into()
    }
    /// A cinema's, with halls of this file.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let halls = generator.subschema_for::<Vec<BundleHall>>();
        let mut schema = admit_protocol::cinema::Cinema::json_schema(generator);
        if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            members.insert("halls".into(), halls.to_value());
        }
        schema
    }
}

/// A cinema whose halls name layouts of this file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BundleCinema {
    /// The cinema as it will be published; its own list of halls is filled from `halls`.
    #[serde(flatten)]
    pub cinema: CinemaFacts,
    /// Its halls.
    pub halls: Vec<BundleHall>,
}

/// A cinema without its halls: the fields of [`Cinema`](admit_protocol::cinema::Cinema).
pub type CinemaFacts = serde_json::Map<String, serde_json::Value>;

/// A hall that names a layout of this file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleHall {
    /// Its name for machines.
    pub id: HallId,
    /// Its name for people.
    pub name: Texts,
    /// What it can show.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub formats: BTreeSet<HallFormat>,
    /// What a visitor with a disability finds in it.
    #[serde(default)]
    pub access: AccessFacts,
    /// A layout of this file, or one that is there already, by its name.
    pub layout: String,
}

/// A screening as the poster says it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleScreening {
    /// Its name for machines. The same id again is the same screening, changed.
    pub id: ScreeningId,
    /// Where.
    pub cinema: CinemaId,
    /// In which hall.
    pub hall: HallId,
    /// When, by the cinema's clock: `2026-11-21T20:15`, with an offset in the hour that happens twice, or
    /// `today+1 20:15`.
    pub starts: String,
    /// What is shown, in order.
    pub items: Vec<BundleItem>,
    /// Minutes from the time on the poster to the first film.
    #[serde(default = "fifteen")]
    pub trailers_min: u32,
    /// Minutes before the start that the doors open.
    #[serde(default = "thirty")]
    pub doors_min: u32,
    /// A price table of this file, or one that is there already, by its name.
    pub price_table: String,
    /// A layout of this file, or one that is there already, by its name; the hall's, if nothing is said. Who has sold seats in an older layout of the hall keeps it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// From when it is sold; from now, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_open: Option<Timestamp>,
    /// That it is sold to who has a place in a queue: from when one can come, before `sales_open`, and how many are let in each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<ScreeningQueue>,
    /// Minutes after the start that it is still sold.
    #[serde(default)]
    pub late_sales_min: u32,
    /// Minutes before the start that who pays at the cinema must have paid.
    #[serde(default = "thirty")]
    pub collect_min: u32,
    /// Minutes before the start that companion seats are sold to anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion_release_min: Option<u32>,
    /// How seats are taken; as the layout says, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seating: Option<Seating>,
    /// Whether it takes place.
    #[serde(default = "on_sale")]
    pub status: ScreeningStatus,
    /// What is special about it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attributes: BTreeSet<ScreeningAttribute>,
    /// What a cancellation brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationPolicy>,
    /// What may be left over when seats are chosen.
    #[serde(default, skip_serializing_if = "SeatRules::is_default")]
    pub seat_rules: SeatRules,
    /// A word to the visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Texts>,
}

/// A film of a screening.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleItem {
    /// The film.
    pub film: FilmId,
    /// In which version; the film's first, if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<FilmVersionId>,
}

fn fifteen() -> u32 {
    15
}
fn thirty() -> u32 {
    30
}
fn on_sale() -> ScreeningStatus {
    ScreeningStatus::OnSale
}

/// A word about a row: why it cannot be used, or what is strange about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowReport {
    /// What it is: `layout`, `price_table`, `cinema`, `hall`, `film`, `screening`.
    pub kind: Cow<'static, str>,
    /// Which.
    pub row: String,
    /// Why.
    pub why: String,
    /// The row that is to blame, if it is another one: once that one is mended, this one may be good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
}

/// What a bundle comes to.
#[derive(Debug, Default)]
pub struct Checked {
    /// Everything that can be used, in an order in which it can be made.
    pub edits: Vec<Edit>,
    /// Everything that cannot.
    pub refused: Vec<RowReport>,
    /// What can be used, and is probably not what was meant: two screenings in one hall at one time, a start long past.
    pub strange: Vec<RowReport>,
    /// Halls that can be used.
    pub halls: usize,
    /// Cinemas that can be used.
    pub cinemas: usize,
    /// Films that can be used.
    pub films: usize,
    /// Screenings that can be used.
    pub screenings: usize,
    /// What becomes of the screenings that were there.
    pub changes: ScreeningChanges,
}

/// What a file makes of screenings: it was written before somebody else's last change, perhaps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreeningChanges {
    /// Screenings that were not there, each with what its poster says.
    pub new: Vec<(ScreeningId, String)>,
    /// Those that are not as they were, and what of them is not.
    pub changed: Vec<(ScreeningId, Vec<String>)>,
    /// Those that stay as they were.
    pub same: usize,
    /// Screenings to come that the file leaves out, and that stay as they are.
    pub left_out: Vec<ScreeningId>,
}

impl Bundle {
    /// The JSON Schema of such a file, for editors that complete and check.
    #[must_use]
    pub fn schema() -> Schema {
        admit_protocol::schema::of::<Self>()
    }

    /// What tickets and bookings cost, table by table, to be looked at by who wrote it: `Adult 7.00 to 12.00 EUR`. A slip of the point
    /// is not seen in the smallest unit. Of tables that cannot be used nothing is said.
    #[must_use]
    pub fn prices(&self) -> Vec<(String, Vec<String>)> {
        let ticket = |table: &PriceTable, t: &TicketType| {
            let totals = table.offers.iter().filter(|o| o.ticket_type == t.id).map(|o| o.total);
            let (lowest, highest) = (totals.clone().min()?, totals.max()?);
            let range = if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") };
            Some(format!("{} {range}", t.id))
        };
        let table = |(name, row): (&String, &Row<PriceTable>)| {
            let table = row.read().ok().filter(|table| table.check().is_ok())?;
            let fee = |f: &Fee| format!("{} {} once for each booking", f.id, f.amount);
            let tickets = table.ticket_types.iter().filter_map(|t| ticket(&table, t));
            Some((name.clone(), tickets.chain(table.booking_fees.iter().map(fee)).collect()))
        };
        self.price_tables.iter().filter_map(table).collect()
    }

    /// Checks every row, at `now`: a file that says everything itself.
    #[must_use]
    pub fn check(&self, now: Timestamp) -> Checked {
        check::check(self, now, None)
    }

    /// Checks every row, at `now`: a file that adds to what is there. Its rows may name cinemas, halls and films that are there
    /// already, and documents by their own names.
    #[must_use]
    pub fn check_with(&self, there: &Listing, now: Timestamp) -> Checked {
        check::check(self, now, Some(there))
    }
}

impl Checked {
    /// Refuses screenings that would get another layout and may not, each by its name ([`StaffStore::kept_layouts`]).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keep_layouts(&mut self, store: &dyn StaffStore, layouts: Layouts) -> Result<(), StoreError> {
        let kept = store.kept_layouts(&self.edits, layouts)?;
        self.edits.retain(|edit| !matches!(edit, Edit::Screening(s) if kept.iter().any(|(id, _)| *id == s.id)));
        self.screenings -= kept.len();
        let report = |(id, why): (ScreeningId, String)| RowReport {
            kind: "screening".into(),
            row: id.to_string(),
            why,
            because_of: None,
        };
        self.refused.extend(kept.into_iter().map(report));
        Ok(())
    }
}
