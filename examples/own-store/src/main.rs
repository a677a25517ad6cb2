//! A cinema with a box office of its own behind our router.
//!
//! The box office goes on selling at its counter, in its own books. It gives our server two things, `load` and `save`, and
//! gets the rules, the protocol and every app that speaks it. Both sides count versions of a house, so neither can sell
//! what the other just sold. Its books are in memory here; yours are a database.
#![allow(clippy::print_stdout, reason = "an example that shows what happens")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use admit_booking::{Block, BlockReason, Claim, Entry, EntryKey, Hold, HoldKey, Place, Plan, Prices, Saved, example};
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::KeyRing;
use admit_server::store::Edit;
use admit_server::store::{
    About, Answer, CommitError, KeyPrint, KnownKey, ListedScreening, Listing, Loaded, Outcome, Save, Store, StoreError,
};
use axum::body::Body;
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The box office's own book of one screening.
#[derive(Default)]
struct Book {
    version: u64,
    now: Timestamp,
    seats: BTreeMap<Place, Claim>,
    holds: BTreeMap<HoldKey, Hold>,
    waitlist: BTreeMap<EntryKey, Entry>,
    answers: HashMap<KeyPrint, (KnownKey, Answer)>,
}

/// A box office that was there before us.
struct BoxOffice {
    listing: Listing,
    books: Mutex<HashMap<ScreeningId, Book>>,
}

impl BoxOffice {
    /// Somebody buys at the counter. The version goes up, so our server notices.
    fn sell_at_counter(&self, screening: ScreeningId, seat: Place) -> Result<(), &'static str> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let book = books.entry(screening).or_default();
        if book.seats.contains_key(&seat) {
            return Err("that seat is taken");
        }
        // To our rules it is a seat that is not for sale.
        book.seats.insert(seat, Claim::Block(Block { reason: BlockReason::House, until: None }));
        book.version += 1;
        Ok(())
    }
}

impl Store for BoxOffice {
    fn catalogue(&self) -> Result<Listing, StoreError> {
        Ok(self.listing.clone())
    }

    fn load(
        &self,
        screening: ScreeningId,
        _: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Loaded, StoreError> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(book) = books.get(&screening) else { return Ok(Loaded::default()) };
        let house = Saved {
            version: book.version,
            now: book.now,
            claims: book.seats.iter().map(|(place, claim)| (*place, *claim)).collect(),
            holds: book.holds.values().cloned().collect(),
            scans: vec![],
            entries: book.waitlist.values().cloned().collect(),
        };
        Ok(Loaded { house, keys: book.answers.values().map(|(known, _)| *known).collect(), programme: 0 })
    }

    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let save = |save: &Save<'_>| {
            let book = books.entry(save.screening).or_default();
            if book.version != save.seen {
                // The counter was faster. Our server loads again and decides again.
                return Outcome::Conflict;
            }
            for changes in save.changes {
                for (place, owner) in &changes.freed {
                    if book.seats.remove(place) != Some(*owner) {
                        return Outcome::Broken(format!("{place:?} is not {owner:?}'s"));
                    }
                }
                book.seats.extend(changes.claimed.iter().copied());
                book.holds.extend(changes.placed.iter().map(|h| (h.key, h.clone())));
                for (key, state) in &changes.moved {
                    if let Some(hold) = book.holds.get_mut(key) {
                        hold.state = state.clone();
                    }
                }
                book.waitlist.extend(changes.entries.iter().map(|entry| (entry.key, entry.clone())));
            }
            for new in save.answers {
                book.answers.insert(new.known.key, (new.known, new.answer.clone()));
            }
            book.version = save.seen + 1;
            book.now = save.now;
            Outcome::Saved
        };
        Ok(batch.iter().map(save).collect())
    }

    fn answer(&self, _: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = books.values().find_map(|book| book.answers.get(&key).filter(|(known, _)| known.about == about));
        Ok(answer.map(|(_, answer)| answer.clone()))
    }
}

/// What the box office shows: in life, from its own tables.
fn listing(now: Timestamp) -> anyhow::Result<Listing> {
    let bundle: Bundle = serde_json::from_value(json!({
        "layouts": {"one": example::plan().layout()},
        "price_tables": {"evening": example::prices().table},
        "cinemas": [{
            "id": "rex", "name": {"en": "Rex"}, "zone": "Europe/Vienna", "currency": "EUR",
            "address": {"street": "Ring 1", "city": {"de": "Wien"}, "country": "AT"},
            "position": {"lat_e6": 48_208_200, "lon_e6": 16_373_800},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}],
        }],
        "films": [{"id": "joan", "title": {"en": "The Passion of Joan of Arc"}, "runtime_min": 82, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": [{"id": "tomorrow", "cinema": "rex", "hall": "one", "starts": "today+1 20:00",
            "items": [{"film": "joan"}], "price_table": "evening"}],
    }))?;
    let mut listing = Listing {
        programme: 0,
        epoch: "e1".parse()?,
        latest: Timestamp::UNIX_EPOCH,
        cinemas: vec![],
        films: vec![],
        screenings: vec![],
        removed: vec![],
        documents: vec![],
        devices: vec![],
    };
    for (n, edit) in (1..).zip(bundle.check(now).edits) {
        match edit {
            Edit::Document(document) => listing.documents.push(document),
            Edit::Cinema(cinema) => listing.cinemas.push(*cinema),
            Edit::Film(film) => listing.films.push(*film),
            Edit::Screening(screening) => {
                let listed = ListedScreening { screening: *screening, changed: n, changed_at: now };
                listing.screenings.push(Box::new(listed));
            }
            _ => {}
        }
    }
    Ok(listing)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let now = Timestamp::now();
    let office = Arc::new(BoxOffice { listing: listing(now)?, books: Mutex::default() });
    let (keys, _recovery) = KeyRing::generate(now)?;
    let cinema = Cinema::builder(Origin::parse("https://rex.example", OriginPolicy::Public)?)
        .operator(Texts::one("en", "Rex")?, Contact { email: "box@rex.example".into(), website: None })
        .keys(keys)
        .shared_store(office.clone())
        .build()?;
    let router = cinema.router();
    let plan: Plan = example::plan();
    let screening: ScreeningId = "tomorrow".parse()?;
    let place = |seat: &str| plan.place(seat.parse().ok()?);

    let first = hold(&router, "A1").await?;
    println!("an app holds A1: {}", first["state"]);
    anyhow::ensure!(first["state"] == "active");
    let refused = office.sell_at_counter(screening, place("A1").expect("a seat"));
    println!("the counter wants A1, too: {refused:?}");
    anyhow::ensure!(refused.is_err());
    // The server has this house in memory. The version tells it that its picture is old.
    office.sell_at_counter(screening, place("A2").expect("a seat")).map_err(anyhow::Error::msg)?;
    println!("the counter sells A2");
    let second = hold(&router, "A2").await?;
    println!("an app wants A2, too: {} ({})", second["code"], second["conflicts"][0]["reason"]);
    anyhow::ensure!(second["code"] == "seats_taken");
    Ok(())
}

async fn hold(router: &axum::Router, seat: &str) -> anyhow::Result<Value> {
    let request = Request::post("/v1/screenings/tomorrow/holds")
        .header("content-type", "application/json")
        .header("authorization", "Bearer YW5uYSBhbm5hIGFubmEgYW5uYSBhbm5hIGFubmEgYWI")
        .header("idempotency-key", seat)
        .body(Body::from(json!({"seats": [{"seat": seat}]}).to_string()))?;
    let response = router.clone().oneshot(request).await?;
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
