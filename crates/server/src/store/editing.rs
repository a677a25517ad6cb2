//! Changing the programme: what may be changed while people have tickets, and who is told. The rules are here; a database has the
//! rows.

use std::borrow::Cow;

use admit_booking::HoldKey;
use admit_protocol::cinema::Cinema;
use admit_protocol::film::Film;
use admit_protocol::id::ScreeningId;
use admit_protocol::notification::NotificationKind;
use admit_protocol::screening::Screening;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::outbox::Message;
use super::rows::{buyer_of, move_collect_by};
use super::{About, Device, Document, LogEntry, StoreError};

pub(super) const WRITING: &str = "writing an edit";

/// A change of the programme, or of who may scan.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A layout or a price table.
    Document(Document),
    /// A new cinema, or another description of one.
    Cinema(Box<Cinema>),
    /// A new film, or another description of one.
    Film(Box<Film>),
    /// A new screening, or a change of one.
    Screening(Box<Screening>),
    /// A screening that nobody has booked or holds is taken out.
    RemoveScreening(ScreeningId),
    /// A scanner, by the hash of its token.
    Device {
        /// The scanner.
        device: Device,
        /// What people call it.
        name: String,
    },
}

/// A screening that was changed while people had tickets for it: they are to be told. Who left an address has a message in the
/// outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbed {
    /// As it was.
    pub before: Screening,
    /// As it is.
    pub after: Screening,
    /// Their bookings, by what people call them.
    pub bookings: Vec<String>,
    /// Those that left no address: they are to be found some other way.
    pub without_address: Vec<String>,
}

/// Whether a screening may get another layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layouts {
    /// Never: a server sells from this store.
    Stay,
    /// As long as nobody had a seat in it: nobody sells from this store now.
    MayChange,
}

/// A screening as a row has it.
pub(super) struct KnownScreening {
    pub(super) number: i64,
    pub(super) data: String,
    pub(super) removed: bool,
}

/// Rows of a programme, in one transaction: all of what is written, or nothing.
pub(super) trait Tables {
    /// The number after the last change of the programme.
    fn next_change(&mut self) -> Result<i64, StoreError>;
    fn screening(&mut self, id: ScreeningId) -> Result<Option<KnownScreening>, StoreError>;
    fn put_screening(
        &mut self,
        screening: &Screening,
        data: &str,
        changed: i64,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Marks a screening that is there as gone; whether it was.
    fn remove_screening(&mut self, id: ScreeningId, changed: i64, now: Timestamp) -> Result<bool, StoreError>;
    /// Whether anybody ever held or blocked a place of it.
    fn had_a_seat(&mut self, number: i64) -> Result<bool, StoreError>;
    /// Whether anybody holds, has or had a ticket for it.
    fn had_a_ticket(&mut self, number: i64) -> Result<bool, StoreError>;
    /// Bookings of it that have a ticket left, and their `details`.
    fn standing_bookings(&mut self, number: i64) -> Result<Vec<(HoldKey, String)>, StoreError>;
    fn set_details(&mut self, number: i64, hold: HoldKey, details: &str) -> Result<(), StoreError>;
    /// Moves a house on by one version, with these entries in its trail.
    fn new_version(&mut self, number: i64, now: Timestamp, entries: &str) -> Result<(), StoreError>;
    /// A screening of which houses may be in somebody's memory was changed.
    fn amended(&mut self, number: i64, now: Timestamp) -> Result<(), StoreError>;
    fn put_message(&mut self, now: Timestamp, message: &Message) -> Result<(), StoreError>;
    fn put_document(&mut self, document: &Document) -> Result<(), StoreError>;
    fn put_film(&mut self, id: &str, data: &str) -> Result<(), StoreError>;
    fn put_cinema(&mut self, id: &str, data: &str) -> Result<(), StoreError>;
    /// A screening of this cinema in none of these halls, and its hall.
    fn homeless(&mut self, cinema: &str, halls: &[&str]) -> Result<Option<(String, String)>, StoreError>;
    /// Another currency than this one, in which this cinema has sold something.
    fn sold_in_another(&mut self, cinema: &str, currency: &str) -> Result<Option<String>, StoreError>;
    fn put_device(&mut self, device: &Device, name: &str) -> Result<(), StoreError>;
}

/// Makes all of these edits. Says whom they disturb.
pub(super) fn edit_all(
    tables: &mut impl Tables,
    edits: &[Edit],
    now: Timestamp,
    layouts: Layouts,
) -> Result<Vec<Disturbed>, StoreError> {
    let mut next = tables.next_change()?;
    let mut disturbed = Vec::new();
    for edit in edits {
        match edit {
            Edit::Screening(screening) => {
                disturbed.extend(put_screening(tables, screening, &mut next, now, layouts)?);
            }
            Edit::Document(document) => tables.put_document(document)?,
            Edit::Cinema(cinema) => put_cinema(tables, cinema)?,
            Edit::Film(film) => tables.put_film(film.id.as_str(), &text_of(film)?)?,
            Edit::RemoveScreening(id) => {
                remove_screening(tables, *id, next, now)?;
                next += 1;
            }
            Edit::Device { device, name } => tables.put_device(device, name)?,
        }
    }
    Ok(disturbed)
}

fn text_of<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::at("writing JSON"))
}

fn put_screening(
    tables: &mut impl Tables,
    screening: &Screening,
    next: &mut i64,
    now: Timestamp,
    layouts: Layouts,
) -> Result<Option<Disturbed>, StoreError> {
    let mut disturbed = None;
    if let Some(KnownScreening { number, data, removed }) = tables.screening(screening.id)? {
        let before: Screening = serde_json::from_str(&data).map_err(StoreError::at(WRITING))?;
        if before == *screening && !removed {
            return Ok(None);
        }
        if before.layout != screening.layout {
            change_layout(tables, number, screening, now, layouts)?;
        }
        disturbed = tell_buyers(tables, number, before, screening, now)?;
        tables.amended(number, now)?;
    }
    tables.put_screening(screening, &text_of(screening)?, *next, now)?;
    *next += 1;
    Ok(disturbed)
}

/// D4: who booked another time, another hall, another film or a screening that takes place is told, by a message that is saved with
/// the change.
fn tell_buyers(
    tables: &mut impl Tables,
    number: i64,
    before: Screening,
    after: &Screening,
    now: Timestamp,
) -> Result<Option<Disturbed>, StoreError> {
    let films = |s: &Screening| s.items.iter().map(|i| (i.film, i.version)).collect::<Vec<_>>();
    // What is paused or closed takes place all the same.
    let off = |s: &Screening| (!s.status.takes_place()).then_some(s.status);
    let what = |s: &Screening| (s.starts_at.clone(), s.hall, off(s), films(s));
    if what(&before) == what(after) {
        return Ok(None);
    }
    let bookings = tables.standing_bookings(number)?;
    if bookings.is_empty() {
        return Ok(None);
    }
    let (start_before, start) = (before.starts_at.at(), after.starts_at.at());
    let over = |s: &Screening| s.starts_at.at() <= now;
    if over(after) && !over(&before) && after.status.takes_place() {
        let why = format!(
            "screening {}: it would have begun at {} already, and who has booked it would have missed it: is the date right?",
            after.id,
            after.starts_at.local().strftime("%Y-%m-%d %H:%M"),
        );
        return Err(StoreError::Refused(why));
    }
    let side = |s: &Screening| {
        let films: Vec<_> = s.items.iter().map(|i| i.film).collect();
        json!({"starts_at": s.starts_at, "hall": s.hall, "status": s.status, "films": films})
    };
    let mut without_address = Vec::new();
    for (key, details) in &bookings {
        let about = json!({
            "screening": after.id, "booking": key.booking_id(), "before": side(&before), "after": side(after),
        });
        let (buyer, key_of) = (buyer_of(details, number)?, About::Hold(*key));
        let messages = Message::to_each(buyer.as_ref(), NotificationKind::ScreeningChanged, key_of, &about);
        if messages.is_empty() {
            without_address.push(key.reference());
        }
        messages.iter().try_for_each(|message| tables.put_message(now, message))?;
    }
    // Who pays at the cinema has as long before the new start as before the old one; where that is over, until the start.
    if start != start_before {
        let moved_by = start.as_millisecond() - start_before.as_millisecond();
        for (key, details) in &bookings {
            if let Some(details) = move_collect_by(details, moved_by, now, start, number)? {
                tables.set_details(number, *key, &details)?;
            }
        }
        new_version(tables, number, "move_screening", now)?;
    }
    let bookings = bookings.iter().map(|(key, _)| key.reference()).collect();
    Ok(Some(Disturbed { before, after: after.clone(), bookings, without_address }))
}

/// Whoever saw the house as it was has an older version, and looks again before it changes anything.
fn new_version(tables: &mut impl Tables, number: i64, did: &str, now: Timestamp) -> Result<(), StoreError> {
    let did = LogEntry {
        by: "staff".into(),
        did: did.into(),
        hold: None,
        claimed: vec![],
        claimed_unsaid: vec![],
        freed: vec![],
        others: vec![],
    };
    tables.new_version(number, now, &text_of(&[did])?)
}

/// Why a screening keeps its layout; nothing, if it need not.
fn why_layout_stays(
    tables: &mut impl Tables,
    number: i64,
    layouts: Layouts,
) -> Result<Option<&'static str>, StoreError> {
    Ok(match (tables.had_a_seat(number)?, layouts) {
        (true, _) => Some(
            "somebody had a seat in it, so it keeps its layout. In another hall, say the old hall's as its `layout`; where the hall has \
             a new one, give that another name in the file, and keep the old one under its name",
        ),
        (false, Layouts::Stay) => Some(
            "it keeps its layout while a server may sell it. Nobody has a seat in it: give it another name in the file and cancel this \
             one; or, with its data in the folder, stop the server and use `admit cinema import`",
        ),
        (false, Layouts::MayChange) => None,
    })
}

/// S7, S1: claims are by place of the layout. Where there was never one, a house may begin again with other places.
fn change_layout(
    tables: &mut impl Tables,
    number: i64,
    screening: &Screening,
    now: Timestamp,
    layouts: Layouts,
) -> Result<(), StoreError> {
    if let Some(why) = why_layout_stays(tables, number, layouts)? {
        return Err(StoreError::Refused(format!("screening {}: {why}", screening.id)));
    }
    new_version(tables, number, "change_layout", now)
}

/// Screenings that these edits give another layout, and that must keep theirs: with the reason.
pub(super) fn kept_layouts(
    tables: &mut impl Tables,
    edits: &[Edit],
    layouts: Layouts,
) -> Result<Vec<(ScreeningId, String)>, StoreError> {
    let mut kept = Vec::new();
    for edit in edits {
        let Edit::Screening(screening) = edit else { continue };
        let Some(known) = tables.screening(screening.id)? else { continue };
        let before: Screening = serde_json::from_str(&known.data).map_err(StoreError::at(WRITING))?;
        if before.layout != screening.layout {
            let why = why_layout_stays(tables, known.number, layouts)?;
            kept.extend(why.map(|why| (screening.id, why.to_owned())));
        }
    }
    Ok(kept)
}

fn remove_screening(tables: &mut impl Tables, id: ScreeningId, changed: i64, now: Timestamp) -> Result<(), StoreError> {
    let refused = |why: Cow<'_, str>| Err(StoreError::Refused(why.into_owned()));
    let known = tables.screening(id)?;
    if let Some(known) = &known
        && tables.had_a_ticket(known.number)?
    {
        return refused(Cow::Owned(format!(
            "somebody has or had a ticket for screening {id}: set its status to cancelled instead, so that they are told, and what \
             they get back is known"
        )));
    }
    if let Some(known) = known {
        tables.amended(known.number, now)?;
    }
    if tables.remove_screening(id, changed, now)? {
        Ok(())
    } else {
        refused(format!("there is no screening {id}").into())
    }
}

fn put_cinema(tables: &mut impl Tables, cinema: &Cinema) -> Result<(), StoreError> {
    // A screening's hall is printed on its tickets.
    let halls: Vec<&str> = cinema.halls.iter().map(|h| h.id.as_str()).collect();
    if let Some((screening, hall)) = tables.homeless(cinema.id.as_str(), &halls)? {
        let why = format!("cinema {} is given without hall {hall}, where screening {screening} takes place", cinema.id);
        return Err(StoreError::Refused(format!(
            "{why}: list every hall that is used, or leave `cinemas` out of a file that changes none"
        )));
    }
    // What was promised and paid is in it.
    if let Some(sold) = tables.sold_in_another(cinema.id.as_str(), cinema.currency.code())? {
        let why = format!("cinema {} has sold in {sold}, and keeps that currency", cinema.id);
        return Err(StoreError::Refused(why));
    }
    tables.put_cinema(cinema.id.as_str(), &text_of(cinema)?)
}
