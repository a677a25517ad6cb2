//! Test control for our own server, as `spec/v1/control.md` has it: worlds with a clock that a conformance suite moves.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use admit_control::{Control, Stores};
//!
//! let control = Control::new("a secret of the one who tests".into(), Stores::Sqlite);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! axum::serve(listener, control.router()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Each run is a whole server: its own store, keys and origin. Whatever is done to it goes through the routes that buyers and staff use.

mod run;
mod wanted;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use admit_http::{Reply, StrictJson, headers};
use admit_protocol::origin::Origin;
use admit_protocol::problem::ProblemCode;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use self::run::Run;
pub use self::run::{Stores, new_secret};
use self::wanted::Wanted;

/// Who makes runs, and keeps those there are.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    secret: String,
    stores: Stores,
    runs: Mutex<HashMap<String, Arc<Run>>>,
    next: AtomicU64,
}

/// Runs at a time. Each has threads, a store and a port.
const RUNS_MAX: usize = 64;

impl Control {
    /// Test control for who knows this secret.
    #[must_use]
    pub fn new(secret: String, stores: Stores) -> Self {
        Self(Arc::new(Inner { secret, stores, runs: Mutex::default(), next: AtomicU64::new(1) }))
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let control = self.clone();
        let known = middleware::from_fn(move |request, next| only_who_knows(control.clone(), request, next));
        let routes = Router::new()
            .route("/runs", post(begin))
            .route("/runs/{run}", delete(end))
            .route("/runs/{run}/screenings", post(screening))
            .route("/runs/{run}/clock", post(clock))
            .route("/runs/{run}/actions", post(act))
            .method_not_allowed_fallback(headers::wrong_method)
            .fallback(async || Reply::not_found())
            .layer(known)
            .with_state(self.clone());
        headers::layer(routes, Timestamp::now)
    }

    fn run(&self, run: &str) -> Result<Arc<Run>, Reply> {
        let runs = self.0.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(run).cloned().ok_or_else(Reply::not_found)
    }
}

/// CTRL-002.
async fn only_who_knows(control: Control, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let wanted = format!("Bearer {}", control.0.secret);
    if given.ct_eq(wanted.as_bytes()).into() {
        return next.run(request).await;
    }
    let why = "send the secret of test control as Authorization: Bearer";
    Reply::new(ProblemCode::Unauthenticated, why).into_response()
}

#[derive(Deserialize)]
struct Begin {
    /// What it calls itself, where something is in front of it.
    origin: Option<Origin>,
}

async fn begin(State(control): State<Control>, how: StrictJson<Begin>) -> Result<Response, Reply> {
    if control.0.runs.lock().unwrap_or_else(PoisonError::into_inner).len() >= RUNS_MAX {
        let why = format!("{RUNS_MAX} runs are there: end one");
        return Err(Reply::new(ProblemCode::Busy, why));
    }
    let run = Run::begin(&control.0.stores, how.value.origin).await.map_err(failed)?;
    let id = format!("run-{}", control.0.next.fetch_add(1, Ordering::Relaxed));
    let answer = json!({"run": id, "origin": run.origin(), "address": run.address(), "scanner": run.scanner()});
    control.0.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(run));
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn end(State(control): State<Control>, Path(id): Path<String>) -> Result<StatusCode, Reply> {
    let run = control.0.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    run.ok_or_else(Reply::not_found)?.end().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn screening(
    State(control): State<Control>,
    Path(run): Path<String>,
    wanted: StrictJson<Value>,
) -> Result<Response, Reply> {
    let wanted: Wanted = possible(wanted.value)?;
    let id = control.run(&run)?.make(&wanted).await?;
    Ok((StatusCode::CREATED, Json(json!({"screening": id}))).into_response())
}

#[derive(Deserialize)]
struct Move {
    advance_ms: u64,
}

async fn clock(
    State(control): State<Control>,
    Path(run): Path<String>,
    by: StrictJson<Move>,
) -> Result<Json<Value>, Reply> {
    let now = control.run(&run)?.advance(i64::try_from(by.value.advance_ms).unwrap_or(i64::MAX)).await;
    Ok(Json(json!({"now": now})))
}

async fn act(
    State(control): State<Control>,
    Path(run): Path<String>,
    action: StrictJson<Value>,
) -> Result<StatusCode, Reply> {
    control.run(&run)?.act(possible(action.value)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is wanted, if it can be made or done here (CTRL-006).
fn possible<T: serde::de::DeserializeOwned>(wanted: Value) -> Result<T, Reply> {
    serde_json::from_value(wanted)
        .map_err(|e| Reply::new(ProblemCode::Invalid, format!("that cannot be made or done here: {e}")))
}

fn failed(error: anyhow::Error) -> Reply {
    Reply::new(ProblemCode::Internal, format!("{error:#}"))
}
