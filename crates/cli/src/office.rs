//! The box office: what staff do at the counter, with a session at a server of ours.

use std::io::IsTerminal as _;

use admit_client::Server;
use admit_protocol::booking::{Booking, BookingState, Buyer, TicketState};
use admit_protocol::hold::{Hold, HoldState};
use admit_protocol::id::{BookingId, ScreeningId};
use admit_protocol::layout::Layout;
use admit_protocol::money::Money;
use admit_protocol::problem::Problem;
use admit_protocol::screening::{Screening, ScreeningStatus};
use admit_protocol::time::{Moment, after};
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Context, find, programme, show};

#[derive(Subcommand)]
pub(crate) enum OfficeCommand {
    /// Today's screenings; or, of one of them, who has which seats and what is still to be paid.
    List {
        #[command(flatten)]
        desk: Desk,
        /// The screening.
        screening: Option<String>,
    },
    /// Somebody pays what is due for a booking.
    Paid {
        #[command(flatten)]
        desk: Desk,
        /// The screening.
        screening: String,
        /// The booking's reference, as the buyer knows it.
        reference: String,
        /// Take the money without asking.
        #[arg(long)]
        yes: bool,
    },
}

/// Where somebody works, and who.
#[derive(Args)]
pub(crate) struct Desk {
    /// The cinema's server.
    server: String,
    /// What you sign in with. The password is asked for, or read from standard input.
    #[arg(long, env = "ADMIT_LOGIN")]
    login: String,
}

/// A hold or booking, as staff see it.
#[derive(Serialize, Deserialize)]
struct Row {
    hold: Hold,
    #[serde(rename = "ref")]
    reference: String,
    booking: Option<Booking>,
    buyer: Option<Buyer>,
}

impl OfficeCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::List { desk, screening: None } => {
                let (server, _) = desk.sign_in(context).await?;
                list_screenings(&server, context).await
            }
            Self::List { desk, screening: Some(screening) } => {
                let (server, office) = desk.sign_in(context).await?;
                let screening = server.screening(screening.parse().context(screening)?).await?;
                let layout = server.layout(screening.layout).await?;
                let rows = office.bookings(screening.id).await?;
                if context.json {
                    return show::json(&rows);
                }
                show::line(&format!("{}  {}", show::start(&screening), screening.status));
                print_bookings(&rows, &screening, &layout);
                Ok(())
            }
            Self::Paid { desk, screening, reference, yes } => {
                if context.json && !yes {
                    bail!("say --yes: with --json nobody is asked");
                }
                let (server, office) = desk.sign_in(context).await?;
                let status = server.screening(screening.parse().with_context(|| screening.clone())?).await?.status;
                if matches!(status, ScreeningStatus::Cancelled | ScreeningStatus::Moved | ScreeningStatus::Postponed) {
                    bail!("this screening is {status}: take no money, its buyers get theirs back");
                }
                office.take_money(screening.parse().context(screening)?, &reference, yes, context).await
            }
        }
    }
}

impl Desk {
    async fn sign_in(&self, context: &Context) -> anyhow::Result<(Server, Office)> {
        let server = find::client(context)?.server(&self.server, None).await?;
        let password = read_password(&format!("password of {}: ", self.login))?;
        let office = Office::sign_in(server.origin().as_str(), &self.login, &password).await?;
        Ok((server, office))
    }
}

/// Asks without showing what is typed; where nobody sits in front of it, reads a line.
pub(crate) fn read_password(question: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(question).context("asking for the password");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("reading the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn list_screenings(server: &Server, context: &Context) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let today = |s: &Screening| s.over_at() > now && s.starts_at.at() < after(now, 24 * 3600);
    let mut rows: Vec<(Screening, Vec<String>)> = Vec::new();
    for cinema in server.cinemas().await? {
        let (films, screenings) = server.programme(cinema.id).await?;
        for screening in screenings.into_iter().filter(today) {
            let film = programme::titles(&screening, &films);
            let hall = cinema.hall(screening.hall).map_or("", |h| show::text(&h.name));
            let words = [show::start(&screening), film, hall.into(), screening.status.to_string()];
            let words = words.into_iter().chain([screening.id.to_string()]).collect();
            rows.push((screening, words));
        }
    }
    rows.sort_by_key(|(s, _)| s.starts_at.at());
    if context.json {
        return show::json(&rows.into_iter().map(|(s, _)| s).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        show::line("nothing is shown in the next 24 hours");
    } else {
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, words)| words).collect();
        show::table(&["when", "film", "hall", "status", "screening"], &rows);
    }
    Ok(())
}

fn print_bookings(rows: &[Row], screening: &Screening, layout: &Layout) {
    let zone = screening.starts_at.zone();
    let clock = |at| Moment::new(at, zone).map(|at| at.local().strftime("%a %H:%M").to_string()).unwrap_or_default();
    let row = |row: &Row| {
        let (seats, state): (Vec<_>, _) = match &row.booking {
            Some(b) => {
                let by = b.collect_by.map(|by| format!(" by {}", clock(by))).unwrap_or_default();
                let off = !matches!(
                    screening.status,
                    ScreeningStatus::OnSale | ScreeningStatus::Paused | ScreeningStatus::Closed
                );
                let due =
                    if off || b.balance_due.is_zero() { String::new() } else { format!(", {} due{by}", b.balance_due) };
                let stands = b.lines.iter().filter(|l| l.state != TicketState::Revoked);
                let back = if b.refunded.is_zero() { String::new() } else { format!(", {} to give back", b.refunded) };
                (stands.map(|l| l.seat).collect(), format!("{}{due}{back}", b.state))
            }
            None if row.hold.state != HoldState::Active => return None,
            None => {
                let until = format!("held until {}", clock(row.hold.expires_at));
                (row.hold.seats.iter().map(|s| s.seat).collect(), until)
            }
        };
        let seats: Vec<String> = seats.into_iter().map(|s| show::seat(s, layout)).collect();
        let buyer =
            row.buyer.iter().flat_map(|b| [&b.name, &b.email]).flatten().cloned().collect::<Vec<_>>().join(", ");
        Some(vec![row.reference.clone(), seats.join(" "), state, buyer])
    };
    let rows: Vec<Vec<String>> = rows.iter().filter_map(row).collect();
    if rows.is_empty() {
        show::line("nobody holds or has booked a seat");
    } else {
        show::table(&["ref", "seats", "state", "buyer"], &rows);
    }
}

/// Somebody who is signed in.
pub(crate) struct Office {
    http: reqwest::Client,
    base: String,
    cookie: String,
    csrf: String,
}

impl Office {
    pub(crate) async fn sign_in(origin: &str, login: &str, password: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let base = format!("{origin}/manage/v1");
        let body = json!({"login": login, "password": password});
        let said = answered(http.post(format!("{base}/sessions")).json(&body)).await;
        let said = said.with_context(|| format!("{login} could not sign in at {origin}"))?;
        let cookie = said.headers().get("set-cookie").and_then(|c| c.to_str().ok()).context("no session cookie")?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let session: serde_json::Value = said.json().await?;
        let csrf = session["csrf"].as_str().context("no csrf token")?.to_owned();
        Ok(Self { http, base, cookie, csrf })
    }

    async fn bookings(&self, screening: ScreeningId) -> anyhow::Result<Vec<Row>> {
        let url = format!("{}/screenings/{screening}/holds", self.base);
        Ok(answered(self.http.get(url).header("cookie", &self.cookie)).await?.json().await?)
    }

    /// Shows what is due, asks, and takes it.
    async fn take_money(
        &self,
        screening: ScreeningId,
        reference: &str,
        yes: bool,
        context: &Context,
    ) -> anyhow::Result<()> {
        let rows = self.bookings(screening).await?;
        let row = rows.into_iter().find(|r| r.reference.eq_ignore_ascii_case(reference.trim()));
        let row = row.with_context(|| format!("no booking {reference} in this screening: `admit box-office list`"))?;
        let booking = row.booking.context("this is held, not booked: there is nothing to pay yet")?;
        if booking.state == BookingState::Cancelled {
            bail!("{reference} was cancelled: there is nothing to pay");
        }
        let due = booking.balance_due;
        if due.is_zero() {
            bail!("{reference} is paid");
        }
        if !context.json {
            let stand = booking.lines.iter().filter(|l| l.state != TicketState::Revoked).count();
            show::line(&format!("{}: {} for {}", row.reference, due, show::count(stand, "ticket")));
        }
        if !yes && !show::agreed("did you get this?", &mut show::Stop::listen()?).await {
            bail!("nothing was noted");
        }
        self.settle(screening, booking.id, due).await?;
        if context.json {
            return show::json(&json!({"booking": booking.id, "paid": due}));
        }
        show::line(&format!("{} {due} for {}", show::colour("1;32", "paid:"), row.reference));
        Ok(())
    }

    /// Takes the balance of a booking at the counter.
    pub(crate) async fn settle(&self, screening: ScreeningId, booking: BookingId, amount: Money) -> anyhow::Result<()> {
        let url = format!("{}/screenings/{screening}/bookings/{booking}/settlements", self.base);
        let request = self.http.post(url).header("cookie", &self.cookie).header("csrf-token", &self.csrf);
        // One settlement of a booking is one effect, whoever asks again.
        let request = request.header("idempotency-key", format!("settle-{booking}"));
        answered(request.json(&json!({"amount": amount}))).await.map(drop)
    }
}

/// The answer, or what the server says against it.
async fn answered(request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
    let said = request.send().await?;
    if said.status().is_success() {
        return Ok(said);
    }
    let status = said.status();
    Err(match said.json::<Problem>().await {
        Ok(problem) => anyhow!("{}: {}", problem.title, problem.detail),
        Err(_) => anyhow!("the server answered {status}"),
    })
}
