//! What a screening is, in words: film, cinema, hall, time, and what a cancellation brings back.

use std::collections::BTreeSet;

use admit_client::Server;
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::Screening;
use admit_protocol::time::{Moment, after};
use jiff::Timestamp;

use crate::show;

/// A screening for people.
pub(crate) struct Showing {
    film: String,
    cinema: String,
    hall: String,
    when: String,
    hours: Vec<String>,
    note: Option<String>,
}

impl Showing {
    pub(crate) async fn of(server: &Server, screening: &Screening) -> anyhow::Result<Self> {
        let (films, _) = server.programme(screening.cinema).await?;
        let title = |item: &admit_protocol::screening::Item| {
            let film = films.iter().find(|f| f.id == item.film);
            film.map_or_else(|| item.film.to_string(), |f| show::text(&f.title).to_owned())
        };
        let film = screening.items.iter().map(title).collect::<Vec<_>>().join(" + ");
        let cinemas = server.cinemas().await?;
        let cinema = cinemas.iter().find(|c| c.id == screening.cinema);
        let hall = cinema.and_then(|c| c.hall(screening.hall)).map_or("", |h| show::text(&h.name));
        let cinema = cinema.map_or("", |c| show::text(&c.name));
        let clock = |moment: &Moment| moment.local().strftime("%H:%M").to_string();
        let mut hours: Vec<String> = screening.doors_at.iter().map(|at| format!("doors {}", clock(at))).collect();
        for item in &screening.items {
            hours.push(format!("{} {}", title(item), clock(&item.starts_at)));
        }
        hours.extend(screening.ends_at.as_ref().map(|at| format!("ends about {}", clock(at))));
        let note = screening.note.as_ref().map(|note| show::text(note).to_owned());
        let (cinema, hall) = (cinema.to_owned(), hall.to_owned());
        Ok(Self { film, cinema, hall, when: show::start(screening), hours, note })
    }

    /// For a wallet: `The General, Orpheum Docklands, Hall 1, Sat 21 Nov 17:15 (Dublin)`.
    pub(crate) fn title(&self) -> String {
        let words = [&self.film, &self.cinema, &self.hall, &self.when];
        words.into_iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn print(&self) {
        show::line(&show::colour("1", &self.film));
        show::line(&format!("{}, {}", self.cinema, self.hall));
        show::line(&self.when);
        show::line(&self.hours.join(", "));
        self.note.iter().for_each(|note| show::line(note));
    }
}

/// `cancelled until Fri 20 Nov 20:30 (Paris): 100 % back; until ...: 50 % back; later: nothing`, and which fees stay.
pub(crate) fn cancellation(policy: &CancellationPolicy, starts_at: &Moment, table: &PriceTable) -> String {
    let tiers = policy.tiers.iter().filter_map(|tier| {
        let until = after(starts_at.at(), -i64::from(tier.until_before_start_s));
        if until <= Timestamp::now() {
            return None;
        }
        let until = Moment::new(until, starts_at.zone()).ok()?;
        Some(format!("until {}: {} % back", show::moment(&until), tier.refund_percent))
    });
    let tiers: Vec<String> = tiers.collect();
    let exchange = policy.exchange.and_then(|rule| {
        let until = after(starts_at.at(), -i64::from(rule.until_before_start_s));
        let until = Moment::new(until, starts_at.zone()).ok().filter(|until| until.at() > Timestamp::now())?;
        let less = rule.fee_per_ticket.map(|fee| format!(", less {fee} a ticket")).unwrap_or_default();
        Some(format!("; exchanged at the whole price until {}{less}", show::moment(&until)))
    });
    let exchange = exchange.unwrap_or_default();
    if tiers.is_empty() {
        return format!("what was paid does not come back{exchange}");
    }
    let less = policy.fee_per_ticket.map(|fee| format!(", each time less {fee} a ticket")).unwrap_or_default();
    let kept = table.booking_fees.iter().chain(table.offers.iter().flat_map(|o| &o.fees)).filter(|fee| !fee.refundable);
    let kept: BTreeSet<String> = kept.map(|fee| format!("{} {}", show::text(&fee.name), fee.amount)).collect();
    let kept = kept.into_iter().collect::<Vec<_>>().join(", ");
    let kept = if kept.is_empty() { String::new() } else { format!("; {kept} never comes back") };
    format!("cancelled {}; later: nothing{less}{kept}{exchange}", tiers.join("; "))
}
