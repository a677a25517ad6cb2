//! What a screening is, in words: film, cinema, hall, time, and what a cancellation brings back.

use admit_client::Server;
use admit_protocol::policy::CancellationPolicy;
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
        Ok(Self { film, cinema: cinema.to_owned(), hall: hall.to_owned(), when: show::start(screening) })
    }

    /// For a wallet: `The General, Orpheum Docklands, Sat 21 Nov 17:15 (Dublin)`.
    pub(crate) fn title(&self) -> String {
        format!("{}, {}, {}", self.film, self.cinema, self.when)
    }

    pub(crate) fn print(&self) {
        show::line(&show::colour("1", &self.film));
        show::line(&format!("{}, {}", self.cinema, self.hall));
        show::line(&self.when);
    }
}

/// `cancelled until Fri 20 Nov 20:30 (Paris): 100 % back; until ...: 50 % back; later: nothing`
pub(crate) fn cancellation(policy: &CancellationPolicy, starts_at: &Moment) -> String {
    let tiers = policy.tiers.iter().filter_map(|tier| {
        let until = after(starts_at.at(), -i64::from(tier.until_before_start_s));
        if until <= Timestamp::now() {
            return None;
        }
        let until = Moment::new(until, starts_at.zone()).ok()?;
        Some(format!("until {}: {} % back", show::moment(&until), tier.refund_percent))
    });
    let tiers: Vec<String> = tiers.collect();
    if tiers.is_empty() {
        return "what was paid does not come back".into();
    }
    let fee = policy.fee_per_ticket.map(|fee| format!(", less {fee} a ticket")).unwrap_or_default();
    format!("cancelled {}{fee}; later: nothing", tiers.join("; "))
}
