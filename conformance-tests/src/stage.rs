//! Screenings to act at, buyers to act as, and the usual ways to ask.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::checks::{Checked, Stop, must};
use crate::target::{Mode, Target};
use crate::wire::{Answer, Ask};

/// A screening with seats to be had.
#[derive(Debug, Clone)]
pub(crate) struct Show {
    pub(crate) id: String,
    /// `/v1/screenings/...`
    pub(crate) path: String,
    /// Seats that are free, for anybody, row by row.
    pub(crate) seats: Vec<String>,
    pub(crate) layout: String,
    /// A ticket type that anybody may buy alone, and what it costs in the zone of its seats.
    pub(crate) ticket_type: String,
    pub(crate) price: i64,
    pub(crate) currency: String,
}

/// Somebody who buys: a secret.
#[derive(Debug, Clone)]
pub(crate) struct Buyer(pub(crate) String);

impl Show {
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.path)
    }

    pub(crate) fn money(&self, amount: i64) -> Value {
        json!({"amount": amount, "currency": self.currency})
    }

    /// What somebody sends who wants these seats.
    pub(crate) fn wish(&self, seats: &[&str]) -> Value {
        let seats: Vec<Value> = seats.iter().map(|s| json!({"seat": s, "ticket_type": self.ticket_type})).collect();
        json!({"seats": seats})
    }

    pub(crate) fn seat(&self, n: usize) -> Result<&str, Stop> {
        self.seats.get(n).map(String::as_str).ok_or_else(|| Stop::NotRun(format!("it needs {} free seats", n + 1)))
    }
}

/// A problem of this status and code, whole.
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) -> Result<Value, String> {
    must(answer.status == status, || {
        let body = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(300)]);
        format!("status {}, not {status} {code}: {body}", answer.status)
    })?;
    let media = answer.header("content-type");
    must(media.starts_with("application/problem+json"), || format!("its media type is {media:?}"))?;
    let problem = answer.json()?;
    must(problem["code"] == code, || format!("its code is {}, not {code}", problem["code"]))?;
    must(problem["status"] == status, || format!("it says status {}, and has {status}", problem["status"]))?;
    let kind = format!("urn:admit:problem:{code}");
    must(problem["type"] == kind.as_str(), || format!("its type is {}, not {kind}", problem["type"]))?;
    let words = ["type", "title", "detail"].iter().all(|name| problem[name].as_str().is_some_and(|t| !t.is_empty()));
    must(words && problem["retryable"].is_boolean(), || format!("something is missing in {problem}"))?;
    Ok(problem)
}

/// A document with this status.
pub(crate) fn good(answer: &Answer, status: u16) -> Result<Value, String> {
    must(answer.status == status, || {
        let body = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(300)]);
        format!("status {}, not {status}: {body}", answer.status)
    })?;
    answer.json()
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("there is no text `{name}` in {value}"))
}

impl Target {
    pub(crate) fn buyer(&mut self) -> Buyer {
        Buyer(URL_SAFE_NO_PAD.encode(self.fresh()))
    }

    pub(crate) fn key(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(&self.fresh()[..12])
    }

    /// A screening as it is wanted: made by test control, or one that is marked as a test and will do.
    pub(crate) async fn show(&mut self, wanted: Value) -> Checked<Show> {
        let id = match self.mode {
            Mode::Observe => return Err(Stop::NotRun("nothing is done to a server that is only looked at".into())),
            Mode::Controlled => self.run()?.screening(&wanted).await?,
            Mode::Sandbox => {
                let special = wanted.as_object().is_some_and(|wanted| !wanted.is_empty());
                let why = || Stop::NotRun(format!("it needs test control to have such a screening: {wanted}"));
                if special {
                    return Err(why());
                }
                self.test_screening().await?.ok_or_else(|| Stop::NotRun("no screening is marked as a test".into()))?
            }
        };
        self.look_at(&id).await
    }

    async fn test_screening(&mut self) -> Checked<Option<String>> {
        for screening in crate::checks::screenings(self).await? {
            let test = screening["attributes"].as_array().is_some_and(|all| all.iter().any(|a| a == "test"));
            if test && screening["status"].as_str().unwrap_or("on_sale") == "on_sale" {
                return Ok(Some(text(&screening, "id")?.to_owned()));
            }
        }
        Ok(None)
    }

    async fn look_at(&mut self, id: &str) -> Checked<Show> {
        let path = self.api(&format!("/screenings/{id}"))?;
        let seats = good(&self.wire.send(&Ask::get(format!("{path}/seats"))).await?, 200)?;
        let (layout_name, table_name) = (text(&seats, "layout")?, text(&seats, "price_table")?);
        let layout = self.api(&format!("/layouts/{layout_name}"))?;
        let layout = good(&self.get(&layout).await?, 200)?;
        let table = self.api(&format!("/price_tables/{table_name}"))?;
        let table = good(&self.get(&table).await?, 200)?;
        let alone = |t: &&Value| t["audience"] == "adult" && t["needs_one_of"].as_array().is_none_or(Vec::is_empty);
        let types = table["ticket_types"].as_array().ok_or("a price table has ticket types")?;
        let ticket_type = text(types.iter().find(alone).ok_or("no ticket is for adults")?, "id")?.to_owned();
        let taken: Vec<&Value> =
            seats["not_free"].as_object().into_iter().flatten().filter_map(|(_, s)| s.as_array()).flatten().collect();
        let standard = |seat: &&Value| seat["kind"].as_str().is_none_or(|kind| kind == "standard");
        let all = layout["seats"].as_array().cloned().unwrap_or_default();
        let zone = all.first().and_then(|seat| seat["zone"].as_str()).unwrap_or("all");
        let free = all.iter().filter(standard).filter(|seat| seat["zone"] == zone && !taken.contains(&&seat["id"]));
        let free = free.filter_map(|seat| seat["id"].as_str()).map(str::to_owned).collect();
        let offers = table["offers"].as_array().ok_or("a price table has offers")?;
        let offer = offers.iter().find(|o| o["zone"] == zone && o["ticket_type"] == ticket_type.as_str());
        let total = &offer.ok_or("an adult's ticket has no price")?["total"];
        Ok(Show {
            id: id.to_owned(),
            path,
            seats: free,
            layout: layout_name.to_owned(),
            ticket_type,
            price: total["amount"].as_i64().ok_or("a total has an amount")?,
            currency: text(total, "currency")?.to_owned(),
        })
    }

    /// Asks for seats, with a key of its own.
    pub(crate) async fn hold(&mut self, buyer: &Buyer, show: &Show, seats: &[&str]) -> Result<Answer, String> {
        let ask = Ask::post(show.at("/holds"), &show.wish(seats)).by(&buyer.0).key(&self.key());
        self.wire.send(&ask).await
    }

    /// Holds seats that are free.
    pub(crate) async fn held(&mut self, buyer: &Buyer, show: &Show, seats: &[&str]) -> Checked<Value> {
        let hold = good(&self.hold(buyer, show, seats).await?, 201)?;
        text(&hold, "id")?;
        Ok(hold)
    }

    /// How a hold of adults' tickets is booked: all of it, for what it says it comes to.
    pub(crate) fn booking_of(&mut self, buyer: &Buyer, show: &Show, hold: &Value) -> Result<Ask, String> {
        let seats = hold["seats"].as_array().ok_or("a hold has seats")?;
        let tickets: Vec<Value> =
            seats.iter().map(|s| json!({"seat": s["seat"], "ticket_type": show.ticket_type})).collect();
        let total = match &hold["quote"]["total"] {
            Value::Null => show.money(show.price * i64::try_from(tickets.len()).unwrap_or(i64::MAX)),
            total => total.clone(),
        };
        let method = if total["amount"] == 0 { "none" } else { "at_cinema" };
        let book = json!({"hold": hold["id"], "tickets": tickets, "total": total, "payment_method": method});
        Ok(Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&self.key()))
    }

    pub(crate) async fn book(&mut self, buyer: &Buyer, show: &Show, hold: &Value) -> Result<Answer, String> {
        let ask = self.booking_of(buyer, show, hold)?;
        self.wire.send(&ask).await
    }

    /// Holds and books seats that are free.
    pub(crate) async fn booked(&mut self, buyer: &Buyer, show: &Show, seats: &[&str]) -> Checked<Value> {
        let hold = self.held(buyer, show, seats).await?;
        Ok(good(&self.book(buyer, show, &hold).await?, 201)?)
    }

    pub(crate) async fn read(&mut self, path: &str, buyer: &Buyer) -> Result<Answer, String> {
        self.wire.send(&Ask::get(path).by(&buyer.0)).await
    }

    /// What anybody sees of its seats.
    pub(crate) async fn seats(&mut self, show: &Show) -> Result<Value, String> {
        good(&self.wire.send(&Ask::get(show.at("/seats"))).await?, 200)
    }

    /// Why a seat is not free; nothing, if it is.
    pub(crate) async fn why_not_free(&mut self, show: &Show, seat: &str) -> Result<Option<String>, String> {
        let seats = self.seats(show).await?;
        let lists = seats["not_free"].as_object().ok_or("`not_free` is no object")?;
        let has = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(|s| s == seat));
        Ok(lists.iter().find(|(_, list)| has(list)).map(|(why, _)| why.clone()))
    }

    pub(crate) async fn must_be(&mut self, show: &Show, seat: &str, what: Option<&str>) -> Result<(), String> {
        let is = self.why_not_free(show, seat).await?;
        let words = |why: Option<&str>| why.unwrap_or("free").to_owned();
        must(is.as_deref() == what, || format!("seat {seat} is {}, not {}", words(is.as_deref()), words(what)))
    }

    pub(crate) async fn release(&mut self, buyer: &Buyer, show: &Show, hold: &Value) -> Result<Answer, String> {
        let path = show.at(&format!("/holds/{}", text(hold, "id")?));
        self.wire.send(&Ask::delete(path).by(&buyer.0)).await
    }

    /// Asks what cancelling brings.
    pub(crate) async fn quote(&mut self, buyer: &Buyer, booking: &Value, seats: &[&str]) -> Result<Answer, String> {
        let path = self.of_booking(booking, "/cancellation_quotes")?;
        self.wire.send(&Ask::post(path, &json!({"seats": seats})).by(&buyer.0)).await
    }

    pub(crate) fn of_booking(&self, booking: &Value, rest: &str) -> Result<String, String> {
        let (screening, id) = (text(booking, "screening")?, text(booking, "id")?);
        self.api(&format!("/screenings/{screening}/bookings/{id}{rest}"))
    }

    /// Cancels by a quote.
    pub(crate) async fn cancel(&mut self, buyer: &Buyer, booking: &Value, quote: &Value) -> Result<Answer, String> {
        let path = self.of_booking(booking, "/cancellations")?;
        let ask = Ask::post(path, &json!({"quote": quote["id"]})).by(&buyer.0).key(&self.key());
        self.wire.send(&ask).await
    }

    /// Cancels, having asked before.
    pub(crate) async fn cancelled(&mut self, buyer: &Buyer, booking: &Value, seats: &[&str]) -> Checked<Value> {
        let quote = good(&self.quote(buyer, booking, seats).await?, 200)?;
        Ok(good(&self.cancel(buyer, booking, &quote).await?, 200)?)
    }
}
