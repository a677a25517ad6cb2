//! What must be in the till when a shift ends.

use admit_server::store::{Permission, Till};
use anyhow::{Context as _, ensure};
use clap::Args;
use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan as _, Zoned};

use super::{Desk, Office};
use crate::{Context, show};

/// When the day of a counter begins: who sells after midnight still has the evening before in the till.
const DAY_BEGINS: Time = Time::constant(5, 0, 0, 0);

/// What was taken and given back: one's own, or everybody's for managers.
#[derive(Args)]
pub(crate) struct Count {
    #[command(flatten)]
    desk: Desk,
    /// From when, by the clock of this machine: 14:00 of today, or 2026-11-21T14:00. If nothing is said, since 5 in the morning.
    #[arg(long)]
    from: Option<String>,
    /// Until when; until now, if nothing is said.
    #[arg(long)]
    until: Option<String>,
}

impl Count {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let now = Zoned::now();
        let from = match &self.from {
            Some(text) => clock(text, &now)?,
            None => day_begins(&now)?,
        };
        let until = self.until.map(|text| clock(&text, &now)).transpose()?;
        ensure!(
            from <= now,
            "{} is still to come: an earlier day is said as 2026-11-21T14:00",
            from.strftime("%a %-d %b %H:%M")
        );
        ensure!(until.as_ref().is_none_or(|until| from < *until), "this time ends before it begins");
        let office = self.desk.sign_in(context).await?;
        office.must(Permission::Sell, "count the till")?;
        let tills = office.tills(from.timestamp(), until.as_ref().map(Zoned::timestamp)).await?;
        if context.json {
            return show::json(&tills);
        }
        let said = |at: &Zoned| at.strftime("%a %-d %b %H:%M").to_string();
        show::line(&format!("from {} until {}", said(&from), until.as_ref().map_or("now".into(), said)));
        let row = |till: &Till| {
            let times = |money, times: u32| if times == 0 { "-".into() } else { format!("{money} ({times})") };
            let (taken, given_back) = (times(till.taken, till.payments), times(till.given_back, till.refunds));
            vec![till.login.clone(), taken, given_back, till.balance.to_string()]
        };
        if tills.is_empty() {
            show::line("nothing went over the counter");
        } else {
            show::table(&["who", "taken", "given back", "makes"], &tills.iter().map(row).collect::<Vec<_>>());
            let sum = tills.iter().map(|till| till.balance).reduce(|all, one| all.plus(one).unwrap_or(all));
            let one_currency = tills.windows(2).all(|pair| pair[0].balance.currency() == pair[1].balance.currency());
            if let Some(sum) = sum.filter(|_| tills.len() > 1 && one_currency) {
                show::line(&format!("all together {sum}"));
            }
        }
        Ok(())
    }
}

impl Office {
    async fn tills(&self, from: Timestamp, until: Option<Timestamp>) -> anyhow::Result<Vec<Till>> {
        let mut url = format!("{}/till?from={from}", self.base);
        url.extend(until.map(|until| format!("&until={until}")));
        Ok(super::answered(self.http.get(url).header("cookie", &self.session.cookie)).await?.json().await?)
    }
}

/// A time of today, or of a day that is named.
fn clock(text: &str, now: &Zoned) -> anyhow::Result<Zoned> {
    // Of a date with a time, the time alone could be read, too.
    let time = match (text.contains('T'), text.contains('-')) {
        (true, _) => text.parse::<DateTime>(),
        (false, true) => text.parse::<Date>().map(|date| date.to_datetime(DAY_BEGINS)),
        (false, false) => text.parse::<Time>().map(|time| now.date().to_datetime(time)),
    };
    let time = time.ok().with_context(|| format!("{text:?} is not a time such as 14:00 or 2026-11-21T14:00"))?;
    Ok(time.to_zoned(now.time_zone().clone())?)
}

fn day_begins(now: &Zoned) -> anyhow::Result<Zoned> {
    let day = if now.time() < DAY_BEGINS { now.date().checked_sub(1.day())? } else { now.date() };
    Ok(day.to_datetime(DAY_BEGINS).to_zoned(now.time_zone().clone())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().expect("a time in a zone")
    }

    #[test]
    fn a_shift_begins_when_it_is_said_or_at_five() {
        let evening = at("2026-11-21T23:30[Europe/Prague]");
        assert_eq!(day_begins(&evening).expect("begins"), at("2026-11-21T05:00[Europe/Prague]"));
        let night = at("2026-11-22T01:10[Europe/Prague]");
        assert_eq!(day_begins(&night).expect("begins"), at("2026-11-21T05:00[Europe/Prague]"));
        assert_eq!(clock("14:00", &evening).expect("a time"), at("2026-11-21T14:00[Europe/Prague]"));
        assert_eq!(clock("2026-11-20T09:30", &evening).expect("a time"), at("2026-11-20T09:30[Europe/Prague]"));
        assert_eq!(clock("2026-11-20", &evening).expect("a day"), at("2026-11-20T05:00[Europe/Prague]"));
        let why = clock("yesterday", &evening).expect_err("no time").to_string();
        assert_eq!(why, "\"yesterday\" is not a time such as 14:00 or 2026-11-21T14:00");
    }
}
