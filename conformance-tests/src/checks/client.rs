//! Clients: what they must not believe, and what they must not do twice.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::index::{LIARS, Liar};
use super::{Checked, Outcome, Stop, must};
use crate::How;
use crate::client::{Adapter, Between, Did, Passed, Trouble, Way, problem};
use crate::control::Control;
use crate::fake::{Fake, Place, Said};
use crate::stage::Show;
use crate::target::Target;

/// What is checked of a client.
pub(crate) struct Check {
    pub(crate) musts: &'static [&'static str],
    pub(crate) what: &'static str,
    trouble: fn() -> Trouble,
    run: for<'a> fn(&'a mut Stage) -> std::pin::Pin<Box<dyn Future<Output = Checked> + 'a>>,
}

/// A client, a server in order, and what is between them.
struct Stage {
    adapter: Adapter,
    between: Between,
    /// The server, asked directly.
    server: Target,
    show: Show,
    seed: [u8; 32],
}

macro_rules! checks {
    ($($musts:expr, $what:literal, $trouble:expr, $run:path;)*) => {
        /// All of them.
        pub(crate) const ALL: &[Check] = &[$(Check {
            musts: &$musts,
            what: $what,
            trouble: || $trouble,
            run: |stage| Box::pin($run(stage)),
        }),*];
    };
}

fn is(passed: &Passed, method: &Method, ends: &str) -> bool {
    passed.method == *method && passed.path.ends_with(ends)
}

/// The first answer to such a request is lost, and the second as well.
fn lost(ends: &'static str) -> Trouble {
    Trouble::way(
        move |passed, before| if is(passed, &Method::POST, ends) && before < 2 { Way::Lost } else { Way::Arrives },
    )
}

/// The first time something else is answered, whether it was done or not.
fn instead(ends: &'static str, asked: bool, status: u16, code: &'static str) -> Trouble {
    Trouble::way(move |passed, before| {
        if !is(passed, &Method::POST, ends) || before > 0 {
            return Way::Arrives;
        }
        let headers = vec![("retry-after", "1".to_owned())];
        let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Way::Instead { asked, status: status_code, body: problem(status, code), headers }
    })
}

checks! {
    ["MAN-001", "MAN-002", "MAN-003", "MAN-004", "MAN-006", "MAN-009"], "a server that lies about what it is is not met", Trouble::none(), liars;
    ["MAN-005", "MAN-012"], "another key at a known address is believed by the recovery key's word alone", Trouble::none(), continuity;
    ["MAN-015"], "a server that moved is met where it is, if it says so there, too", Trouble::none(), follows;
    ["IDX-008"], "it reads a screening at its cinema before it holds a seat", Trouble::none(), reads_first;
    ["HOLD-001", "BOOK-001", "TICK-006"], "it buys, and has its tickets", Trouble::none(), buys;
    ["IDEM-002", "IDEM-003"], "the answer to a hold is lost: it asks again with the same key, and has one", lost("/holds"), buys_once;
    ["IDEM-002", "IDEM-003"], "the answer to a booking is lost: it asks again with the same key, and has one", lost("/bookings"), buys_once;
    ["IDEM-007"], "a booking's outcome is not known: it asks again with the same key, and has one", instead("/bookings", true, 503, "outcome_unknown"), buys_once;
    ["HTTP-014"], "a server that is busy is asked again later, with the same key", instead("/holds", false, 503, "busy"), buys_once;
    ["IDEM-002"], "the same request is being worked on: it asks again with the same key", instead("/bookings", true, 409, "request_in_flight"), buys_once;
    ["BOOK-002", "PRICE-001"], "what costs more than was agreed to is not booked", Trouble::none(), too_dear;
    ["BOOK-002"], "a price that was shown lower than it is is not booked for more", Trouble::change(cheaper), shown_cheaper;
    ["ID-002"], "a layout with other bytes than its name says is not bought from", Trouble::change(other_layout), nothing_is_sold;
    ["ID-002"], "a price table with other bytes than its name says is not bought from", Trouble::change(other_prices), nothing_is_sold;
    ["AUTH-002", "PRIV-003"], "each purchase has a secret of its own, and it is in no address and no body", Trouble::none(), fresh_secrets;
    ["AUTH-002", "MAN-009"], "a hold that is sent elsewhere is not sent there", Trouble::way(elsewhere), stays_here;
    ["EXT-001"], "members and words that it does not know do not keep it from buying", Trouble::change(more_than_known), buys;
    ["EXT-002"], "a seat that is not free for a reason it does not know is not free", Trouble::change(ghosts), ghosts_are_not_free;
    ["EXT-002", "SEAT-005"], "a state of sales that it does not know is not on sale", Trouble::change(moonlight), not_on_sale;
    ["TICK-005"], "a ticket with another signature is no ticket", Trouble::change(forged), forged_is_no_ticket;
}

/// Runs them against the client of this adapter.
pub(crate) async fn run(command: &str, control: &Control, how: &How) -> anyhow::Result<Vec<(&'static Check, Outcome)>> {
    let mut results = Vec::new();
    for check in ALL.iter().filter(|check| how.wants(check.musts)) {
        let (listener, origin) = Between::listen().await?;
        let (mut server, address) = Target::calling_itself(control, how.seed, &origin).await?;
        let made = match server.show(json!({})).await {
            Ok(show) => show,
            Err(Stop::NotRun(why) | Stop::Fails(why)) => anyhow::bail!("the server behind: {why}"),
        };
        let between = Between::start(listener, origin, address, (check.trouble)())?;
        let seed = server.fresh();
        let mut stage = Stage { adapter: Adapter::start(command)?, between, server, show: made, seed };
        let outcome = match (check.run)(&mut stage).await {
            Ok(()) => Outcome::Passed,
            Err(Stop::NotRun(why)) => Outcome::NotRun(why),
            Err(Stop::Fails(why)) => {
                let passed = stage.between.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
                let line = |p: &Passed| {
                    format!("{} {} key {:?} {}", p.method, p.path, p.key, String::from_utf8_lossy(&p.body))
                };
                Outcome::Failed { why, exchanges: passed.iter().map(line).collect() }
            }
        };
        if let Some(run) = &stage.server.run {
            run.end().await;
        }
        stage.adapter.end().await;
        let enough = how.until_failure && outcome.is_failure();
        results.push((check, outcome));
        if enough {
            break;
        }
    }
    Ok(results)
}

impl Stage {
    async fn buy(&mut self, seats: &[usize], at_most: i64) -> Checked<Did> {
        let seats: Vec<&str> = seats.iter().map(|n| self.show.seat(*n)).collect::<Result<_, _>>()?;
        let ask = json!({"do": "buy", "origin": self.between.origin, "screening": self.show.id, "seats": seats,
            "at_most": self.show.money(at_most)});
        self.adapter.ask(&ask).await
    }

    /// How many seats are sold and held, by the server's own word.
    async fn taken(&mut self) -> Checked<(usize, usize)> {
        let seats = self.server.seats(&self.show).await?;
        let count = |why: &str| seats["not_free"][why].as_array().map_or(0, Vec::len);
        Ok((count("sold"), count("held")))
    }
}

fn place() -> Place {
    Place {
        name: "Kino".into(),
        city: "Zagreb",
        country: "HR",
        zone: "Europe/Zagreb",
        lat_e6: 45_800_000,
        lon_e6: 15_970_000,
        film: "Film".into(),
    }
}

async fn liars(stage: &mut Stage) -> Checked {
    let place = place();
    let honest = Fake::start(&place, stage.seed, |_, _| ()).await?;
    stage.adapter.ask(&json!({"do": "meet", "origin": honest.origin})).await?.done()?;
    for (what, lie) in LIARS {
        let fake = Fake::start(&place, stage.seed, lie).await?;
        let did = stage.adapter.ask(&json!({"do": "meet", "origin": fake.origin})).await?;
        did.must_not_be_done(what)?;
    }
    Ok(())
}

/// What a server says of itself when it is met again, and whether that is to be believed.
type Later = (&'static str, bool, fn(&Said) -> Value);

const LATER: &[Later] = &[
    ("the same again", true, |s| s.jws.clone()),
    ("an older serial", false, |s| manifest(s, 1, |m| m["serial"] = json!(1))),
    ("another identity key, and no word of the recovery key", false, |s| manifest(s, 4, |_| ())),
    ("another identity key, by the word of the old one", false, |s| {
        manifest(s, 4, |m| m["keys"]["succession"] = succession(s, 1, 4, 1))
    }),
    ("another identity key and another recovery key, by the word of the latter", false, |s| {
        manifest(s, 4, |m| {
            m["keys"]["recovery"] = json!(s.key(5));
            m["keys"]["succession"] = succession(s, 5, 4, 1);
        })
    }),
    ("another recovery key", false, |s| manifest(s, 1, |m| m["keys"]["recovery"] = json!(s.key(5)))),
    ("another identity key, by the word of the recovery key", true, |s| {
        manifest(s, 4, |m| {
            m["keys"]["succession"] = succession(s, 2, 4, 1);
            // Whoever had the old key may have signed any serial with it.
            m["serial"] = json!(1);
        })
    }),
];

/// Its manifest, changed, as the identity key of this number signs it.
fn manifest(said: &Said, identity: u8, change: impl FnOnce(&mut Value)) -> Value {
    let mut manifest = said.manifest.clone();
    manifest["keys"]["identity"] = json!(said.key(identity));
    change(&mut manifest);
    said.signed_by(identity, "admit-manifest+jws", &manifest)
}

fn succession(said: &Said, signer: u8, to: u8, number: u32) -> Value {
    let word = json!({"origin": said.manifest["origin"], "identity": said.key(to), "number": number});
    said.signed_by(signer, "admit-succession+jws", &word)
}

async fn continuity(stage: &mut Stage) -> Checked {
    let place = place();
    for (what, believed, later) in LATER {
        let said_later = |said: &mut Said, signed: bool| {
            if signed {
                said.then = Some(later(said));
            }
        };
        let fake = Fake::start(&place, stage.seed, said_later).await?;
        let meet = json!({"do": "meet", "origin": fake.origin});
        stage.adapter.ask(&meet).await?.done()?;
        let did = stage.adapter.ask(&meet).await?;
        if *believed {
            did.done().map_err(|_| Stop::Fails(format!("met again with {what}, and not believed")))?;
        } else {
            did.must_not_be_done(what)?;
        }
    }
    // The first key, after it was replaced: whoever stole it.
    let stolen = |said: &mut Said, signed: bool| {
        if signed {
            said.then = Some(said.jws.clone());
            said.jws = manifest(said, 4, |m| m["keys"]["succession"] = succession(said, 2, 4, 1));
        }
    };
    let fake = Fake::start(&place, stage.seed, stolen).await?;
    let meet = json!({"do": "meet", "origin": fake.origin});
    stage.adapter.ask(&meet).await?.done()?;
    stage.adapter.ask(&meet).await?.must_not_be_done("an identity key that was replaced")?;
    Ok(())
}

/// What the server at the new origin says, signed by its keys, and is not the one that moved.
pub(super) const NOT_MOVED: &[Liar] = &[
    ("it does not say that it came from there", |s, _| s.manifest["moved_from"] = json!([])),
    ("it came from elsewhere", |s, _| s.manifest["moved_from"] = json!(["http://127.0.0.1:9"])),
    ("it has another identity key", |s, signed| {
        if signed {
            s.jws = manifest(s, 4, |_| ());
        }
    }),
    ("it has another recovery key", |s, _| s.manifest["keys"]["recovery"] = json!(s.key(5))),
];

async fn follows(stage: &mut Stage) -> Checked {
    let place = place();
    let (old, new) = Fake::start_moved(&place, stage.seed, |_, _| ()).await?;
    let meet = |at: &Fake| json!({"do": "meet", "origin": at.origin});
    stage.adapter.ask(&meet(&old)).await?.done()?;
    must(new.looks() > 0, || "it did not ask at the new origin".into())?;
    for (what, lie) in NOT_MOVED {
        let (old, _new) = Fake::start_moved(&place, stage.seed, lie).await?;
        stage.adapter.ask(&meet(&old)).await?.must_not_be_done(what)?;
    }
    Ok(())
}

async fn reads_first(stage: &mut Stage) -> Checked {
    buys(stage).await?;
    let passed = stage.between.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let hold = passed.iter().position(|p| is(p, &Method::POST, "/holds")).unwrap_or(passed.len());
    let read = passed[..hold].iter().any(|p| {
        p.method == Method::GET
            && (p.path.contains(&format!("/screenings/{}", stage.show.id)) || p.path.ends_with("/programme"))
    });
    Ok(must(read, || "it holds seats before it has asked the cinema for the screening".into())?)
}

async fn buys(stage: &mut Stage) -> Checked {
    let done = stage.buy(&[0, 1], 100_000).await?.done()?;
    let (sold, held) = stage.taken().await?;
    must((sold, held) == (2, 0), || format!("two seats were bought; {sold} are sold, {held} held"))?;
    must(done["total"]["amount"] == 2 * stage.show.price, || format!("it says that it paid {}", done["total"]))?;
    let tickets = done["tickets"].as_array().map_or(0, Vec::len);
    Ok(must(tickets == 2, || format!("it has {tickets} tickets for two seats"))?)
}

async fn buys_once(stage: &mut Stage) -> Checked {
    buys(stage).await?;
    for ends in ["/holds", "/bookings"] {
        let asked = stage.between.seen(&Method::POST, ends);
        let same = asked
            .windows(2)
            .all(|pair| pair[0].key == pair[1].key && pair[0].body == pair[1].body && pair[0].secret == pair[1].secret);
        must(same && !asked.is_empty(), || format!("{} requests to {ends} were not the same request", asked.len()))?;
    }
    Ok(())
}

async fn too_dear(stage: &mut Stage) -> Checked {
    let did = stage.buy(&[0, 1], 2 * stage.show.price - 1).await?;
    did.must_not_be_done("it costs more than was agreed to")?;
    let (sold, _) = stage.taken().await?;
    Ok(must(sold == 0, || format!("{sold} seats are sold for more than was agreed to"))?)
}

/// Holds say half of what they come to.
fn cheaper(path: &str, value: &mut Value) {
    if path.ends_with("/holds") && value["quote"].is_object() {
        let half = value["quote"]["total"]["amount"].as_i64().unwrap_or(0) / 2;
        value["quote"]["total"]["amount"] = json!(half);
    }
}

async fn shown_cheaper(stage: &mut Stage) -> Checked {
    let did = stage.buy(&[0, 1], stage.show.price + 1).await?;
    did.must_not_be_done("it costs twice what was agreed to")?;
    let (sold, _) = stage.taken().await?;
    Ok(must(sold == 0, || format!("{sold} seats are sold for more than was agreed to"))?)
}

fn other_layout(path: &str, value: &mut Value) {
    if path.contains("/layouts/") {
        value["seats"][0]["number"] = json!("99");
    }
}

fn other_prices(path: &str, value: &mut Value) {
    if path.contains("/price_tables/") {
        value["ticket_types"][0]["name"] = json!({"en": "Pensioner"});
    }
}

async fn nothing_is_sold(stage: &mut Stage) -> Checked {
    stage.buy(&[0], 100_000).await?.must_not_be_done("a document is not what its name says")?;
    let (sold, _) = stage.taken().await?;
    Ok(must(sold == 0, || format!("{sold} seats are sold by documents that are not what their names say"))?)
}

async fn fresh_secrets(stage: &mut Stage) -> Checked {
    stage.buy(&[0], 100_000).await?.done()?;
    stage.buy(&[1], 100_000).await?.done()?;
    let holds = stage.between.seen(&Method::POST, "/holds");
    let secrets: std::collections::BTreeSet<&str> = holds.iter().map(|p| p.secret.as_str()).collect();
    must(secrets.len() == 2, || format!("two purchases, and {} secrets", secrets.len()))?;
    let passed = stage.between.passed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    for secret in secrets {
        let secret = secret.strip_prefix("Bearer ").unwrap_or(secret);
        let told =
            passed.iter().find(|p| p.whole.contains(secret) || String::from_utf8_lossy(&p.body).contains(secret));
        must(told.is_none(), || "a secret is in an address or a body".into())?;
    }
    Ok(())
}

/// The way that a hold is sent: to this machine under its other name, which is another origin.
fn elsewhere(passed: &Passed, _: usize) -> Way {
    if !is(passed, &Method::POST, "/holds") {
        return Way::Arrives;
    }
    let port = passed.host.rsplit(':').next().unwrap_or_default();
    let to = vec![("location", format!("http://localhost:{port}{}/elsewhere", passed.path))];
    Way::Instead { asked: false, status: StatusCode::TEMPORARY_REDIRECT, body: json!({}), headers: to }
}

async fn stays_here(stage: &mut Stage) -> Checked {
    stage.buy(&[0], 100_000).await?.must_not_be_done("its hold was sent elsewhere")?;
    let followed = stage.between.seen(&Method::POST, "/elsewhere");
    Ok(must(followed.is_empty(), || "it went where it was sent, with its secret".into())?)
}

fn more_than_known(path: &str, value: &mut Value) {
    let signed = path.contains("well-known")
        || path.contains("/layouts/")
        || path.contains("/price_tables/")
        || path.contains("/cinema_pages/");
    if let (false, Some(members)) = (signed, value.as_object_mut()) {
        members.insert("org.example.mood".into(), json!({"is": ["fine", null, 1]}));
        if let Some(state) = members.get_mut("attributes") {
            *state = json!(["a_later_word"]);
        }
    }
}

fn ghosts(path: &str, value: &mut Value) {
    if path.ends_with("/seats") {
        value["not_free"]["kept_for_ghosts"] = json!(["1-1"]);
    }
}

async fn free(stage: &mut Stage) -> Checked<Value> {
    let ask = json!({"do": "free", "origin": stage.between.origin, "screening": stage.show.id});
    stage.adapter.ask(&ask).await?.done()
}

async fn ghosts_are_not_free(stage: &mut Stage) -> Checked {
    let free = free(stage).await?;
    let seats = free["seats"].as_array().cloned().unwrap_or_default();
    must(!seats.contains(&json!("1-1")), || "it calls a seat free that is kept for ghosts".into())?;
    Ok(must(seats.contains(&json!("1-2")), || "it calls a seat taken that is free".into())?)
}

fn moonlight(path: &str, value: &mut Value) {
    if path.ends_with("/seats") {
        value["sales"] = json!("by_moonlight");
    }
}

async fn not_on_sale(stage: &mut Stage) -> Checked {
    let free = free(stage).await?;
    Ok(must(free["on_sale"] == false, || format!("sold by moonlight is on sale to it: {}", free["on_sale"]))?)
}

fn forged(path: &str, value: &mut Value) {
    if path.ends_with("/tickets")
        && let Some(code) = value["tickets"][0]["code"].as_str()
    {
        let forged = super::tickets::forged(code).unwrap_or_default();
        value["tickets"][0]["code"] = json!(forged);
    }
}

async fn forged_is_no_ticket(stage: &mut Stage) -> Checked {
    let did = stage.buy(&[0], 100_000).await?;
    let (sold, _) = stage.taken().await?;
    let tickets = match did {
        Did::Done(done) => done["tickets"].as_array().map_or(0, Vec::len),
        Did::Refused(_) if sold > 0 => {
            return Err(Stop::Fails("its seat is sold, and it says that nothing was done".into()));
        }
        Did::Refused(_) | Did::Unknown(_) => 0,
    };
    Ok(must(tickets == 0, || "it takes a ticket with another signature for one".into())?)
}
