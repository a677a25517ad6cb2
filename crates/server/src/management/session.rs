//! Signing in and out, and who somebody is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use admit_http::{Reply, StrictJson};
use admit_protocol::digest::sha256;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::time::after;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, PasswordHash};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::Management;
use crate::asker::AtCounter;
use crate::store::{Permission, Session, StaffMember};

/// How long a session lasts, in seconds: a working day.
const SESSION_S: i64 = 12 * 3600;
/// Wrong passwords for one login within [`FAILURES_S`] before it has to wait.
const FAILURES_MAX: u32 = 5;
/// How long wrong passwords are remembered, in seconds.
const FAILURES_S: i64 = 15 * 60;
const COOKIE: &str = "admit_session";
const CSRF: HeaderName = HeaderName::from_static("csrf-token");

/// Why a password was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadPassword(String);

/// The Argon2id hash of a password, as a PHC string. Takes about 20 ms.
///
/// # Errors
/// When the password is shorter than 10 characters or longer than 1,000 bytes.
pub fn hash_password(password: &str) -> Result<String, BadPassword> {
    if password.chars().count() < 10 || password.len() > 1000 {
        return Err(BadPassword("a password has at least 10 characters and at most 1,000 bytes".into()));
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|e| BadPassword(e.to_string()))?;
    Ok(hash.to_string())
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    login: String,
    password: String,
}

#[derive(Serialize)]
pub(super) struct SignedIn {
    staff: StaffMember,
    /// To be sent as `Csrf-Token` with every change.
    csrf: String,
    expires_at: Timestamp,
}

/// Wrong passwords by login: since when, and how many.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<String, (Timestamp, u32)>>);

impl Failures {
    fn too_many(&self, login: &str, now: Timestamp) -> bool {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, (since, _)| after(*since, FAILURES_S) > now);
        failures.get(login).is_some_and(|(_, count)| *count >= FAILURES_MAX)
    }

    fn add(&self, login: &str, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.entry(login.to_owned()).or_insert((now, 0)).1 += 1;
    }

    fn forget(&self, login: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(login);
    }
}

pub(super) async fn sign_in(State(management): State<Management>, body: StrictJson<SignIn>) -> Result<Response, Reply> {
    let SignIn { login, password } = body.value;
    let now = management.0.cinema.now();
    if login.len() > 64 || password.len() > 1000 {
        return Err(wrong());
    }
    if management.0.failures.too_many(&login, now) {
        let why = "too many wrong passwords for this login: try again in a quarter of an hour";
        return Err(Problem::new(ProblemCode::RateLimited, why).retry_after_ms(900_000).into());
    }
    let asked = login.clone();
    let found = management.store(move |store| store.staff_to_sign_in(&asked)).await?;
    let _permit = management.0.hashing.acquire().await.map_err(|e| Reply::internal(&e))?;
    let checked =
        tokio::task::spawn_blocking(move || check(found, &password)).await.map_err(|e| Reply::internal(&e))?;
    let Some(staff) = checked else {
        management.0.failures.add(&login, now);
        return Err(wrong());
    };
    management.0.failures.forget(&login);
    let (token, csrf) = (random()?, random()?);
    let expires_at = after(now, SESSION_S);
    let session =
        Session { token_hash: sha256(&[token.as_bytes()]), login: staff.login.clone(), csrf: csrf.clone(), expires_at };
    management.store(move |store| store.put_session(&session, now)).await?;
    management.note(&staff, "sign_in", staff.login.clone()).await?;
    let secure = if management.0.cinema.origin().is_loopback() { "" } else { "; Secure" };
    let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/manage; Max-Age={SESSION_S}{secure}");
    let body = crate::answers::json(&SignedIn { staff, csrf, expires_at });
    let headers = [(header::SET_COOKIE, cookie), (header::CONTENT_TYPE, "application/json".into())];
    Ok((StatusCode::CREATED, headers, body).into_response())
}

/// One answer for a wrong login and a wrong password: nobody learns which logins there are.
fn wrong() -> Reply {
    Reply::new(ProblemCode::Unauthenticated, "login or password is wrong")
}

fn check(found: Option<(StaffMember, String)>, password: &str) -> Option<StaffMember> {
    // Also without such a login a hash is computed: how long it takes tells nothing.
    const NOBODY: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let (staff, hash) = found.map_or((None, NOBODY.to_owned()), |(staff, hash)| (Some(staff), hash));
    let hash = PasswordHash::new(&hash).ok()?;
    Argon2::default().verify_password(password.as_bytes(), &hash).ok()?;
    staff
}

fn random() -> Result<String, Reply> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Reply::internal(&e))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub(super) async fn who_am_i(somebody: SignedInAs) -> Response {
    super::json(&somebody.staff)
}

pub(super) async fn sign_out(State(management): State<Management>, somebody: SignedInAs) -> Result<StatusCode, Reply> {
    management.store(move |store| store.end_session(&somebody.token_hash)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody with a session, and, for a change, with the CSRF token that only our own pages know.
pub(super) struct SignedInAs {
    pub(super) staff: StaffMember,
    token_hash: [u8; 32],
}

impl SignedInAs {
    /// Lets only those go on who may do this.
    pub(super) fn may(&self, permission: Permission) -> Result<(), Reply> {
        if self.staff.role.may(permission) {
            return Ok(());
        }
        let why = format!("somebody with the role {} may not do this", self.staff.role.as_str());
        Err(Reply::new(ProblemCode::Forbidden, why))
    }
}

impl FromRequestParts<Management> for SignedInAs {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, management: &Management) -> Result<Self, Reply> {
        let nobody = || Reply::new(ProblemCode::Unauthenticated, "sign in first");
        let token = cookie(&parts.headers).ok_or_else(nobody)?;
        let token_hash = sha256(&[token.as_bytes()]);
        let now = management.0.cinema.now();
        let found = management.store(move |store| store.session(&token_hash, now)).await?;
        let (staff, csrf) = found.ok_or_else(nobody)?;
        let sent = parts.headers.get(CSRF).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let safe = matches!(parts.method, Method::GET | Method::HEAD);
        if !safe && !bool::from(sent.ct_eq(csrf.as_bytes())) {
            return Err(Reply::new(ProblemCode::Forbidden, "send the Csrf-Token that came with the session"));
        }
        Ok(Self { staff, token_hash })
    }
}

/// Lets who has a session and may sell do so without the limits for strangers. Nothing else changes, and a session that is over is none.
pub(super) async fn at_counter(management: Management, mut request: Request, next: Next) -> Response {
    if let Some(token) = cookie(request.headers()) {
        let token_hash = sha256(&[token.as_bytes()]);
        let now = management.0.cinema.now();
        let found = management.store(move |store| store.session(&token_hash, now)).await;
        if let Ok(Some((staff, _))) = found
            && staff.role.may(Permission::Sell)
        {
            request.extensions_mut().insert(AtCounter);
        }
    }
    next.run(request).await
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    cookies.flat_map(|v| v.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
