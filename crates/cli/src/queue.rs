//! Being let in one after another where many want seats at once.

use std::collections::HashMap;
use std::time::Duration;

use admit_client::{PurchaseNumber, Queueing, Secret, Server, Wallet};
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::ProblemCode;
use admit_protocol::queue::{QueuePlace, QueueState};
use admit_protocol::screening::Screening;
use admit_protocol::time::{Moment, ZoneName};
use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use jiff::Timestamp;

use crate::show::Stop;
use crate::showing::Showing;
use crate::{Context, buy, find, show};

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Take a place in the queue of a screening that is sold in turns. It is kept: nobody need stay here.
    Join {
        /// The cinema's server.
        server: String,
        /// The screening.
        screening: String,
    },
    /// Your places, and when it is your turn.
    List,
    /// Give a place up.
    Leave {
        /// Its number in `admit queue list`.
        number: PurchaseNumber,
    },
}

impl QueueCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let wallet = Wallet::open(&context.wallet())?;
        match self {
            Self::Join { server, screening } => {
                let typed = server;
                let server = wallet.meet(&find::client(context)?, &typed).await?;
                find::note_move(&typed, &server, context);
                let id: ScreeningId = screening.parse().with_context(|| screening.clone())?;
                let screening = find::screening(&server, id).await?;
                ensure!(screening.queue.is_some(), "{id} has no queue: book it, or look at its seats");
                let mine = join(&wallet, &server, &screening).await?;
                if context.json {
                    return show::json(&serde_json::json!({"number": mine.number, "place": mine.place}));
                }
                Showing::of(&server, &screening).await?.print();
                let said = mine.place.as_ref().map(|place| in_words(place, mine.zone.as_ref())).unwrap_or_default();
                show::line(&format!("{} {said}", show::colour("1;32", "your place:")));
                show::line(&format!("it is kept; when it is your turn: admit book {} {id} SEATS", server.origin()));
                Ok(())
            }
            Self::List => list(&wallet, context).await,
            Self::Leave { number } => {
                let mine = wallet.queueing()?.into_iter().find(|q| q.number == number);
                let mine = mine.with_context(|| format!("there is no place {number}: see `admit queue list`"))?;
                let server = wallet.meet(&find::client(context)?, mine.origin.as_str()).await?;
                wallet.leave_queue(&server, number).await?;
                if context.json {
                    return show::json(&serde_json::json!({"left": number}));
                }
                show::line("you have no place there any more");
                Ok(())
            }
        }
    }
}

async fn list(wallet: &Wallet, context: &Context) -> anyhow::Result<()> {
    let mut silent: HashMap<PurchaseNumber, String> = HashMap::new();
    let mut heard = Vec::new();
    for mine in wallet.queueing()? {
        let asked = match wallet.meet(&find::hurried_client(context)?, mine.origin.as_str()).await {
            Ok(server) => wallet.refresh_queueing(&server, mine.number).await,
            Err(error) => Err(error),
        };
        heard.push(asked.unwrap_or_else(|error| {
            silent.insert(mine.number, error.to_string());
            mine
        }));
    }
    if context.json {
        let row = |q: &Queueing| serde_json::json!({"number": q.number, "title": q.title, "origin": q.origin, "place": q.place, "not_asked": silent.get(&q.number)});
        show::json(&heard.iter().map(row).collect::<Vec<_>>())?;
    } else if heard.is_empty() {
        show::line("you stand in no queue");
    } else {
        let row = |q: &Queueing| {
            let known = q.place.as_ref().map_or_else(
                || "not known yet: this asks again each time".to_owned(),
                |place| in_words(place, q.zone.as_ref()),
            );
            let known = if silent.contains_key(&q.number) { format!("{known}, when it was last asked") } else { known };
            vec![q.number.to_string(), q.title.clone(), known]
        };
        show::table(&["no", "what", "place"], &heard.iter().map(row).collect::<Vec<_>>());
        for why in silent.values().collect::<std::collections::BTreeSet<_>>() {
            show::warn(why);
        }
    }
    // What came to an end was told now.
    Ok(wallet.forget_ended_queueing()?)
}

async fn join(wallet: &Wallet, server: &Server, screening: &Screening) -> anyhow::Result<Queueing> {
    let keepsake = buy::keepsake_of(server, screening).await?;
    let joined = wallet.join_queue(server, screening.id, keepsake).await;
    joined.map_err(|refused| match (refused.code(), screening.queue) {
        (Some(ProblemCode::QueueNotOpen), Some(queue)) => {
            let opens = clock(queue.opens_at, Some(screening.starts_at.zone()));
            anyhow::anyhow!("its queue opens {opens}: who comes before sales begin is drawn by lot, early or late")
        }
        _ => refused.into(),
    })
}

/// What somebody may hold seats with, where a screening is sold in turns: waits for the turn, if somebody is there to wait.
pub(crate) async fn pass(
    wallet: &Wallet,
    server: &Server,
    screening: &Screening,
    context: &Context,
) -> anyhow::Result<(Secret, String)> {
    let mut mine = join(wallet, server, screening).await?;
    let mut told = None;
    let mut stop = Stop::listen()?;
    loop {
        let place = mine.place.as_ref().context("the place is not known")?;
        match (place.state, &place.pass) {
            (QueueState::Admitted, Some(pass)) => return Ok((mine.secret.clone(), pass.clone())),
            (QueueState::Over, _) => mine = join(wallet, server, screening).await?,
            _ => {
                let said = in_words(place, mine.zone.as_ref());
                if context.json {
                    bail!("this is sold in turns, and you have a place: {said}; book then");
                }
                if told.as_ref() != Some(&said) {
                    show::line(&format!("this is sold in turns: {said}"));
                    if told.is_none() {
                        show::line("you may stop this: your place is kept, and the same command goes on");
                    }
                    told = Some(said);
                }
                let next = place.turn_at.unwrap_or(place.sales_open_at);
                let left = Duration::try_from(next.duration_since(server.now())).unwrap_or_default();
                // Clocks are known to some milliseconds.
                let left = left.min(Duration::from_secs(30)) + Duration::from_millis(20);
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = stop.asked() => bail!("your place is kept: `admit queue list`, or the same command again"),
                }
                mine = wallet.refresh_queueing(server, mine.number).await?;
            }
        }
    }
}

fn clock(at: Timestamp, zone: Option<&ZoneName>) -> String {
    let there = zone.and_then(|zone| Moment::new(at, zone).ok());
    there.map_or_else(|| show::here(at), |at| show::moment_to_the_second(&at))
}

fn in_words(place: &QueuePlace, zone: Option<&ZoneName>) -> String {
    let at = |at: Option<Timestamp>| at.map(|at| clock(at, zone)).unwrap_or_default();
    match place.state {
        QueueState::Gathering => {
            let others = show::count(usize::try_from(place.places).unwrap_or(usize::MAX), "place");
            format!("drawn by lot among {others} when sales begin, {}", clock(place.sales_open_at, zone))
        }
        QueueState::Waiting => {
            let before = place.ahead.map(|n| format!(", at most {n} before you")).unwrap_or_default();
            format!("your turn is {}{before}", at(place.turn_at))
        }
        QueueState::Admitted => format!("IT IS YOUR TURN until {}", at(place.pass_until)),
        QueueState::Over => format!("your turn was over {}: join again", at(place.pass_until)),
        other => other.to_string(),
    }
}
