//! Who works here, which scanners there are, and what was done.

use admit_http::{Path, Query, Reply, StrictJson};
use admit_protocol::digest::sha256;
use admit_protocol::id::DeviceId;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::text::is_plain;
use admit_protocol::time::after;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::session::{SignedInAs, hash_password};
use super::{Management, json};
use crate::store::{Device, Edit, Layouts, Permission, Role, StaffMember, StaffStore};

pub(super) async fn list(State(management): State<Management>, somebody: SignedInAs) -> Result<Response, Reply> {
    somebody.may(Permission::Staff)?;
    Ok(json(&management.store(<dyn StaffStore>::staff).await?))
}

/// Somebody who works here, as they are to be from now on.
#[derive(Debug, Serialize, Deserialize)]
pub struct PutStaff {
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// They sign in no more.
    #[serde(default)]
    pub disabled: bool,
    /// A new one; whom the server does not know needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

pub(super) async fn put(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(login): Path<String>,
    body: StrictJson<PutStaff>,
) -> Result<StatusCode, Reply> {
    somebody.may(Permission::Staff)?;
    let PutStaff { name, role, disabled, password } = body.value;
    named("login", &login, 64)?;
    named("name", &name, 200)?;
    let member = StaffMember { login, name, role, disabled };
    let subject = format!("{} as {}{}", member.login, role.as_str(), if disabled { ", disabled" } else { "" });
    let _permit = management.0.hashing.acquire().await.map_err(|e| Reply::internal(&e))?;
    let hashed = tokio::task::spawn_blocking(move || password.as_deref().map(hash_password).transpose());
    let hashed = hashed.await.map_err(|e| Reply::internal(&e))?;
    let hashed = hashed.map_err(|e| Problem::new(ProblemCode::Invalid, e.to_string()).at("/password"))?;
    management.store(move |store| store.put_staff(&member, hashed.as_deref())).await?;
    management.note(&somebody.staff, "put_staff", subject).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What staff see in lists: words, and not too many.
fn named(what: &'static str, text: &str, max: usize) -> Result<(), Reply> {
    if !text.trim().is_empty() && is_plain(text, max) {
        return Ok(());
    }
    let why = format!("the {what} has 1 to {max} bytes, and no control characters");
    Err(Problem::new(ProblemCode::Invalid, why).at(format!("/{what}")).into())
}

#[derive(Deserialize)]
pub(super) struct PutDevice {
    name: String,
}

/// A token is shown once, when it is made; only its hash is kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct NewToken {
    /// The scanner.
    pub device: DeviceId,
    /// What it signs in with.
    pub token: String,
    /// It had an older one, which opens nothing any more.
    pub replaced: bool,
}

/// Registers a scanner, or gives it a new token; the old one ends.
pub(super) async fn put_device(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(id): Path<DeviceId>,
    body: StrictJson<PutDevice>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Supervise)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Reply::internal(&e))?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let device = Device { id, token_hash: sha256(&[token.as_bytes()]) };
    let PutDevice { name } = body.value;
    named("name", &name, 200)?;
    let now = management.0.cinema.now();
    let replaced = management.0.cinema.catalogue().knows_device(id);
    management.store(move |store| store.edit(&[Edit::Device { device, name }], now, Layouts::Stay)).await?;
    management.note(&somebody.staff, "put_device", id.to_string()).await?;
    management.0.cinema.reload().await.map_err(|e| Reply::internal(&e))?;
    Ok((StatusCode::CREATED, json(&NewToken { device: id, token, replaced })).into_response())
}

#[derive(Deserialize)]
pub(super) struct Latest {
    limit: Option<u32>,
}

pub(super) async fn audit(
    State(management): State<Management>,
    somebody: SignedInAs,
    Query(latest): Query<Latest>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Supervise)?;
    let limit = latest.limit.unwrap_or(100).min(1000);
    Ok(json(&management.store(move |store| store.audit(limit)).await?))
}

#[derive(Deserialize)]
pub(super) struct Shift {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What went over the counter: one's own, or everybody's for who supervises. The last day, if nothing else is said.
pub(super) async fn till(
    State(management): State<Management>,
    somebody: SignedInAs,
    Query(shift): Query<Shift>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let now = management.0.cinema.now();
    // What happens now is in it.
    let until = shift.until.unwrap_or_else(|| after(now, 1));
    let from = shift.from.unwrap_or_else(|| after(until, -24 * 3600));
    let mut tills = management.store(move |store| store.till(from, until)).await?;
    if somebody.may(Permission::Supervise).is_err() {
        tills.retain(|till| till.login == somebody.staff.login);
    }
    Ok(json(&tills))
}
