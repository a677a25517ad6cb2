//! The textbook design behind HTTP: a row for each seat and show, and one SERIALIZABLE transaction for each booking.

use std::net::SocketAddr;
use std::sync::Arc;

use admit_http::listen::{Limits, serve};
use admit_http::{Path, StrictJson, TrustedProxies};
use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Statement};

use crate::stage::Hall;

/// Connections to the database: more make it slower on two cores.
const CONNECTIONS: usize = 32;
/// How often a transaction that met another one is tried again, as pgbench is told to.
const TRIES: usize = 10;

/// A server of it.
pub(crate) struct Textbook {
    pub(crate) address: SocketAddr,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

/// A connection with its statements.
struct Session {
    client: Client,
    look: Statement,
    book: Statement,
    take: Statement,
}

struct Pool {
    sessions: Mutex<Vec<Session>>,
    free: Semaphore,
}

#[derive(Deserialize)]
struct Wish {
    seats: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    seat: String,
}

impl Textbook {
    pub(crate) fn serve(database: &str) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (address, stop) = runtime.block_on(async {
            let mut sessions = Vec::new();
            for _ in 0..CONNECTIONS {
                sessions.push(Session::open(database).await?);
            }
            let pool = Arc::new(Pool { sessions: Mutex::new(sessions), free: Semaphore::new(CONNECTIONS) });
            let router = Router::new().route("/v1/screenings/{screening}/holds", post(book)).with_state(pool);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let (stop, stopped) = watch::channel(false);
            let limits = Limits { proxies: TrustedProxies::new([address.ip()]), ..Limits::default() };
            tokio::spawn(serve(listener, router, limits, stopped));
            anyhow::Ok((address, stop))
        })?;
        Ok(Self { address, _stop: stop, _runtime: runtime })
    }
}

impl Session {
    async fn open(database: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
        tokio::spawn(connection);
        let look = "SELECT count(*) FROM seat WHERE show = $1 AND number BETWEEN $2 AND $3 AND booking IS NULL";
        let take = "UPDATE seat SET booking = $4 WHERE show = $1 AND number BETWEEN $2 AND $3";
        Ok(Self {
            look: client.prepare(look).await?,
            book: client.prepare("INSERT INTO booking (show, seats) VALUES ($1, $2) RETURNING id").await?,
            take: client.prepare(take).await?,
            client,
        })
    }

    /// The number of a booking; nothing, if a seat is taken.
    async fn book(&mut self, show: i32, seats: &[i32]) -> Result<Option<i64>, tokio_postgres::Error> {
        let (first, last) = (seats.first().copied().unwrap_or(0), seats.last().copied().unwrap_or(0));
        let transaction = self
            .client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::Serializable)
            .start()
            .await?;
        let free: i64 = transaction.query_one(&self.look, &[&show, &first, &last]).await?.get(0);
        if usize::try_from(free) != Ok(seats.len()) {
            transaction.rollback().await?;
            return Ok(None);
        }
        let booking: i64 = transaction.query_one(&self.book, &[&show, &seats]).await?.get(0);
        transaction.execute(&self.take, &[&show, &first, &last, &booking]).await?;
        transaction.commit().await?;
        Ok(Some(booking))
    }
}

async fn book(
    State(pool): State<Arc<Pool>>,
    Path(screening): Path<String>,
    wish: StrictJson<Wish>,
) -> axum::response::Response {
    let read = || {
        let show: i32 = screening.rsplit('-').next().and_then(|n| n.parse().ok()).context("a show")?;
        let seats = wish.value.seats.iter().map(|wanted| {
            let (row, number) = wanted.seat.split_once('-').context("a seat")?;
            let in_row = i32::try_from(Hall::Ordinary.seats_per_row())?;
            anyhow::Ok((row.parse::<i32>()? - 1) * in_row + number.parse::<i32>()?)
        });
        anyhow::Ok((show + 1, seats.collect::<anyhow::Result<Vec<_>>>()?))
    };
    let Ok((show, seats)) = read() else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(_one) = pool.free.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let Some(mut session) = pool.sessions.lock().await.pop() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let mut booked = session.book(show, &seats).await;
    for _ in 1..TRIES {
        let met = booked.as_ref().err().and_then(tokio_postgres::Error::code);
        if !met
            .is_some_and(|code| [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code))
        {
            break;
        }
        booked = session.book(show, &seats).await;
    }
    pool.sessions.lock().await.push(session);
    match booked {
        Ok(Some(booking)) => {
            let lines: Vec<Value> =
                wish.value.seats.iter().map(|s| json!({"seat": s.seat, "ticket_type": "adult"})).collect();
            (StatusCode::CREATED, axum::Json(json!({"id": booking, "seats": lines}))).into_response()
        }
        Ok(None) => StatusCode::CONFLICT.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
