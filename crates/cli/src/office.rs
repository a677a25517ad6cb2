//! The box office: what staff do at the counter, with a session at a server of ours.

mod booking;
mod list;
mod sell;
mod session;
mod till;

use std::io::IsTerminal as _;
use std::path::PathBuf;

use admit_client::{Client, Server};
use admit_protocol::booking::{Booking, Buyer, Tickets};
use admit_protocol::hold::Hold;
use admit_protocol::id::{DeviceId, ScreeningId, SeatId};
use admit_protocol::money::Money;
use admit_protocol::problem::Problem;
use admit_protocol::time::after;
use admit_server::management::{Exported, Imported, NewToken, PutStaff, StaffMember};
use admit_server::store::{Permission, Role};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::booking::AtCounter;
use self::session::{Session, Sessions};
use crate::{Context, find, show};

#[derive(Subcommand)]
pub(crate) enum OfficeCommand {
    /// Screenings of the next 24 hours; or, of a screening, who has which seats, and what money is due.
    List {
        #[command(flatten)]
        desk: Desk,
        /// The screening.
        screening: Option<ScreeningId>,
    },
    /// Find bookings of screenings to come by their reference, or a part of the buyer's name or e-mail address.
    Find {
        #[command(flatten)]
        desk: Desk,
        /// The reference, or a part of the name or address.
        text: String,
    },
    Sell(sell::Sell),
    /// Somebody pays what is due for a booking.
    Paid {
        #[command(flatten)]
        which: Which,
    },
    /// Cancel tickets for somebody, whatever the policy says.
    ///
    /// For managers; of a screening that does not take place, for all who sell.
    #[command(group = ArgGroup::new("money").required(true))]
    Cancel {
        #[command(flatten)]
        which: Which,
        /// Which seats: F9, F9-F11; all of them if none are named.
        #[arg(value_delimiter = ',')]
        seats: Vec<String>,
        /// What was paid for them comes back: `admit box-office refund` hands it over.
        #[arg(long, group = "money")]
        refund: bool,
        /// Nothing comes back.
        #[arg(long, group = "money")]
        no_refund: bool,
        /// Why, for the records.
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
    },
    /// Somebody gets back what they paid for cancelled tickets.
    Refund {
        #[command(flatten)]
        which: Which,
    },
    Till(till::Count),
    /// Print the tickets of a booking, for who comes without theirs: look first who stands there.
    Tickets {
        #[command(flatten)]
        which: Reference,
        /// Words only, without the codes as pictures.
        #[arg(long)]
        no_qr: bool,
        /// Write each code as a picture (SVG) into this folder, to be printed.
        #[arg(long)]
        save: Option<PathBuf>,
    },
    /// End your session at a server: the next command asks for the password again.
    Leave {
        #[command(flatten)]
        desk: Desk,
    },
}

/// How long a supervisor's session is used without a password since it was used last.
const SUPERVISOR_S: i64 = 600;

/// Where somebody works, and who.
#[derive(Args)]
pub(crate) struct Desk {
    /// The cinema's server.
    server: String,
    /// What you sign in with. The password is asked for, or read from standard input; not while you are signed in here already.
    #[arg(long, env = "ADMIT_LOGIN")]
    login: String,
}

/// A booking, as the counter names it.
#[derive(Args)]
pub(crate) struct Reference {
    #[command(flatten)]
    desk: Desk,
    /// The screening.
    screening: ScreeningId,
    /// The booking's reference, as the buyer knows it.
    reference: String,
}

/// A booking, and whether to ask.
#[derive(Args)]
pub(crate) struct Which {
    #[command(flatten)]
    which: Reference,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
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
        let (which, what) = match self {
            Self::List { desk, screening: None } => {
                return list::screenings(&desk.sign_in(context).await?.server, context).await;
            }
            Self::List { desk, screening: Some(screening) } => {
                return list::bookings(&desk.sign_in(context).await?, screening, context).await;
            }
            Self::Find { desk, text } => return list::find(&desk.sign_in(context).await?, &text, context).await,
            Self::Sell(sell) => return Box::pin(sell.run(context)).await,
            Self::Till(count) => return count.run(context).await,
            Self::Leave { desk } => return desk.leave(context).await,
            Self::Tickets { which, no_qr, save } => (Which { which, yes: true }, What::Tickets { no_qr, save }),
            Self::Paid { which } => (which, What::Paid),
            Self::Refund { which } => (which, What::Refund),
            Self::Cancel { which, seats, refund, no_refund: _, reason } => {
                (which, What::Cancel { seats, refund, reason })
            }
        };
        if context.json && !which.yes {
            bail!("say --yes: with --json nobody is asked");
        }
        let Which { which: Reference { desk, screening, reference }, yes } = which;
        let office = &desk.sign_in(context).await?;
        let counter = AtCounter { office, screening, reference: &reference, yes, context };
        match what {
            What::Tickets { no_qr, save } => counter.tickets(no_qr, save.as_deref()).await,
            What::Paid => counter.paid().await,
            What::Refund => counter.refund().await,
            What::Cancel { seats, refund, reason } => counter.cancel(&seats, refund, &reason).await,
        }
    }
}

/// What is done with one booking.
enum What {
    Tickets { no_qr: bool, save: Option<PathBuf> },
    Paid,
    Refund,
    Cancel { seats: Vec<String>, refund: bool, reason: String },
}

impl Desk {
    pub(crate) fn of(server: &str, login: String) -> Self {
        Self { server: server.to_owned(), login }
    }

    /// Goes on with the session of the last command, or asks for the password.
    pub(crate) async fn sign_in(&self, context: &Context) -> anyhow::Result<Office> {
        let server = find::server(&self.server, context).await?;
        let sessions = Sessions::of(context);
        let origin = server.origin().to_string();
        let kept = sessions.get(&origin, &self.login);
        let (good, over): (Option<_>, Option<_>) = match kept {
            Some(kept) if kept.is_good() => (Some(kept), None),
            kept => (None, kept),
        };
        // What is not used any more is no key in a drawer.
        if let Some(over) = over
            && let Some(office) = Office::go_on(server.clone(), over).await?
        {
            let _ = answered(office.changing(office.http.delete(format!("{}/sessions/current", office.base)))).await;
        }
        if let Some(kept) = good
            && let Some(office) = Office::go_on(server.clone(), kept).await?
        {
            sessions.keep(&origin, &self.login, Some(&office.kept_here()))?;
            return Ok(office);
        }
        let password = read_password(&format!("password of {}: ", self.login))?;
        let office = Office::sign_in(server, &self.login, &password).await?;
        sessions.keep(&origin, &self.login, Some(&office.kept_here()))?;
        if !context.json {
            let how_long =
                if office.is_supervisor() { "while you work, and ten minutes" } else { "until your shift ends" };
            let leave = format!("admit box-office leave {} --login {}", self.server, self.login);
            show::warn(&format!("{} stays signed in here {how_long}: `{leave}` ends it", self.login));
        }
        Ok(office)
    }

    async fn leave(&self, context: &Context) -> anyhow::Result<()> {
        let server = find::server(&self.server, context).await?;
        let sessions = Sessions::of(context);
        let origin = server.origin().to_string();
        if let Some(kept) = sessions.get(&origin, &self.login)
            && let Some(office) = Office::go_on(server, kept).await?
        {
            answered(office.changing(office.http.delete(format!("{}/sessions/current", office.base)))).await?;
        }
        sessions.keep(&origin, &self.login, None)?;
        if context.json {
            return show::json(&json!({"left": self.login}));
        }
        show::line(&format!("{} has left {origin}", self.login));
        Ok(())
    }
}

/// Asks without showing what is typed; where nobody sits in front of it, reads a line.
pub(crate) fn read_password(question: &str) -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(question).context("asking for the password");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("reading the password from standard input")?;
    ensure!(!line.trim().is_empty(), "no password came in on standard input");
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// As [`show::agree`], of somebody who signed in. Without a terminal what comes in is a password, also where a session was kept and
/// none was read: it is no answer.
pub(crate) async fn agree(question: &str, stop: &mut show::Stop, flag: &str) -> anyhow::Result<()> {
    let asked = std::io::stdin().is_terminal();
    ensure!(asked, "nobody could be asked: say {flag} beforehand, standard input is for the password");
    show::agree(question, stop, flag).await
}

/// Somebody who is signed in.
pub(crate) struct Office {
    server: Server,
    role: Role,
    http: reqwest::Client,
    base: String,
    session: Session,
    /// Whether it goes on with the session of an earlier command.
    kept: bool,
}

/// Whether something is only to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rehearsal {
    Yes,
    No,
}

impl Office {
    pub(crate) async fn sign_in(server: Server, login: &str, password: &str) -> anyhow::Result<Self> {
        let (http, base) = manage(&server)?;
        let body = json!({"login": login, "password": password});
        let said = answered(http.post(format!("{base}/sessions")).json(&body)).await;
        let said = said.with_context(|| format!("{login:?} could not sign in at {}", server.origin()))?;
        let cookie = said.headers().get("set-cookie").and_then(|c| c.to_str().ok()).context("no session cookie")?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        let session: Value = said.json().await?;
        let csrf = session["csrf"].as_str().context("no csrf token")?.to_owned();
        let role = session["staff"]["role"].as_str().and_then(|r| r.parse().ok()).context("no role")?;
        Ok(Self { server, role, http, base, session: Session { cookie, csrf, until: None }, kept: false })
    }

    /// With a session that was kept; nothing, if it is over.
    async fn go_on(server: Server, session: Session) -> anyhow::Result<Option<Self>> {
        let (http, base) = manage(&server)?;
        let said = http.get(format!("{base}/sessions/current")).header("cookie", &session.cookie).send().await?;
        if said.status() == reqwest::StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let staff: Value = said.json().await?;
        let role = staff["role"].as_str().and_then(|r| r.parse().ok());
        Ok(role.map(|role| Self { server, role, http, base, session, kept: true }))
    }

    /// Whether no password was read now: who signed in did so in an earlier command.
    pub(crate) fn kept_session(&self) -> bool {
        self.kept
    }

    fn is_supervisor(&self) -> bool {
        self.role.may(Permission::Supervise)
    }

    /// The session as it is kept for the next command: who may do more than sell is asked for the password again soon, whoever sits
    /// there by then.
    fn kept_here(&self) -> Session {
        let until = self.is_supervisor().then(|| after(Timestamp::now(), SUPERVISOR_S));
        Session { until, ..self.session.clone() }
    }

    /// A client whose requests are this counter's.
    pub(crate) fn client(&self, context: &Context) -> anyhow::Result<Client> {
        find::client_with_session(context, &self.session.cookie)
    }

    /// A request that changes something.
    fn changing(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.header("cookie", &self.session.cookie).header("csrf-token", &self.session.csrf)
    }

    /// Before anybody is asked anything.
    fn must(&self, permission: Permission, what: &str) -> anyhow::Result<()> {
        let role = self.role.as_str();
        ensure!(self.role.may(permission), "the role {role} may not {what}: ask a manager");
        Ok(())
    }

    /// Takes over a programme, or only says what would come of it: all of it, or nothing and why.
    pub(crate) async fn import(&self, programme: Vec<u8>, rehearsal: Rehearsal) -> anyhow::Result<Imported> {
        let rehearsal = rehearsal == Rehearsal::Yes;
        let request = self.changing(self.http.post(format!("{}/imports?rehearsal={rehearsal}", self.base)));
        Ok(answered(request.header("content-type", "application/json").body(programme)).await?.json().await?)
    }

    /// The programme as it is now, as a file.
    pub(crate) async fn export(&self) -> anyhow::Result<Exported> {
        let request = self.http.get(format!("{}/export", self.base)).header("cookie", &self.session.cookie);
        Ok(answered(request).await?.json().await?)
    }

    /// Who works here.
    pub(crate) async fn staff(&self) -> anyhow::Result<Vec<StaffMember>> {
        let request = self.http.get(format!("{}/staff", self.base)).header("cookie", &self.session.cookie);
        Ok(answered(request).await?.json().await?)
    }

    /// Adds somebody who works here, or changes what they may do.
    pub(crate) async fn put_staff(&self, login: &str, put: &PutStaff) -> anyhow::Result<()> {
        let mut url = reqwest::Url::parse(&format!("{}/staff", self.base))?;
        url.path_segments_mut().map_err(|()| anyhow!("{} is no address", self.base))?.push(login);
        answered(self.changing(self.http.put(url)).json(put)).await.map(drop)
    }

    /// Registers a scanner, or gives it a new token.
    pub(crate) async fn put_scanner(&self, id: DeviceId) -> anyhow::Result<NewToken> {
        let request = self.changing(self.http.put(format!("{}/devices/{id}", self.base)));
        Ok(answered(request.json(&json!({"name": id}))).await?.json().await?)
    }

    async fn bookings(&self, screening: ScreeningId) -> anyhow::Result<Vec<Row>> {
        let url = format!("{}/screenings/{screening}/holds", self.base);
        Ok(answered(self.http.get(url).header("cookie", &self.session.cookie)).await?.json().await?)
    }

    /// The tickets of a booking, whosever it is.
    async fn tickets(&self, booking: &Booking) -> anyhow::Result<Tickets> {
        let url = format!("{}/screenings/{}/bookings/{}/tickets", self.base, booking.screening, booking.id);
        Ok(answered(self.http.get(url).header("cookie", &self.session.cookie)).await?.json().await?)
    }

    /// Takes the balance of a booking at the counter. One settlement of a booking is one effect, whoever asks again.
    pub(crate) async fn settle(&self, booking: &Booking, amount: Money) -> anyhow::Result<()> {
        let key = format!("settle-{}", booking.id);
        self.change(booking, "settlements", &key, &json!({"amount": amount})).await.map(drop)
    }

    /// Hands over what comes back. Later tickets may come back later.
    async fn refund(&self, booking: &Booking) -> anyhow::Result<()> {
        let key = format!("refund-{}-{}", booking.id, booking.refunded.amount());
        self.change(booking, "refunds", &key, &json!({"amount": booking.refund_due})).await.map(drop)
    }

    async fn cancel(&self, booking: &Booking, seats: &[SeatId], refund: bool, reason: &str) -> anyhow::Result<Booking> {
        let key = format!("cancel-{}-{}", booking.id, booking.seq);
        self.change(booking, "cancellations", &key, &json!({"seats": seats, "refund": refund, "reason": reason})).await
    }

    /// Asks for a change of a booking, and reads it as it is then.
    async fn change(&self, booking: &Booking, what: &str, key: &str, body: &Value) -> anyhow::Result<Booking> {
        let Booking { id, screening, .. } = booking;
        let url = format!("{}/screenings/{screening}/bookings/{id}/{what}", self.base);
        let request = self.changing(self.http.post(url));
        Ok(answered(request.header("idempotency-key", key).json(body)).await?.json().await?)
    }
}

/// What asks the staff's side of a server, and where that is.
fn manage(server: &Server) -> anyhow::Result<(reqwest::Client, String)> {
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
    Ok((http, format!("{}/manage/v1", server.origin())))
}

/// The answer, or what the server says against it.
async fn answered(request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
    let said = request.send().await?;
    if said.status().is_success() {
        return Ok(said);
    }
    let status = said.status();
    Err(match said.json::<Problem>().await {
        // Its own name is enough of a title.
        Ok(problem) => anyhow!("{}", problem.detail),
        Err(_) => anyhow!("the server answered {status}"),
    })
}
