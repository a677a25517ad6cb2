//! What one cinema's server shows, by its own word.

use std::collections::BTreeSet;

use admit_protocol::capability::Role;
use admit_protocol::directory::Day;
use admit_protocol::film::Film;
use admit_protocol::screening::Screening;
use admit_protocol::seats::SalesState;
use admit_protocol::time::Moment;
use clap::Args;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use crate::{Context, find, sales, show};

/// What a cinema shows, from its own server.
#[derive(Args)]
pub(crate) struct Programme {
    /// The cinema's server.
    server: String,
    /// On this evening, by the cinema's clock: today (or tonight), tomorrow, or 2026-11-21.
    #[arg(long, value_parser = find::day)]
    date: Option<Day>,
}

impl Programme {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let server = find::server(&self.server, context).await?;
        if server.manifest().role != Role::Server {
            return Err(find::no_cinema(&server));
        }
        let now = Timestamp::now();
        let (mut shown, mut evenings) = (Vec::new(), BTreeSet::new());
        for cinema in server.cinemas().await? {
            let today = Moment::new(now, &cinema.zone)?.business_date(cinema.business_day_cutoff);
            let evening = match self.date {
                None => None,
                Some(Day::Today) => Some(today),
                Some(Day::Tomorrow) => Some(today.checked_add(1.days())?),
                Some(Day::On(date)) => Some(date),
            };
            evenings.extend(evening);
            let (films, screenings) = server.programme(cinema.id).await?;
            let fits = |s: &Screening| s.over_at() > now && evening.is_none_or(|evening| s.business_date == evening);
            for screening in screenings.into_iter().filter(fits) {
                let words = [
                    show::start(&screening),
                    titles(&screening, &films),
                    show::text(&cinema.name).to_owned(),
                    price(&screening, server.now()),
                    screening.id.to_string(),
                ];
                shown.push((screening, words));
            }
        }
        shown.sort_by_key(|(s, _)| s.starts_at.at());
        if context.json {
            return show::json(&json!(shown.into_iter().map(|(s, _)| s).collect::<Vec<_>>()));
        }
        if shown.is_empty() {
            let when = evenings.iter().map(|date| date.strftime("%a %d %b").to_string()).collect::<Vec<_>>().join(", ");
            let when = if when.is_empty() { "from now on".to_owned() } else { format!("on the evening of {when}") };
            show::line(&format!("nothing is shown {when}"));
            if matches!(self.date, Some(Day::Today)) {
                show::line(
                    "an evening lasts until the morning, by the cinema's clock: --date tomorrow is the next one",
                );
            }
            return Ok(());
        }
        let left = sales::left(&server, shown.iter().map(|(s, _)| s)).await;
        let said = |(screening, mut words): (Screening, [String; 5])| {
            if let Some(left) = left.get(&screening.id) {
                words[3] = format!("{}, {left}", words[3]);
            }
            words.to_vec()
        };
        let rows: Vec<Vec<String>> = shown.into_iter().map(said).collect();
        show::table(&["when", "film", "cinema", "adults", "screening"], &rows);
        show::line(&format!("seats: admit seats {} SCREENING", server.origin()));
        Ok(())
    }
}

/// `Sherlock Jr. + The General`.
pub(crate) fn titles(screening: &Screening, films: &[Film]) -> String {
    let title = |film| films.iter().find(|f| f.id == film).map_or("", |f| show::text(&f.title));
    screening.items.iter().map(|item| title(item.film)).collect::<Vec<_>>().join(" + ")
}

/// What it costs, or why it is not sold. Whether anything is left, only its seats say.
pub(crate) fn price(screening: &Screening, now: Timestamp) -> String {
    let from = || screening.price_range.map(|r| format!("from {}", r.lowest)).unwrap_or_default();
    match screening.sales_state(now) {
        state if state.is_open() => {
            let turns = if screening.queue.is_some() { ", in turns" } else { "" };
            format!("{}{turns}", from())
        }
        SalesState::NotYetOpen => {
            let opens = Moment::new(screening.sales.opens_at, screening.starts_at.zone());
            let opens = opens.map(|at| at.local().strftime("%a %d %b %H:%M").to_string()).unwrap_or_default();
            format!("{}, on sale {opens}", from())
        }
        SalesState::UnderWay => "has begun".into(),
        SalesState::Paused => "sales paused".into(),
        SalesState::Cancelled => screening.status.to_string(),
        _ => "not sold".into(),
    }
}
